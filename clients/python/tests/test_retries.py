"""Storms of 429 and 503: the same key is sent again, not too early, and not for ever."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest

from numberdesk import Problem, RateLimited, RentUnfinished, Retry
from numberdesk.api import get_order, me, release_phone_number, update_phone_number
from numberdesk.models import OrderRequest, PhoneNumberPatch
from numberdesk.retry import retry_after
from support.clients import Clients
from support.dev import Dev
from support.proxy import Answer, Proxy

ORDER = OrderRequest(country="GB", carrier_type="local")
JSON = {"content-type": "application/problem+json"}


def problem(status: int, name: str, **headers: str) -> Answer:
    members = {"type": f"/problems/{name}", "title": name, "status": status, "detail": "Scripted.", "request_id": "r1"}
    return Answer(
        status, JSON | {key.replace("_", "-"): value for key, value in headers.items()}, json.dumps(members).encode()
    )


LIMITED = problem(429, "rate-limited", retry_after="0")
STORMS = {
    "429": [LIMITED] * 9,
    "503 of the service": [problem(503, "busy"), problem(503, "store-unavailable", retry_after="0")] * 4,
    "502 and 504 of a proxy": [Answer(502, {"content-type": "text/html"}, b"<html>"), Answer(504)] * 4,
    "500, 503 and 429": [problem(500, "internal"), problem(503, "busy"), LIMITED] * 3,
}


@pytest.mark.parametrize("storm", STORMS)
def test_a_storm_ends_with_one_number(desk: Any, dev: Dev, proxy: Proxy, storm: str) -> None:
    rents, numbers = dev.rents(), dev.numbers()
    proxy.scripts = list(STORMS[storm])

    order = desk.rent(ORDER)

    assert order.state == "fulfilled"
    assert proxy.scripts == [] and proxy.keys() == {order.idempotency_key}
    assert (dev.rents() - rents, dev.numbers() - numbers) == (1, 1)


def test_retry_after_is_honoured(desk: Any, proxy: Proxy) -> None:
    proxy.scripts = [problem(429, "rate-limited", retry_after="2")]
    began = time.monotonic()

    desk.rent(ORDER)

    assert time.monotonic() - began >= 2


def test_a_storm_without_end_leaves_the_key(desk: Any, proxy: Proxy) -> None:
    proxy.scripts = [LIMITED] * 50

    with pytest.raises(RentUnfinished) as caught:
        desk.rent(ORDER)

    assert len(proxy.scripts) == 40
    assert isinstance(caught.value.__cause__, RateLimited)
    assert proxy.keys() == {caught.value.key}


def test_a_pause_beyond_the_deadline_is_not_slept_through(desk: Any, proxy: Proxy) -> None:
    proxy.scripts = [problem(429, "rate-limited", retry_after="3600")]

    with pytest.raises(RentUnfinished) as caught:
        desk.rent(ORDER, timeout=30)

    assert isinstance(caught.value.__cause__, RateLimited)
    assert caught.value.__cause__.retry_after == 3600


def test_a_read_is_repeated(desk: Any, proxy: Proxy) -> None:
    proxy.scripts = [Answer(503), LIMITED]

    assert desk.call(me()).subject == "alice@example.com"


def test_a_change_is_repeated_after_429_and_not_after_503(desk: Any, proxy: Proxy) -> None:
    number = desk.rent(ORDER).phone_number
    change = update_phone_number(number.id, body=PhoneNumberPatch(label="Changed"))
    proxy.scripts = [LIMITED]
    assert desk.call(change).label == "Changed"

    proxy.scripts = [Answer(503)]
    with pytest.raises(Problem) as caught:
        desk.call(change)
    assert (caught.value.status, caught.value.type) == (503, "about:blank")


def test_an_unfinished_order_is_followed_to_its_end(clients: Clients, dev: Dev, proxy: Proxy) -> None:
    dev.control("POST", "settings", json={"rents_held": True})
    desk = clients.desk(proxy.url, dev.env["ALICE"])
    try:
        with pytest.raises(RentUnfinished) as caught:
            desk.rent(OrderRequest(country="DE", carrier_type="local"), timeout=2)
    finally:
        dev.control("POST", "settings", json={"rents_held": False})

    assert caught.value.order and caught.value.order.state in ("queued", "renting")
    assert desk.call(get_order(caught.value.order_id)).idempotency_key == caught.value.key
    order = desk.rent(OrderRequest(country="DE", carrier_type="local"), key=caught.value.key)
    assert (order.id, order.state) == (caught.value.order_id, "fulfilled")


def test_an_order_that_waits_says_for_what(clients: Clients, dev: Dev) -> None:
    desk = clients.desk(dev.api, dev.env["ALICE"])
    busy = {"method": "POST", "country": "FR", "times": 1, "answer": {"status": 429, "headers": {"retry-after": "3"}}}
    dev.control("POST", "faults", json=busy)

    with pytest.raises(RentUnfinished) as caught:
        desk.rent(OrderRequest(country="FR", carrier_type="local"), timeout=2.5)

    order = caught.value.order
    assert order and order.state == "queued" and order.queue_position == 1
    assert order.reason and order.reason.startswith("Close's rate limit") and order.reason in str(caught.value)
    assert desk.rent(OrderRequest(country="FR", carrier_type="local"), key=caught.value.key).id == order.id


def test_an_order_keeps_what_is_left_of_a_released_number(clients: Clients, dev: Dev) -> None:
    desk = clients.desk(dev.api, dev.env["ALICE"])
    order = desk.rent(ORDER)
    clients.desk(dev.api, dev.env["LENA"]).call(release_phone_number(order.phone_number.id))

    left = desk.rent(ORDER, key=order.idempotency_key).phone_number

    assert (left.id, left.number) == (order.phone_number.id, order.phone_number.number)


def test_pauses_double_up_to_the_cap_and_end() -> None:
    retry = Retry(attempts=6, base=1.0, cap=4.0)
    pauses = [retry.delay(failures) for failures in range(1, 7)]

    assert pauses[-1] is None
    for pause, ceiling in zip(pauses, [1.0, 2.0, 4.0, 4.0, 4.0], strict=False):
        assert pause is not None and ceiling / 2 <= pause <= ceiling


def test_a_wanted_pause_is_never_shortened() -> None:
    delay = Retry(cap=1.0).delay(1, wanted=30.0)

    assert delay is not None and 30 <= delay <= 31


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("0", 0.0), ("17", 17.0), (" 5 ", 5.0), ("", None), ("-1", None), ("soon", None), ("1.5", None), ("²", None)],
)
def test_retry_after_in_seconds(header: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": header}) == seconds


def test_retry_after_as_a_date() -> None:
    now = datetime(2026, 11, 30, 12, 0, tzinfo=timezone.utc)

    assert retry_after({"retry-after": format_datetime(now + timedelta(seconds=90), usegmt=True)}, now) == 90
    assert retry_after({"retry-after": format_datetime(now - timedelta(seconds=90), usegmt=True)}, now) == 0
