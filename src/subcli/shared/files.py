"""Writes files as a whole: whoever reads one sees the old content or the new, never half of either.

Completion and ``--version`` must stay fast, so nothing slow is imported here.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

_NEW_FILE_MODE: Final = 0o666


def write_atomically(
    path: Path, data: bytes, *, mode: int | None = None, durable: bool = False, replace: bool = True
) -> None:
    """Write ``data`` to a temporary file beside ``path``, then rename that to ``path``.

    A symbolic link is followed: the link stays, and the file that it leads to is replaced.

    Args:
        path: the file. Its directory must exist.
        data: the whole content.
        mode: the permissions, before the process's umask takes some away. By default those of the file that is
            replaced, or ``0o666`` for a new one. Secrets need ``0o600``; the temporary file has that from the start.
        durable: wait until the file is on the disk, so that it survives a power failure. It takes milliseconds.
        replace: whether a file that exists is replaced.

    Raises:
        FileExistsError: the file exists and ``replace`` is false.
        OSError: the file cannot be written. The old content is still there, and no temporary file is left.
    """
    target = os.path.realpath(path)
    directory, name = os.path.split(target)
    # The name is cut so that it stays within the 255 bytes of a file name.
    temporary = os.path.join(directory, f".{name[:40]}.{os.urandom(6).hex()}.tmp")
    kept_mode = _mode_of(target) if mode is None else None
    # O_EXCL: never through a link that somebody else put into a shared directory.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, mode or kept_mode or _NEW_FILE_MODE)
    try:
        with open(descriptor, "wb") as file:
            if kept_mode is not None:
                os.fchmod(descriptor, kept_mode)  # what the umask took away
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        if replace:
            os.replace(temporary, target)
        else:
            os.link(temporary, target)
    finally:
        # After a rename it is no longer there.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    if durable:
        _sync_directory(directory)


def _mode_of(path: str) -> int | None:
    try:
        return os.stat(path).st_mode & 0o777
    except FileNotFoundError:
        return None


def _sync_directory(directory: str) -> None:
    """Make a rename durable. Not every file system can sync a directory."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
