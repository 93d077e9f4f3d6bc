"""The event stream goes on where it was, and hands out each event once."""

from __future__ import annotations

import json
import queue
import threading
import time
from typing import Any

import pytest

from numberdesk import Desk, InvalidRequest, Retry, UnexpectedAnswer, stream
from numberdesk.api import follow_events
from numberdesk.effect import Send
from numberdesk.exchange import Exchange
from numberdesk.models import Event, OrderRequest
from numberdesk.sse import Parser
from numberdesk.token import TokenSource
from support.clients import Clients, first
from support.dev import Dev
from support.proxy import Answer, Cut, Hold, Proxy

ORDER = OrderRequest(country="GB", carrier_type="local")
TYPES = "order.fulfilled"


def event(number: int) -> bytes:
    data = {"id": f"evt_{number}", "type": "t", "team": None, "occurred_at": "2026-11-23T10:00:00.1Z", "data": {}}
    return f"id: evt_{number}\nevent: t\ndata: {json.dumps(data)}\n\n".encode()


def sse(body: bytes) -> Answer:
    return Answer(200, {"content-type": "text/event-stream"}, body)


def last_event(desk: Any) -> str:
    return str([event.id for event in desk.events()][-1])


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_broken_stream_loses_and_repeats_nothing(desk: Any, proxy: Proxy, end: str) -> None:
    after = last_event(desk)
    orders = [desk.rent(ORDER).id for _ in range(4)]
    cuts = [
        lambda head, whole: head,
        lambda head, whole: head + 1,
        lambda head, whole: (head + whole) // 2,
        lambda head, whole: whole - 1,
        lambda head, whole: whole,
    ]
    proxy.scripts = [Cut("response", at, reset=end == "reset") for at in cuts]
    proxy.scripts += [Answer(503), Answer(429, {"retry-after": "0"}), Cut("accept"), Answer(502)]

    events = first(desk.stream(after=after, types=TYPES), 4)

    assert [event.data["order_id"] for event in events] == orders
    assert len({event.id for event in events}) == 4
    more = desk.rent(ORDER).id
    proxy.scripts = [Cut("response", lambda head, whole: whole)]
    assert first(desk.stream(after=events[-1].id, types=TYPES), 1)[0].data["order_id"] == more


def test_an_event_that_comes_twice_is_handed_out_once(desk: Any, proxy: Proxy) -> None:
    proxy.scripts = [sse(b"".join(map(event, (1, 2, 1, 2, 3))))]

    assert [event.id for event in first(desk.stream(after="evt_0"), 3)] == ["evt_1", "evt_2", "evt_3"]


def test_an_event_of_a_later_version_is_handed_out_with_what_the_client_does_not_know(desk: Any, proxy: Proxy) -> None:
    later = event(2).replace(b"event: t\n", b"event: order.later\nlater: x\n").replace(b'"type": "t"', b'"type": "order.later"')
    later = later.replace(b'"data": {}', b'"data": {"later": [1]}, "later": {"a": 1}')
    proxy.scripts = [sse(event(1) + later + event(3))]

    _, odd, _ = first(desk.stream(after="evt_0"), 3)

    assert (odd.type_, odd.data, odd.additional_properties["later"]) == ("order.later", {"later": [1]}, {"a": 1})


def test_the_last_event_is_named_when_it_connects_again(desk: Any, proxy: Proxy) -> None:
    after = last_event(desk)
    for _ in range(2):
        desk.rent(ORDER)
    proxy.scripts = [Cut("response", lambda head, whole: whole)]
    before = len(proxy.requests)

    events = first(desk.stream(after=after, types=TYPES), 2)

    named = [request.headers.get("last-event-id") for request in proxy.requests[before:]]
    assert named[0] == after and set(named[1:]) <= {event.id for event in events}


@pytest.mark.parametrize("kind", [False, True], ids=["sync", "async"])
def test_a_stream_that_breaks_before_its_first_event_misses_nothing(dev: Dev, proxy: Proxy, kind: bool) -> None:
    with Desk(dev.api, dev.env["ALICE"]) as desk:
        desk.rent(ORDER)
        # The proxy cuts the first connection in the first event, which the client does not see.
        proxy.scripts = [Cut("response", lambda head, whole: whole - 1)]
        found: queue.Queue[list[Event]] = queue.Queue()

        def follow() -> None:
            clients = Clients(kind)
            found.put(first(clients.desk(proxy.url, dev.env["ALICE"]).stream(types=TYPES), 2))
            clients.close()

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        assert proxy.opened.wait(30)
        orders = [desk.rent(ORDER).id for _ in range(2)]

    assert [event.data["order_id"] for event in found.get(timeout=60)] == orders
    thread.join(30)
    assert not thread.is_alive() and proxy.scripts == []
    begin, resumed = (request.headers.get("last-event-id") for request in proxy.requests)
    assert begin is None and resumed and resumed.startswith("evt_")


def test_a_position_without_an_event_is_where_the_stream_goes_on(desk: Any, proxy: Proxy) -> None:
    proxy.scripts = [sse(b"id: evt_1\n\n: comment\n\n"), sse(b"\n\n"), sse(event(2))]

    assert [event.id for event in first(desk.stream(), 1)] == ["evt_2"]

    assert [request.headers.get("last-event-id") for request in proxy.requests] == [None, "evt_1", "evt_1"]


def test_a_bookmark_may_end_with_a_line_end(desk: Any, proxy: Proxy) -> None:
    proxy.scripts = [sse(event(2))]

    assert first(desk.stream(after="evt_1\n"), 1)[0].id == "evt_2"
    assert proxy.requests[0].headers["last-event-id"] == "evt_1"


def test_a_stream_that_goes_silent_is_replaced(desk: Any, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SILENCE", 0.2)
    silent = {"content-type": "text/event-stream", "content-length": "10000"}
    proxy.scripts = [Answer(200, silent, event(1), silent=True), Hold("request"), sse(event(2))]

    assert [event.id for event in first(desk.stream(after="evt_0"), 2)] == ["evt_1", "evt_2"]

    assert [request.headers["last-event-id"] for request in proxy.requests] == ["evt_0", "evt_1", "evt_1"]


def test_the_time_for_a_call_does_not_limit_the_silence_of_a_stream() -> None:
    exchange = Exchange("http://127.0.0.1:1", TokenSource("token"), Retry(), timeout=1.0)
    flow = exchange.send(follow_events(), exchange.deadline(), silence=45.0, stream=True)
    next(flow)

    send = flow.send("token")

    assert isinstance(send, Send) and send.timeout == 45.0


def test_a_token_that_expired_during_a_stream_is_replaced_and_nothing_is_missed(
    clients: Clients, dev: Dev, proxy: Proxy
) -> None:
    tokens = [dev.env["ALICE"], dev.token()]
    desk = clients.desk(proxy.url, lambda: tokens.pop(0))
    proxy.scripts = [sse(event(1)), Answer(401), sse(event(2))]

    assert [event.id for event in first(desk.stream(after="evt_0"), 2)] == ["evt_1", "evt_2"]

    sent = [(request.headers["last-event-id"], request.headers["authorization"]) for request in proxy.requests]
    assert [last for last, _ in sent] == ["evt_0", "evt_1", "evt_1"]
    assert sent[0][1] == sent[1][1] != sent[2][1]


def test_a_stream_honours_a_retry_after_beyond_the_time_for_a_call(clients: Clients, dev: Dev, proxy: Proxy) -> None:
    desk = clients.desk(proxy.url, dev.env["ALICE"], timeout=1.0)
    proxy.scripts = [Answer(429, {"retry-after": "2"}), sse(event(1))]
    began = time.monotonic()

    first(desk.stream(after="evt_0"), 1)

    assert time.monotonic() - began >= 2 and len(proxy.requests) == 2


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, {"content-type": "text/html"}, b"<html>Please log in</html>"),
        Answer(302, {"location": "https://login.example.com/"}),
        Answer(200, {"content-type": "text/event-stream"}, b"id: evt_1\ndata: {\n\n"),
        Answer(200, {"content-type": "text/event-stream"}, b"id: evt_1\ndata: []\n\n"),
    ],
)
def test_an_answer_that_is_no_stream_of_events_is_an_error(desk: Any, proxy: Proxy, answer: Answer) -> None:
    proxy.scripts = [answer]

    with pytest.raises(UnexpectedAnswer):
        next(desk.stream(after="evt_0"))


def test_an_unknown_event_is_an_error(desk: Any) -> None:
    with pytest.raises(InvalidRequest):
        next(desk.stream(after="evt_01KATV8ZJ3E0T9C4M6N2P5Q7RS"))


STREAM = (
    b"\xef\xbb\xbf: a comment\r\nid: 1\r\nevent: a\r\ndata: x\r\ndata:y\r\n\r\n"
    b"data\n\nid: 0\n\nid: 2\ndata: {\xc3\xbc}\n\nretry: 7\nevent: b\n\rdata: z\r\rdata: incomplete\n"
)


@pytest.mark.parametrize("size", range(1, len(STREAM) + 1))
def test_a_stream_may_be_cut_anywhere(size: int) -> None:
    parser = Parser()
    pieces = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]

    messages = [message for piece in pieces for message in parser.feed(piece)]

    assert [(message.id, message.event, message.data) for message in messages] == [
        ("1", "a", ["x", "y"]),
        (None, "message", [""]),
        ("0", "message", []),
        ("2", "message", ["{ü}"]),
        (None, "message", ["z"]),
    ]
