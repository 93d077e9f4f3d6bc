"""Times in RFC 3339."""

from __future__ import annotations

import re
from datetime import datetime


def read_time(text: str) -> datetime:
    """Reads a time with any number of fraction digits, also in Python 3.10; raises `ValueError` for other text."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", text)
    if not match:
        raise ValueError("not a time in RFC 3339")
    seconds, fraction, zone = match.groups(default="0")
    return datetime.fromisoformat(f"{seconds.upper()}.{fraction[:6]:0<6}{zone.upper().replace('Z', '+00:00')}")
