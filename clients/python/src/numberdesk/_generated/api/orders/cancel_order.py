from typing import Any
from urllib.parse import quote

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.order import Order


def cancel_order(
    id: str,
) -> Operation[Order]:
    """Cancel an order

    You can cancel an order until Numberdesk sends it to Close, also while it awaits approval. A
    cancelled order no
    longer reserves quota and budget.

    Args:
        id (str): The id of an order. Ids sort by time.
    """

    _kwargs: dict[str, Any] = {
        "method": "POST",
        "url": "/v1/orders/{id}/cancel".format(
            id=quote(str(id), safe=""),
        ),
    }

    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> Order:
    if response.status_code == 200:
        response_200 = Order.from_dict(response.json())

        return response_200

    raise UnexpectedAnswer(response)
