"""The format of server-sent events (WHATWG HTML, section 9.2). Pure: bytes in, messages out."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Message:
    """One server-sent event. A message that only sets the id has no data."""

    id: str | None = None
    event: str = "message"
    data: list[str] = field(default_factory=list)


class Parser:
    """Takes pieces of a stream, cut anywhere, and yields complete messages. Use one for each connection."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("replace").decode
        self._rest = ""
        self._message = Message()

    def feed(self, piece: bytes) -> Iterator[Message]:
        """Yields the messages that this piece completes."""
        text = self._rest + self._decode(piece)
        # A carriage return at the end may be the first half of a line end.
        keep = "\r" if text.endswith("\r") else ""
        *lines, rest = re.split(r"\r\n|\r|\n", text.removesuffix("\r"))
        self._rest = rest + keep
        for line in lines:
            if line:
                self._read(line)
                continue
            message, self._message = self._message, Message()
            if message.data or message.id is not None:
                yield message

    def _read(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._message.data.append(value)
        elif name == "event":
            self._message.event = value
        elif name == "id" and "\0" not in value:
            self._message.id = value
