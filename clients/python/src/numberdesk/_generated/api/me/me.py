from typing import Any

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.me import Me


def me() -> Operation[Me]:
    """Get the caller

    Your teams and permissions, from the token or, for a service account, from the policy. For each
    team: its policy,
    its usage, and what is left of its limits.

    """

    _kwargs: dict[str, Any] = {
        "method": "GET",
        "url": "/v1/me",
    }

    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> Me:
    if response.status_code == 200:
        response_200 = Me.from_dict(response.json())

        return response_200

    raise UnexpectedAnswer(response)
