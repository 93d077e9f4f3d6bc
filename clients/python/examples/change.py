"""Changes the label of the number on the command line, unless somebody changed the number since it was read."""

import os
import sys

from numberdesk import Desk, PreconditionFailed
from numberdesk.api import get_phone_number, update_phone_number
from numberdesk.models import PhoneNumberPatch

with Desk(os.environ["API"], lambda: os.environ["ALICE"]) as desk:
    read = get_phone_number(sys.argv[1])
    response = desk.send(read)  # the response, for its headers; `desk.call(read)` returns the number alone
    number = read.parse(response)
    patch = PhoneNumberPatch(label=sys.argv[2])
    try:
        changed = desk.call(update_phone_number(number.id, body=patch, if_match=response.headers["etag"]))
    except PreconditionFailed:
        sys.exit("somebody was faster; read the number again")
    print(number.label, "->", changed.label)
