"""What the tests share: one service for all of them, and a proxy and clients for each."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from support.clients import Clients
from support.dev import Dev
from support.proxy import Proxy

LIMIT = 150  # seconds for one test; the slowest takes 31


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    service = Dev(tmp_path_factory.mktemp("dev"))
    yield service
    service.stop()


@pytest.fixture
def proxy(dev: Dev) -> Iterator[Proxy]:
    proxy = Proxy(dev.api)
    yield proxy
    proxy.close()


@pytest.fixture(params=["sync", "async"])
def clients(request: pytest.FixtureRequest) -> Iterator[Clients]:
    """Both clients behind one interface, so that each test runs with both."""
    with contextlib.closing(Clients(asynchronous=request.param == "async")) as clients:
        yield clients


@pytest.fixture
def desk(clients: Clients, dev: Dev, proxy: Proxy) -> Any:
    """Alice's client, through the proxy."""
    return clients.desk(proxy.url, dev.env["ALICE"])


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    """Ends a test that hangs, such as one that waits for an event that never comes."""

    def fail(*_: object) -> None:
        pytest.fail(f"the test took longer than {LIMIT} s")  # no Exception, which the client may handle

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(LIMIT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
