"""The log of every submission, and what follows from it. The truth: whatever else forgets, this does not.

Events are numbered when they are appended, 1, 2, 3 … without holes, in the transaction that also brings the
submission's row up to date. So a snapshot never contradicts the events, and an event that was ever seen by
anybody is committed. What a worker appends comes with the fence of its claim (`subcli.server.log.leases`); an older one
is refused, however late it arrives.

The methods block; `Store.run` calls them in a thread.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, ParamSpec, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Result,
    Row,
    and_,
    bindparam,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from subcli.server.log.database import lock_queue
from subcli.server.log.leases import Leases
from subcli.server.log.lookup import ENDED, SNAPSHOT, events_after, results_of, snapshot_of
from subcli.server.log.records import (
    Append,
    EndedError,
    KeyReusedError,
    NewSubmission,
    Record,
    Snapshot,
    StaleFenceError,
    UnknownSubmissionError,
    encode_within,
    record,
    storable,
)
from subcli.server.log.results import summary_of
from subcli.server.log.tables import events, submissions
from subcli.shared.protocol import TERMINAL_STATUSES, timestamp

P = ParamSpec("P")
T = TypeVar("T")

_THREADS: Final = 4
_STATUS_OF_VERDICT: Final = {"passed": "completed", "build_failed": "build_failed", "cancelled": "cancelled"}
# Without the files, which would be read and decoded for each event.
_STATE: Final = [
    submissions.c[name] for name in ("id", "status", "last_seq", "fence", "final_status", "total_tests", "started_at")
]
# Made once: to put a statement together costs about as much as to carry it out.
_LOCKED: Final = select(*_STATE).where(submissions.c.id == bindparam("submission")).with_for_update()
_FREE: Final = (
    select(*_STATE)
    .where(submissions.c.id.in_(bindparam("submissions", expanding=True)))
    # Nobody who locks several waits for any of them; so no two wait for each other.
    .with_for_update(skip_locked=True)
)
_CHANGE: Final = update(submissions).where(submissions.c.id == bindparam("submission"))
_INSERT: Final = insert(events)


class Store(Leases):
    """Submissions and events in a database.

    Args:
        engine: with the schema of `subcli.server.log.tables`.
        clock: Unix time in seconds.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        super().__init__(engine, clock)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="store")

    async def run(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`method(*args)` in a thread. What has begun is finished even if the caller is cancelled."""
        call = functools.partial(method, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def close(self) -> None:
        """Finish what was begun and give up the connections."""
        self._threads.shutdown()
        self._write.dispose()

    # -- handing in ----------------------------------------------------------------------------------

    def create(self, new: NewSubmission) -> tuple[Snapshot, bool]:
        """A new pending submission, or the one that was made with the same key; and whether it is new.

        Raises:
            KeyReusedError: the key was used for something else.
        """
        try:
            with self._write.begin() as connection:
                known = self._with_key(connection, new)
                return (known, False) if known else (self._insert(connection, new), True)
        except IntegrityError:
            # Another process was quicker with the same key.
            with self._read.begin() as connection:
                known = self._with_key(connection, new)
            if known is None:
                raise
            return known, False

    def _with_key(self, connection: Connection, new: NewSubmission) -> Snapshot | None:
        if new.idempotency_key is None:
            return None
        row = connection.execute(
            select(*SNAPSHOT, submissions.c.files).where(
                submissions.c.owner_id == new.owner_id,
                submissions.c.idempotency_key == new.idempotency_key,
            )
        ).one_or_none()
        if row is None:
            return None
        if (row.problem, row.language, row.files) != (new.problem, new.language, dict(new.files)):
            raise KeyReusedError
        return Snapshot(*row[:-1])

    def _insert(self, connection: Connection, new: NewSubmission) -> Snapshot:
        # With it nobody is told a place that is not true any more: who claims one tells the rest afterwards.
        lock_queue(connection)
        ahead = connection.execute(
            select(func.count()).where(submissions.c.final_status.is_(None), submissions.c.attempt == 0)
        ).scalar_one()
        created = connection.execute(
            insert(submissions)
            .values(
                owner_id=new.owner_id,
                problem=new.problem,
                language=new.language,
                files=dict(new.files),
                idempotency_key=new.idempotency_key,
                created_at=self._clock(),
                status="pending",
                last_seq=0,
                attempt=0,
                fence=0,
            )
            .returning(submissions)
        ).one()
        self._append(connection, created, [_pending(ahead + 1)])
        return snapshot_of(connection, created.id)

    # -- appending -----------------------------------------------------------------------------------

    def update_queue_positions(self, most: int) -> dict[int, tuple[Record, ...]]:
        """Tell the first `most` submissions that no worker has taken yet their place, where it has changed.

        Returns:
            what was appended, by submission.
        """
        told: dict[int, tuple[Record, ...]] = {}
        with self._write.begin() as connection:
            lock_queue(connection)
            for place, row in enumerate(_waiting(connection, most), 1):
                if row.payload is None or json.loads(row.payload).get("queue_position") != place:
                    told[row.id] = self._append(connection, row, [_pending(place)])
        return told

    def append(self, wanted: Append) -> tuple[Record, ...]:
        """Commit events in one transaction, numbered.

        Raises:
            UnknownSubmissionError: no such submission.
            EndedError: it has its verdict.
            StaleFenceError: another has claimed it.
            TypeError: an event that JSON has no form for.
        """
        with self._write.begin() as connection:
            row = self._locked(connection, wanted.submission_id)
            records, change = self._added(connection, row, wanted)
            _write_down(connection, [change])
        return records

    def append_all(self, wanted: Sequence[Append]) -> list[tuple[Record, ...] | Exception | None]:
        """Commit what several submissions append in one transaction.

        Args:
            wanted: at most one for each submission.

        Returns:
            for each what `append` returns or raises; one that is refused does not keep the others from being
            committed. None: nothing has been done, because there is no such submission or another transaction
            holds it; `append` can wait for that.

        Raises:
            SQLAlchemyError: nothing has been committed.
        """
        outcomes: list[tuple[Record, ...] | Exception | None] = []
        changes = []
        with self._write.begin() as connection:
            ids = [each.submission_id for each in wanted]
            rows = {row.id: row for row in connection.execute(_FREE, {"submissions": ids})}
            for each in wanted:
                row = rows.get(each.submission_id)
                try:
                    outcome = None
                    if row is not None:
                        outcome, change = self._added(connection, row, each)
                        changes.append(change)
                except SQLAlchemyError:
                    raise
                except Exception as refused:
                    outcomes.append(refused)
                else:
                    outcomes.append(outcome)
            _write_down(connection, changes)
        return outcomes

    def _added(self, connection: Connection, row: Row[Any], wanted: Append) -> tuple[tuple[Record, ...], _Change]:
        """What is appended to a locked row, and what that changes; raises what `append` does."""
        batch, after = wanted.batch, wanted.after
        if wanted.fence is not None and row.fence != wanted.fence:
            raise StaleFenceError
        if after is not None and row.last_seq == after + len(batch):
            known = connection.execute(events_after(row.id, after))
            return tuple(record(each.seq, each.payload, last=each.type == ENDED) for each in known), _Change((), {})
        if row.final_status is not None:
            raise EndedError
        return self._numbered(row, batch)

    def cancel(self, submission_id: int, owner_id: int) -> tuple[Record, ...]:
        """Give it the verdict `cancelled`; whoever judges it is fenced off by that.

        Raises:
            UnknownSubmissionError: no such submission of this owner's.
            EndedError: it has its verdict already.
        """
        with self._write.begin() as connection:
            row = self._locked(connection, submission_id, submissions.c.owner_id == owner_id)
            if row.final_status is not None:
                raise EndedError
            return self._append(
                connection,
                row,
                [
                    {"type": "status_update", "status": "cancelled"},
                    {
                        "type": "complete",
                        "final_status": "cancelled",
                        "summary": self._summary_so_far(connection, row),
                    },
                ],
            )

    def summary_so_far(self, submission_id: int) -> dict[str, int]:
        """The counts that the events so far add up to, for a judging that ends without its own."""
        with self._read.begin() as connection:
            row = connection.execute(select(submissions).where(submissions.c.id == submission_id)).one()
            return self._summary_so_far(connection, row)

    def _summary_so_far(self, connection: Connection, row: Row[Any]) -> dict[str, int]:
        started = row.started_at or self._clock()
        return summary_of(results_of(connection, row.id), row.total_tests, self._clock() - started)

    def _locked(self, connection: Connection, submission_id: int, *which: ColumnElement[bool]) -> Row[Any]:
        statement = _LOCKED.where(*which) if which else _LOCKED
        row = connection.execute(statement, {"submission": submission_id}).one_or_none()
        if row is None:
            raise UnknownSubmissionError
        return row

    def _append(self, connection: Connection, row: Row[Any], batch: Sequence[Mapping[str, Any]]) -> tuple[Record, ...]:
        records, change = self._numbered(row, batch)
        _write_down(connection, [change])
        return records

    def _numbered(self, row: Row[Any], batch: Sequence[Mapping[str, Any]]) -> tuple[tuple[Record, ...], _Change]:
        """Number and encode. The one place where it is decided how a submission changes."""
        now = timestamp(self._clock())
        changes: dict[str, Any] = {"last_seq": row.last_seq + len(batch)}
        records = []
        rows = []
        for seq, event in enumerate(batch, row.last_seq + 1):
            if "final_status" in changes:
                raise EndedError
            text = encode_within({"timestamp": now, **event, "submission_id": row.id, "seq": seq})
            records.append(record(seq, text, last=event["type"] == ENDED))
            rows.append({"submission_id": row.id, "seq": seq, "type": event["type"], "payload": text})
            changes.update(self._consequences(row, changes, event))
        return tuple(records), _Change(rows, {"submission": row.id, **changes})

    def _consequences(self, row: Row[Any], changes: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
        """What an event changes in the submission's row."""
        found: dict[str, Any] = {}
        if event["type"] == "status_update":
            found["status"] = event["status"]
            if event.get("total_tests") is not None:
                found["total_tests"] = event["total_tests"]
            if event["status"] == "build_failed" and event.get("detail"):
                found["build_log"] = storable(event["detail"])
        elif event["type"] == ENDED:
            verdict = event["final_status"]
            found.update(final_status=verdict, summary=event.get("summary"), finished_at=self._clock())
            found.update(lease_owner=None, lease_until=None)
            if changes.get("status", row.status) not in TERMINAL_STATUSES:
                found["status"] = _STATUS_OF_VERDICT.get(verdict, "failed")
        return found


@dataclass(frozen=True, slots=True)
class _Change:
    """What an append writes: rows of `events`, and columns of the submission's row; neither, if it stands already."""

    events: Sequence[Mapping[str, Any]]
    submission: Mapping[str, Any]


def _write_down(connection: Connection, changes: Sequence[_Change]) -> None:
    """Insert the events; bring the submissions' rows up to date, those together that change alike."""
    if rows := [row for change in changes for row in change.events]:
        connection.execute(_INSERT, rows)
    alike: dict[frozenset[str], list[Mapping[str, Any]]] = {}
    for change in changes:
        if change.events:
            alike.setdefault(frozenset(change.submission), []).append(change.submission)
    for columns in alike.values():
        connection.execute(_CHANGE, columns)


def _waiting(connection: Connection, most: int) -> Result[Any]:
    """The submissions that no worker has taken yet, oldest first, each with its latest event, and locked."""
    latest = and_(events.c.submission_id == submissions.c.id, events.c.seq == submissions.c.last_seq)
    return connection.execute(
        select(*_STATE, events.c.payload)
        .outerjoin(events, latest)
        .where(submissions.c.final_status.is_(None), submissions.c.attempt == 0)
        .order_by(submissions.c.id)
        .limit(most)
        # One that is being claimed at this moment waits no longer; whoever claims it tells the rest.
        .with_for_update(of=submissions, skip_locked=True)
    )


def _pending(place: int) -> dict[str, Any]:
    return {"type": "status_update", "status": "pending", "queue_position": place, "attempt": 1}
