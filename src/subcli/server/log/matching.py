"""Which submissions a feed follows, and their logs, several in one query.

The ids of submissions ascend in the order of their commits: they are given under the lock of the queue, which is held
until the end of the transaction. So a feed that has announced everything up to an id misses nothing that comes later,
whatever becomes of it meanwhile, and a client resumes with one number. With the number goes the name of that
submission's log: after a restored backup the same ids are given again. Only the part of it that all its runs share: a
submission that is judged again is the same.

New runs are numbered in the same way, in `run_numbers`: a second number says which of them have been announced.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, Row, func, select

from subcli.server.log.database import reading
from subcli.server.log.lookup import ENDED, in_group, owned_by, unindexed
from subcli.server.log.records import EventPage, Record, ReplacedError, record
from subcli.server.log.tables import events, run_numbers, submissions
from subcli.shared.protocol import submission_part

_PAGES_BYTES: Final = 512 * 1024
_PAGES_EVENTS: Final = 4000
"""What is read of several logs at once; the rest is read one by one."""
_CURSOR: Final = re.compile(r"([0-9]{1,18})-([0-9a-f]{0,32})\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a feed follows: the submissions that meet all of these.

    Attributes:
        owner_id: whose; None for everybody's.
        problem: to this one, by its slug.
        group: of its members, by the key of its name. Who joins is followed from the next submission on.
    """

    owner_id: int | None
    problem: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far submissions have been announced: the id of the latest that may be, and the name of a log of it."""

    submission_id: int = 0
    epoch: str | None = None

    def __str__(self) -> str:
        return f"{self.submission_id}-{submission_part(self.epoch or '')}"

    @staticmethod
    def of(text: str) -> Cursor:
        """The cursor that was written so.

        Raises:
            ValueError: it is none.
        """
        match = _CURSOR.match(text)
        if match is None:
            raise ValueError("not a cursor of a feed")
        return Cursor(int(match[1]), match[2] or None)


@dataclass(frozen=True, slots=True)
class Found:
    """A submission that a feed follows."""

    id: int
    problem: str
    language: str
    epoch: str | None


@dataclass(frozen=True, slots=True)
class JudgedAgain:
    """A submission whose new run has a number, above those of all runs that began before."""

    number: int
    found: Found


_FOUND: Final = [submissions.c[name] for name in Found.__dataclass_fields__]


class Matching:
    """Queries. They block.

    Args:
        engine: a database with the schema of `subcli.server.log.tables`.
    """

    def __init__(self, engine: Engine) -> None:
        self._read = reading(engine)

    def running(self, wanted: Wanted, limit: int) -> tuple[list[Found], Cursor]:
        """Return at most `limit` submissions without a verdict, oldest first, and the cursor after them."""
        with self._read.begin() as connection:
            newest = _newest(connection, wanted.owner_id)
            # Few have no verdict. By the index on owners, all that this one ever submitted would be read.
            of_owner = owned_by(wanted.owner_id, by_index=False) & in_group(wanted.group, by_index=False)
            is_running = (submissions.c.final_status.is_(None), submissions.c.id <= newest.submission_id)
            return _found(connection, wanted, limit, of_owner, *is_running), newest

    def since(self, wanted: Wanted, cursor: Cursor, limit: int) -> tuple[list[Found], Cursor]:
        """Return at most `limit` submissions that came after the cursor, oldest first, and the cursor after them.

        Raises:
            ReplacedError: this cursor belongs to other records.
        """
        with self._read.begin() as connection:
            newest = _newest(connection, wanted.owner_id)
            _check(connection, wanted.owner_id, cursor, newest)
            is_later = (submissions.c.id > cursor.submission_id, submissions.c.id <= newest.submission_id)
            of_owner = owned_by(wanted.owner_id) & in_group(wanted.group)
            found = _found(connection, wanted, limit, of_owner, *is_later)
        if len(found) == limit:
            return found, Cursor(found[-1].id, found[-1].epoch)
        return found, newest

    def judged_again(self, wanted: Wanted, after: int, limit: int) -> tuple[list[JudgedAgain], int]:
        """Return at most `limit` submissions whose latest run began after a numbered one, and the number after them.

        Args:
            after: the number. One that is higher than any was given by records that were replaced.
        """
        with self._read.begin() as connection:
            newest = _newest_run(connection)
            after = min(after, newest)
            query = select(run_numbers.c.number, *_FOUND).join(submissions)
            query = query.where(run_numbers.c.number > after, run_numbers.c.number <= newest)
            query = query.where(owned_by(wanted.owner_id, by_index=False), in_group(wanted.group, by_index=False))
            if wanted.problem is not None:
                query = query.where(unindexed(submissions.c.problem) == wanted.problem)
            rows = connection.execute(query.order_by(run_numbers.c.number).limit(limit))
            found = [JudgedAgain(row[0], Found(*row[1:])) for row in rows]
        return found, found[-1].number if len(found) == limit else newest

    def newest_run(self) -> int:
        """Return the number of the latest run that was begun; 0 if nothing was ever judged again."""
        with self._read.begin() as connection:
            return _newest_run(connection)

    def among(self, owner_id: int | None, ids: Collection[int]) -> dict[int, Found]:
        """Return those of these submissions that belong to a user, or to anybody."""
        with self._read.begin() as connection:
            which = (owned_by(owner_id), submissions.c.id.in_(sorted(ids)))
            return {row.id: Found(*row) for row in connection.execute(select(*_FOUND).where(*which))}

    def pages(self, positions: Mapping[int, int]) -> dict[int, EventPage]:
        """Return what follows these positions in the logs of several submissions, as `Lookup.page` does for one.

        Those that are beyond the bounds of one answer, or do not exist, are left out.
        """
        with self._read.begin() as connection:
            # The rows first: if one says that the submission has ended, all of its events can be read.
            rows = {row.id: row for row in _rows(connection, positions)}
            found, unread = _events(connection, positions, rows)
        # Those that have ended and yet have no events are packed. Few that anybody follows are; they are read singly.
        packed = [
            number
            for number, records in found.items()
            if not records and rows[number].final_status is not None and rows[number].last_seq > positions[number]
        ]
        for number in packed:
            del found[number]
        return {
            number: EventPage(
                tuple(records),
                number == unread,
                rows[number].final_status is not None,
                max(rows[number].last_seq, records[-1].seq) if records else rows[number].last_seq,
                rows[number].epoch,
            )
            for number, records in found.items()
        }

    def newest(self) -> int:
        """Return the id of the latest submission of anybody, 0 if there is none."""
        with self._read.begin() as connection:
            return connection.execute(select(func.max(submissions.c.id))).scalar_one() or 0


def _newest(connection: Connection, owner_id: int | None) -> Cursor:
    """The cursor after all that a user has submitted, or anybody."""
    query = select(submissions.c.id, submissions.c.epoch).where(owned_by(owner_id))
    row = connection.execute(query.order_by(submissions.c.id.desc()).limit(1)).one_or_none()
    return Cursor() if row is None else Cursor(*row)


def _newest_run(connection: Connection) -> int:
    return connection.execute(select(func.max(run_numbers.c.number))).scalar_one() or 0


def _check(connection: Connection, owner_id: int | None, cursor: Cursor, newest: Cursor) -> None:
    """Raise ReplacedError if the submission of a cursor is not there, or is another one."""
    if not cursor.submission_id:
        return
    which = (owned_by(owner_id), submissions.c.id == cursor.submission_id)
    row = connection.execute(select(submissions.c.epoch).where(*which)).one_or_none()
    is_gone = row is None and newest.submission_id < cursor.submission_id
    if is_gone or (row is not None and submission_part(row.epoch or "") != submission_part(cursor.epoch or "")):
        raise ReplacedError


def _found(connection: Connection, wanted: Wanted, limit: int, *conditions: ColumnElement[bool]) -> list[Found]:
    query = select(*_FOUND).where(*conditions)
    if wanted.problem is not None:
        query = query.where(submissions.c.problem == wanted.problem)
    return [Found(*row) for row in connection.execute(query.order_by(submissions.c.id).limit(limit))]


def _rows(connection: Connection, ids: Collection[int]) -> Sequence[Row[Any, Any, Any, Any]]:
    columns = (submissions.c.id, submissions.c.final_status, submissions.c.last_seq, submissions.c.epoch)
    return connection.execute(select(*columns).where(submissions.c.id.in_(sorted(ids)))).all()


def _events(
    connection: Connection, positions: Mapping[int, int], rows: Mapping[int, Row[Any, Any, Any, Any]]
) -> tuple[dict[int, list[Record]], int | None]:
    """The events after these positions within the bounds, and the submission of which there are more, if any."""
    query = (
        select(events.c.submission_id, events.c.seq, events.c.payload, events.c.type)
        .where(events.c.submission_id.in_(sorted(rows)), events.c.seq > min(positions.values()))
        .order_by(events.c.submission_id, events.c.seq)
        .limit(_PAGES_EVENTS + 1)
    )
    found: dict[int, list[Record]] = {}
    size = 0
    for count, event in enumerate(connection.execute(query)):
        if size > _PAGES_BYTES or count == _PAGES_EVENTS:
            # What comes before has been read to its end; of what comes after, nothing is known.
            known = {number: found.get(number, []) for number in rows if number < event.submission_id}
            if event.submission_id in found:
                known[event.submission_id] = found[event.submission_id]
            return known, event.submission_id
        size += len(event.payload)
        if event.seq > positions[event.submission_id]:
            last, epoch = event.type == ENDED, rows[event.submission_id].epoch
            each = record(event.seq, event.payload, last=last, epoch=epoch)
            found.setdefault(event.submission_id, []).append(each)
    return {number: found.get(number, []) for number in rows}, None
