from typing import Any
from urllib.parse import quote

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.pending_release import PendingRelease
from ...types import UNSET, Unset


def release_phone_number(
    id: str,
    *,
    if_match: str | Unset = UNSET,
) -> Operation[PendingRelease | None]:
    """Release a phone number

    Releases the number in Close. Nobody can undo a release. If the team's policy has a `release_delay`,
    Numberdesk
    asks Close only after that time. Until then, the number belongs to the team and counts towards its
    limits, and you
    can cancel the release. Send `If-Match` to release the number only if it is still the version that
    you read.

    Args:
        id (str): The id of a phone number in Close.
        if_match (str | Unset):
    """
    headers: dict[str, Any] = {}
    if not isinstance(if_match, Unset):
        headers["If-Match"] = if_match

    _kwargs: dict[str, Any] = {
        "method": "DELETE",
        "url": "/v1/phone-numbers/{id}".format(
            id=quote(str(id), safe=""),
        ),
    }

    _kwargs["headers"] = headers
    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> PendingRelease | None:
    if response.status_code == 202:
        response_202 = PendingRelease.from_dict(response.json())

        return response_202

    if response.status_code == 204:
        return None

    raise UnexpectedAnswer(response)
