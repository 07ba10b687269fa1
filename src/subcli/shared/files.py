"""Writes files atomically: a reader sees the old content or the new, never half of either.

:func:`exclude_others` lets only one process at a time read, change and write back a file.

Completion and ``--version`` must stay fast, so nothing slow is imported here.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from subcli.shared.platform import HERE
from subcli.shared.platform.files import Files

_NEW_FILE_MODE: Final = 0o666
_LOCK_POLL_S: Final = 0.02
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL
"""O_EXCL: never through a link that somebody else put into a shared directory."""
_NOT_IN_DIRECTORY: Final = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EXDEV)
"""The directory cannot be written, or the file in it cannot be replaced; the file itself may be writable."""


def write_atomically(
    path: Path,
    data: bytes,
    *,
    mode: int | None = None,
    durable: bool = False,
    replace: bool = True,
    files: Files | None = None,
) -> None:
    """Write ``data`` to a temporary file beside ``path``, then rename that to ``path``.

    A symbolic link is followed: the link stays, and the file that it leads to is replaced. If it cannot be renamed, the
    file is overwritten in place: it is a mount point (containers mount single files), or, unless it is a secret, only
    the file can be written and not its directory.

    Args:
        path: the file. Its directory must exist.
        data: the whole content.
        mode: the permissions, before the process's umask takes some away. By default those of the file that is
            replaced, or ``0o666`` for a new one. Secrets need ``0o600``; the temporary file has that from the start.
        durable: wait until the file is on the disk, so that it survives a power failure. It takes milliseconds.
        replace: whether a file that exists is replaced.
        files: those of the system; by default this machine's.

    Raises:
        FileExistsError: the file exists and ``replace`` is false.
        OSError: the file cannot be written. The old content is still there, and no temporary file is left.
    """
    target = os.path.realpath(path)
    try:
        _write_beside(target, data, files or HERE.files, mode=mode, durable=durable, replace=replace)
    except OSError as error:
        # Never write a secret to a file that somebody else may have put into their own directory.
        in_place = error.errno == errno.EBUSY or (error.errno in _NOT_IN_DIRECTORY and mode is None)
        if not (in_place and replace and os.path.isfile(target)):
            raise
        _overwrite(target, data, durable=durable)


@contextlib.contextmanager
def new_file(path: Path, *, mode: int) -> Iterator[Path]:
    """A temporary file beside ``path``, which becomes ``path`` at the end of the context.

    It is for what is too large for memory.
    Then it is on the disk. If the context raises, nothing is left. A file that exists is never replaced.

    Args:
        path: the file. Its directory must exist.
        mode: the permissions, from the start.

    Raises:
        FileExistsError: there is such a file, at the beginning or at the end.
        OSError: the file cannot be written.
    """
    target = os.path.realpath(path)
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    temporary = _temporary_beside(target)
    os.close(os.open(temporary, _NEW, mode))
    try:
        yield Path(temporary)
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        HERE.files.move(temporary, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    HERE.files.sync_directory(os.path.dirname(target))


def check_writable(path: Path) -> None:
    """Find out whether :func:`write_atomically` will be able to write ``path``, by trying.

    The file keeps its content; one that does not exist is not created.

    Raises:
        OSError: it will not.
    """
    target = os.path.realpath(path)
    if os.path.exists(target):
        # Replacing needs the directory, overwriting only the file; the latter suffices.
        os.close(os.open(target, os.O_WRONLY | os.O_APPEND))
    else:
        probe = _temporary_beside(target)
        os.close(os.open(probe, _NEW, 0o600))
        os.unlink(probe)


@contextlib.contextmanager
def exclude_others(lock: Path, timeout_s: float) -> Iterator[None]:
    """In this context no other process that asks for the same lock changes a file between our reading and our writing.

    If the lock cannot be acquired in time, or one process keeps it, continue without it: a lost change is better than a
    command that hangs. While others hold it in turn, each for a moment, wait.

    Args:
        lock: the lock's file, which stays. Its directory must exist.
        timeout_s: how long one process may keep it, in seconds.
    """
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError, NotImplementedError):
            _wait_for_turn(lock, timeout_s, held)
            os.utime(lock)  # tells the others that it is passed on
        yield


def _wait_for_turn(lock: Path, timeout_s: float, held: contextlib.ExitStack) -> None:
    from filelock import FileLock, Timeout  # takes up to 100 ms to import

    turn = FileLock(lock, timeout_s, poll_interval=_LOCK_POLL_S, preserve_lock_file=True, fallback_to_soft=False)
    while True:
        before = _last_turn(lock)
        try:
            held.enter_context(turn)
            return
        except Timeout:
            if _last_turn(lock) == before:
                raise


def _last_turn(lock: Path) -> int:
    """When somebody last got the lock, by the clock of its file system."""
    try:
        return os.stat(lock).st_mtime_ns
    except FileNotFoundError:
        return 0


def expand_user(path: str | os.PathLike[str]) -> Path:
    """``path`` with ``~`` and ``~user`` expanded: shells do not expand it in ``--option=~/file`` and in variables."""
    return Path(os.path.expanduser(path))


def _write_beside(target: str, data: bytes, files: Files, *, mode: int | None, durable: bool, replace: bool) -> None:
    """Write a temporary file and rename it."""
    temporary = _temporary_beside(target)
    kept_mode = _mode_of(target) if mode is None else None
    descriptor = os.open(temporary, _NEW, mode or kept_mode or _NEW_FILE_MODE)
    try:
        with open(descriptor, "wb") as file:
            if kept_mode is not None:
                os.chmod(temporary, kept_mode)  # what the umask took away
            elif mode is not None and not mode & 0o077:
                files.make_private(temporary)
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        if replace:
            files.replace(temporary, target)
        else:
            files.move(temporary, target)
    finally:
        # After a rename it is no longer there.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    if durable:
        files.sync_directory(os.path.dirname(target))


def _temporary_beside(target: str) -> str:
    directory, name = os.path.split(target)
    # The name is cut so that it stays within the 255 bytes of a file name.
    return os.path.join(directory, f".{name[:40]}.{os.urandom(6).hex()}.tmp")


def _overwrite(path: str, data: bytes, *, durable: bool) -> None:
    with open(path, "r+b") as file:
        file.write(data)
        file.truncate()
        if durable:
            file.flush()
            os.fsync(file.fileno())


def _mode_of(path: str) -> int | None:
    try:
        return os.stat(path).st_mode & 0o777
    except FileNotFoundError:
        return None
