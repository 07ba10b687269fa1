"""Packs the logs of submissions that ended some time ago: a job that every process has, in small steps.

A step reads and compresses without a lock, and then moves a few logs in one short transaction. Several processes may
do this at once, each with other submissions. Nothing is packed within the same time of a change of the schema, because
an older server that still runs beside this one looks for events in their own rows only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, Row, delete, func, insert, select, update

from subcli.server.log.database import reading, shrink
from subcli.server.log.packing import Event, dictionary_of, fits, pack, parts
from subcli.server.log.tables import UNPACKED, events, log_dictionaries, packed_events, schema_changes, submissions

STEP: Final = 25
"""How many logs a step moves."""
_DICTIONARIES: Final = 20
"""How many dictionaries a problem gets, at most: one whose tests have other names each time needs no more."""
_FREED_PAGES: Final = 250
"""How many pages of SQLite's file are given back at once: at 4 KiB, a megabyte."""
_TO_PACK: Final = select(submissions.c.id, submissions.c.problem, submissions.c.last_seq, submissions.c.epoch).where(
    UNPACKED
)


class _Packed(NamedTuple):
    """A log that is to be stored in place of its events: its end and its name, which tells it from a later run's."""

    submission_id: int
    end: tuple[int, str | None]
    rows: Sequence[dict[str, Any]]


class Packer:
    """Moves logs. The methods block.

    Args:
        engine: a database with the schema of `subcli.server.log.tables`.
        clock: Unix time in seconds.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._read = reading(engine)
        self._write = engine
        self._clock = clock

    def pack_some(self, older_than_s: float, limit: int = STEP) -> int:
        """Pack the logs of some submissions that ended at least so many seconds ago, oldest first.

        Returns:
            how many were looked at: 0 if there are none at the moment.
        """
        with self._read.begin() as connection:
            if self._was_upgraded_within(connection, older_than_s):
                return 0
            found = connection.execute(self._due(older_than_s).limit(limit)).all()
        packed = [self._pack(row) for row in found]
        if packed:
            with self._write.begin() as connection:
                _store(connection, packed)
        return len(packed)

    def give_back_space(self) -> bool:
        """Let SQLite's file shrink a little, if it can. PostgreSQL does so by itself, as far as it does.

        Returns:
            whether there is more to give back.
        """
        if self._write.dialect.name != "sqlite":
            return False
        with self._read.begin() as connection:
            if connection.exec_driver_sql("PRAGMA auto_vacuum").scalar_one() != _INCREMENTAL:
                return False
            if not connection.exec_driver_sql("PRAGMA freelist_count").scalar_one():
                return False
        shrink(self._write, _FREED_PAGES)
        return True

    def waiting(self, older_than_s: float) -> int:
        """Return how many submissions ended at least so many seconds ago and are not packed."""
        query = select(func.count()).select_from(self._due(older_than_s).order_by(None).subquery())
        with self._read.begin() as connection:
            return int(connection.execute(query).scalar_one())

    def _due(self, older_than_s: float) -> Any:
        ended = submissions.c.finished_at <= self._clock() - older_than_s
        return _TO_PACK.where(ended).order_by(submissions.c.finished_at)

    def _was_upgraded_within(self, connection: Connection, seconds: float) -> bool:
        latest = connection.execute(select(func.max(schema_changes.c.changed_at))).scalar_one()
        return latest is not None and latest > self._clock() - seconds

    def _pack(self, row: Row[int, str, int, str | None]) -> _Packed:
        """Compress a log. It has ended, so it stays as it is."""
        of_row = events.c.submission_id == row.id
        query = select(events.c.seq, events.c.type, events.c.payload).where(of_row).order_by(events.c.seq)
        with self._read.begin() as connection:
            numbered = connection.execute(query).all()
            known = _latest_dictionary(connection, row.problem)
        log: list[Event] = [(kind, payload) for _, kind, payload in numbered]
        if log and (known is None or (not fits(known.words, log) and known.of_problem < _DICTIONARIES)):
            known = self._new_dictionary(row.problem, log, 0 if known is None else known.of_problem)
        rows: list[dict[str, Any]] = []
        for first, run in _runs(numbered):
            for part in parts(run):
                assert known is not None
                place = {"submission_id": row.id, "first_seq": first, "last_seq": first + len(part) - 1}
                rows.append({**place, "dictionary_id": known.id, "packed": pack(part, known.words)})
                first += len(part)
        return _Packed(row.id, (row.last_seq, row.epoch), rows)

    def _new_dictionary(self, problem: str, log: Sequence[Event], count: int) -> _Dictionary:
        words = dictionary_of(log)
        with self._write.begin() as connection:
            values = {"problem": problem, "created_at": self._clock(), "words": words}
            made = insert(log_dictionaries).values(**values).returning(log_dictionaries.c.id)
            return _Dictionary(connection.execute(made).scalar_one(), words, count + 1)


class _Dictionary(NamedTuple):
    """A dictionary, and how many its problem has."""

    id: int
    words: bytes
    of_problem: int


_INCREMENTAL: Final = 2
"""SQLite's number for `auto_vacuum = INCREMENTAL`."""


def _runs(numbered: Sequence[Row[int, str, str]]) -> Iterator[tuple[int, list[Event]]]:
    """The parts of a log without a hole, each with the number of its first event: one, unless the log is damaged."""
    for _, run in groupby(enumerate(numbered), key=lambda each: each[1].seq - each[0]):
        rows = [row for _, row in run]
        yield rows[0].seq, [(row.type, row.payload) for row in rows]


def _latest_dictionary(connection: Connection, problem: str) -> _Dictionary | None:
    of_problem = log_dictionaries.c.problem == problem
    query = select(log_dictionaries.c.id, log_dictionaries.c.words).where(of_problem)
    row = connection.execute(query.order_by(log_dictionaries.c.id.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    count = connection.execute(select(func.count()).select_from(log_dictionaries).where(of_problem)).scalar_one()
    return _Dictionary(row.id, bytes(row.words), count)


def _store(connection: Connection, packed: Sequence[_Packed]) -> None:
    """Put packed logs in the place of their events, but for those that others have locked, packed or deleted."""
    ids = [each.submission_id for each in packed]
    which = (UNPACKED, submissions.c.id.in_(ids))
    query = select(submissions.c.id, submissions.c.last_seq, submissions.c.epoch).where(*which)
    locked = {row.id: (row.last_seq, row.epoch) for row in connection.execute(query.with_for_update(skip_locked=True))}
    chosen = [each for each in packed if locked.get(each.submission_id) == each.end]
    if not chosen:
        return
    if rows := [row for each in chosen for row in each.rows]:
        connection.execute(insert(packed_events), rows)
    ids = [each.submission_id for each in chosen]
    connection.execute(delete(events).where(events.c.submission_id.in_(ids)))
    connection.execute(update(submissions).where(submissions.c.id.in_(ids)).values(packed=True))
