"""What appending events changes: rows of the log, and the columns of the submission's row that follow from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, insert, update

from subcli.server.log.lookup import ENDED
from subcli.server.log.records import EndedError, Record, encode_within, record, storable
from subcli.server.log.tables import events, submissions
from subcli.shared.encoding import timestamp
from subcli.shared.protocol import TERMINAL_STATUSES

_STATUS_OF_VERDICT: Final = {"passed": "completed", "build_failed": "build_failed", "cancelled": "cancelled"}
# The columns that number_events reads. Without the files, which would be read and decoded for each event.
STATE: Final = [
    submissions.c[name]
    for name in (
        *("id", "status", "last_seq", "fence", "final_status", "total_tests", "started_at"),
        *("attempt", "losses", "failures", "problem", "language", "epoch"),
    )
]
# Built once: building a statement costs about as much as executing it.
_UPDATE: Final = update(submissions).where(submissions.c.id == bindparam("submission"))
_INSERT: Final = insert(events)


@dataclass(frozen=True, slots=True)
class Change:
    """What an append writes.

    Attributes:
        records: the appended events.
        events: rows of `events`; none if the log has these events already.
        submission: columns of the submission's row.
    """

    records: tuple[Record, ...]
    events: Sequence[Mapping[str, Any]]
    submission: Mapping[str, Any]


def number_events(row: Row[Any], batch: Sequence[Mapping[str, Any]], now: float) -> Change:
    """Number and encode a batch. The only place that decides how a submission changes.

    Args:
        row: the locked row of the submission, with the columns of `STATE`.
        now: Unix time in seconds.

    Raises:
        EndedError: an event follows `complete`.
        TypeError: an event cannot be represented in JSON.
    """
    stamp = timestamp(now)
    changes: dict[str, Any] = {"last_seq": row.last_seq + len(batch)}
    records = []
    rows = []
    for seq, event in enumerate(batch, row.last_seq + 1):
        if "final_status" in changes:
            raise EndedError
        identity = {"submission_id": row.id, "seq": seq}
        if seq == 1 and row.epoch is not None:
            identity["epoch"] = row.epoch
        text = encode_within({"timestamp": stamp, **event, **identity})
        records.append(record(seq, text, last=event["type"] == ENDED, epoch=row.epoch))
        rows.append({"submission_id": row.id, "seq": seq, "type": event["type"], "payload": text})
        changes.update(_consequences(changes.get("status", row.status), event, now))
    return Change(tuple(records), rows, {"submission": row.id, **changes})


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


def write_changes(connection: Connection, changes: Sequence[Change]) -> None:
    """Insert the events and update the submissions' rows; those that change the same columns share a statement."""
    if rows := [row for change in changes for row in change.events]:
        connection.execute(_INSERT, rows)
    by_columns: dict[frozenset[str], list[Mapping[str, Any]]] = {}
    for change in changes:
        if change.events:
            by_columns.setdefault(frozenset(change.submission), []).append(change.submission)
    for parameters in by_columns.values():
        connection.execute(_UPDATE, parameters)
