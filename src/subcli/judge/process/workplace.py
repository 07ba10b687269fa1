"""Directories in which submissions are judged or problems are kept, and what a killed process left of them.

A judge removes its directory itself, and so does its supervisor if the judge dies. Only if both are killed does it
stay, and the next start removes it. Each directory has a marker, a file on which the judge and its supervisor hold a
lock for as long as one of them lives. Nothing is removed that is not, beyond doubt, such a directory of this user on
this machine whose lock nobody holds. The copies of problems that servers make are kept in the same way.
"""

from __future__ import annotations

import fcntl
import logging
import os
import platform
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from subcli.judge.process.removal import mounted_below, remove_tree

_NAME: Final = re.compile(r"subcli-(?:judge|problems)-[a-z0-9_]{8}")
"""What `tempfile.mkdtemp` makes of a prefix."""
_MARKER: Final = "marker"
_TEXT_BYTES: Final = 1024
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class Workplace:
    """A directory for one submission, or for a copy of problems.

    Attributes:
        path: the directory.
        lock: the descriptor that holds the lock; a process that inherits it holds the lock as well.
    """

    path: Path
    lock: int


@contextmanager
def workplace(purpose: Literal["judge", "problems"] = "judge", parent: Path | None = None) -> Iterator[Workplace]:
    """A new directory that only this user can read, removed at the end.

    Args:
        purpose: what it is for; part of its name.
        parent: where it is made; default: the temporary directory.

    Raises:
        OSError: it cannot be made.
    """
    base = Path(tempfile.mkdtemp(prefix=f"subcli-{purpose}-", dir=parent))
    try:
        lock = _mark(base)
    except BaseException:
        remove_tree(base)
        raise
    try:
        yield Workplace(base, lock)
    finally:
        # Before the lock goes: another start must not find a directory that is being removed.
        remove_workplace(base)
        os.close(lock)


def remove_workplace(base: Path) -> None:
    """Remove the directory and all that is in it, the marker last: who is killed meanwhile leaves a marked one."""
    if mounted_below(base) is None:
        with suppress(OSError):
            for entry in list(os.scandir(base)):
                if entry.is_dir(follow_symlinks=False):
                    remove_tree(Path(entry.path))
    # This also says what it does not remove because something is mounted there.
    remove_tree(base)


def _mark(base: Path) -> int:
    """Put a marker into the directory. It is locked before it gets its name."""
    draft = base / f"{_MARKER}.new"
    lock = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(lock, _text(base))
        draft.rename(base / _MARKER)
    except OSError as error:
        # The file system knows no locks, or is full. Without a marker nobody ever takes the directory for a leftover.
        _log.debug("%s is not marked: %s", base, error)
        draft.unlink(missing_ok=True)
    return lock


def _text(base: Path) -> bytes:
    """What the marker of this very directory says: copied or moved elsewhere, it means nothing."""
    # Two machines that share a directory do not see each other's locks.
    return f"subcli judge 1\n{base}\n{platform.node()}\n".encode()


def remove_leftovers(directory: Path | None = None) -> int:
    """Remove the directories of processes that were killed.

    Args:
        directory: where they are; default: the temporary directory.

    Returns:
        how many were removed.
    """
    directory = directory or Path(tempfile.gettempdir())
    removed = 0
    try:
        if _is_open_to_renaming(directory):
            return 0
        names = [name for name in os.listdir(directory) if _NAME.fullmatch(name)]
    except OSError as error:
        _log.warning("leftovers of earlier runs cannot be looked for in %s: %s", directory, error.strerror)
        return 0
    for name in sorted(names):
        with suppress(OSError):
            removed += _remove_if_left(directory / name)
    return removed


def _is_open_to_renaming(directory: Path) -> bool:
    """Whether others could put something else in the place of our directories, between a look and a removal."""
    mode = directory.stat().st_mode
    return bool(mode & (stat.S_IWGRP | stat.S_IWOTH)) and not mode & stat.S_ISVTX


def _remove_if_left(base: Path) -> bool:
    """Remove a directory if it was left by a process that is dead.

    Raises:
        OSError: it is not such a directory, or somebody lives in it.
    """
    here = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not _is_own(os.fstat(here), stat.S_IFDIR):
            return False
        lock = os.open(_MARKER, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=here)
        try:
            marker = os.fstat(lock)
            if not _is_own(marker, stat.S_IFREG) or marker.st_nlink != 1:
                return False
            if os.read(lock, _TEXT_BYTES) != _text(base):
                return False
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held the lock may just have removed the directory, and its name may be another's by now.
            there, here_now = os.lstat(base), os.fstat(here)
            if not os.path.samestat(there, here_now):
                return False
            remove_workplace(base)
        finally:
            os.close(lock)
    finally:
        os.close(here)
    return not base.exists()


def _is_own(found: os.stat_result, kind: int) -> bool:
    return stat.S_IFMT(found.st_mode) == kind and found.st_uid == os.geteuid()
