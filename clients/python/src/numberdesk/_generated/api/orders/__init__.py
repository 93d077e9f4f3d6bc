"""The operations of one tag"""

from .approve_order import approve_order
from .cancel_order import cancel_order
from .create_order import create_order
from .get_hold import get_hold
from .get_order import get_order
from .list_orders import list_orders
from .reject_order import reject_order
from .set_hold import set_hold
from .settle_order import settle_order
from .validate_order import validate_order

__all__ = [
    "approve_order",
    "cancel_order",
    "create_order",
    "get_hold",
    "get_order",
    "list_orders",
    "reject_order",
    "set_hold",
    "settle_order",
    "validate_order",
]
