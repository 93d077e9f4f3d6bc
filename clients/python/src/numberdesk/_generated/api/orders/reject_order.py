from typing import Any
from urllib.parse import quote

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.decision_request import DecisionRequest
from ...models.order import Order
from ...types import UNSET, Unset


def reject_order(
    id: str,
    *,
    body: DecisionRequest | Unset = UNSET,
) -> Operation[Order]:
    """Reject an order

    Rejects an order in the state `awaiting_approval`. You cannot reject your own order, but you can
    cancel it. The
    order no longer reserves quota and budget, and its `reason` contains your comment. If the order is
    already rejected,
    nothing changes.

    Args:
        id (str): The id of an order. Ids sort by time.
        body (DecisionRequest | Unset): The comment on a decision. It is optional.
    """
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "POST",
        "url": "/v1/orders/{id}/reject".format(
            id=quote(str(id), safe=""),
        ),
    }

    if not isinstance(body, Unset):
        _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"
    _kwargs["headers"] = headers
    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> Order:
    if response.status_code == 200:
        response_200 = Order.from_dict(response.json())

        return response_200

    raise UnexpectedAnswer(response)
