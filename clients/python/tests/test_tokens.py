"""Tokens come from a function, are replaced in time, and never show."""

from __future__ import annotations

import base64
import json
import time
import traceback
from typing import Any

import httpx
import pytest

from numberdesk import (
    AsyncDesk,
    Desk,
    FileKeyStore,
    RentUnfinished,
    TokenError,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
)
from numberdesk.api import me
from numberdesk.models import OrderRequest
from support.clients import Clients
from support.dev import Dev
from support.proxy import Answer, Proxy

ORDER = OrderRequest(country="GB", carrier_type="local")
REFUSED = Answer(401, {"content-type": "application/problem+json"}, b'{"type": "/problems/unauthorized"}')


class Supply:
    """A token function that hands out these tokens, the last one for ever."""

    def __init__(self, *tokens: str) -> None:
        self.tokens, self.calls = list(tokens), 0

    def __call__(self) -> str:
        self.calls += 1
        return self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0]

    async def later(self) -> str:
        return self()


def test_a_token_is_kept(clients: Clients, dev: Dev) -> None:
    supply = Supply(dev.env["ALICE"])
    desk = clients.desk(dev.api, supply)

    desk.call(me()), desk.call(me())

    assert supply.calls == 1


def test_a_refused_token_is_replaced_once(clients: Clients, dev: Dev, proxy: Proxy) -> None:
    supply = Supply(dev.env["ALICE"])
    desk = clients.desk(proxy.url, supply)
    proxy.scripts = [REFUSED]
    assert desk.call(me()).subject == "alice@example.com"
    assert supply.calls == 2

    proxy.scripts = [REFUSED, REFUSED]
    with pytest.raises(Unauthorized):
        desk.call(me())
    assert supply.calls == 3 and proxy.scripts == []


def test_each_attempt_may_replace_a_refused_token_once(clients: Clients, dev: Dev, proxy: Proxy) -> None:
    supply = Supply(dev.token(), dev.token(), dev.token())
    desk = clients.desk(proxy.url, supply)
    proxy.scripts = [Answer(401, {"content-type": "text/html"}, b"<html>"), Answer(503), REFUSED]

    assert desk.rent(ORDER).state == "fulfilled"
    assert supply.calls == 3 and len(proxy.keys()) == 1


def test_no_token_goes_to_another_host(clients: Clients, dev: Dev, proxy: Proxy) -> None:
    other = Proxy(dev.api)
    follows = httpx.AsyncClient(follow_redirects=True) if clients.asynchronous else httpx.Client(follow_redirects=True)
    desk = clients.desk(proxy.url, dev.env["ALICE"], http=follows)
    try:
        for attempt in (lambda: desk.call(me()), lambda: desk.rent(ORDER), lambda: next(desk.stream())):
            proxy.scripts = [Answer(307, {"location": f"{other.url}/v1/me?code=secret"})]
            with pytest.raises((UnexpectedAnswer, RentUnfinished)) as caught:
                attempt()
            shown = f"{caught.value} {caught.value.__cause__}"
            assert f"redirect to {other.url}/v1/me" in shown and "secret" not in shown
    finally:
        other.close()

    assert other.requests == []


def test_tokens_that_expire_during_an_order_are_replaced(clients: Clients, dev: Dev, proxy: Proxy) -> None:
    supply = Supply(*(dev.token(expires=f"{16 + 2 * number}s") for number in range(3)), dev.token())
    desk = clients.desk(proxy.url, supply)
    rents = dev.rents()
    # The first answers keep the order open for longer than the first tokens live.
    slow = Answer(503, {"retry-after": "3"})
    proxy.scripts = [slow, slow]

    order = desk.rent(ORDER)

    assert order.state == "fulfilled" and dev.rents() == rents + 1
    assert supply.calls >= 3
    used = {request.headers["authorization"] for request in proxy.requests}
    assert len(used) >= 3


def test_an_expired_token_is_replaced_after_the_refusal(clients: Clients, dev: Dev, proxy: Proxy) -> None:
    expired = dev.short_lived
    while httpx.get(f"{dev.api}/v1/me", headers={"Authorization": f"Bearer {expired}"}).status_code != 401:
        time.sleep(0.5)
    supply = Supply(expired, dev.token())
    desk = clients.desk(proxy.url, supply.later if clients.asynchronous else supply)
    rents = dev.rents()

    order = desk.rent(ORDER)

    assert order.state == "fulfilled" and dev.rents() == rents + 1
    assert [request.headers["authorization"].endswith(expired) for request in proxy.requests] == [True, False]


def test_an_opaque_token_is_not_looked_into(clients: Clients, proxy: Proxy) -> None:
    supply = Supply("a.b.c", "abc")
    desk = clients.desk(proxy.url, supply)
    proxy.scripts = [Answer(200, {"content-type": "application/json"}, b"{}")]

    with pytest.raises(Exception, match="GET"):
        desk.call(me())

    assert supply.calls == 1


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "grün", None, 12345, b"bytes"])
def test_what_is_no_token_is_an_error_that_does_not_show_it(clients: Clients, dev: Dev, token: Any) -> None:
    with pytest.raises(TokenError) as caught:
        clients.desk(dev.api, lambda: token).call(me())

    assert "RFC 6750" in str(caught.value)
    assert not token or str(token) not in str(caught.value)


def test_a_failing_token_function_is_an_error_with_its_cause(clients: Clients, dev: Dev) -> None:
    def fail() -> str:
        raise OSError("the identity provider is down")

    with pytest.raises(TokenError) as caught:
        clients.desk(dev.api, fail).call(me())

    assert isinstance(caught.value.__cause__, OSError)


def test_desk_does_not_take_an_async_function(dev: Dev) -> None:
    with Desk(dev.api, Supply(dev.env["ALICE"]).later) as desk, pytest.raises(TypeError, match="AsyncDesk"):
        desk.call(me())


def test_secrets_never_show(clients: Clients, dev: Dev, proxy: Proxy, tmp_path: Any) -> None:
    payload = base64.urlsafe_b64encode(json.dumps({"exp": time.time() + 900}).encode()).decode().rstrip("=")
    secret = f"header.{payload}.c2lnbmF0dXJl"
    blocking = clients.desk(proxy.url, secret, keys=FileKeyStore(tmp_path))
    kept = [blocking.desk, blocking.desk.__dict__, blocking.desk._exchange]
    proxy.scripts = [Answer(401), Answer(403)]
    for attempt in (lambda: blocking.call(me()), lambda: clients.desk("http://127.0.0.1:1", secret).call(me())):
        with pytest.raises((Unreachable, Exception)) as caught:
            attempt()
        kept.append(caught.value)
        frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        ours = [frame for frame in frames.stack if "/numberdesk/" in frame.filename]
        assert ours, "the traceback goes through the client"
        kept.append([frame.locals for frame in ours])

    assert not [thing for thing in kept if secret in f"{thing!r} {thing}"]


def test_a_base_url_must_be_one() -> None:
    for url in (
        "numberdesk.example.com",
        "ftp://x",
        "https://",
        "https://x/?a=b",
        "https://user:password@x/",
        "https://:password@x/",
    ):
        for kind in (Desk, AsyncDesk):
            with pytest.raises(ValueError, match="base URL") as caught:
                kind(url, "token")
            assert "password" not in str(caught.value)


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_base_url_may_have_a_path(clients: Clients, dev: Dev, slash: str) -> None:
    proxy = Proxy(dev.api, "/tools/numberdesk")
    try:
        desk = clients.desk(proxy.url + slash, dev.env["ALICE"])

        assert desk.rent(ORDER).state == "fulfilled"
        assert {request.path for request in proxy.requests} == {"/tools/numberdesk/v1/orders"}
    finally:
        proxy.close()
