"""The operations of one tag"""

from .me import me

__all__ = [
    "me",
]
