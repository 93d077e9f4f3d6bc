"""Prints events as they happen; run it again, and it goes on after the last one that it has handled."""

import os
import sys
from pathlib import Path

from numberdesk import Desk, InvalidRequest
from numberdesk.api import get_order

bookmark = Path(os.environ.get("BOOKMARK", "last-event"))
after = bookmark.read_text() if bookmark.exists() else None
with Desk(os.environ["API"], lambda: os.environ["ALICE"]) as desk:
    print("following", flush=True)
    try:
        for event in desk.stream(after=after, types="order.fulfilled"):
            order = desk.call(get_order(event.data["order_id"]))
            print(event.id, order.phone_number.number if order.phone_number else "", flush=True)
            bookmark.write_text(event.id)
    except InvalidRequest as error:
        if after is None:
            raise
        # Events are kept for a while only. What happened in between is in the lists of orders and numbers.
        sys.exit(f"{error}\nRead orders and numbers once, delete {bookmark}, and run this again.")
