"""Whether a database is sound: its file, its schema, and what the program relies on.

Every check reads one consistent state and changes nothing, so it may run beside a server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, Select, and_, func, or_, select, tuple_
from sqlalchemy.exc import DatabaseError, OperationalError

from subcli.server.log.database import reading, revisions
from subcli.server.log.lookup import ENDED
from subcli.server.log.packing import DamagedError, unpack
from subcli.server.log.tables import REVISION, events, log_dictionaries, metadata, packed_events, submissions

_EXAMPLES: Final = 10
"""How many faults a check names; there may be more."""
_PER_READ: Final = 500


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found.

    Attributes:
        name: one word.
        what: it checked, in words.
        faults: a sentence each; none if all is well.
    """

    name: str
    what: str
    faults: tuple[str, ...]


def check_database(engine: Engine) -> Iterator[Check]:
    """Check a database, one thing at a time.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    reader = reading(engine)
    if engine.dialect.name == "postgresql":
        reader = reader.execution_options(isolation_level="REPEATABLE READ")
    with reader.connect() as connection:
        transaction = connection.begin()
        try:
            yield from _checks(connection)
        finally:
            # In a damaged file, not even that need succeed.
            with suppress(DatabaseError):
                transaction.rollback()


def _checks(connection: Connection) -> Iterator[Check]:
    if connection.dialect.name == "sqlite":
        yield Check("file", "the pages and indexes of the file", _all_of(_file_faults, connection))
    schema = Check("schema", f"revision {REVISION}", _all_of(_schema_faults, connection))
    yield schema
    if schema.faults:
        return
    for name, what, faults in _CHECKS:
        yield Check(name, what, _all_of(faults, connection))


def _all_of(faults: Callable[[Connection], Iterator[str]], connection: Connection) -> tuple[str, ...]:
    """All that a check finds; one that a damaged file stops has found something as well."""
    found: list[str] = []
    try:
        found.extend(faults(connection))
    except DatabaseError as error:
        if isinstance(error, OperationalError):
            # It does not answer.
            raise
        found.append(f"The database says: {error.orig}.")
    return tuple(found)


def _file_faults(connection: Connection) -> Iterator[str]:
    said = connection.exec_driver_sql(f"PRAGMA integrity_check({_EXAMPLES})").scalars().all()
    if said != ["ok"]:
        yield from (f"The database says: {each}." for each in said)


def _schema_faults(connection: Connection) -> Iterator[str]:
    found = revisions(connection)
    if not found:
        yield "This is no database of subcli."
    elif list(found) != [REVISION]:
        others = ", ".join(found)
        yield f"Its schema is {others}, not {REVISION}: another version of subcli uses it; nothing else was checked."


def _reference_faults(connection: Connection) -> Iterator[str]:
    """Rows that refer to others that are not there, which a database that enforces its constraints does not have."""
    for table in metadata.sorted_tables:
        for key in table.foreign_keys:
            target = key.column.table.alias()
            column = target.c[key.column.name]
            orphans = (
                select(func.count())
                .select_from(table.outerjoin(target, column == key.parent))
                .where(key.parent.is_not(None), column.is_(None))
            )
            if count := connection.execute(orphans).scalar_one():
                yield f"{count} rows of {table.name} refer to {key.column.table.name} that are not there."


def _hole_faults(connection: Connection) -> Iterator[str]:
    """Logs in rows of their own that are not numbered 1, 2, 3 … up to the end that the submission names."""
    count, lowest, highest = func.count().label("n"), func.min(events.c.seq), func.max(events.c.seq)
    counted = select(events.c.submission_id, count, lowest.label("lowest"), highest.label("highest"))
    logs = counted.group_by(events.c.submission_id).subquery()
    columns = (submissions.c.id, submissions.c.last_seq, submissions.c.packed, logs.c.n, logs.c.lowest, logs.c.highest)
    is_whole = and_(logs.c.lowest == 1, logs.c.n == submissions.c.last_seq, logs.c.highest == submissions.c.last_seq)
    query = select(*columns).join(logs, logs.c.submission_id == submissions.c.id)
    for row in _first(connection, query.where(or_(submissions.c.packed, ~is_whole)).order_by(submissions.c.id)):
        where = "is packed, and yet has" if row.packed else f"ends at {row.last_seq}, but has"
        yield f"The log of submission {row.id} {where} {row.n} events from {row.lowest} to {row.highest}."
    stored = select(events.c.seq).where(events.c.submission_id == submissions.c.id).exists()
    none = select(submissions.c.id, submissions.c.last_seq).where(
        ~submissions.c.packed, submissions.c.last_seq > 0, ~stored
    )
    for row in _first(connection, none.order_by(submissions.c.id)):
        yield f"The log of submission {row.id} ends at {row.last_seq}, but has no events."


def _verdict_faults(connection: Connection) -> Iterator[str]:
    """Submissions that have a verdict without `complete` at the end of their log, or the other way round."""
    last = and_(events.c.submission_id == submissions.c.id, events.c.seq == submissions.c.last_seq)
    has_verdict = submissions.c.final_status.is_not(None)
    is_complete = and_(events.c.type.is_not(None), events.c.type == ENDED)
    query = select(submissions.c.id, submissions.c.final_status, events.c.type).outerjoin(events, last)
    disagree = or_(and_(has_verdict, ~is_complete), and_(~has_verdict, is_complete))
    for row in _first(connection, query.where(~submissions.c.packed, disagree).order_by(submissions.c.id)):
        yield f"Submission {row.id} has the verdict {row.final_status}, and its log ends with {row.type}."
    unended = select(submissions.c.id).where(submissions.c.packed, ~has_verdict)
    for row in _first(connection, unended.order_by(submissions.c.id)):
        yield f"Submission {row.id} is packed and has no verdict."


def _packed_faults(connection: Connection) -> Iterator[str]:
    """Packed logs that cannot be read, or not to their end."""
    place = (packed_events.c.submission_id, packed_events.c.last_seq)
    query = (
        select(packed_events, log_dictionaries.c.words, submissions.c.last_seq.label("end"))
        .join(log_dictionaries, log_dictionaries.c.id == packed_events.c.dictionary_id)
        .join(submissions, submissions.c.id == packed_events.c.submission_id)
        .order_by(*place)
        .limit(_PER_READ)
    )
    after, before = (0, 0), None
    while rows := connection.execute(query.where(tuple_(*place) > tuple_(*after))).all():
        for row in rows:
            expected = before.last_seq + 1 if before is not None and before.submission_id == row.submission_id else 1
            if expected == 1 and before is not None and before.last_seq != before.end:
                yield _short(before)
            if fault := _part_fault(row, expected):
                yield f"The packed log of submission {row.submission_id} {fault}."
            before = row
        after = (rows[-1].submission_id, rows[-1].last_seq)
    if before is not None and before.last_seq != before.end:
        yield _short(before)
    lost = select(packed_events.c.submission_id).where(packed_events.c.submission_id == submissions.c.id).exists()
    none = select(submissions.c.id).where(submissions.c.packed, submissions.c.last_seq > 0, ~lost)
    for row in _first(connection, none.order_by(submissions.c.id)):
        yield f"The log of submission {row.id} is packed, but is not there."


def _short(row: Any) -> str:
    return f"The packed log of submission {row.submission_id} ends at {row.last_seq} instead of {row.end}."


def _part_fault(row: Any, expected: int) -> str:
    """What is wrong with a part of a packed log that is to begin at a position; empty if nothing is."""
    if row.first_seq != expected:
        return f"has a hole before {row.first_seq}"
    try:
        part = unpack(row.packed, row.words)
    except DamagedError as error:
        return f"cannot be read from {row.first_seq} on: {error}"
    if len(part) != row.last_seq - row.first_seq + 1:
        return f"has {len(part)} events from {row.first_seq} to {row.last_seq}"
    if row.last_seq == row.end and part[-1][0] != ENDED:
        return f"ends with {part[-1][0]}"
    return ""


_CHECKS: Final[Sequence[tuple[str, str, Callable[[Connection], Iterator[str]]]]] = (
    ("references", "no row without what it belongs to", _reference_faults),
    ("logs", "events numbered 1, 2, 3 … without a hole", _hole_faults),
    ("verdicts", "`complete` at the end of each log with a verdict", _verdict_faults),
    ("packed", "packed logs can be read", _packed_faults),
)


def _first(connection: Connection, query: Select[*tuple[Any, ...]]) -> Sequence[Any]:
    return connection.execute(query.limit(_EXAMPLES)).all()
