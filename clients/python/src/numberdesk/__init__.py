"""The client of numberdesk: rents phone numbers of Close under your company's policy.

    from numberdesk import Desk
    from numberdesk.models import OrderRequest

    with Desk("https://numberdesk.example.com", get_token) as desk:
        order = desk.rent(OrderRequest(country="DE", carrier_type="local"))

`numberdesk.models` has the objects, `numberdesk.api` all operations, `numberdesk.problems` all error answers.
"""

from .desk import AsyncDesk, Desk
from .error import KeyStoreError, NumberdeskError, RentUnfinished, TokenError, Unreachable
from .key_store import FileKeyStore, KeyStore, new_key
from .operation import Operation, UnexpectedAnswer
from .problem import Problem
from .problems import *  # noqa: F403
from .retry import Retry
from .webhook import WebhookInvalid, verify_webhook

__all__ = ["AsyncDesk", "Desk", "FileKeyStore", "KeyStore", "KeyStoreError", "NumberdeskError", "Operation", "Problem"]
__all__ += ["RentUnfinished", "Retry", "TokenError", "UnexpectedAnswer", "Unreachable", "WebhookInvalid"]
__all__ += ["new_key", "verify_webhook"]
