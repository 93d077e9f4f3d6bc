"""Verification of webhooks by the Standard Webhooks specification, version 1 (HMAC-SHA256)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Mapping

from ._generated.models import Event
from .error import NumberdeskError


class WebhookInvalid(NumberdeskError):
    """The request was not signed with one of the secrets, or not recently. Answer it with 401."""


def verify_webhook(
    body: bytes | str,
    headers: Mapping[str, str],
    secrets: str | Iterable[str],
    *,
    tolerance: float = 300.0,
    now: float | None = None,
) -> Event:
    """Returns the event of a webhook if its signature holds; raises `WebhookInvalid` otherwise.

    `body` is the body as it came: one that was parsed and written again has another signature. `secrets` are the
    endpoint's `whsec_…`, more than one while you rotate them. `tolerance` is in seconds, for a clock that is ahead or
    behind. Remember `event.id`: an event can come again."""
    if isinstance(body, str):
        body = body.encode()
    elif not isinstance(body, bytes):
        raise TypeError(f"the body must be the bytes of the request, not a {type(body).__name__}")
    fields = {name.lower(): value for name, value in headers.items()}
    identifier, timestamp = fields.get("webhook-id", ""), fields.get("webhook-timestamp", "")
    if not (identifier and timestamp.isascii() and timestamp.isdecimal()):
        raise WebhookInvalid("the headers webhook-id and webhook-timestamp are missing or malformed")
    age = (time.time() if now is None else now) - int(timestamp[:15])
    if abs(age) > tolerance:
        raise WebhookInvalid(f"the signature is {age:.0f} s old; at most {tolerance:.0f} s are allowed")
    given = [
        signature.encode()
        for version, _, signature in (part.partition(",") for part in fields.get("webhook-signature", "").split())
        if version == "v1"
    ]
    signed = f"{identifier}.{timestamp}.".encode() + body
    keys = [_key(secret) for secret in ([secrets] if isinstance(secrets, str) else secrets)]
    expected = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)) for key in keys]
    # Compares each pair, so that the time tells nothing about which one holds.
    if not any([hmac.compare_digest(one, other) for one in expected for other in given]):
        raise WebhookInvalid("no signature holds: another secret, or a changed body")
    try:
        return Event.from_dict(json.loads(body))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WebhookInvalid("the body is signed, and is no event") from error


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.strip().removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        # An empty key would accept what anybody signs. The message must not contain the secret.
        raise ValueError("a webhook secret is `whsec_` and base64, as the service shows it")
    return key
