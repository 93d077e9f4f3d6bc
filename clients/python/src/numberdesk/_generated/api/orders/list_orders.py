from typing import Any

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.order_page import OrderPage
from ...types import UNSET, Unset


def list_orders(
    *,
    team: str | Unset = UNSET,
    state: str | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
    limit: int | Unset = 50,
    cursor: str | Unset = UNSET,
) -> Operation[OrderPage]:
    """List orders

    Newest first, for all your teams or for the team in `team`.

    Args:
        team (str | Unset): The name of a team.
        state (str | Unset): The state of an order.

            * `awaiting_approval`: A second person must approve it.
            * `queued`: Accepted; nothing has been sent to Close.
            * `renting`: The paid call is, or may be, in progress.
            * `unverified`: The outcome of the paid call is unknown: Close may have rented a number.
            * `needs_review`: A person must decide the outcome.
            * `fulfilled`: Close rented a number.
            * `refused`: It is certain that Close did not rent a number.
            * `cancelled`: Cancelled before anything was sent to Close.

            Later versions may add values.
        idempotency_key (str | Unset): Identifies an order when you retry.
        limit (int | Unset):  Default: 50.
        cursor (str | Unset):
    """

    params: dict[str, Any] = {}

    params["team"] = team

    params["state"] = state

    params["idempotency_key"] = idempotency_key

    params["limit"] = limit

    params["cursor"] = cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "GET",
        "url": "/v1/orders",
        "params": params,
    }

    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> OrderPage:
    if response.status_code == 200:
        response_200 = OrderPage.from_dict(response.json())

        return response_200

    raise UnexpectedAnswer(response)
