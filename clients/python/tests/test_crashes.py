"""A process that dies between its key and its answer goes on with the stored key, and rents one number."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from numberdesk import FileKeyStore, KeyStoreError, PolicyDenied
from numberdesk.models import OrderRequest
from support.clients import Clients
from support.dev import Dev
from support.proxy import Answer, Hold, Proxy

ORDER = OrderRequest(country="GB", carrier_type="local")
APP = """
import os, sys
from numberdesk import Desk, FileKeyStore
from numberdesk.models import OrderRequest
with Desk(os.environ["URL"], os.environ["TOKEN"], keys=FileKeyStore(os.environ["FOLDER"])) as desk:
    order = desk.rent(OrderRequest(country="GB", carrier_type="local"), name="the line of Alice")
    print(order.idempotency_key, order.phone_number.number)
"""


def start(dev: Dev, proxy: Proxy, folder: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"URL": proxy.url, "TOKEN": dev.env["ALICE"], "FOLDER": str(folder)}
    return subprocess.Popen([sys.executable, "-c", APP], stdout=subprocess.PIPE, text=True, env=environment)


@pytest.mark.parametrize("side", ["request", "response"])
def test_a_killed_process_goes_on_with_its_key(dev: Dev, proxy: Proxy, tmp_path: Path, side: str) -> None:
    rents, numbers = dev.rents(), dev.numbers()
    hold = Hold(side)
    proxy.scripts = [hold]
    killed = start(dev, proxy, tmp_path)
    assert hold.reached.wait(30), f"the {side} reached the proxy"
    killed.kill()
    assert killed.communicate(timeout=30)[0] == ""

    output, _ = start(dev, proxy, tmp_path).communicate(timeout=60)

    key, number = output.split()
    assert proxy.keys() == {key} and number.startswith("+44")
    assert (dev.rents() - rents, dev.numbers() - numbers) == (1, 1)


def test_the_key_is_stored_before_the_first_request(clients: Clients, dev: Dev, proxy: Proxy, tmp_path: Path) -> None:
    steps: list[str] = []

    class Store:
        def key(self, name: str) -> str:
            steps.append(f"stored {name}, {len(proxy.requests)} requests")
            return "key-of-" + name

        def forget(self, name: str) -> None:
            raise AssertionError("rent forgets nothing")

    proxy.scripts = [Answer(503)]
    desk = clients.desk(proxy.url, dev.env["ALICE"], keys=Store())

    name = os.urandom(8).hex()
    desk.rent(ORDER, name=name)

    assert steps == [f"stored {name}, 0 requests"]
    assert proxy.keys() == {"key-of-" + name}


def test_a_store_that_fails_sends_nothing(clients: Clients, dev: Dev, proxy: Proxy, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    desk = clients.desk(proxy.url, dev.env["ALICE"], keys=FileKeyStore(tmp_path / "file"))

    with pytest.raises(KeyStoreError, match="`a name`"):
        desk.rent(ORDER, name="a name")

    assert proxy.requests == []


def test_a_name_is_one_number_until_it_is_forgotten(clients: Clients, dev: Dev, tmp_path: Path) -> None:
    keys = FileKeyStore(tmp_path)
    desk = clients.desk(dev.api, dev.env["ALICE"], keys=keys)

    first, again, other = (desk.rent(ORDER, name=name).id for name in ("a", "a", "b"))
    keys.forget("a")
    anew = desk.rent(ORDER, name="a").id

    assert first == again and len({first, other, anew}) == 3


def test_a_denied_order_keeps_its_key_for_later(clients: Clients, dev: Dev, tmp_path: Path) -> None:
    desk = clients.desk(dev.api, dev.env["ALICE"], keys=FileKeyStore(tmp_path))
    with pytest.raises(PolicyDenied) as denied:
        desk.rent(OrderRequest(country="US", carrier_type="local"), name="a")

    assert desk.rent(ORDER, name="a").idempotency_key == denied.value.key


def test_an_async_store_works(dev: Dev) -> None:
    class Store:
        async def key(self, name: str) -> str:
            await asyncio.sleep(0)
            return "async-" + name

        async def forget(self, name: str) -> None: ...

    clients = Clients(asynchronous=True)
    try:
        order = clients.desk(dev.api, dev.env["ALICE"], keys=Store()).rent(ORDER, name="a-name")
    finally:
        clients.close()

    assert order.idempotency_key == "async-a-name"


def test_threads_that_share_a_folder_get_one_key(tmp_path: Path) -> None:
    found: list[str] = []
    barrier = threading.Barrier(16)

    def ask() -> None:
        store = FileKeyStore(tmp_path / "new")
        barrier.wait()
        found.append(store.key("a/../name with ü"))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 16 and len(set(found)) == 1
    (path,) = (tmp_path / "new").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"key": 7}', '{"key": "grün"}'])
def test_a_damaged_key_file_is_an_error_and_is_not_replaced(dev: Dev, tmp_path: Path, content: str) -> None:
    store = FileKeyStore(tmp_path)
    store.key("a")
    (path,) = tmp_path.iterdir()
    path.write_text(content)
    clients = Clients(asynchronous=False)

    with pytest.raises(KeyStoreError):
        clients.desk("http://127.0.0.1:1", "token", keys=store).rent(ORDER, name="a")

    clients.close()
    assert path.read_text() == content


@pytest.mark.parametrize("key", ["", "with space", "line\nbreak", "grün", "x" * 256])
def test_a_key_must_be_one(clients: Clients, key: str) -> None:
    with pytest.raises(ValueError, match="visible ASCII"):
        clients.desk("http://127.0.0.1:1", "token").rent(ORDER, key=key)


def test_a_name_needs_a_store(clients: Clients, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="key store"):
        clients.desk("http://127.0.0.1:1", "token").rent(ORDER, name="a")
    with pytest.raises(ValueError, match="not both"):
        desk: Any = clients.desk("http://127.0.0.1:1", "token", keys=FileKeyStore(tmp_path))
        desk.rent(ORDER, name="a", key="b")
