from typing import Any

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.hold_request import HoldRequest
from ...models.holds import Holds


def set_hold(
    *,
    body: HoldRequest,
) -> Operation[Holds]:
    """Change holds

    While one is in force, nothing that costs or destroys is sent to Close.

    Args:
        body (HoldRequest): `on`, `confirm`, or both.
    """
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "PUT",
        "url": "/v1/hold",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"
    _kwargs["headers"] = headers
    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> Holds:
    if response.status_code == 200:
        response_200 = Holds.from_dict(response.json())

        return response_200

    raise UnexpectedAnswer(response)
