"""The clients: `Desk`, and `AsyncDesk` for async code. Both perform the same flows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from importlib.metadata import version
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import httpx

from ._generated.api.audit import list_audit
from ._generated.api.events import list_events
from ._generated.api.orders import list_orders
from ._generated.api.phone_numbers import list_phone_numbers
from ._generated.api.webhooks import list_webhook_deliveries, list_webhook_endpoints
from ._generated.models import Event, Order, OrderRequest
from .effect import Flow, aiterate, arun, iterate, run
from .exchange import Exchange
from .key_store import KeyStore
from .listing import Listing
from .operation import Operation
from .rent import rent
from .retry import Retry
from .stream import follow
from .token import TokenFunction, TokenSource

T = TypeVar("T")
Http = TypeVar("Http", httpx.Client, httpx.AsyncClient)
USER_AGENT = f"numberdesk-client-python/{version('numberdesk-client')}"


class _Base(Generic[Http]):
    """The arguments of both clients.

    `base_url` may have a path. `token` is a token or, better, a function that returns one: it is called again before
    the token expires, and after a 401. `keys` makes the name of a rent survive a restart. `timeout` is the time for
    each call but `rent`, its repetitions included. `http` is a client of your own, for proxies or certificates; this
    client closes it."""

    _new_http: Callable[..., Http]

    orders = Listing(list_orders)
    numbers = Listing(list_phone_numbers)
    audit = Listing(list_audit)
    events = Listing(list_events)
    endpoints = Listing(list_webhook_endpoints)
    deliveries = Listing(list_webhook_deliveries)

    def __init__(
        self,
        base_url: str,
        token: str | TokenFunction,
        *,
        keys: KeyStore | None = None,
        retry: Retry = Retry(),  # noqa: B008
        timeout: float = 60.0,
        http: Http | None = None,
    ) -> None:
        url = urlsplit(base_url)
        if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment or "@" in url.netloc:
            raise ValueError("the base URL is like https://numberdesk.example.com, and may have a path, nothing else")
        self._exchange = Exchange(base_url.rstrip("/"), TokenSource(token), retry, timeout)
        self._keys = keys
        self._http: Http = http or self._new_http(headers={"User-Agent": USER_AGENT})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._exchange.base_url!r})"


class Desk(_Base[httpx.Client]):
    """The client. Threads may share it."""

    _new_http = httpx.Client

    def rent(
        self, order: OrderRequest, *, key: str | None = None, name: str | None = None, timeout: float = 300.0
    ) -> Order:
        """Rents one number and returns its fulfilled order, whose `phone_number` is the number.

        The request is repeated with one idempotency key: `key`, or the one that the key store has for `name`, or a new
        one. Raises the problem that ended or prevented the order, such as `PolicyDenied`, or `RentUnfinished` when
        `timeout` seconds have passed. Every exception, also a cancellation, has the key as `key`; the same key never
        rents a second number. Of a key that was used before it returns the order as it is now."""
        return run(rent(self._exchange, self._keys, order, key=key, name=name, timeout=timeout), self._http)

    def call(self, operation: Operation[T]) -> T:
        """Sends an operation of `numberdesk.api` and returns its result: `desk.call(get_order(order_id))`."""
        return run(self._exchange.call(operation), self._http)

    def send(self, operation: Operation[Any]) -> httpx.Response:
        """Sends an operation like `call`, and returns the response, for its headers; `operation.parse` reads it."""
        return run(self._exchange.send(operation, self._exchange.deadline()), self._http)

    def stream(self, *, after: str | None = None, types: str | None = None, team: str | None = None) -> Iterator[Event]:
        """Yields events for ever, each once, across broken connections: after the event `after`, or from now on.

        `types` selects types, such as `order.*,phone_number.released`. Store the `id` of the last event that you have
        handled, and give it as `after` when your process starts again."""
        return self._iterate(lambda exchange: follow(exchange, after=after, types=types, team=team))

    def _iterate(self, flow: Callable[[Exchange], Flow[None]]) -> Iterator[Any]:
        return iterate(flow(self._exchange), self._http)

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncDesk(_Base[httpx.AsyncClient]):
    """The client for async code, with asyncio or trio. Everything is as in `Desk`, which has the explanations."""

    _new_http = httpx.AsyncClient

    async def rent(
        self, order: OrderRequest, *, key: str | None = None, name: str | None = None, timeout: float = 300.0
    ) -> Order:
        """Rents one number and returns its fulfilled order; see `Desk.rent`."""
        return await arun(rent(self._exchange, self._keys, order, key=key, name=name, timeout=timeout), self._http)

    async def call(self, operation: Operation[T]) -> T:
        """Sends an operation of `numberdesk.api` and returns its result."""
        return await arun(self._exchange.call(operation), self._http)

    async def send(self, operation: Operation[Any]) -> httpx.Response:
        """Sends an operation like `call`, and returns the response."""
        return await arun(self._exchange.send(operation, self._exchange.deadline()), self._http)

    def stream(
        self, *, after: str | None = None, types: str | None = None, team: str | None = None
    ) -> AsyncIterator[Event]:
        """Yields events for ever; see `Desk.stream`."""
        return self._iterate(lambda exchange: follow(exchange, after=after, types=types, team=team))

    def _iterate(self, flow: Callable[[Exchange], Flow[None]]) -> AsyncIterator[Any]:
        return aiterate(flow(self._exchange), self._http)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncDesk:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
