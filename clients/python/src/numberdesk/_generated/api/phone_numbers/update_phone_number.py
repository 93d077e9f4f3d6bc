from typing import Any
from urllib.parse import quote

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.phone_number import PhoneNumber
from ...models.phone_number_patch import PhoneNumberPatch
from ...types import UNSET, Unset


def update_phone_number(
    id: str,
    *,
    body: PhoneNumberPatch,
    if_match: str | Unset = UNSET,
) -> Operation[PhoneNumber]:
    """Change a phone number

    A JSON merge patch of the fields that Close allows you to change. The team's policy limits
    forwarding and assignees.
    Send `If-Match` to change the number only if it is still the version that you read.

    Args:
        id (str): The id of a phone number in Close.
        if_match (str | Unset):
        body (PhoneNumberPatch): A JSON merge patch (RFC 7396) of the fields that Close allows you
            to change.

            Fields that you leave out stay unchanged. A list replaces the whole list.
    """
    headers: dict[str, Any] = {}
    if not isinstance(if_match, Unset):
        headers["If-Match"] = if_match

    _kwargs: dict[str, Any] = {
        "method": "PATCH",
        "url": "/v1/phone-numbers/{id}".format(
            id=quote(str(id), safe=""),
        ),
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"
    _kwargs["headers"] = headers
    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> PhoneNumber:
    if response.status_code == 200:
        response_200 = PhoneNumber.from_dict(response.json())

        return response_200

    raise UnexpectedAnswer(response)
