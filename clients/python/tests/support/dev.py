"""A real service with a simulated Close: `numberdesk dev` in a temporary folder."""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx

REPOSITORY = Path(__file__).resolve().parents[4]
START = 60.0  # seconds; a start takes one or two
RENT = "/phone_number/request/internal/"

POLICY = """
[teams.sales-emea]
countries = ["DE", "FR", "GB"]
group_numbers = { permission = "numbers:group" }
carrier_types = ["local", "mobile"]
max_numbers = 5000
max_orders_per_day = 5000
monthly_budget = "90000.00"
forward_to_countries = ["DE", "FR", "GB"]
assign_to = "anyone"
approval = { group_numbers = true }

[teams.small]
countries = ["GB"]
carrier_types = ["local"]
max_numbers = 1
max_orders_per_day = 10
monthly_budget = "90000.00"
assign_to = "anyone"

[teams.poor]
countries = ["GB"]
carrier_types = ["local"]
max_numbers = 10
max_orders_per_day = 10
monthly_budget = "1.00"
assign_to = "anyone"

[teams.platform]
countries = []

[prices]
default = "1.15"
"""


def binary() -> str:
    """Returns the service's binary: NUMBERDESK_BIN, or what Cargo has built in this repository."""
    candidates = [REPOSITORY / "target" / profile / "numberdesk" for profile in ("debug", "release")]
    built = sorted((path for path in candidates if path.exists()), key=lambda path: path.stat().st_mtime)
    if named := os.environ.get("NUMBERDESK_BIN"):
        return named
    if not built:
        raise RuntimeError("no numberdesk binary: build one with `cargo build`, or name it by NUMBERDESK_BIN")
    return str(built[-1])


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


class Dev:
    """The running service, its simulated Close, and tokens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "policy.toml").write_text(POLICY)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBERDESK_")}
        environment |= {
            "NUMBERDESK_LIMITS__REQUESTS_PER_MINUTE": "0",
            "NUMBERDESK_ORDERS__SETTLE_AFTER": "1s",
        }
        self.webhook_port = free_port()
        environment["NUMBERDESK_WEBHOOKS__PORTS"] = str(self.webhook_port)
        command = [binary(), "dev", "--dir", str(folder), "--port", str(free_port())]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment)
        self._await_start()
        lines = (folder / "env").read_text().splitlines()
        self.env = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
        self.api, self.close_url = self.env["API"], self.env["CLOSE"]
        # The service accepts it for half a minute longer, so it is made early.
        self.short_lived = self.token(expires="1s")

    def _await_start(self) -> None:
        assert self.process.stdout
        output, deadline = b"", time.monotonic() + START
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while b"Ctrl-C" not in output:
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                piece = os.read(self.process.stdout.fileno(), 65536) if ready else b""
                if not piece:
                    self.process.kill()
                    log = (self.folder / "log").read_text()
                    raise RuntimeError(f"numberdesk dev did not start: {output.decode()[-500:]} {log[-2000:]}")
                output += piece

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def token(self, team: str = "sales-emea", expires: str = "1h", permissions: str | None = None) -> str:
        """Returns a token of the development issuer."""
        command = [binary(), "token", "--dir", str(self.folder), "--team", team, "--expires", expires]
        command += ["--permissions", permissions] if permissions else []
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def control(self, method: str, path: str, **options: Any) -> Any:
        """Calls a control route of the simulated Close."""
        response = httpx.request(method, f"{self.close_url}/_control/{path}", timeout=30, **options)
        response.raise_for_status()
        return response.json() if response.content else None

    def rents(self) -> int:
        """Returns how many paid requests the simulated Close has received."""
        return sum(1 for seen in self.control("GET", "requests") if seen["method"] == "POST" and RENT in seen["path"])

    def numbers(self) -> int:
        """Returns how many numbers exist in the simulated Close."""
        return len(self.control("GET", "numbers"))
