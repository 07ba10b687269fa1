"""Where a server keeps what is its own: the database, unless another is named, and the signing key."""

from __future__ import annotations

import os
from pathlib import Path

from subcli.server.settings import ServeError


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
