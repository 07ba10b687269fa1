"""Reading stored events, wherever they are: each in a row of its own, or packed.

A log is moved from the one to the other in one transaction, when it has ended (`subcli.server.log.packer`). So who
finds no events looks among the packed ones next, and misses nothing, even if the two statements see different states.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from sqlalchemy import Connection, Select, bindparam, select

from subcli.server.log.packing import unpack
from subcli.server.log.tables import events, log_dictionaries, packed_events

RESULTS: Final = ("test_result", "error_analysis")
"""The types of what a judging finds out."""
# Built once: building a statement costs about as much as executing it.
_PACKED: Final = (
    select(packed_events.c.first_seq, packed_events.c.last_seq, packed_events.c.packed, log_dictionaries.c.words)
    .join(log_dictionaries, log_dictionaries.c.id == packed_events.c.dictionary_id)
    .where(packed_events.c.submission_id == bindparam("submission"), packed_events.c.last_seq > bindparam("after"))
    .order_by(packed_events.c.last_seq)
)


class StoredEvent(NamedTuple):
    """An event as it is stored."""

    seq: int
    payload: str
    type: str


def stored_after(
    connection: Connection, submission_id: int, after: int, limit: int, *, may_be_packed: bool = True
) -> Iterator[StoredEvent]:
    """The first `limit` events of a submission after a position, in order; possibly more if they are packed."""
    found = False
    for row in connection.execute(_after(submission_id, after).limit(limit)):
        found = True
        yield StoredEvent(*row)
    if not found and may_be_packed:
        yield from packed_after(connection, submission_id, after)


def all_stored(connection: Connection, submission_id: int) -> Iterator[StoredEvent]:
    """All events of a submission, in order."""
    found = False
    for row in connection.execute(_after(submission_id, 0)):
        found = True
        yield StoredEvent(*row)
    if not found:
        yield from packed_after(connection, submission_id, 0)


def stored_of_types(connection: Connection, submission_id: int, types: Collection[str]) -> Iterator[StoredEvent]:
    """All events of a submission that are of these types, in order, one after the other: together they may be large."""
    found = False
    for row in connection.execute(_after(submission_id, 0).where(events.c.type.in_(types))):
        found = True
        yield StoredEvent(*row)
    if not found:
        yield from (each for each in packed_after(connection, submission_id, 0) if each.type in types)


def last_stored(connection: Connection, submission_id: int, last_seq: int) -> StoredEvent | None:
    """The last event of a log that has ended."""
    return next(stored_after(connection, submission_id, last_seq - 1, 1), None)


def packed_after(connection: Connection, submission_id: int, after: int) -> Iterator[StoredEvent]:
    """The packed events of a submission after a position, in order; one part of the log is in memory at a time."""
    last = after
    while True:
        part = connection.execute(_PACKED.limit(1), {"submission": submission_id, "after": last}).one_or_none()
        if part is None:
            return
        for seq, (kind, payload) in enumerate(unpack(part.packed, part.words), part.first_seq):
            if seq > after:
                yield StoredEvent(seq, payload, kind)
        last = part.last_seq


def _after(submission_id: int, after: int) -> Select[int, str, str]:
    return (
        select(events.c.seq, events.c.payload, events.c.type)
        .where(events.c.submission_id == submission_id, events.c.seq > after)
        .order_by(events.c.seq)
    )
