"""Lists are iterators over all pages, with the filters of their operation."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from numberdesk import InvalidRequest
from numberdesk.api import create_webhook_endpoint, delete_webhook_endpoint, test_webhook_endpoint
from numberdesk.models import Order, OrderRequest, PhoneNumber, WebhookEndpointRequest
from support.clients import Clients, first
from support.dev import Dev
from support.proxy import Answer, Proxy

test_webhook_endpoint.__test__ = False  # type: ignore[attr-defined]  # an operation, not a test


@pytest.fixture(scope="module")
def rented(dev: Dev) -> list[Order]:
    clients = Clients(asynchronous=False)
    desk = clients.desk(dev.api, dev.env["ALICE"])
    orders = [desk.rent(OrderRequest(country="DE", carrier_type="mobile", label=f"Line {n}")) for n in range(5)]
    clients.close()
    return orders


def test_all_pages_have_every_row_once(clients: Clients, dev: Dev, proxy: Proxy, rented: list[Order]) -> None:
    desk = clients.desk(proxy.url, dev.env["LENA"])
    ids = {order.id for order in rented}
    numbers = {order.phone_number.id for order in rented if order.phone_number}

    for rows, key, wanted in [
        (desk.orders(state="fulfilled", limit=2), lambda order: order.id, ids),
        (desk.numbers(country="DE", limit=2), lambda number: number.id, numbers),
        (desk.events(type_="order.fulfilled", limit=2), lambda event: event.data["order_id"], ids),
        (desk.audit(action="order.create", allowed=True, limit=2), lambda row: row.order_id, ids),
    ]:
        before = len(proxy.requests)
        keys = [key(row) for row in rows]
        assert wanted <= set(keys)
        assert len(keys) == len(set(keys))
        assert len(proxy.requests) - before >= len(keys) / 2


def test_pages_are_read_when_they_are_needed(clients: Clients, dev: Dev, proxy: Proxy, rented: list[Order]) -> None:
    desk = clients.desk(proxy.url, dev.env["ALICE"])

    rows = first(desk.numbers(limit=2), 3)

    assert all(isinstance(row, PhoneNumber) for row in rows)
    assert len(proxy.requests) == 2


def test_a_page_that_fails_is_read_again(clients: Clients, dev: Dev, proxy: Proxy, rented: list[Order]) -> None:
    desk = clients.desk(proxy.url, dev.env["ALICE"])
    rows = desk.orders(limit=2)
    got = [next(rows), next(rows)]
    proxy.scripts = [Answer(503), Answer(429)]

    got += rows

    assert len({order.id for order in got}) == len(got) == len(list(desk.orders()))


def test_pages_of_events_go_on_after_the_given_one(clients: Clients, dev: Dev, rented: list[Order]) -> None:
    desk = clients.desk(dev.api, dev.env["ALICE"])
    ids = [event.id for event in desk.events()]

    assert [event.id for event in desk.events(after=ids[1], limit=2)] == ids[2:]


def test_a_cursor_that_is_not_valid_any_more_ends_the_list_with_an_error(
    clients: Clients, dev: Dev, proxy: Proxy, rented: list[Order]
) -> None:
    desk = clients.desk(proxy.url, dev.env["ALICE"])
    with pytest.raises(InvalidRequest) as caught:
        list(desk.orders(cursor="expired"))
    assert [fault.pointer for fault in caught.value.errors] == ["/query/cursor"]
    assert "cursor" in str(caught.value)
    assert len(proxy.requests) == 1

    rows = desk.orders(limit=2)
    next(rows), next(rows)
    proxy.scripts = [
        Answer(400, {"content-type": "application/problem+json"}, b'{"type": "/problems/invalid-request"}')
    ]
    with pytest.raises(InvalidRequest):
        next(rows)
    with pytest.raises(StopIteration):
        next(rows)
    assert len(proxy.requests) == 3


def test_filters_are_those_of_the_operation(clients: Clients, dev: Dev, rented: list[Order]) -> None:
    desk = clients.desk(dev.api, dev.env["LENA"])

    assert [order.id for order in desk.orders(idempotency_key=rented[0].idempotency_key)] == [rented[0].id]
    assert list(desk.audit(since=datetime(2100, 1, 1, tzinfo=timezone.utc))) == []
    with pytest.raises(InvalidRequest):
        list(desk.orders(limit=0))
    with pytest.raises(TypeError):
        list(desk.orders(colour="red"))


def test_endpoints_and_their_deliveries_are_lists(clients: Clients, dev: Dev) -> None:
    desk = clients.desk(dev.api, dev.env["LENA"])
    url = f"http://localhost:{dev.webhook_port}/"
    made = [desk.call(create_webhook_endpoint(body=WebhookEndpointRequest(url=f"{url}{n}"))) for n in range(3)]
    try:
        delivery: Any = desk.call(test_webhook_endpoint(made[0].id))

        assert {endpoint.id for endpoint in desk.endpoints(limit=1)} >= {endpoint.id for endpoint in made}
        assert delivery.id in [row.id for row in desk.deliveries(made[0].id, limit=1)]
    finally:
        for endpoint in made:
            desk.call(delete_webhook_endpoint(endpoint.id))
