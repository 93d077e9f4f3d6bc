"""Puts a copy in the place of the SQLite database: the newest one, or the one that an argument names.

`--list` shows the copies. A service that still runs holds the lock beside the database, and the script then ends. The
replaced database stays beside the new one, as numberdesk.db.replaced-TIME."""

import fcntl
import os
import shutil
import sys
import time
from pathlib import Path

DATABASE = Path(os.environ.get("DATABASE", "/var/lib/numberdesk/numberdesk.db"))
BACKUPS = Path(os.environ.get("BACKUPS", "/backups"))


def main():
    copies = sorted(BACKUPS.glob("numberdesk-*.db"))
    if sys.argv[1:] == ["--list"]:
        print("\n".join(copy.name for copy in copies))
        return
    copy = BACKUPS / Path(sys.argv[1]).name if sys.argv[1:] else copies[-1] if copies else None
    if copy not in copies:
        raise SystemExit(f"{BACKUPS} has no copy {copy.name if copy else ''}; --list shows all")
    # The lock that `serve` takes. It must be held until the end, so the file stays open.
    lock = os.open(beside(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(f"a process uses {DATABASE}: stop the service first") from None
    print(f"restoring {copy}")
    new = beside(".new")
    new.unlink(missing_ok=True)
    # Only its owner may read it, as the service creates it.
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file, copy.open("rb") as source:
        shutil.copyfileobj(source, file)
        file.flush()
        os.fsync(file.fileno())
    replaced = free_name(f".replaced-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    for ending in ("", "-wal", "-shm"):  # an old log must not be beside a new database
        if beside(ending).exists():
            beside(ending).rename(f"{replaced}{ending}")
    new.rename(DATABASE)
    print(f"restored; the replaced database is {replaced}")


def beside(ending):
    return DATABASE.with_name(DATABASE.name + ending)


def free_name(ending):
    """Returns a name that no file has, so that a second restore keeps what the first one replaced."""
    names = (beside(ending + more) for more in ["", *(f"-{count}" for count in range(2, 1000))])
    return next(name for name in names if not name.exists())


if __name__ == "__main__":
    main()
