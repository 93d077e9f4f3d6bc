from typing import Any
from urllib.parse import quote

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.webhook_delivery import WebhookDelivery


def replay_webhook_delivery(
    id: str,
    delivery: str,
) -> Operation[WebhookDelivery]:
    """Replay a delivery

    Sends the event again with the same `webhook-id`, so that the receiver can recognize a duplicate. If
    the delivery is
    still pending, nothing changes.

    Args:
        id (str): The id of an endpoint of outgoing webhooks.
        delivery (str): The id of a delivery of an event to an endpoint.
    """

    _kwargs: dict[str, Any] = {
        "method": "POST",
        "url": "/v1/webhook-endpoints/{id}/deliveries/{delivery}/replay".format(
            id=quote(str(id), safe=""),
            delivery=quote(str(delivery), safe=""),
        ),
    }

    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> WebhookDelivery:
    if response.status_code == 202:
        response_202 = WebhookDelivery.from_dict(response.json())

        return response_202

    raise UnexpectedAnswer(response)
