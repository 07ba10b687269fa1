"""What every append does within its transaction: lock the row, write, and date the commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Connection, Row, bindparam, select

from subcli.server.log.changes import STATE, number_events, write_changes
from subcli.server.log.lookup import results_of
from subcli.server.log.records import Claim, EndedError, Record, StaleFenceError, UnknownSubmissionError
from subcli.server.log.results import summary_of
from subcli.server.log.tables import submissions

Records: TypeAlias = tuple[Record, ...]

# Built once: building a statement costs about as much as executing it.
_LOCKED: Final = select(*STATE).where(submissions.c.id == bindparam("submission")).with_for_update()


def locked(connection: Connection, submission_id: int, *conditions: ColumnElement[bool]) -> Row[Any]:
    """Lock the row of a submission.

    Raises:
        UnknownSubmissionError: there is none that meets the conditions.
    """
    statement = _LOCKED.where(*conditions) if conditions else _LOCKED
    row = connection.execute(statement, {"submission": submission_id}).one_or_none()
    if row is None:
        raise UnknownSubmissionError
    return row


def held(connection: Connection, claim: Claim) -> Row[Any]:
    """Lock the row of a submission that is still held with this claim.

    Raises:
        EndedError: it has its verdict.
        StaleFenceError: it is another worker's, or back in the queue.
    """
    row = locked(connection, claim.submission_id)
    if row.final_status is not None:
        raise EndedError
    if (row.fence, row.epoch) != (claim.fence, claim.epoch):
        raise StaleFenceError
    return row


def append_to(
    connection: Connection,
    row: Row[Any],
    batch: Sequence[Mapping[str, Any]],
    now: float,
    columns: Mapping[str, Any] = MappingProxyType({}),
) -> Records:
    """Append events to a locked row, and set more columns of it."""
    change = number_events(row, batch, now)
    change = replace(change, columns={**change.columns, **columns})
    write_changes(connection, [change])
    return change.records


def summary_so_far(connection: Connection, row: Row[Any], now: float) -> dict[str, int]:
    """Summarise the results of a submission that ends before its judging did."""
    return summary_of(results_of(connection, row.id), row.total_tests, now - (row.started_at or now))


def committed(records: Records, now: float) -> Records:
    """Date records with the moment of their commit, Unix time in seconds."""
    # `replace` would take longer than what it is for: making the record and its frame.
    return tuple([type(each)(each.seq, each.text, each.frame, each.last, now, each.epoch) for each in records])


def all_committed(appended: Mapping[int, Records], now: float) -> dict[int, Records]:
    """Date the records of several submissions."""
    return {submission_id: committed(records, now) for submission_id, records in appended.items()}
