"""The examples run as they are, beside a real service."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from numberdesk import Desk
from numberdesk.models import OrderRequest
from support.dev import Dev, free_port

PACKAGE = Path(__file__).resolve().parents[1]
EXAMPLES = PACKAGE / "examples"


def environment(dev: Dev, folder: Path, **more: str) -> dict[str, str]:
    own = {"API": dev.api, "ALICE": dev.env["ALICE"], "KEY_FOLDER": str(folder / "keys")}
    return os.environ | own | more


def run(name: str, *arguments: str, env: dict[str, str]) -> str:
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120, env=env).stdout


@contextmanager
def running(path: Path, env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-u", str(path)], stdout=subprocess.PIPE, text=True, env=env) as process:
        watchdog = threading.Timer(120, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            process.kill()


def test_rent_again_rents_nothing_new(dev: Dev, tmp_path: Path) -> None:
    rents = dev.rents()
    outputs = {run("rent.py", "berlin", "bonn", env=environment(dev, tmp_path)) for _ in range(2)}

    assert re.fullmatch(r"berlin \+49\d+\nbonn \+49\d+\n", outputs.pop()) and not outputs
    assert dev.rents() == rents + 2


def test_rent_async(dev: Dev, tmp_path: Path) -> None:
    output = run("rent_async.py", "leeds", "york", "hull", env=environment(dev, tmp_path))

    assert len(set(re.findall(r"\+44\d+", output))) == 3 and "numbers in GB" in output


def test_change(dev: Dev, tmp_path: Path) -> None:
    with Desk(dev.api, dev.env["ALICE"]) as desk:
        number = desk.rent(OrderRequest(country="GB", carrier_type="local")).phone_number
    assert number

    assert run("change.py", number.id, "Front desk", env=environment(dev, tmp_path)).endswith("-> Front desk\n")


def test_follow_goes_on_after_its_bookmark(dev: Dev, tmp_path: Path) -> None:
    env = environment(dev, tmp_path, BOOKMARK=str(tmp_path / "bookmark"))
    with Desk(dev.api, dev.env["ALICE"]) as desk:
        events = list(desk.events(type_="order.fulfilled"))[-3:]
        assert len(events) == 3
    (tmp_path / "bookmark").write_text(events[0].id)
    for event in events[1:]:
        with running(EXAMPLES / "follow.py", env) as process:
            assert process.stdout
            process.stdout.readline()
            assert process.stdout.readline().startswith(event.id)
        (tmp_path / "bookmark").write_text(event.id)


def test_follow_says_what_to_do_about_a_bookmark_that_is_no_longer_kept(dev: Dev, tmp_path: Path) -> None:
    (tmp_path / "bookmark").write_text("evt_01M882VPZQF6EAN6492ZFVERXN")
    env = environment(dev, tmp_path, BOOKMARK=str(tmp_path / "bookmark"))

    with pytest.raises(subprocess.CalledProcessError) as raised:
        run("follow.py", env=env)

    assert "delete" in raised.value.stderr and "Traceback" not in raised.value.stderr


def test_rent_of_a_dict_says_what_it_takes(dev: Dev) -> None:
    with Desk(dev.api, dev.env["ALICE"]) as desk, pytest.raises(TypeError, match="takes an OrderRequest"):
        desk.rent({"country": "DE"})  # type: ignore[arg-type]


def test_receive_webhooks(dev: Dev, tmp_path: Path) -> None:
    secret, port = "whsec_" + base64.b64encode(b"s" * 24).decode(), free_port()
    body = '{"id":"evt_1","type":"t","team":null,"occurred_at":"2026-11-23T10:00:00Z","data":{"a":1}}'
    now = datetime.now(timezone.utc)
    headers = {"webhook-id": "evt_1", "webhook-timestamp": str(int(now.timestamp()))}
    headers["webhook-signature"] = Webhook(secret).sign("evt_1", now, body)
    env = environment(dev, tmp_path, PORT=str(port), WEBHOOK_SECRETS=secret)
    with running(EXAMPLES / "receive_webhooks.py", env) as process:
        transport = httpx.HTTPTransport(retries=10)  # until it listens
        with httpx.Client(transport=transport, base_url=f"http://127.0.0.1:{port}") as http:
            assert http.post("/", content=body.encode(), headers=headers).status_code == 204
            assert http.post("/", content=b"{}", headers=headers).status_code == 401
        assert process.stdout and process.stdout.readline() == "t {'a': 1}\n"


def test_the_readme_shows_code_that_runs(dev: Dev, tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (PACKAGE / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        code = block.replace("https://numberdesk.example.com", dev.api)
        code = code.replace("/var/lib/my-app/keys", str(tmp_path / "keys"))
        exec(compile(code, "README.md", "exec"), {"get_token": lambda: dev.env["ALICE"]})


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_every_example_is_run_here(path: Path) -> None:
    assert f'"{path.name}"' in Path(__file__).read_text()
