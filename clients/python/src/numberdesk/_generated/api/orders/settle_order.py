from typing import Any
from urllib.parse import quote

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.order import Order
from ...models.settle_request import SettleRequest


def settle_order(
    id: str,
    *,
    body: SettleRequest,
) -> Operation[Order]:
    """Settle an order in review

    Settles an order in the state `needs_review`: Close did not respond to its rent request, and the
    evidence is
    ambiguous. `reason` names the numbers in question. Check in Close which number was rented for the
    order, or that
    none was rented. Send this finding. Numberdesk verifies the finding against Close before it settles
    the order.

    Args:
        id (str): The id of an order. Ids sort by time.
        body (SettleRequest): The finding of a person: the rented number, or that no number was
            rented.

            Exactly one member is required.
    """
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "POST",
        "url": "/v1/orders/{id}/settle".format(
            id=quote(str(id), safe=""),
        ),
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"
    _kwargs["headers"] = headers
    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> Order:
    if response.status_code == 200:
        response_200 = Order.from_dict(response.json())

        return response_200

    raise UnexpectedAnswer(response)
