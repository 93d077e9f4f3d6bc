"""Lists as iterators: one method for each list operation, with exactly its filters as parameters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, overload

from .effect import Emit, Flow
from .exchange import Exchange
from .operation import Operation, Page

P = ParamSpec("P")
T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)


class _Desk(Protocol[R_co]):
    def _iterate(self, flow: Callable[[Exchange], Flow[None]]) -> R_co: ...


class Listing(Generic[P, T]):
    """A method of `Desk` and `AsyncDesk` that iterates over a list; each page is read when it is needed."""

    def __init__(self, operation: Callable[P, Operation[Page[T]]]) -> None:
        self._operation = operation

    @overload
    def __get__(self, desk: _Desk[Iterator[Any]], owner: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, desk: _Desk[AsyncIterator[Any]], owner: type) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, desk: Any, owner: type) -> Any:
        def rows(*args: P.args, **filters: P.kwargs) -> Any:
            return desk._iterate(lambda exchange: _pages(exchange, self._operation, *args, **filters))

        return rows


def _pages(
    exchange: Exchange, operation: Callable[..., Operation[Page[Any]]], *args: Any, **filters: Any
) -> Flow[None]:
    while True:
        page = yield from exchange.call(operation(*args, **filters))
        for row in page.data:
            yield Emit(row)
        if page.next_cursor is None:
            return
        filters["cursor"] = page.next_cursor
        filters.pop("after", None)  # the cursor of events replaces it; both are an error
