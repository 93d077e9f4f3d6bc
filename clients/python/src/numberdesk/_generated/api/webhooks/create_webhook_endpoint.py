from typing import Any

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.created_webhook_endpoint import CreatedWebhookEndpoint
from ...models.webhook_endpoint_request import WebhookEndpointRequest


def create_webhook_endpoint(
    *,
    body: WebhookEndpointRequest,
) -> Operation[CreatedWebhookEndpoint]:
    """Register an endpoint

    The service sends the team's new events to the endpoint, signed as Standard Webhooks specifies. The
    settings
    `webhooks.hosts` and `webhooks.networks` define which hosts the service may call. Store the
    `secret`: it verifies
    the signatures. A team can have 20 endpoints.

    Args:
        body (WebhookEndpointRequest): A new endpoint.
    """
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "POST",
        "url": "/v1/webhook-endpoints",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"
    _kwargs["headers"] = headers
    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> CreatedWebhookEndpoint:
    if response.status_code == 201:
        response_201 = CreatedWebhookEndpoint.from_dict(response.json())

        return response_201

    raise UnexpectedAnswer(response)
