"""What appending events changes: rows of the log, and the columns of the submission's row that follow from them."""

from __future__ import annotations

import json
from collections import namedtuple
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

from sqlalchemy import Dialect

from subcli.server.log.driver import Statements, assignments, marks
from subcli.server.log.lookup import ENDED
from subcli.server.log.records import EndedError, OutputRecord, Record, encode_within, record, storable, text_frame
from subcli.server.log.tables import submissions
from subcli.shared.encoding import timestamp
from subcli.shared.protocol import OUTPUT, TERMINAL_STATUSES

_STATUS_OF_VERDICT: Final = {"passed": "completed", "build_failed": "build_failed", "cancelled": "cancelled"}
# The columns that number_events reads. Without the files, which would be read and decoded for each event.
STATE: Final = [
    submissions.c[name]
    for name in (
        *(
            "id",
            "status",
            "last_seq",
            "output_seq",
            "output_bytes",
            "fence",
            "final_status",
            "total_tests",
            "started_at",
        ),
        *("attempt", "losses", "failures", "problem", "language", "epoch"),
    )
]
_NAMES: Final = tuple(column.name for column in STATE)
_STATES: Final = f"SELECT {', '.join(_NAMES)} FROM submissions WHERE id IN ({{}})"
_AFTER: Final = "SELECT seq, payload, type FROM events WHERE {} AND seq > {} ORDER BY seq"
_OUTPUT_AFTER: Final = "SELECT output_seq, payload FROM outputs WHERE {} AND output_seq > {} ORDER BY output_seq"
_INSERT: Final = "INSERT INTO events (submission_id, seq, type, payload) VALUES ({})"
_INSERT_OUTPUT: Final = "INSERT INTO outputs (submission_id, output_seq, payload) VALUES ({})"
_UPDATE: Final = "UPDATE submissions SET {} WHERE {}"


State: TypeAlias = Any
"""A submission's row with the columns of `STATE`."""
_STATE_TYPE: Final = namedtuple("_STATE_TYPE", _NAMES)  # type: ignore[misc]


def states_of(transaction: Statements, ids: Sequence[int], *, skip_locked: bool = False) -> Mapping[int, State]:
    """Lock the rows of these submissions.

    Args:
        skip_locked: leave out what others have locked. A transaction that locks several rows waits for none of them,
            so no two can wait for each other.
    """
    statement = _states_statement(transaction.dialect, len(ids), skip_locked)
    found = transaction.exec_driver_sql(statement, tuple(ids))
    rows: Iterable[State] = map(_STATE_TYPE._make, found.fetchall())
    return {row.id: row for row in rows}


@lru_cache(maxsize=256)
def _states_statement(dialect: Dialect, count: int, skip_locked: bool) -> str:
    statement = _STATES.format(marks(dialect, count))
    if dialect.name != "sqlite":
        statement += " FOR UPDATE SKIP LOCKED" if skip_locked else " FOR UPDATE"
    return statement


def records_after(transaction: Statements, row: State, position: int) -> tuple[Record, ...]:
    """Read the log of a locked row after a position."""
    dialect = transaction.dialect
    statement = _AFTER.format(assignments(dialect, ["submission_id"]), marks(dialect, 1))
    found = transaction.exec_driver_sql(statement, (row.id, position)).fetchall()
    return tuple(record(seq, text, last=kind == ENDED, epoch=row.epoch) for seq, text, kind in found)


def output_after(transaction: Statements, row: State, position: int) -> tuple[Record, ...]:
    """Read the output of a locked row after a position."""
    dialect = transaction.dialect
    statement = _OUTPUT_AFTER.format(assignments(dialect, ["submission_id"]), marks(dialect, 1))
    found = transaction.exec_driver_sql(statement, (row.id, position)).fetchall()
    return tuple(_output_record(number, text, row.epoch) for number, text in found)


@dataclass(frozen=True, slots=True)
class Change:
    """What an append writes.

    Attributes:
        records: the appended events and pieces of output.
        events: rows of `events`; none if the log has these events already.
        submission_id: whose row changes,
        columns: and in which columns; none if nothing is to be written.
        outputs: rows of `outputs`.
    """

    records: tuple[Record, ...]
    events: Sequence[tuple[int, int, str, str]]
    submission_id: int
    columns: Mapping[str, Any]
    outputs: Sequence[tuple[int, int, str]] = ()


def number_events(row: State, batch: Sequence[Mapping[str, Any]], now: float) -> Change:
    """Number and encode a batch. The only place that decides how a submission changes.

    Args:
        row: the locked row of the submission, with the columns of `STATE`.
        now: Unix time in seconds.

    Raises:
        EndedError: an event follows `complete`.
        TypeError: an event cannot be represented in JSON.
    """
    seq, number, size = row.last_seq, row.output_seq, row.output_bytes
    changes: dict[str, Any] = {}
    records: list[Record] = []
    rows: list[tuple[int, int, str, str]] = []
    outputs: list[tuple[int, int, str]] = []
    for event in batch:
        if "final_status" in changes:
            raise EndedError
        if event["type"] == OUTPUT:
            number += 1
            place = {"submission_id": row.id, "output_seq": number, "after_seq": seq}
            text = encode_within(_stamped(event, now) | place)
            size += len(text)
            records.append(_output_record(number, text, row.epoch))
            outputs.append((row.id, number, text))
            continue
        seq += 1
        identity = {"submission_id": row.id, "seq": seq}
        if seq == 1 and row.epoch is not None:
            identity["epoch"] = row.epoch
        text = encode_within(_stamped(event, now) | identity)
        records.append(record(seq, text, last=event["type"] == ENDED, epoch=row.epoch))
        rows.append((row.id, seq, event["type"], text))
        changes.update(_consequences(changes.get("status", row.status), event, now))
    if rows:
        changes["last_seq"] = seq
    if outputs:
        changes |= {"output_seq": number, "output_bytes": size}
    return Change(tuple(records), rows, row.id, changes, outputs)


def _stamped(event: Mapping[str, Any], now: float) -> dict[str, Any]:
    return {**event} if "timestamp" in event else {"timestamp": timestamp(now), **event}


def _output_record(number: int, text: str, epoch: str | None) -> Record:
    return OutputRecord(number, text, text_frame(text.encode()), last=False, epoch=epoch)


def _consequences(status: str, event: Mapping[str, Any], now: float) -> dict[str, Any]:
    """The columns that an event changes in the row of a submission with this status."""
    if event["type"] == "status_update":
        return _after_status(event, now)
    return _after_verdict(status, event, now) if event["type"] == ENDED else {}


def _after_status(event: Mapping[str, Any], now: float) -> dict[str, Any]:
    changes = {"status": event["status"]}
    if event.get("attempt", 1) > 1:
        # A worker that judges a submission again says so itself.
        changes["attempt"] = event["attempt"]
    if event.get("total_tests") is not None:
        changes["total_tests"] = event["total_tests"]
    if event.get("queue_position") is not None:
        changes |= {"position_told": event["queue_position"], "position_told_at": now}
    if event["status"] == "build_failed" and event.get("detail"):
        changes["build_log"] = storable(event["detail"])
    return changes


def _after_verdict(status: str, event: Mapping[str, Any], now: float) -> dict[str, Any]:
    verdict = event["final_status"]
    changes = {
        "final_status": verdict,
        "summary": event.get("summary"),
        "finished_at": now,
        "lease_owner": None,
        "lease_until": None,
    }
    if status not in TERMINAL_STATUSES:
        changes["status"] = _STATUS_OF_VERDICT.get(verdict, "failed")
    return changes


def write_changes(transaction: Statements, changes: Sequence[Change]) -> None:
    """Insert the events and update the submissions' rows; those that change the same columns share a statement."""
    dialect = transaction.dialect
    if rows := [row for change in changes for row in change.events]:
        transaction.exec_driver_sql(_insert_statement(dialect, _INSERT, 4), rows)
    if outputs := [row for change in changes for row in change.outputs]:
        transaction.exec_driver_sql(_insert_statement(dialect, _INSERT_OUTPUT, 3), outputs)
    by_columns: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
    for change in changes:
        if change.columns:
            columns = change.columns
            values = (*(_stored(name, value) for name, value in columns.items()), change.submission_id)
            by_columns.setdefault(tuple(columns), []).append(values)
    for names, parameters in by_columns.items():
        transaction.exec_driver_sql(_update_statement(dialect, names), parameters)


@lru_cache
def _insert_statement(dialect: Dialect, statement: str, count: int) -> str:
    return statement.format(marks(dialect, count))


@lru_cache
def _update_statement(dialect: Dialect, names: tuple[str, ...]) -> str:
    return _UPDATE.format(assignments(dialect, names), assignments(dialect, ["id"]))


def _stored(column: str, value: Any) -> Any:
    """The value as the driver takes it."""
    return json.dumps(value) if column == "summary" and value is not None else value
