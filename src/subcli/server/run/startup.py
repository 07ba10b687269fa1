"""What processes need before they are ready: data directory, signing key, problems, Redis, metrics.

Every failure is a `ServeError`: a sentence and a hint.
"""

from __future__ import annotations

import logging
import os
import resource
import secrets
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from subcli.judge import Problem, ProblemError
from subcli.judge.problem_file import load_valid_problems
from subcli.judge.process.workplace import remove_leftovers
from subcli.judge.sandbox.groups import usable_cores
from subcli.server.edge.crowd import MAX_DESCRIPTORS
from subcli.server.settings import ServeError
from subcli.shared.files import write_atomically
from subcli.shared.secret import Secret

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from subcli.server.observe.metrics import Metrics

_log: Final = logging.getLogger(__name__)
MIN_KEY_BYTES: Final = 32
"""A key shorter than the hash weakens HS256 (RFC 7518, section 3.2)."""
_KEY_FILE: Final = "signing.key"
_KEY_ENTROPY_BYTES: Final = 48


def raise_descriptor_limit() -> None:
    """Raise the soft limit of descriptors, often 1,024, as far as the hard one allows and is of use."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def make_data_dir(path: Path) -> None:
    """Create the data directory if it does not exist, accessible only to its owner.

    Raises:
        ServeError: it cannot be created or written to.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = path / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ServeError(
            f"Cannot write to the data directory {path}: {error.strerror}.", "Choose another one."
        ) from error


def signing_key(data_dir: Path, given: Secret | None) -> bytes:
    """The key that signs tokens: the operator's, or the one in the data directory, which is created if missing.

    Raises:
        ServeError: the key is too short, is readable by others, or cannot be read or created.
    """
    if given is not None:
        return _checked(given.reveal().encode("utf-8", "surrogateescape"), "SUBCLI_SECRET_KEY")
    path = data_dir / _KEY_FILE
    try:
        if not path.exists():
            _create_key(path)
        return _checked(_read_key(path), str(path))
    except OSError as error:
        raise ServeError(
            f"Cannot use the signing key {path}: {error.strerror}.",
            "Make it readable and writable for this user, or set SUBCLI_SECRET_KEY.",
        ) from error


def _create_key(path: Path) -> None:
    """Create a key atomically. If another process does so at the same time, the first key stays."""
    key = secrets.token_urlsafe(_KEY_ENTROPY_BYTES).encode() + b"\n"
    with suppress(FileExistsError):
        write_atomically(path, key, mode=0o600, durable=True, replace=False)


def _read_key(path: Path) -> bytes:
    with path.open("rb") as file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise ServeError(f"The signing key {path} is readable by others.", f"Run: chmod 600 {path}.")
        return file.read().strip()


def _checked(key: bytes, source: str) -> bytes:
    if len(key) < MIN_KEY_BYTES:
        raise ServeError(
            f"The signing key in {source} has {len(key)} bytes; it needs at least {MIN_KEY_BYTES}.",
            "Generate one: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'.",
        )
    return key


def load_all_problems(directory: Path | None) -> Mapping[str, Problem]:
    """Load the bundled problems and those in `directory`. Returns them by slug.

    One author's mistake does not stop the server: a problem that is not valid is left out and named in the log.

    Raises:
        ServeError: there is no such directory.
    """
    try:
        problems, broken = load_valid_problems(directory)
    except ProblemError as error:
        raise ServeError(f"Cannot load the problems: {error}.", "Check the directory given to --problems.") from error
    for complaint in broken:
        _log.warning("a problem is left out until it is fixed and this process restarted: %s", complaint)
    return problems


def clear_temporary_directory() -> None:
    """Remove what judges that were killed together with their supervisors have left."""
    if removed := remove_leftovers():
        _log.warning("directories of killed judges removed from the temporary directory: %d", removed)


def warn_of_concurrency(concurrency: int) -> None:
    """Say so if submissions that are judged at the same time have to share processors."""
    cores = usable_cores()
    if concurrency > cores:
        _log.warning(
            "--concurrency %d is more than the %d %s that this process may use: submissions take longer, and time-outs "
            "are judged again alone",
            *(concurrency, cores, "core" if cores == 1 else "cores"),
        )


def connect_redis(url: str | None) -> Redis | None:
    """A client for the Redis at `url`, which need not be running yet. None without a URL.

    Raises:
        ServeError: the URL is not valid.
    """
    if url is None:
        return None
    # Imported only where it is needed.
    from subcli.server.redis.connection import connect

    return connect(url)


def serve_metrics(metrics: Metrics, host: str, port: int) -> Callable[[], None]:
    """Serve metrics at an address of their own.

    Returns:
        A function that stops serving them.

    Raises:
        ServeError: the server cannot listen on this address.
    """
    try:
        return metrics.serve(host, port)
    except OSError as error:
        raise ServeError(
            f"Cannot serve metrics on {host}:{port}: {error.strerror}.", "Choose another --metrics-address."
        ) from error
