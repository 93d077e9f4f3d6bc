from typing import Any
from urllib.parse import quote

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.webhook_delivery_page import WebhookDeliveryPage
from ...types import UNSET, Unset


def list_webhook_deliveries(
    id: str,
    *,
    team: str | Unset = UNSET,
    state: str | Unset = UNSET,
    limit: int | Unset = 50,
    cursor: str | Unset = UNSET,
) -> Operation[WebhookDeliveryPage]:
    """List the deliveries of an endpoint

    Newest first. The service keeps deliveries for 30 days. Of the endpoint's response, it keeps only
    the status.

    Args:
        id (str): The id of an endpoint of outgoing webhooks.
        team (str | Unset): The name of a team.
        state (str | Unset): The state of a delivery.

            * `pending`: An attempt is due, now or later.
            * `delivered`: The receiver accepted it.
            * `dead`: The service gave up the delivery.

            Later versions may add values.
        limit (int | Unset):  Default: 50.
        cursor (str | Unset):
    """

    params: dict[str, Any] = {}

    params["team"] = team

    params["state"] = state

    params["limit"] = limit

    params["cursor"] = cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "GET",
        "url": "/v1/webhook-endpoints/{id}/deliveries".format(
            id=quote(str(id), safe=""),
        ),
        "params": params,
    }

    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> WebhookDeliveryPage:
    if response.status_code == 200:
        response_200 = WebhookDeliveryPage.from_dict(response.json())

        return response_200

    raise UnexpectedAnswer(response)
