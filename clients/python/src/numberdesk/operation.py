"""One call of the API as a value: the generated functions make it, `Desk.call` sends it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import httpx

from .error import NumberdeskError

T_co = TypeVar("T_co", covariant=True)


class UnexpectedAnswer(NumberdeskError):
    """An answer that is neither a documented one nor an error, such as a proxy's login page."""

    def __init__(self, response: httpx.Response) -> None:
        content_type = response.headers.get("content-type", "none")
        location = response.headers.get("location", "").partition("?")[0]
        super().__init__(
            f"{response.request.method} {response.request.url} was answered {response.status_code}"
            f"{f' with a redirect to {location}' if location else ''} with content type {content_type}, "
            "which the API does not answer; check the base URL and the proxies in between"
        )
        self.status = response.status_code


@dataclass(frozen=True)
class Operation(Generic[T_co]):
    """The request of one call, and how to read its answer. It sends nothing by itself."""

    request: Mapping[str, Any]
    """Keyword arguments of `httpx.Client.build_request`; the URL is a path below the base URL."""
    reader: Callable[[httpx.Response], T_co]

    def parse(self, response: httpx.Response) -> T_co:
        """Reads an answer of success; raises `UnexpectedAnswer` for one that the API does not document."""
        try:
            return self.reader(response)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnexpectedAnswer(response) from error

    @property
    def is_repeatable(self) -> bool:
        """Whether a repetition has no second effect: reads, and requests with an idempotency key."""
        return self.request["method"] in ("GET", "HEAD") or "Idempotency-Key" in self.request.get("headers", {})


class Page(Protocol[T_co]):
    """One page of any list."""

    @property
    def data(self) -> Sequence[T_co]: ...
    @property
    def next_cursor(self) -> str | None: ...
