"""Keyring backends for the tests, registered through the library's API: one that works, and one for each failure."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError


class FileKeyring(KeyringBackend):
    """Works, and is shared among processes: entries in the file that SUBCLI_TEST_KEYRING names."""

    priority = 1.0
    name = "test keyring"

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def _path(self) -> Path:
        return Path(os.environ["SUBCLI_TEST_KEYRING"])

    def _read(self) -> dict[str, str]:
        entries: dict[str, str] = json.loads(self._path.read_text()) if self._path.exists() else {}
        return entries

    def _write(self, entries: dict[str, str]) -> None:
        fresh = self._path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(entries))
        fresh.replace(self._path)

    def get_password(self, service: str, username: str) -> str | None:
        return self._read().get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._write({**self._read(), f"{service} {username}": password})

    def delete_password(self, service: str, username: str) -> None:
        entries = self._read()
        if entries.pop(f"{service} {username}", None) is None:
            raise PasswordDeleteError("not there")
        self._write(entries)


class HangingKeyring(FileKeyring):
    """Waits for a bus that nobody answers."""

    def get_password(self, service: str, username: str) -> str | None:
        time.sleep(3600)
        return None

    def set_password(self, service: str, username: str, password: str) -> None:
        time.sleep(3600)


class RaisingKeyring(FileKeyring):
    """Fails, and puts what it was given into its text."""

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked(f"cannot read {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise KeyringLocked(f"cannot write {password}")


class ForgetfulKeyring(FileKeyring):
    """Takes everything and keeps nothing, as a collection does that was never unlocked."""

    def get_password(self, service: str, username: str) -> str | None:
        return None

    def set_password(self, service: str, username: str, password: str) -> None:
        return None
