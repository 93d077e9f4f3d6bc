"""One design for sync and async: a flow is a generator that yields effects, and a driver performs them.

All decisions are in flows, which do no I/O. A driver performs an effect and sends its result into the flow, or throws
its error into it. `Emit` hands a value to the caller of the flow."""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, aclosing, closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar, cast

import anyio
import anyio.to_thread
import httpx

T = TypeVar("T")


@dataclass
class Send:
    """Sends one request once. The result is the response: complete, or open if `stream` is set and it is no error."""

    request: Mapping[str, Any]
    authorization: str = field(repr=False)
    timeout: float
    stream: bool = False

    def _build(self, http: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        timeout = httpx.Timeout(self.timeout, connect=min(self.timeout, 10.0))
        request = http.build_request(**self.request, timeout=timeout)
        request.headers["Authorization"] = self.authorization
        return request

    def run(self, http: httpx.Client, stack: ExitStack) -> httpx.Response:
        response = http.send(self._build(http), stream=self.stream, follow_redirects=False)
        if self.stream:
            stack.close()
            stack.callback(response.close)
            if response.status_code != 200:
                response.read()
        return response

    async def arun(self, http: httpx.AsyncClient, stack: AsyncExitStack) -> httpx.Response:
        response = await http.send(self._build(http), stream=self.stream, follow_redirects=False)
        if self.stream:
            await stack.aclose()
            stack.push_async_callback(response.aclose)
            if response.status_code != 200:
                await response.aread()
        return response


@dataclass
class Read:
    """Reads the next piece of an open response. The result is empty at its end."""

    chunks: Iterator[bytes] | AsyncIterator[bytes]

    @classmethod
    def of(cls, response: httpx.Response) -> Read:
        """Returns the effect for this response; it is used again and again."""
        sync = isinstance(response.stream, httpx.SyncByteStream)
        return cls(response.iter_bytes() if sync else response.aiter_bytes())

    def run(self, _http: httpx.Client, _stack: ExitStack) -> bytes:
        return next(cast(Iterator[bytes], self.chunks), b"")

    async def arun(self, _http: httpx.AsyncClient, _stack: AsyncExitStack) -> bytes:
        return await anext(cast(AsyncIterator[bytes], self.chunks), b"")


@dataclass
class Sleep:
    """Waits."""

    seconds: float

    def run(self, _http: httpx.Client, _stack: ExitStack) -> None:
        time.sleep(self.seconds)

    async def arun(self, _http: httpx.AsyncClient, _stack: AsyncExitStack) -> None:
        await anyio.sleep(self.seconds)


@dataclass
class Call(Generic[T]):
    """Calls a function of the application, such as the token function. `AsyncDesk` calls a sync one in a thread."""

    function: Callable[..., T | Awaitable[T]]
    arguments: tuple[Any, ...] = ()

    def run(self, _http: httpx.Client, _stack: ExitStack) -> T:
        result = self.function(*self.arguments)
        if inspect.isawaitable(result):
            if inspect.iscoroutine(result):
                result.close()
            raise TypeError("Desk cannot await: give it a function without `async`, or use AsyncDesk")
        return result

    async def arun(self, _http: httpx.AsyncClient, _stack: AsyncExitStack) -> T:
        if inspect.iscoroutinefunction(self.function):
            return cast(T, await self.function(*self.arguments))
        result = await anyio.to_thread.run_sync(self.function, *self.arguments)
        return cast(T, await result) if inspect.isawaitable(result) else result


@dataclass
class Emit:
    """Hands a value to the caller of the flow."""

    value: Any


Effect = Send | Read | Sleep | Call[Any] | Emit
Flow = Generator[Effect, Any, T]


def iterate(flow: Flow[Any], http: httpx.Client) -> Iterator[Any]:
    """Performs a flow; yields what it emits. Closing the iterator closes the flow and its response."""
    with closing(flow), ExitStack() as stack:
        step: Callable[[], Effect] = partial(flow.send, None)
        while True:
            try:
                effect = step()
            except StopIteration:
                return
            if isinstance(effect, Emit):
                yield effect.value
                step = partial(flow.send, None)
                continue
            try:
                step = partial(flow.send, effect.run(http, stack))
            except BaseException as error:  # also a cancellation: the flow may have to say something about it
                step = partial(flow.throw, error)


async def aiterate(flow: Flow[Any], http: httpx.AsyncClient) -> AsyncIterator[Any]:
    """Performs a flow like `iterate`, without blocking."""
    with closing(flow):
        async with AsyncExitStack() as stack:
            step: Callable[[], Effect] = partial(flow.send, None)
            while True:
                try:
                    effect = step()
                except StopIteration:
                    return
                if isinstance(effect, Emit):
                    yield effect.value
                    step = partial(flow.send, None)
                    continue
                try:
                    step = partial(flow.send, await effect.arun(http, stack))
                except BaseException as error:
                    step = partial(flow.throw, error)


def run(flow: Flow[T], http: httpx.Client) -> T:
    """Performs a flow and returns its result."""
    with closing(iterate(_emit_result(flow), http)) as results:  # type: ignore[type-var]
        return cast(T, next(results))


async def arun(flow: Flow[T], http: httpx.AsyncClient) -> T:
    """Performs a flow like `run`, without blocking."""
    async with aclosing(aiterate(_emit_result(flow), http)) as results:  # type: ignore[type-var]
        return cast(T, await anext(results))


def _emit_result(flow: Flow[Any]) -> Flow[None]:
    yield Emit((yield from flow))
