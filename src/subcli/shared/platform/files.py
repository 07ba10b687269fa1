"""Who may read a file, how one is replaced, and which names and links there are."""

from __future__ import annotations

import contextlib
import os


class Files:
    """The files of Linux and macOS, where modes say who may read."""

    def make_private(self, path: str) -> None:
        """Let only this user read a file that was created with mode 0600."""

    def exposed(self, path: str) -> str:
        """How to make a file private that other users can read; empty if they cannot.

        Raises:
            OSError: It is not there, or nothing can be found out about it.
        """
        return f"chmod 600 {path}" if os.stat(path).st_mode & 0o077 else ""

    def replace(self, source: str, target: str) -> None:
        """Rename ``source`` to ``target``, which may exist.

        Raises:
            OSError: It cannot be renamed.
        """
        os.replace(source, target)

    def move(self, source: str, target: str) -> None:
        """Rename ``source`` to ``target``, which must not exist; ``source`` may stay as well.

        Raises:
            FileExistsError: There is a ``target``.
            OSError: It cannot be renamed.
        """
        os.link(source, target)

    def sync_directory(self, directory: str) -> None:
        """Make a rename in it durable. Not every file system can sync a directory, and Windows never does."""
        only_directory = getattr(os, "O_DIRECTORY", None)
        if only_directory is None:
            return
        with contextlib.suppress(OSError):
            descriptor = os.open(directory, os.O_RDONLY | only_directory)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def is_link(self, path: str | os.PathLike[str]) -> bool:
        """Whether ``path`` leads elsewhere."""
        return os.path.islink(path)

    def is_name(self, name: str) -> bool:
        """Whether a file in a directory can be called so, and lies in that directory then."""
        return "/" not in name and "\0" not in name

    def open_no_link(self, path: str, flags: int) -> int:
        """Open a file, but no link in its place; an opener for :func:`open`.

        Raises:
            OSError: It is a link, or cannot be opened.
        """
        return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)
