"""A connection that breaks, wherever it breaks, leads to one paid request at Close and to one number."""

from __future__ import annotations

from typing import Any

import pytest

from numberdesk import CloseRefused, Desk, RentUnfinished, Unreachable
from numberdesk.api import cancel_order, update_phone_number
from numberdesk.models import OrderRequest, PhoneNumberPatch
from support.clients import Clients
from support.dev import Dev
from support.proxy import Cut, Proxy

ORDER = OrderRequest(country="GB", carrier_type="local", label="A line")

PLACES = {
    "before the request is read": ("accept", lambda head, whole: 0),
    "before a byte of the request is forwarded": ("request", lambda head, whole: 0),
    "after one byte of the request": ("request", lambda head, whole: 1),
    "in the request line": ("request", lambda head, whole: 9),
    "in the request's headers": ("request", lambda head, whole: head // 2),
    "before the last byte of the request's head": ("request", lambda head, whole: head - 1),
    "after the request's head": ("request", lambda head, whole: head),
    "after one byte of the request's body": ("request", lambda head, whole: head + 1),
    "in the request's body": ("request", lambda head, whole: (head + whole) // 2),
    "before the last byte of the request": ("request", lambda head, whole: whole - 1),
    "as soon as the request is sent": ("unanswered", lambda head, whole: 0),
    "when the answer begins": ("response", lambda head, whole: 0),
    "after one byte of the answer": ("response", lambda head, whole: 1),
    "in the status line": ("response", lambda head, whole: 10),
    "in the answer's headers": ("response", lambda head, whole: head // 2),
    "before the last byte of the answer's head": ("response", lambda head, whole: head - 1),
    "after the answer's head": ("response", lambda head, whole: head),
    "after one byte of the answer's body": ("response", lambda head, whole: head + 1),
    "in the answer's body": ("response", lambda head, whole: (head + whole) // 2),
    "before the last byte of the answer": ("response", lambda head, whole: whole - 1),
}


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("place", PLACES)
def test_a_cut_connection_rents_one_number(desk: Any, dev: Dev, proxy: Proxy, place: str, end: str) -> None:
    rents, numbers = dev.rents(), dev.numbers()
    side, at = PLACES[place]
    cut = Cut(side, at, reset=end == "reset")
    proxy.scripts = [cut, cut]

    order = desk.rent(ORDER)

    assert order.state == "fulfilled"
    assert proxy.scripts == [], "both cuts were met"
    assert len(proxy.keys()) == 1
    assert (dev.rents() - rents, dev.numbers() - numbers) == (1, 1)


def test_a_lost_answer_of_close_rents_one_number(dev: Dev) -> None:
    # With one client only: the service asks for a pause of 30 s before the order is read again.
    desk = Desk(dev.api, dev.env["ALICE"])
    rents, numbers = dev.rents(), dev.numbers()
    fault = {"method": "POST", "country": "FR", "times": 1, "effect": True, "answer": "drop_before_headers"}
    dev.control("POST", "faults", json=fault)

    with desk:
        order = desk.rent(OrderRequest(country="FR", carrier_type="local"))

    assert order.evidence == "found-by-reconciliation"
    assert (dev.rents() - rents, dev.numbers() - numbers) == (1, 1)


def test_an_unreachable_service_leaves_the_key_to_go_on_with(clients: Clients, dev: Dev, proxy: Proxy) -> None:
    rents = dev.rents()
    desk = clients.desk(proxy.url, dev.env["ALICE"])
    proxy.scripts = [Cut("accept")] * 10

    with pytest.raises(RentUnfinished) as caught:
        desk.rent(ORDER)

    assert isinstance(caught.value.__cause__, Unreachable)
    assert (caught.value.order, caught.value.order_id) == (None, None)
    assert dev.rents() == rents
    order = desk.rent(ORDER, key=caught.value.key)
    assert order.idempotency_key == caught.value.key
    assert dev.rents() == rents + 1


def test_a_request_without_a_key_is_not_repeated_once_it_was_sent(desk: Any, dev: Dev, proxy: Proxy) -> None:
    number = desk.rent(ORDER).phone_number
    before = len(proxy.requests)
    proxy.scripts = [Cut("response")]

    with pytest.raises(Unreachable):
        desk.call(update_phone_number(number.id, body=PhoneNumberPatch(label="Another")))

    assert len(proxy.requests) == before + 1


def test_a_request_without_a_key_is_repeated_if_it_cannot_have_been_sent(
    clients: Clients, dev: Dev, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "numberdesk")
    desk = clients.desk("http://127.0.0.1:1", dev.env["ALICE"])

    with pytest.raises(Unreachable) as caught:
        desk.call(cancel_order("ord_1"))

    assert "POST http://127.0.0.1:1/v1/orders/ord_1/cancel" in str(caught.value)
    assert sum(record.name == "numberdesk" for record in caplog.records) == 9


def test_a_refusal_after_a_cut_is_the_refusal(desk: Any, dev: Dev, proxy: Proxy) -> None:
    dev.control("POST", "faults", json={"refuse": "billing-error", "times": 1})
    rents, numbers = dev.rents(), dev.numbers()
    proxy.scripts = [Cut("response", lambda head, whole: head)]

    with pytest.raises(CloseRefused) as caught:
        desk.rent(ORDER)

    assert caught.value.close_status == "billing-error"
    assert caught.value.order_id and {caught.value.key} == proxy.keys()
    assert (dev.rents() - rents, dev.numbers() - numbers) == (1, 0)
