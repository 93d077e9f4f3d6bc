"""The operations of one tag"""

from .get_spend import get_spend

__all__ = [
    "get_spend",
]
