"""What processes need before they are ready: data directory, signing key, problems, Redis, metrics.

Every failure is a `ServeError`: a sentence and a hint.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from subcli.judge import Problem, ProblemError, load_problems
from subcli.server.settings import ServeError
from subcli.shared.secret import Secret

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from subcli.server.observe.metrics import Metrics

SHORTEST: Final = 32
"""Bytes. A key shorter than the hash's output weakens HS256 (RFC 7518, section 3.2)."""
_FILE: Final = "signing.key"
_RANDOM_BYTES: Final = 48


def make_data_dir(path: Path) -> None:
    """Make the data directory if it is not there, readable by its owner only.

    Raises:
        ServeError: it cannot be made or written.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = path / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ServeError(
            f"The data directory {path} cannot be written: {error.strerror}.", "Name another one."
        ) from error


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
    mine = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
    descriptor = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_urlsafe(_RANDOM_BYTES).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(mine, path)
    finally:
        mine.unlink()


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


def find_problems(directory: Path | None) -> Mapping[str, Problem]:
    """The bundled problems and those in `directory`, by slug.

    Raises:
        ServeError: one cannot be used.
    """
    try:
        return load_problems(directory)
    except ProblemError as error:
        raise ServeError(f"A problem cannot be used: {error}.", "Correct it, then start again.") from error


def find_redis(url: str | None) -> Redis | None:
    """A client for the Redis at `url`, which need not be there yet.

    Raises:
        ServeError: the URL names no Redis.
    """
    if url is None:
        return None
    # Not imported for a server that is alone.
    from subcli.server.redis.connection import connect

    return connect(url)


def show_metrics(metrics: Metrics, host: str, port: int) -> Callable[[], None]:
    """Answer with the metrics at this address, until what is returned is called.

    Raises:
        ServeError: the address cannot be listened on.
    """
    try:
        return metrics.serve(host, port)
    except OSError as error:
        raise ServeError(
            f"Metrics cannot be shown at {host}:{port}: {error.strerror}.", "Name another --metrics-address."
        ) from error
