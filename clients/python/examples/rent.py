"""Rents one number for each name on the command line; run it again after a crash, and nothing is rented twice.

Needs API and ALICE, the address and a token: `. .dev/env` of `numberdesk dev` sets both; `export` passes them on."""

import os
import sys

from numberdesk import Desk, FileKeyStore, NotRented, PolicyDenied, RentUnfinished
from numberdesk.models import OrderRequest


def get_token() -> str:
    """In your app: ask your identity provider. The client calls this again before the token expires."""
    return os.environ["ALICE"]


keys = FileKeyStore(os.environ.get("KEY_FOLDER", "numberdesk-keys"))
with Desk(os.environ["API"], get_token, keys=keys) as desk:
    for name in sys.argv[1:]:
        try:
            order = desk.rent(OrderRequest(country="DE", carrier_type="local", label=name), name=name)
        except PolicyDenied as error:
            sys.exit(f"{error.decision.rule}: {error.decision.hint}")
        except NotRented:
            keys.forget(name)  # certain: no number; the next run orders again
            sys.exit(f"{name}: Close did not rent; run this again")
        except RentUnfinished as error:
            sys.exit(f"{name}: not finished, run this again later ({error})")
        assert order.phone_number
        print(name, order.phone_number.number)
