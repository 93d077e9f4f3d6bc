"""The operations of one tag"""

from .get_phone_number import get_phone_number
from .keep_phone_number import keep_phone_number
from .list_phone_numbers import list_phone_numbers
from .release_phone_number import release_phone_number
from .transfer_phone_number import transfer_phone_number
from .update_phone_number import update_phone_number

__all__ = [
    "get_phone_number",
    "keep_phone_number",
    "list_phone_numbers",
    "release_phone_number",
    "transfer_phone_number",
    "update_phone_number",
]
