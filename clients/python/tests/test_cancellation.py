"""A rent that is cancelled or loses its access tells its key, and goes on with it to one number."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from numberdesk import AsyncDesk, Desk, PermissionMissing, RentUnfinished, TokenError, Unauthorized
from numberdesk.models import OrderRequest
from support.clients import Clients
from support.dev import Dev
from support.proxy import Answer, Cut, Hold, Proxy

ORDER = OrderRequest(country="GB", carrier_type="local")
LOST = Cut("unanswered")
JSON = {"content-type": "application/problem+json"}
FORBIDDEN = Answer(403, JSON, b'{"type": "/problems/permission-missing", "need": "numbers:rent"}')
REFUSED = Answer(401, JSON, b'{"type": "/problems/unauthorized"}')


@pytest.mark.parametrize("side", ["request", "response"])
def test_a_cancelled_task_tells_the_key_to_go_on_with(dev: Dev, proxy: Proxy, side: str) -> None:
    async def main() -> None:
        hold = Hold(side)
        proxy.scripts = [hold]
        async with AsyncDesk(proxy.url, dev.env["ALICE"]) as desk:
            task = asyncio.create_task(desk.rent(ORDER))
            assert await asyncio.to_thread(hold.reached.wait, 30)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            key = caught.value.key  # type: ignore[attr-defined]
            assert (await desk.rent(ORDER, key=key)).idempotency_key == key

    rents = dev.rents()

    asyncio.run(main())

    assert dev.rents() == rents + 1 and len(proxy.keys()) == 1


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Python ignores SIGINT in a process that a shell has started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_rent_tells_the_key_to_go_on_with(dev: Dev, proxy: Proxy) -> None:
    rents, hold, main = dev.rents(), Hold("response"), threading.get_ident()
    proxy.scripts = [hold]

    def interrupt() -> None:
        hold.reached.wait(30)
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with Desk(proxy.url, dev.env["ALICE"]) as desk:
        with pytest.raises(KeyboardInterrupt) as caught:
            desk.rent(ORDER)
        key = caught.value.key  # type: ignore[attr-defined]
        assert desk.rent(ORDER, key=key).state == "fulfilled"

    assert dev.rents() == rents + 1 and proxy.keys() == {key}


@pytest.mark.parametrize(
    ("answers", "cause"),
    [([FORBIDDEN], PermissionMissing), ([REFUSED, REFUSED], Unauthorized), ([Answer(403)], Exception)],
)
def test_lost_access_says_nothing_about_an_order_that_may_exist(
    desk: Any, dev: Dev, proxy: Proxy, answers: list[Answer], cause: type[Exception]
) -> None:
    rents = dev.rents()
    proxy.scripts = [LOST, *answers]

    with pytest.raises(RentUnfinished) as caught:
        desk.rent(ORDER)

    assert isinstance(caught.value.__cause__, cause)
    assert desk.rent(ORDER, key=caught.value.key).state == "fulfilled"
    assert dev.rents() == rents + 1


def test_without_an_order_lost_access_is_its_own_error(desk: Any, proxy: Proxy) -> None:
    proxy.scripts = [Answer(429), FORBIDDEN]

    with pytest.raises(PermissionMissing) as caught:
        desk.rent(ORDER)

    assert {caught.value.key} == proxy.keys()


def test_a_token_function_that_fails_later_leaves_the_order_unfinished(
    clients: Clients, dev: Dev, proxy: Proxy
) -> None:
    tokens = [dev.env["ALICE"]]
    desk = clients.desk(proxy.url, lambda: tokens.pop())
    proxy.scripts = [LOST, REFUSED]

    with pytest.raises(RentUnfinished) as caught:
        desk.rent(ORDER)

    assert isinstance(caught.value.__cause__, TokenError) and {caught.value.key} == proxy.keys()
    order = clients.desk(dev.api, dev.env["ALICE"]).rent(ORDER, key=caught.value.key)
    assert order.idempotency_key == caught.value.key
