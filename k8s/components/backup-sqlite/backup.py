"""Copies the SQLite database of a running service: complete, compact and checked before the copy gets its name."""

import os
import sqlite3
import time
from pathlib import Path

DATABASE = Path(os.environ.get("DATABASE", "/var/lib/numberdesk/numberdesk.db"))
BACKUPS = Path(os.environ.get("BACKUPS", "/backups"))
KEPT = int(os.environ.get("KEPT", "72"))  # the newest copies


def main():
    for part in BACKUPS.glob("*.part"):
        part.unlink()
    copy = BACKUPS / time.strftime("numberdesk-%Y%m%dT%H%M%SZ.db", time.gmtime())
    part = copy.with_suffix(".part")
    source = sqlite3.connect(f"file:{DATABASE}?mode=rw", uri=True, timeout=60)
    source.execute("VACUUM INTO ?", [str(part)])
    source.close()
    check = sqlite3.connect(part)
    (result,) = check.execute("PRAGMA integrity_check").fetchone()
    check.close()
    if result != "ok":
        raise SystemExit(f"the copy is not intact: {result}")
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.rename(copy)
    for old in sorted(BACKUPS.glob("numberdesk-*.db"))[:-KEPT]:
        old.unlink()
    print(f"{copy}: {copy.stat().st_size} bytes")


if __name__ == "__main__":
    main()
