from typing import Any

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.phone_number_page import PhoneNumberPage
from ...types import UNSET, Unset


def list_phone_numbers(
    *,
    team: str | Unset = UNSET,
    country: str | Unset = UNSET,
    number: str | Unset = UNSET,
    type_: str | Unset = UNSET,
    label: str | Unset = UNSET,
    participant: str | Unset = UNSET,
    orphan: bool | Unset = UNSET,
    limit: int | Unset = 50,
    cursor: str | Unset = UNSET,
) -> Operation[PhoneNumberPage]:
    """List phone numbers

    Numberdesk reads the numbers from its own inventory, a continuously updated copy of the numbers in
    Close.
    `desk.as_of` is the time of a number's last update from Close.

    Args:
        team (str | Unset): The name of a team.
        country (str | Unset): A country, as an ISO 3166-1 alpha-2 code, or `XK` (Kosovo), `AC`
            (Ascension) or `TA` (Tristan da Cunha).
        number (str | Unset): A phone number in E.164.
        type_ (str | Unset):
        label (str | Unset):
        participant (str | Unset): The id of a user in Close.
        orphan (bool | Unset):
        limit (int | Unset):  Default: 50.
        cursor (str | Unset):
    """

    params: dict[str, Any] = {}

    params["team"] = team

    params["country"] = country

    params["number"] = number

    params["type"] = type_

    params["label"] = label

    params["participant"] = participant

    params["orphan"] = orphan

    params["limit"] = limit

    params["cursor"] = cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "GET",
        "url": "/v1/phone-numbers",
        "params": params,
    }

    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> PhoneNumberPage:
    if response.status_code == 200:
        response_200 = PhoneNumberPage.from_dict(response.json())

        return response_200

    raise UnexpectedAnswer(response)
