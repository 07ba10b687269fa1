"""What processes need before they are ready: data directory, signing key, problems, judge, Redis, metrics.

Every failure is a `ServeError`: a sentence and a hint.
"""

from __future__ import annotations

import logging
import os
import resource
import secrets
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from subcli.judge import Problem, ProblemError
from subcli.judge.process.workplace import remove_leftovers
from subcli.judge.sandbox import Sandbox
from subcli.judge.sandbox.groups import usable_cores
from subcli.judge.shelf import Shelf, problem_shelf
from subcli.server.edge.crowd import MAX_DESCRIPTORS
from subcli.server.jobs.judging import Judge
from subcli.server.jobs.sandboxing import sandboxed_judge
from subcli.server.jobs.service import Service, service_of
from subcli.server.settings import ServeError, ServerSettings, WorkerSettings
from subcli.shared.files import write_atomically
from subcli.shared.secret import Secret

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from subcli.server.observe.metrics import Metrics

_log: Final = logging.getLogger(__name__)
MIN_KEY_BYTES: Final = 32
"""A key shorter than the hash weakens HS256 (RFC 7518, section 3.2)."""
_KEY_FILE: Final = "signing.key"
_ACCEPTED_KEY_FILE: Final = "accepted.key"
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


def accepted_key(data_dir: Path, given: Secret | None) -> bytes | None:
    """The key whose signatures are accepted as well, if there is one: the operator's, or the one in the data directory.

    Raises:
        ServeError: the key is too short, is readable by others, or cannot be read.
    """
    if given is not None:
        return _checked(given.reveal().encode("utf-8", "surrogateescape"), "SUBCLI_ACCEPTED_KEY")
    path = data_dir / _ACCEPTED_KEY_FILE
    try:
        return _checked(_read_key(path), str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ServeError(f"Cannot read the key {path}: {error.strerror}.", "Make it readable for this user.") from error


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


@contextmanager
def copied_problems(directory: Path | None, parent: Path | None, languages: Path | None = None) -> Iterator[Shelf]:
    """A shelf of the bundled problems and of those in `directory`, for as long as the process runs.

    One author's mistake does not stop the server: a problem that is not valid is left out and named in the log.

    Args:
        directory: the operator's problems.
        parent: where the copy is made; default: the temporary directory.
        languages: the operator's file of languages; default: the one in `directory`, if there is one.

    Raises:
        ServeError: there is no such directory, or the copy cannot be made.
    """
    clear_leftovers(parent)
    with ExitStack() as stack:
        try:
            shelf = stack.enter_context(problem_shelf(directory, parent, languages))
        except ProblemError as error:
            hint = "Check --problems and --languages."
            raise ServeError(f"Cannot load the problems: {error}.", hint) from error
        except OSError as error:
            where = parent or tempfile.gettempdir()
            hint = "It needs as much space as the problems; choose another place with --data-dir."
            raise ServeError(f"Cannot copy the problems to {where}: {error.strerror}.", hint) from error
        for complaint in shelf.broken:
            _log.warning("a problem is left out until it is fixed: %s", complaint)
        for remark in shelf.remarks:
            _log.warning("of the problems, %s", remark)
        yield shelf


def prepare_judge(
    settings: ServerSettings | WorkerSettings,
    problems: Mapping[str, Problem],
    judge: Judge | None,
    *,
    for_others: bool,
    data_dir: Path,
) -> tuple[Service | None, tuple[str, ...]]:
    """What judges submissions in this process; the temporary directory is cleared of what killed judges left in it.

    Args:
        judge: one that needs no sandbox; None for the real one, in the sandbox that the settings ask for.
        for_others: whether other people submit code.
        data_dir: the server's data, or the worker's copy of the problems; hidden from solutions.

    Returns:
        the service, None if other processes judge; and sentences on what its sandbox does and does not protect from.

    Raises:
        ServeError: there is no such sandbox here.
    """
    concurrency, limits = settings.concurrency, settings.limits
    if not concurrency:
        return None, ("judged by workers elsewhere",) if judge is None else ()
    if judge is not None:
        return service_of(judge, problems, concurrency, limits), ()
    clear_leftovers()
    _warn_of_concurrency(concurrency)
    judge, choice = sandboxed_judge(
        settings.sandbox,
        for_others=for_others,
        concurrency=concurrency,
        data_dir=data_dir,
        problems_dir=settings.problems_dir,
        readable=settings.sandbox_read,
    )
    # On one's own machine, the programs of a language are enough.
    tries_languages = for_others or choice.name is Sandbox.BWRAP
    service = service_of(judge, problems, concurrency, limits, tries_languages=tries_languages)
    return service, tuple(finding.text for finding in choice.findings)


def clear_leftovers(directory: Path | None = None) -> None:
    """Remove what killed processes have left in a directory; default: the temporary directory."""
    if removed := remove_leftovers(directory):
        where = directory or "the temporary directory"
        _log.warning("directories of killed processes removed from %s: %d", where, removed)


def _warn_of_concurrency(concurrency: int) -> None:
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
