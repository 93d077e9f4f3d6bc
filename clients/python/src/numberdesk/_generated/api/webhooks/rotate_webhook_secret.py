from typing import Any
from urllib.parse import quote

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.webhook_secret import WebhookSecret


def rotate_webhook_secret(
    id: str,
) -> Operation[WebhookSecret]:
    """Rotate an endpoint's secret

    The endpoint gets a new secret. Until `previous_until`, every delivery has two signatures, one for
    each secret, so
    that the receiver can change its secret at any time before.

    Args:
        id (str): The id of an endpoint of outgoing webhooks.
    """

    _kwargs: dict[str, Any] = {
        "method": "POST",
        "url": "/v1/webhook-endpoints/{id}/rotate-secret".format(
            id=quote(str(id), safe=""),
        ),
    }

    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> WebhookSecret:
    if response.status_code == 200:
        response_200 = WebhookSecret.from_dict(response.json())

        return response_200

    raise UnexpectedAnswer(response)
