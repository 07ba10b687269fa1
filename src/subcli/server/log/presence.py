"""Which processes judge for others, in the database: so a gateway can say when nobody does.

An idle worker takes nothing from the queue and leaves no other trace. It writes one row every few seconds; the
only process on a database writes none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine, delete, func, insert, select, update

from subcli.server.log.database import reading
from subcli.server.log.tables import workers

_FORGET_S: Final = 86_400.0
"""How long the row of a worker that vanished is kept."""


@dataclass(frozen=True, slots=True)
class Present:
    """The workers that have told lately that they are there.

    Attributes:
        workers: how many there are.
        slots: how many submissions they judge at the same time, those out of service not counted.
    """

    workers: int
    slots: int


class Presence:
    """Who is there. The methods block.

    Args:
        engine: a database with the schema of `subcli.server.log.tables`.
        clock: Unix time in seconds.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._read = reading(engine)
        self._write = engine
        self._clock = clock

    def tell(self, name: str, slots: int) -> None:
        """Record that a worker is there.

        Args:
            slots: how many submissions it judges at the same time; 0 while it is out of service.
        """
        now = self._clock()
        with self._write.begin() as connection:
            told = update(workers).where(workers.c.name == name).values(seen_at=now, slots=slots)
            if not connection.execute(told).rowcount:
                connection.execute(insert(workers).values(name=name, seen_at=now, slots=slots))
                connection.execute(delete(workers).where(workers.c.seen_at < now - _FORGET_S))

    def end(self, name: str) -> None:
        """Record that a worker has stopped."""
        with self._write.begin() as connection:
            connection.execute(delete(workers).where(workers.c.name == name))

    def present(self, within_s: float) -> Present:
        """Return who has told so within the last so many seconds."""
        counted = select(func.count(), func.coalesce(func.sum(workers.c.slots), 0))
        with self._read.begin() as connection:
            row = connection.execute(counted.where(workers.c.seen_at > self._clock() - within_s)).one()
        return Present(int(row[0]), int(row[1]))
