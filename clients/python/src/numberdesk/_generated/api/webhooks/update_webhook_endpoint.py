from typing import Any
from urllib.parse import quote

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.webhook_endpoint import WebhookEndpoint
from ...models.webhook_endpoint_patch import WebhookEndpointPatch


def update_webhook_endpoint(
    id: str,
    *,
    body: WebhookEndpointPatch,
) -> Operation[WebhookEndpoint]:
    """Change an endpoint

    A JSON merge patch. `{"state": "active"}` enables a disabled endpoint: the service sends its pending
    deliveries at
    once. To send events that occurred while the endpoint was disabled, replay them.

    Args:
        id (str): The id of an endpoint of outgoing webhooks.
        body (WebhookEndpointPatch): A JSON merge patch (RFC 7396). Fields that you leave out stay
            unchanged.
    """
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "PATCH",
        "url": "/v1/webhook-endpoints/{id}".format(
            id=quote(str(id), safe=""),
        ),
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"
    _kwargs["headers"] = headers
    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> WebhookEndpoint:
    if response.status_code == 200:
        response_200 = WebhookEndpoint.from_dict(response.json())

        return response_200

    raise UnexpectedAnswer(response)
