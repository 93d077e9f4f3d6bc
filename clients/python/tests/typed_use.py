"""Checked by mypy --strict, never run: what an application sees is typed."""

from collections.abc import AsyncIterator, Iterator

from typing_extensions import assert_type

from numberdesk import AsyncDesk, Desk, PolicyDenied, QuotaExceeded
from numberdesk.api import get_phone_number, release_phone_number, validate_order
from numberdesk.models import (
    AuditRow,
    Decision,
    Event,
    Order,
    OrderRequest,
    PendingRelease,
    PhoneNumber,
    Validation,
    WebhookDelivery,
    WebhookEndpoint,
)


def sync(desk: Desk, order: OrderRequest, denied: PolicyDenied, quota: QuotaExceeded) -> None:
    assert_type(desk.rent(order), Order)
    assert_type(desk.call(get_phone_number("phon_1")), PhoneNumber)
    assert_type(desk.call(release_phone_number("phon_1")), PendingRelease | None)
    assert_type(desk.call(validate_order(body=order)), Validation)
    assert_type(desk.orders(state="queued"), Iterator[Order])
    assert_type(desk.numbers(country="DE"), Iterator[PhoneNumber])
    assert_type(desk.audit(), Iterator[AuditRow])
    assert_type(desk.events(), Iterator[Event])
    assert_type(desk.endpoints(), Iterator[WebhookEndpoint])
    assert_type(desk.deliveries("we_1"), Iterator[WebhookDelivery])
    assert_type(desk.stream(), Iterator[Event])
    assert_type(denied.decision, Decision)
    assert_type(quota.limit, int)
    desk.orders(colour="red")  # type: ignore[call-arg]
    desk.deliveries()  # type: ignore[call-arg]
    OrderRequest(country="DE", carrier_type="locl")  # type: ignore[arg-type]


async def asynchronous(desk: AsyncDesk, order: OrderRequest) -> None:
    assert_type(await desk.rent(order), Order)
    assert_type(await desk.call(get_phone_number("phon_1")), PhoneNumber)
    assert_type(desk.numbers(country="DE"), AsyncIterator[PhoneNumber])
    assert_type(desk.stream(), AsyncIterator[Event])
