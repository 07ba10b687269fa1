"""The space that is left where the server writes.

A database that finds no space loses verdicts, and a machine whose disk is full is hard to rescue. So a server stops
accepting submissions while there is still space for the events of those that it has. With SQLite this is the file
system of the database, otherwise that of the data directory: where PostgreSQL writes, only its host knows.
"""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from subcli.server.observe.fresh import Fresh

_log: Final = logging.getLogger(__name__)
_FRESH_S: Final = 1.0
RETRY_AFTER_S: Final = 60
"""When a client whose submission was refused is to try again: somebody has to make space first."""


class LowSpaceError(Exception):
    """There is too little space to accept a submission. The text says how much."""


class Disk:
    """The file system on which a directory is.

    Args:
        directory: None if nothing is known to watch; there is always enough then.
        least_percent: the share that has to be free.
    """

    def __init__(self, directory: Path | None, least_percent: int) -> None:
        self.directory = directory
        self._least = least_percent
        self._looked: Fresh[float] = Fresh(self._look, _FRESH_S)
        self._was_low = False

    def free_ratio(self) -> float:
        """Return the share of the space that is free for the server, from 0 to 1.

        Raises:
            OSError: the file system does not say.
        """
        if self.directory is None:
            return 1.0
        found = os.statvfs(self.directory)
        # As `df` counts: what is reserved for root is neither used nor free. Some file systems have no size.
        size = found.f_blocks - found.f_bfree + found.f_bavail
        return found.f_bavail / size if size else 1.0

    async def complaint(self) -> str:
        """Return what is wrong, in words without paths; empty if there is enough space, or nobody can tell."""
        try:
            free = 100 * await self._looked.get()
        except OSError:
            return ""
        is_low = free < self._least
        if is_low != self._was_low:
            self._was_low = is_low
            say = f"submissions are {'refused' if is_low else 'accepted again'}: %.1f %% is free at %s"
            _log.log(logging.ERROR if is_low else logging.WARNING, say, free, self.directory)
        return f"only {free:.1f} % of the disk is free, less than {self._least} %" if is_low else ""

    async def require_space(self) -> None:
        """
        Raises:
            LowSpaceError: there is too little.
        """
        if complaint := await self.complaint():
            raise LowSpaceError(complaint)

    async def _look(self) -> float:
        # In a thread: a file system on the network may hang.
        return await asyncio.to_thread(self.free_ratio)


def directory_of(engine: Engine, data_dir: Path | None) -> Path | None:
    """Return where the space counts: beside SQLite's file, else the data directory, if there is one."""
    if engine.dialect.name == "sqlite":
        path = engine.url.database
        return Path(path).absolute().parent if path and path != ":memory:" else None
    return data_dir
