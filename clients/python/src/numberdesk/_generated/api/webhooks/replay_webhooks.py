from typing import Any
from urllib.parse import quote

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.replay_request import ReplayRequest
from ...models.replay_result import ReplayResult


def replay_webhooks(
    id: str,
    *,
    body: ReplayRequest,
) -> Operation[ReplayResult]:
    """Replay the events of a period

    Sends the team's events that occurred from `since` on and before `until`, if the endpoint subscribes
    to their types.
    This includes events that the endpoint never received, for example because it was disabled. At most
    10000 events;
    each keeps its `webhook-id`.

    Args:
        id (str): The id of an endpoint of outgoing webhooks.
        body (ReplayRequest): The period of the events to send again.
    """
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "POST",
        "url": "/v1/webhook-endpoints/{id}/replay".format(
            id=quote(str(id), safe=""),
        ),
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"
    _kwargs["headers"] = headers
    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> ReplayResult:
    if response.status_code == 202:
        response_202 = ReplayResult.from_dict(response.json())

        return response_202

    raise UnexpectedAnswer(response)
