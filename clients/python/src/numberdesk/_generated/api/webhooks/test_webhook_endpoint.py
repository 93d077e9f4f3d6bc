from typing import Any
from urllib.parse import quote

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.webhook_delivery import WebhookDelivery


def test_webhook_endpoint(
    id: str,
) -> Operation[WebhookDelivery]:
    """Test an endpoint

    Sends an event of the type `webhook_endpoint.test` to this endpoint, regardless of the types that it
    subscribes to.
    The list of deliveries shows the result.

    Args:
        id (str): The id of an endpoint of outgoing webhooks.
    """

    _kwargs: dict[str, Any] = {
        "method": "POST",
        "url": "/v1/webhook-endpoints/{id}/test".format(
            id=quote(str(id), safe=""),
        ),
    }

    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> WebhookDelivery:
    if response.status_code == 202:
        response_202 = WebhookDelivery.from_dict(response.json())

        return response_202

    raise UnexpectedAnswer(response)
