from typing import Any
from urllib.parse import quote

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.webhook_endpoint import WebhookEndpoint


def get_webhook_endpoint(
    id: str,
) -> Operation[WebhookEndpoint]:
    """Get an endpoint

    If the endpoint is disabled, it receives no events, and `disabled_reason` is the reason.

    Args:
        id (str): The id of an endpoint of outgoing webhooks.
    """

    _kwargs: dict[str, Any] = {
        "method": "GET",
        "url": "/v1/webhook-endpoints/{id}".format(
            id=quote(str(id), safe=""),
        ),
    }

    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> WebhookEndpoint:
    if response.status_code == 200:
        response_200 = WebhookEndpoint.from_dict(response.json())

        return response_200

    raise UnexpectedAnswer(response)
