from typing import Any

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...models.event_page import EventPage
from ...types import UNSET, Unset


def list_events(
    *,
    team: str | Unset = UNSET,
    type_: str | Unset = UNSET,
    after: str | Unset = UNSET,
    cursor: str | Unset = UNSET,
    limit: int | Unset = 50,
) -> Operation[EventPage]:
    """List events

    Changes that concern your teams, oldest first. To continue later, set `after` to the `id` of your
    last event. If a
    page has fewer than `limit` rows, no more events exist yet. Events are kept for 30 days, unless the
    operator
    configured another time.

    Args:
        team (str | Unset): The name of a team.
        type_ (str | Unset): Event types and groups of types, separated by commas.
        after (str | Unset): The id of an event.
        cursor (str | Unset): The id of an event.
        limit (int | Unset):  Default: 50.
    """

    params: dict[str, Any] = {}

    params["team"] = team

    params["type"] = type_

    params["after"] = after

    params["cursor"] = cursor

    params["limit"] = limit

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "GET",
        "url": "/v1/events",
        "params": params,
    }

    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> EventPage:
    if response.status_code == 200:
        response_200 = EventPage.from_dict(response.json())

        return response_200

    raise UnexpectedAnswer(response)
