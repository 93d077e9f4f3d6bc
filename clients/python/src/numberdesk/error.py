"""The errors of this package that are not answers of the service; `problem.py` has those."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._generated.models import Order


class NumberdeskError(Exception):
    """Base of all errors that this package raises."""

    is_transient: bool = False
    """Whether the same request may succeed later."""
    is_in_doubt: bool = False
    """Whether the service may have executed a request that it did not answer, in this attempt or an earlier one."""
    retry_after: float | None = None
    """Seconds after which the service wants the request again, if it said so."""
    key: str | None = None
    """The idempotency key, if `rent` raised the error."""


class Unreachable(NumberdeskError):
    """The connection could not be made, or broke, and the repetitions were used up or not allowed."""

    is_transient = True


class TokenError(NumberdeskError):
    """The token function failed, or returned something that is no bearer token. The message never contains it."""


class KeyStoreError(NumberdeskError):
    """The key store has no usable key. Nothing was sent."""


class RentUnfinished(NumberdeskError):
    """The outcome of an order is not known yet: the deadline passed, or the service could not be reached.

    The order may exist, and may still rent a number. Call `rent` again with the same order and `key=error.key` to go
    on; never order again under another key. `__cause__` is the last failure, if there was one."""

    is_transient = True

    def __init__(self, key: str, order: Order | None) -> None:
        state = f"order {order.id} is {order.state}" if order else "it is unknown whether the service has the order"
        state += f" ({order.reason})" if order and order.reason else ""
        super().__init__(f"{state}; rent again with the same idempotency key to go on: {key}")
        self.key: str = key
        self.order = order
        """The order in its last known state, if the service has answered."""

    @property
    def order_id(self) -> str | None:
        """The id of the order, if the service has answered."""
        return self.order.id if self.order else None
