"""Whether anybody judges: this process, or workers elsewhere that tell so in the database."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from subcli.server.jobs.service import Service
from subcli.server.log.store import Store
from subcli.server.observe.fresh import Fresh
from subcli.server.settings import ServerLimits

_log: Final = logging.getLogger(__name__)
_FRESH_S: Final = 2.0
_MISSED: Final = 3.5
"""After so many intervals without a sign of life, a worker is not there."""


@dataclass(frozen=True, slots=True)
class Judging:
    """Whether anybody judges.

    Attributes:
        is_there: False also if all that are there are out of service.
        words: what operators read, without paths.
    """

    is_there: bool
    words: str


class Judges:
    """Everybody who judges for one server.

    Args:
        service: of this process, if it judges.
    """

    def __init__(self, store: Store, service: Service | None, limits: ServerLimits) -> None:
        self._store = store
        self._service = service
        self._within_s = limits.presence_s * _MISSED
        self._elsewhere: Fresh[Judging] = Fresh(self._look_elsewhere, _FRESH_S)

    async def look(self) -> Judging:
        """Return whether anybody judges."""
        if self._service is None:
            return await self._elsewhere.get()
        reason = self._service.reason
        return Judging(not reason, f"out of service: {reason}" if reason else "in service")

    async def _look_elsewhere(self) -> Judging:
        try:
            present = await self._store.run(self._store.presence.present, self._within_s)
            if present.slots:
                return Judging(True, "elsewhere")
            waiting = await self._store.run(self._store.leases.queue_length)
        except SQLAlchemyError as error:
            _log.warning("cannot find out who judges: %s", getattr(error, "orig", error))
            return Judging(True, "unknown")
        why = {
            0: f"no worker was seen for {self._within_s:g} s",
            1: "the only worker is out of service",
        }.get(present.workers, f"all {present.workers} workers are out of service")
        return Judging(
            False, f"by nobody: {why}; {waiting} {'submission waits' if waiting == 1 else 'submissions wait'}"
        )
