from typing import Any
from urllib.parse import quote

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.order import Order


def get_order(
    id: str,
) -> Operation[Order]:
    """Get an order

    If the order is not final, read it again later. Alternatively, send the order again under the same
    key.

    Args:
        id (str): The id of an order. Ids sort by time.
    """

    _kwargs: dict[str, Any] = {
        "method": "GET",
        "url": "/v1/orders/{id}".format(
            id=quote(str(id), safe=""),
        ),
    }

    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> Order:
    if response.status_code == 200:
        response_200 = Order.from_dict(response.json())

        return response_200

    raise UnexpectedAnswer(response)
