from typing import Any
from urllib.parse import quote

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.pending_release import PendingRelease


def release_phone_number(
    id: str,
) -> Operation[PendingRelease | None]:
    """Release a phone number

    Releases the number in Close. Nobody can undo a release. If the team's policy has a `release_delay`,
    Numberdesk
    asks Close only after that time. Until then, the number belongs to the team and counts towards its
    limits, and you
    can cancel the release.

    Args:
        id (str): The id of a phone number in Close.
    """

    _kwargs: dict[str, Any] = {
        "method": "DELETE",
        "url": "/v1/phone-numbers/{id}".format(
            id=quote(str(id), safe=""),
        ),
    }

    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> PendingRelease | None:
    if response.status_code == 202:
        response_202 = PendingRelease.from_dict(response.json())

        return response_202

    if response.status_code == 204:
        return None

    raise UnexpectedAnswer(response)
