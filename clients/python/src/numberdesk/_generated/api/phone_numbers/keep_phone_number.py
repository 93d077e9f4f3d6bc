from typing import Any
from urllib.parse import quote

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.phone_number import PhoneNumber


def keep_phone_number(
    id: str,
) -> Operation[PhoneNumber]:
    """Keep a phone number

    Cancels a scheduled release. If no release is scheduled, nothing changes. After Numberdesk has asked
    Close to
    release the number, you can no longer cancel the release.

    Args:
        id (str): The id of a phone number in Close.
    """

    _kwargs: dict[str, Any] = {
        "method": "POST",
        "url": "/v1/phone-numbers/{id}/keep".format(
            id=quote(str(id), safe=""),
        ),
    }

    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> PhoneNumber:
    if response.status_code == 200:
        response_200 = PhoneNumber.from_dict(response.json())

        return response_200

    raise UnexpectedAnswer(response)
