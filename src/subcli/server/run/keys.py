"""The key that signs the tokens: one for each data directory, or given by the operator."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from subcli.server.settings import ServeError
from subcli.shared.files import write_atomically
from subcli.shared.secret import Secret

SHORTEST: Final = 32
"""Bytes. A key shorter than the hash's output weakens HS256 (RFC 7518, section 3.2)."""
_FILE: Final = "signing.key"
_RANDOM_BYTES: Final = 48


def signing_key(data_dir: Path, given: Secret | None) -> bytes:
    """The key that the operator gave, or the one in the data directory, which is made if it is not there.

    Raises:
        ServeError: it is too short, can be read by others, or cannot be read or made.
    """
    if given is not None:
        return _long_enough(given.reveal().encode("utf-8", "surrogateescape"), "SUBCLI_SECRET_KEY")
    path = data_dir / _FILE
    try:
        if not path.exists():
            _make(path)
        return _long_enough(_read(path), str(path))
    except OSError as error:
        raise ServeError(
            f"The signing key {path} cannot be used: {error.strerror}.",
            "Let this user read and write it, or give another one in SUBCLI_SECRET_KEY.",
        ) from error


def _make(path: Path) -> None:
    """Write a new key, whole or not at all; where another process is quicker, its key stays."""
    key = secrets.token_urlsafe(_RANDOM_BYTES).encode() + b"\n"
    with suppress(FileExistsError):
        write_atomically(path, key, mode=0o600, durable=True, replace=False)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise ServeError(f"The signing key {path} can be read by others.", f"Forbid it: chmod 600 {path}.")
        return file.read().strip()


def _long_enough(key: bytes, where: str) -> bytes:
    if len(key) < SHORTEST:
        raise ServeError(
            f"The signing key in {where} has {len(key)} bytes; it needs {SHORTEST} or more.",
            "Make one: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'.",
        )
    return key
