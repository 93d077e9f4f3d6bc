"""One request and its answer: with a current token, repeated where a repetition is safe, errors as exceptions."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from .effect import Flow, Send, Sleep
from .error import NumberdeskError, Unreachable
from .operation import Operation
from .problem import Problem
from .retry import Retry
from .token import Token, TokenSource

T = TypeVar("T")
LOG = logging.getLogger("numberdesk")
# Failures after which the service has seen nothing of the request.
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True)
class Exchange:
    """What all requests of one desk share."""

    base_url: str
    tokens: TokenSource
    retry: Retry
    timeout: float
    """Seconds that a call may take, its repetitions included."""

    def deadline(self, timeout: float | None = None) -> float:
        """Returns the time, by `time.monotonic`, at which a call that begins now must end."""
        return time.monotonic() + (self.timeout if timeout is None else timeout)

    def call(self, operation: Operation[T]) -> Flow[T]:
        """Sends an operation and returns what its answer contains."""
        return operation.parse((yield from self.send(operation, self.deadline())))

    def send(
        self, operation: Operation[Any], deadline: float, *, silence: float = 40.0, stream: bool = False
    ) -> Flow[httpx.Response]:
        """Sends an operation until it is answered without an error, and returns that answer.

        Repeats after 429, and if nothing was sent. Repeats after any other broken connection, 408 and 5xx only if a
        repetition has no second effect. `silence` is the longest time without a byte of an answer."""
        failures, in_doubt = 0, False
        while True:
            # A stream outlives the deadline, which is for its beginning.
            timeout = silence if stream else min(silence, max(1.0, deadline - time.monotonic()))
            try:
                return (yield from self._attempt(operation, timeout, stream))
            except NumberdeskError as error:
                failure = error
            failures += 1
            repeatable = failure.is_transient and (operation.is_repeatable or not failure.is_in_doubt)
            failure.is_in_doubt = in_doubt = in_doubt or failure.is_in_doubt
            delay = self.retry.delay(failures, failure.retry_after) if repeatable else None
            if delay is None or time.monotonic() + delay >= deadline:
                raise failure
            LOG.info("repeating in %.1f s: %s", delay, failure)
            yield Sleep(delay)

    def _attempt(self, operation: Operation[Any], timeout: float, stream: bool) -> Flow[httpx.Response]:
        """Sends an operation once, or twice if the service refuses the first token."""
        token, response = yield from self._send_once(operation, timeout, stream)
        if response.status_code == 401:
            self.tokens.refuse(token)
            _, response = yield from self._send_once(operation, timeout, stream)
        if response.status_code >= 400:
            raise Problem.of(response)
        return response

    def _send_once(self, operation: Operation[Any], timeout: float, stream: bool) -> Flow[tuple[Token, httpx.Response]]:
        token = yield from self.tokens.current()
        request = {**operation.request, "url": self.base_url + operation.request["url"]}
        try:
            return token, (yield Send(request, f"Bearer {token.text}", timeout, stream))
        except httpx.RequestError as error:
            what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            failure = Unreachable(f"{request['method']} {request['url']} got no answer: {what}")
            failure.is_in_doubt = not isinstance(error, NOT_SENT)
            raise failure from error
