"""When a request is repeated. Pure: no clock, no I/O."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime


@dataclass(frozen=True)
class Retry:
    """How often a request is repeated after failures in a row, and how long to wait in between."""

    attempts: int = 10
    """The most tries, the first one included."""
    base: float = 0.25
    """The longest pause before the first repetition, in seconds; it doubles each time."""
    cap: float = 20.0
    """The longest pause, in seconds, unless the service asks for a longer one."""

    def delay(self, failures: int, wanted: float | None = None) -> float | None:
        """Returns the pause after so many failures in a row, or `None` for: give up."""
        return None if failures >= self.attempts else self.pause(failures, wanted)

    def pause(self, failures: int, wanted: float | None = None) -> float:
        """Returns the pause after so many failures in a row, for a caller that never gives up.

        `wanted` is the service's `Retry-After`: never earlier, and a little later, so that clients spread."""
        ceiling = min(self.cap, self.base * 2.0 ** min(failures - 1, 32))
        if wanted is not None:
            return wanted + random.uniform(0.0, min(ceiling, 1.0))
        return random.uniform(ceiling / 2, ceiling)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Returns the seconds in `Retry-After`, which may be a number or a date; `None` if it has neither."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdecimal():
        return float(value[:9])
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=timezone.utc)
    return max(0.0, (at - (now or datetime.now(timezone.utc))).total_seconds())
