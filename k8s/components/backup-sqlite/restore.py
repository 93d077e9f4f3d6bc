"""Puts the newest copy in the place of the SQLite database. Stop the service before.

The replaced database stays beside it as numberdesk.db.replaced."""

import os
import shutil
from pathlib import Path

DATABASE = Path(os.environ.get("DATABASE", "/var/lib/numberdesk/numberdesk.db"))
BACKUPS = Path(os.environ.get("BACKUPS", "/backups"))


def main():
    copies = sorted(BACKUPS.glob("numberdesk-*.db"))
    if not copies:
        raise SystemExit(f"{BACKUPS} has no copy")
    print(f"restoring {copies[-1]}")
    new = DATABASE.with_name(f"{DATABASE.name}.new")
    shutil.copyfile(copies[-1], new)
    with new.open("rb") as file:
        os.fsync(file.fileno())
    for ending in ("", "-wal", "-shm"):  # an old log must not be beside a new database
        old = DATABASE.with_name(DATABASE.name + ending)
        if old.exists():
            old.rename(DATABASE.with_name(f"{DATABASE.name}.replaced{ending}"))
    new.rename(DATABASE)
    print("restored")


if __name__ == "__main__":
    main()
