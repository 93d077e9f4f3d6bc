from typing import Any

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.order_request import OrderRequest
from ...models.validation import Validation


def validate_order(
    *,
    body: OrderRequest,
) -> Operation[Validation]:
    """Validate an order

    Returns whether Numberdesk would accept the order, which rule decides, and what is left of quota and
    budget.
    Numberdesk stores nothing and sends nothing to Close. The request needs no `Idempotency-Key`.

    Args:
        body (OrderRequest): The number to rent. Only `country` is required. `null` has the same
            meaning as a missing field.
    """
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "POST",
        "url": "/v1/orders/validate",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"
    _kwargs["headers"] = headers
    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> Validation:
    if response.status_code == 200:
        response_200 = Validation.from_dict(response.json())

        return response_200

    raise UnexpectedAnswer(response)
