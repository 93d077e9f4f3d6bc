"""A TCP proxy between client and service that cuts connections, answers itself, or holds an answer.

Each connection carries one request. The next script of the list decides about it; without one it passes."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

PATIENCE = 60.0  # seconds after which a socket gives up; nothing here should take that long


@dataclass(frozen=True)
class Cut:
    """Ends the connection at a byte: of the request on its way to the service, or of the answer to the client.

    `at` gets the length of the head and of the whole message, and returns how many bytes pass."""

    side: str  # "accept", "request", "unanswered" or "response"
    at: Callable[[int, int], int] = lambda head, whole: 0
    reset: bool = False


@dataclass(frozen=True)
class Answer:
    """Answers instead of the service, which does not see the request. `silent` leaves the connection open after it."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    silent: bool = False


@dataclass
class Hold:
    """Holds the request, or the service's answer, until the client is gone; `reached` tells when."""

    side: str  # "request" or "response"
    reached: threading.Event = field(default_factory=threading.Event)


Script = Cut | Answer | Hold


@dataclass
class Request:
    """A request that reached the proxy."""

    method: str
    path: str
    headers: dict[str, str]


class Proxy:
    """Listens on a free port; `url` is its base URL, with the path of the service's if there is one."""

    def __init__(self, target: str, prefix: str = "") -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "", parts.port or 80)
        self._prefix = prefix
        self.scripts: list[Script] = []
        self.requests: list[Request] = []
        self.opened = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{prefix}"
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._closed = True
        # A closed listener does not wake a thread that accepts; a connection does.
        with contextlib.suppress(OSError), socket.create_connection(self._listener.getsockname()):
            pass
        self._listener.close()

    def keys(self) -> set[str]:
        """Returns the idempotency keys of all requests."""
        return {key for request in self.requests if (key := request.headers.get("idempotency-key"))}

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed between two connections
                if self._closed:
                    return
                raise
            if self._closed:
                client.close()
                return
            script = self.scripts.pop(0) if self.scripts else None
            threading.Thread(target=self._serve, args=(client, script), daemon=True).start()

    def _serve(self, client: socket.socket, script: Script | None) -> None:
        client.settimeout(PATIENCE)
        with client, contextlib.suppress(OSError):
            if isinstance(script, Cut) and script.side == "accept":
                return _end(client, script)
            head, body = _read_request(client)
            if not head:
                return
            request = _parse(head)
            self.requests.append(request)
            if isinstance(script, Answer):
                client.sendall(_render(script))
                if script.silent:
                    client.recv(1)
                return
            if isinstance(script, Hold) and script.side == "request":
                script.reached.set()
                client.recv(1)
                return
            self._forward(client, script, self._rewrite(head), body)

    def _rewrite(self, head: bytes) -> bytes:
        """Takes the path prefix away, and asks the service to close the connection after its answer."""
        line, _, rest = head.partition(b"\r\n")
        line = line.replace(b" " + self._prefix.encode(), b" ", 1) if self._prefix else line
        lines = [name for name in rest.split(b"\r\n") if name and not name.lower().startswith(b"connection:")]
        return b"\r\n".join([line, *lines, b"Connection: close", b"", b""])

    def _forward(self, client: socket.socket, script: Script | None, head: bytes, body: bytes) -> None:
        with socket.create_connection(self._target, PATIENCE) as service:
            if isinstance(script, Cut) and script.side == "request":
                service.sendall((head + body)[: script.at(len(head), len(head + body))])
                _end(service, script)
                return _end(client, script)
            service.sendall(head + body)
            if isinstance(script, Cut) and script.side == "unanswered":
                return _end(client, script)
            if script is None:
                for piece in _pieces(service):
                    client.sendall(piece)
                return
            if isinstance(script, Hold):
                service.recv(1)
                script.reached.set()
                client.recv(1)
                return
            self._cut_response(client, service, script)

    def _cut_response(self, client: socket.socket, service: socket.socket, script: Script) -> None:
        assert isinstance(script, Cut)
        response = b""
        for piece in _pieces(service):
            self.opened.set()  # the service has answered
            response += piece
            head = response.find(b"\r\n\r\n") + 4
            # A stream has no end: its first event is enough to cut it.
            if b"text/event-stream" in response[:head] and b"data:" in response:
                break
        client.sendall(response[: script.at(response.find(b"\r\n\r\n") + 4, len(response))])
        _end(client, script)


def _pieces(connection: socket.socket) -> Iterator[bytes]:
    while piece := connection.recv(65536):
        yield piece


def _read_request(client: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    for piece in _pieces(client):
        data += piece
        head, end, body = data.partition(b"\r\n\r\n")
        if end and len(body) >= int(_parse(head + end).headers.get("content-length", "0")):
            return head + end, body
    return b"", b""


def _parse(head: bytes) -> Request:
    line, *fields = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, path, _ = line.split(" ")
    pairs = (name.split(":", 1) for name in fields)
    return Request(method, path, {name.lower(): value.strip() for name, value in pairs})


def _render(answer: Answer) -> bytes:
    fields = {"content-length": str(len(answer.body)), "connection": "close", **answer.headers}
    lines = [f"HTTP/1.1 {answer.status} Scripted", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode() + answer.body


def _end(connection: socket.socket, script: Cut) -> None:
    if script.reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
