"""The event stream: goes on after every break where it was, and hands out each event once."""

from __future__ import annotations

import json
from collections import OrderedDict

import httpx

from ._generated.api.events import follow_events
from ._generated.models import Event
from ._generated.types import UNSET
from .effect import Emit, Flow, Read, Sleep
from .error import NumberdeskError
from .exchange import LOG, Exchange
from .operation import UnexpectedAnswer
from .sse import Message, Parser

SILENCE = 45.0  # seconds; the service sends a comment every 15
REMEMBERED = 1024  # ids of events that were handed out


def follow(exchange: Exchange, *, after: str | None, types: str | None, team: str | None) -> Flow[None]:
    """Emits events for ever. Ends only by an error that a repetition cannot mend."""
    after = after and after.strip()  # the file of a bookmark often ends with a line end
    seen: OrderedDict[str, None] = OrderedDict()
    failures = 0
    while True:
        wanted: float | None = None
        try:
            operation = follow_events(last_event_id=after or UNSET, team=team or UNSET, type_=types or UNSET)
            response = yield from exchange.send(operation, exchange.deadline(), silence=SILENCE, stream=True)
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                raise UnexpectedAnswer(response)
            parser, read = Parser(), Read.of(response)
            while chunk := (yield read):
                for message in parser.feed(chunk):
                    failures = 0
                    # A stream that begins now first names the event before, in a message without data.
                    after = message.id or after
                    if not message.data:
                        continue
                    event = _event(message, response)
                    if event.id in seen:
                        continue
                    seen[event.id] = None
                    if len(seen) > REMEMBERED:
                        seen.popitem(last=False)
                    yield Emit(event)
            LOG.info("the event stream ended; connecting again after %s", after)
        except httpx.RequestError as error:
            LOG.info("the event stream broke: %s", type(error).__name__)
        except NumberdeskError as error:
            if not error.is_transient:
                raise
            wanted = error.retry_after
            LOG.warning("the event stream cannot be read: %s", error)
        failures += 1
        yield Sleep(exchange.retry.pause(failures, wanted))


def _event(message: Message, response: httpx.Response) -> Event:
    try:
        return Event.from_dict(json.loads("\n".join(message.data)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnexpectedAnswer(response) from error
