from typing import Any
from urllib.parse import quote

import httpx

from ....operation import Operation, UnexpectedAnswer


def delete_webhook_endpoint(
    id: str,
) -> Operation[None]:
    """Remove an endpoint

    The service sends nothing more to the endpoint, and drops its pending deliveries.

    Args:
        id (str): The id of an endpoint of outgoing webhooks.
    """

    _kwargs: dict[str, Any] = {
        "method": "DELETE",
        "url": "/v1/webhook-endpoints/{id}".format(
            id=quote(str(id), safe=""),
        ),
    }

    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> None:
    if response.status_code == 204:
        return None

    raise UnexpectedAnswer(response)
