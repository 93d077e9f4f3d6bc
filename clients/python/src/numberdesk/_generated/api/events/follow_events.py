from typing import Any

import httpx

from ....operation import Operation, UnexpectedAnswer
from ...types import UNSET, Unset


def follow_events(
    *,
    team: str | Unset = UNSET,
    type_: str | Unset = UNSET,
    after: str | Unset = UNSET,
    last_event_id: str | Unset = UNSET,
) -> Operation[str]:
    """Follow events

    Streams events as server-sent events: `id` is the event's id, `event` its type, and `data` the event
    as JSON. The
    stream begins after the event in the header `Last-Event-ID` or in `after`. Without either, it begins
    with the next
    new event; a first message without data then has the `id` of the event before, so that a client can
    resume at once.
    An idle stream gets a comment every 15 seconds. The stream ends when your token expires, when the
    replica stops, or
    when you read too slowly. Connect again to any replica, with the `id` of your last event: you get
    every event, and
    none twice.

    Args:
        team (str | Unset): The name of a team.
        type_ (str | Unset): Event types and groups of types, separated by commas.
        after (str | Unset): The id of an event.
        last_event_id (str | Unset):
    """
    headers: dict[str, Any] = {}
    if not isinstance(last_event_id, Unset):
        headers["Last-Event-ID"] = last_event_id

    params: dict[str, Any] = {}

    params["team"] = team

    params["type"] = type_

    params["after"] = after

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "GET",
        "url": "/v1/events/stream",
        "params": params,
    }

    _kwargs["headers"] = headers
    return Operation(_kwargs, _parse)


def _parse(response: httpx.Response) -> str:
    if response.status_code == 200:
        response_200 = response.text
        return response_200

    raise UnexpectedAnswer(response)
