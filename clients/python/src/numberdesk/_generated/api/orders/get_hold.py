from typing import Any

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.holds import Holds


def get_hold() -> Operation[Holds]:
    """Get holds

    The holds in force, and the calls that wait for a person.

    """

    _kwargs: dict[str, Any] = {
        "method": "GET",
        "url": "/v1/hold",
    }

    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> Holds:
    if response.status_code == 200:
        response_200 = Holds.from_dict(response.json())

        return response_200

    raise UnexpectedAnswer(response)
