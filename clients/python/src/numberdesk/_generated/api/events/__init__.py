"""The operations of one tag"""

from .follow_events import follow_events
from .list_events import list_events

__all__ = [
    "follow_events",
    "list_events",
]
