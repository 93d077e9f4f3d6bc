from typing import Any

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.order import Order
from ...models.order_request import OrderRequest
from ...types import UNSET, Unset


def create_order(
    *,
    body: OrderRequest,
    idempotency_key: str,
    prefer: str | Unset = UNSET,
) -> Operation[Order]:
    """Rent a phone number

    Numberdesk checks the team's policy, stores the order, and sends it to Close. It waits for the end
    of the order, at
    most for the time in `Prefer`. The order continues if you disconnect. To read its state, send the
    same
    `Idempotency-Key` and body again: Numberdesk never rents two numbers for one key. The response to a
    repeated key has
    the header `Idempotent-Replayed: true`.

    Args:
        idempotency_key (str): Identifies an order when you retry.
        prefer (str | Unset):
        body (OrderRequest): The number to rent. Only `country` is required. `null` has the same
            meaning as a missing field.
    """
    headers: dict[str, Any] = {}
    headers["Idempotency-Key"] = idempotency_key

    if not isinstance(prefer, Unset):
        headers["Prefer"] = prefer

    _kwargs: dict[str, Any] = {
        "method": "POST",
        "url": "/v1/orders",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"
    _kwargs["headers"] = headers
    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> Order:
    if response.status_code == 201:
        response_201 = Order.from_dict(response.json())

        return response_201

    if response.status_code == 202:
        response_202 = Order.from_dict(response.json())

        return response_202

    raise UnexpectedAnswer(response)
