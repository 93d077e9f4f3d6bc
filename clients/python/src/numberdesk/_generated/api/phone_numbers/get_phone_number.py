from typing import Any
from urllib.parse import quote

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.phone_number import PhoneNumber
from ...types import UNSET, Unset


def get_phone_number(
    id: str,
    *,
    if_none_match: str | Unset = UNSET,
) -> Operation[PhoneNumber]:
    """Get a phone number

    Numberdesk reads the number from its own inventory. Store the `ETag`. Send it in `If-None-Match` to
    get the number
    only if it has changed, and in `If-Match` to prevent a lost update.

    Args:
        id (str): The id of a phone number in Close.
        if_none_match (str | Unset):
    """
    headers: dict[str, Any] = {}
    if not isinstance(if_none_match, Unset):
        headers["If-None-Match"] = if_none_match

    _kwargs: dict[str, Any] = {
        "method": "GET",
        "url": "/v1/phone-numbers/{id}".format(
            id=quote(str(id), safe=""),
        ),
    }

    _kwargs["headers"] = headers
    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> PhoneNumber:
    if response.status_code == 200:
        response_200 = PhoneNumber.from_dict(response.json())

        return response_200

    raise UnexpectedAnswer(response)
