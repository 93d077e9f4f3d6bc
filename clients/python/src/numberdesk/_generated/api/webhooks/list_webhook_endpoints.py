from typing import Any

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.webhook_endpoint_page import WebhookEndpointPage
from ...types import UNSET, Unset


def list_webhook_endpoints(
    *,
    team: str | Unset = UNSET,
    limit: int | Unset = 50,
    cursor: str | Unset = UNSET,
) -> Operation[WebhookEndpointPage]:
    """List endpoints

    Newest first, for all your teams or for the team in `team`.

    Args:
        team (str | Unset): The name of a team.
        limit (int | Unset):  Default: 50.
        cursor (str | Unset):
    """

    params: dict[str, Any] = {}

    params["team"] = team

    params["limit"] = limit

    params["cursor"] = cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "GET",
        "url": "/v1/webhook-endpoints",
        "params": params,
    }

    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> WebhookEndpointPage:
    if response.status_code == 200:
        response_200 = WebhookEndpointPage.from_dict(response.json())

        return response_200

    raise UnexpectedAnswer(response)
