"""Webhooks are verified by the Standard Webhooks specification, as its own library signs them."""

from __future__ import annotations

import base64
import json
import threading
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from numberdesk import Desk, WebhookInvalid, verify_webhook
from numberdesk.api import (
    create_webhook_endpoint,
    delete_webhook_endpoint,
    rotate_webhook_secret,
    test_webhook_endpoint,
)
from numberdesk.models import WebhookEndpointRequest
from support.dev import Dev

test_webhook_endpoint.__test__ = False  # type: ignore[attr-defined]  # an operation, not a test
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"o" * 32).decode()
NOW = 1795428001.0
EVENT = {
    "id": "evt_1",
    "type": "order.fulfilled",
    "team": "a",
    "occurred_at": "2026-11-23T10:00:00Z",
    "data": {"a": "ü"},
}
BODY = json.dumps(EVENT).encode()


def sign(secret: str = SECRET, body: bytes = BODY, at: float = NOW) -> dict[str, str]:
    signature = Webhook(secret).sign("evt_1", datetime.fromtimestamp(at, timezone.utc), body.decode())
    return {"webhook-id": "evt_1", "webhook-timestamp": str(int(at)), "webhook-signature": signature}


def test_a_signature_of_the_standard_library_holds() -> None:
    event = verify_webhook(BODY, sign(), SECRET, now=NOW)

    assert (event.id, event.type_, event.data) == ("evt_1", "order.fulfilled", {"a": "ü"})


def test_an_event_of_a_later_version_keeps_what_the_client_does_not_know() -> None:
    data = {"order_id": "ord_1", "later": [1]}
    body = json.dumps(EVENT | {"type": "order.later", "data": data, "later": {"a": 1}}).encode()

    event = verify_webhook(body, sign(body=body), SECRET, now=NOW)

    assert (event.type_, event.data, event.additional_properties["later"]) == ("order.later", data, {"a": 1})


def test_one_of_several_secrets_or_signatures_is_enough() -> None:
    both = sign()
    both["webhook-signature"] = "v1,AAAA v2,x v1a,y " + sign(OTHER)["webhook-signature"]

    assert verify_webhook(BODY, sign(), [OTHER, SECRET], now=NOW).id == "evt_1"
    assert verify_webhook(BODY, both, OTHER, now=NOW).id == "evt_1"
    assert verify_webhook(BODY, both, iter([SECRET, OTHER]), now=NOW).id == "evt_1"
    with pytest.raises(WebhookInvalid):
        verify_webhook(BODY, both, SECRET, now=NOW)


def test_the_body_may_be_text_and_nothing_that_was_parsed() -> None:
    assert verify_webhook(BODY.decode(), sign(), SECRET, now=NOW).id == "evt_1"
    parsed: Any = EVENT
    with pytest.raises(TypeError, match="bytes of the request, not a dict"):
        verify_webhook(parsed, sign(), SECRET, now=NOW)


def test_header_names_have_no_case() -> None:
    assert verify_webhook(BODY, {name.title(): value for name, value in sign().items()}, SECRET, now=NOW)


@pytest.mark.parametrize("age", [-300, 0, 300])
def test_a_recent_signature_holds(age: int) -> None:
    assert verify_webhook(BODY, sign(at=NOW - age), SECRET, now=NOW)


@pytest.mark.parametrize("age", [-301, 301, 10**9])
def test_an_old_or_future_signature_does_not_hold(age: int) -> None:
    with pytest.raises(WebhookInvalid, match="300 s are allowed"):
        verify_webhook(BODY, sign(at=NOW - age), SECRET, now=NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "evt_2"},
        {"webhook-id": ""},
        {"webhook-timestamp": str(int(NOW) + 1)},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": "1e9"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-timestamp": "١٧٩٥٤٢٨٠٠١"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,grün"},
        {"webhook-signature": sign(OTHER)["webhook-signature"]},
        {"webhook-signature": sign()["webhook-signature"].replace("v1,", "v2,")},
        {"webhook-signature": sign()["webhook-signature"][:-4]},
        {"webhook-signature": sign(body=BODY + b" ")["webhook-signature"]},
    ],
)
def test_a_changed_header_does_not_hold(change: dict[str, str]) -> None:
    with pytest.raises(WebhookInvalid):
        verify_webhook(BODY, sign() | change, SECRET, now=NOW)


def test_a_changed_body_or_no_secret_does_not_hold() -> None:
    with pytest.raises(WebhookInvalid):
        verify_webhook(BODY + b" ", sign(), SECRET, now=NOW)
    with pytest.raises(WebhookInvalid):
        verify_webhook(BODY, sign(), [], now=NOW)
    with pytest.raises(WebhookInvalid, match="no event"):
        verify_webhook(b"[1]", sign(body=b"[1]"), SECRET, now=NOW)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_?!", "whsec_YQ"])
def test_a_secret_that_is_none_is_an_error_that_does_not_show_it(secret: str) -> None:
    with pytest.raises(ValueError, match="base64") as caught:
        verify_webhook(BODY, sign(), secret, now=NOW)

    assert len(secret) < 7 or secret not in str(caught.value)


def test_deliveries_of_the_service_hold_also_after_a_rotation(dev: Dev) -> None:
    received: list[tuple[bytes, dict[str, str]]] = []
    arrived = threading.Semaphore(0)

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((self.rfile.read(int(self.headers["content-length"])), dict(self.headers)))
            self.send_response(204)
            self.end_headers()
            arrived.release()

        def log_message(self, *_: Any) -> None: ...

    with HTTPServer(("127.0.0.1", dev.webhook_port), Receiver) as server, Desk(dev.api, dev.env["LENA"]) as desk:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://localhost:{dev.webhook_port}/"
        body = WebhookEndpointRequest(url=url, types=["webhook_endpoint.disabled"])
        endpoint = desk.call(create_webhook_endpoint(body=body))
        try:
            desk.call(test_webhook_endpoint(endpoint.id))
            assert arrived.acquire(timeout=30)
            rotated = desk.call(rotate_webhook_secret(endpoint.id))
            desk.call(test_webhook_endpoint(endpoint.id))
            assert arrived.acquire(timeout=30)
        finally:
            desk.call(delete_webhook_endpoint(endpoint.id))
            server.shutdown()

    before, after = received
    assert verify_webhook(*before, endpoint.secret).type_ == "webhook_endpoint.test"
    assert verify_webhook(*after, endpoint.secret).id != verify_webhook(*before, endpoint.secret).id
    assert verify_webhook(*after, rotated.secret)
    with pytest.raises(WebhookInvalid):
        verify_webhook(*before, rotated.secret)
