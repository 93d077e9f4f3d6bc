"""Both clients behind one blocking interface."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from typing import Any

from numberdesk import AsyncDesk, Desk, Retry

QUICK = Retry(base=0.01, cap=0.05)


class Clients:
    """Makes clients of one kind; `AsyncDesk` runs on an event loop of its own."""

    def __init__(self, asynchronous: bool) -> None:
        self.asynchronous = asynchronous
        self._runner = asyncio.Runner() if asynchronous else None
        self._open: list[Any] = []

    def desk(self, url: str, token: Any, **options: Any) -> Any:
        """Returns a client that retries quickly."""
        options.setdefault("retry", QUICK)
        desk = (AsyncDesk if self.asynchronous else Desk)(url, token, **options)
        self._open.append(desk)
        return Blocking(desk, self._runner)

    def close(self) -> None:
        for desk in self._open:
            if self._runner:
                self._runner.run(desk.aclose())
            else:
                desk.close()
        if self._runner:
            self._runner.close()


class Blocking:
    """A client whose async methods block, and whose async iterators are iterators."""

    def __init__(self, desk: Any, runner: asyncio.Runner | None) -> None:
        self.desk, self._runner = desk, runner

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.desk, name)

        def method(*args: Any, **options: Any) -> Any:
            result = attribute(*args, **options)
            if hasattr(result, "__aiter__"):
                return self._iterate(result)
            return self._runner.run(result) if self._runner else result

        return method

    def _iterate(self, rows: AsyncIterator[Any]) -> Iterator[Any]:
        assert self._runner
        try:
            while True:
                try:
                    yield self._runner.run(anext(rows))  # type: ignore[arg-type]
                except StopAsyncIteration:
                    return
        finally:
            self._runner.run(rows.aclose())  # type: ignore[attr-defined]


def first(rows: Iterator[Any], count: int) -> list[Any]:
    """Returns the first rows, and closes the iterator."""
    try:
        return list(islice(rows, count))
    finally:
        rows.close()  # type: ignore[attr-defined]
