"""The objects of the API: bodies, answers, and the data of events."""

from ._generated.models import *  # noqa: F403
from ._generated.types import UNSET, Unset

__all__ = ["UNSET", "Unset"]  # and every model
