"""Idempotency keys that survive a restart of the process."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import uuid
from collections.abc import Awaitable
from pathlib import Path
from typing import Protocol

from .error import KeyStoreError


class KeyStore(Protocol):
    """Remembers the key of each number that the application wants, under a name that the application chooses.

    `AsyncDesk` takes a store whose methods are async, too. A table of your own database is a good store: a row for
    each name, inserted and committed before `key` returns, and unique, so that two processes get the same key."""

    def key(self, name: str) -> str | Awaitable[str]:
        """Returns the key of a name. Without one, makes it and stores it durably *before* it returns."""

    def forget(self, name: str) -> Awaitable[None] | None:
        """Forgets the key of a name, so that the next rent under this name is another order."""


def new_key() -> str:
    """Returns an idempotency key that nobody has used."""
    return str(uuid.uuid4())


class FileKeyStore:
    """A folder with a file for each name. Processes and threads may share it; it must be on a durable disk."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def key(self, name: str) -> str:
        """Returns the key of a name; a new one is on disk before it returns."""
        path = self._path(name)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                self._create(path, name)
            self._sync()  # also for a file of another process, which may not have come so far
            key = json.loads(path.read_text("utf-8"))["key"]
            if not isinstance(key, str):
                raise ValueError("it is not a text")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise KeyStoreError(f"{path} has no readable key for `{name}`, and none can be stored: {error}") from error
        return key

    def forget(self, name: str) -> None:
        """Forgets the key of a name."""
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.folder / (hashlib.sha256(name.encode()).hexdigest()[:40] + ".json")

    def _create(self, path: Path, name: str) -> None:
        """Writes the whole file first and names it last, so that no reader and no crash meets half of it."""
        with tempfile.NamedTemporaryFile("w", dir=self.folder, suffix=".tmp", encoding="utf-8") as file:
            json.dump({"name": name, "key": new_key()}, file)
            file.flush()
            os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):  # another process was faster: its key counts
                os.link(file.name, path)

    def _sync(self) -> None:
        """Makes the names of the files durable. Windows does this by itself, and does not open a folder."""
        if os.name == "nt":
            return
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
