from typing import Any
from urllib.parse import quote

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.phone_number import PhoneNumber
from ...models.transfer_request import TransferRequest
from ...types import UNSET, Unset


def transfer_phone_number(
    id: str,
    *,
    body: TransferRequest,
    if_match: str | Unset = UNSET,
) -> Operation[PhoneNumber]:
    """Transfer a phone number to a team

    Adopts a number that has no team, or moves a number to another team. The quota and budget of the new
    team apply.
    Send `If-Match` to transfer the number only if it is still the version that you read.

    Args:
        id (str): The id of a phone number in Close.
        if_match (str | Unset):
        body (TransferRequest): The team that gets a number.
    """
    headers: dict[str, Any] = {}
    if not isinstance(if_match, Unset):
        headers["If-Match"] = if_match

    _kwargs: dict[str, Any] = {
        "method": "PUT",
        "url": "/v1/phone-numbers/{id}/team".format(
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
