from typing import Any
from urllib.parse import quote

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.webhook_secret import WebhookSecret


def get_webhook_secret(
    id: str,
) -> Operation[WebhookSecret]:
    """Get an endpoint's secret

    The secret verifies the signatures of the endpoint's events. The audit trail records this request.

    Args:
        id (str): The id of an endpoint of outgoing webhooks.
    """

    _kwargs: dict[str, Any] = {
        "method": "GET",
        "url": "/v1/webhook-endpoints/{id}/secret".format(
            id=quote(str(id), safe=""),
        ),
    }

    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> WebhookSecret:
    if response.status_code == 200:
        response_200 = WebhookSecret.from_dict(response.json())

        return response_200

    raise UnexpectedAnswer(response)
