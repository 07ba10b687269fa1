"""The log of every submission and its snapshot: the source of truth.

Events are numbered when they are appended, 1, 2, 3 … without holes, in the transaction that also updates the
submission's row. So a snapshot never contradicts the events, and an event that anybody has seen is committed. An append
by a worker carries the fence of its claim (`subcli.server.log.leases`); one with an older fence is refused, however
late it arrives.

The methods block; `Store.run` calls them in a thread.
"""

from __future__ import annotations

import asyncio
import functools
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, ParamSpec, TypeAlias, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    Select,
    and_,
    bindparam,
    func,
    insert,
    not_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from subcli.server.log.changes import STATE, Change, number_events, write_changes
from subcli.server.log.database import lock_queue, reading
from subcli.server.log.leases import Leases
from subcli.server.log.lookup import ENDED, SNAPSHOT, Lookup, events_after, results_of, snapshot_of
from subcli.server.log.positions import places_to_tell
from subcli.server.log.records import (
    Append,
    Claim,
    EndedError,
    Failure,
    KeyReusedError,
    NewSubmission,
    Record,
    Snapshot,
    StaleFenceError,
    UnknownSubmissionError,
    record,
)
from subcli.server.log.requeue import (
    AGAIN,
    IN_LINE,
    LOST,
    NEXT,
    WAITING,
    Able,
    can_judge,
    is_judged_elsewhere,
    pending,
    unable,
)
from subcli.server.log.results import summary_of
from subcli.server.log.tables import attempts, events, submissions, write_probes

P = ParamSpec("P")
T = TypeVar("T")
Records: TypeAlias = tuple[Record, ...]

_THREADS: Final = 4
_EPOCH_BYTES: Final = 8
# Built once: building a statement costs about as much as executing it.
_LOCKED: Final = select(*STATE).where(submissions.c.id == bindparam("submission")).with_for_update()
_FREE: Final = (
    select(*STATE)
    .where(submissions.c.id.in_(bindparam("submissions", expanding=True)))
    # A transaction that locks several rows waits for none of them, so no two can wait for each other.
    .with_for_update(skip_locked=True)
)
# One that is being cancelled at this moment is left out.
_WAITING: Final[Select[*tuple[Any, ...]]] = (
    select(*STATE, submissions.c.told)
    .where(submissions.c.id.in_(bindparam("submissions", expanding=True)), *WAITING)
    .with_for_update(skip_locked=True)
)


class Store:
    """Submissions and events in a database.

    Attributes:
        lookup: queries.
        leases: which worker judges which submission.

    Args:
        engine: a database with the schema of `subcli.server.log.tables`.
        clock: Unix time in seconds.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self.lookup = Lookup(engine)
        self.leases = Leases(engine, clock)
        self._read = reading(engine)
        self._write = engine
        self._clock = clock
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="store")

    async def run(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `method` in a thread. A call that has begun is completed even if the caller is cancelled."""
        call = functools.partial(method, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def close(self) -> None:
        """Wait for the calls that have begun and close the connections."""
        self._threads.shutdown()
        self._write.dispose()

    # -- creating ------------------------------------------------------------------------------------

    def create(self, new: NewSubmission) -> tuple[Snapshot, bool]:
        """Create a pending submission, unless there is one with the same idempotency key.

        Returns:
            the submission, and whether it is new.

        Raises:
            KeyReusedError: the key belongs to a submission with different content.
        """
        try:
            with self._write.begin() as connection:
                known = self._with_key(connection, new)
                return (known, False) if known else (self._insert(connection, new), True)
        except IntegrityError:
            # Another process has inserted the same key at the same moment.
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
        # The lock keeps the position right: claims update the others' positions afterwards, under the same lock.
        lock_queue(connection)
        turn = _next_turn(connection, new.owner_id)
        ahead = connection.execute(
            select(func.count()).select_from(submissions).where(*IN_LINE, submissions.c.turn <= turn)
        ).scalar_one()
        now = self._clock()
        created = connection.execute(
            insert(submissions)
            .values(
                owner_id=new.owner_id,
                problem=new.problem,
                language=new.language,
                files=dict(new.files),
                idempotency_key=new.idempotency_key,
                created_at=now,
                waiting_since=now,
                epoch=secrets.token_hex(_EPOCH_BYTES),
                status="pending",
                turn=turn,
                last_seq=0,
                attempt=0,
                fence=0,
            )
            .returning(submissions)
        ).one()
        self._append(connection, created, [pending(1, queue_position=ahead + 1)])
        return snapshot_of(connection, created.id)

    # -- appending -----------------------------------------------------------------------------------

    def append(self, wanted: Append) -> Records:
        """Number events and commit them in one transaction.

        Raises:
            UnknownSubmissionError: there is no such submission.
            EndedError: the submission has its verdict.
            StaleFenceError: another worker has claimed it.
            TypeError: an event cannot be represented in JSON.
        """
        with self._write.begin() as connection:
            change = self._prepare(connection, _locked(connection, wanted.submission_id), wanted)
            write_changes(connection, [change])
        return self._committed(change.records)

    def append_all(self, wanted: Sequence[Append]) -> list[Records | Exception | None]:
        """Commit the appends of several submissions in one transaction.

        Args:
            wanted: at most one for each submission.

        Returns:
            for each of them what `append` returns or raises; a refused one does not prevent the others from being
            committed. None: nothing was done, because there is no such submission or another transaction has
            locked it; `append` can wait for the lock.

        Raises:
            SQLAlchemyError: nothing was committed.
        """
        with self._write.begin() as connection:
            ids = [each.submission_id for each in wanted]
            rows = {row.id: row for row in connection.execute(_FREE, {"submissions": ids})}
            prepared = [self._try_to_prepare(connection, rows.get(each.submission_id), each) for each in wanted]
            write_changes(connection, [each for each in prepared if isinstance(each, Change)])
        return [self._committed(each.records) if isinstance(each, Change) else each for each in prepared]

    def _try_to_prepare(
        self, connection: Connection, row: Row[Any] | None, wanted: Append
    ) -> Change | Exception | None:
        """Like `_prepare`, but return why an append is refused; None if its row could not be locked."""
        if row is None:
            return None
        try:
            return self._prepare(connection, row, wanted)
        except SQLAlchemyError:
            raise
        except Exception as refused:
            return refused

    def _prepare(self, connection: Connection, row: Row[Any], wanted: Append) -> Change:
        """Work out what an append to a locked row changes. Raises what `append` does."""
        batch, after = wanted.batch, wanted.after
        if wanted.fence is not None and row.fence != wanted.fence:
            raise StaleFenceError
        if wanted.epoch not in (None, row.epoch) or (after is not None and row.last_seq < after):
            # A backup was restored: the log that this worker wrote to is gone, or its end is.
            raise StaleFenceError
        if after is not None and row.last_seq == after + len(batch):
            known = connection.execute(events_after(row.id, after))
            found = (record(each.seq, each.payload, last=each.type == ENDED, epoch=row.epoch) for each in known)
            return Change(tuple(found), (), {})
        if row.final_status is not None:
            raise EndedError
        return number_events(row, batch, self._clock())

    def cancel(self, submission_id: int, owner_id: int) -> Records:
        """Give a submission the verdict `cancelled`; whoever judges it can no longer append.

        Raises:
            UnknownSubmissionError: this owner has no such submission.
            EndedError: the submission already has its verdict.
        """
        with self._write.begin() as connection:
            row = _locked(connection, submission_id, submissions.c.owner_id == owner_id)
            if row.final_status is not None:
                raise EndedError
            summary = self._summary_so_far(connection, row)
            records = self._append(
                connection,
                row,
                [
                    {"type": "status_update", "status": "cancelled"},
                    {"type": "complete", "final_status": "cancelled", "summary": summary},
                ],
            )
        return self._committed(records)

    def hand_back(self, claim: Claim, detail: str) -> Records:
        """Put a submission back at the head of the queue before its verdict, through no fault of anybody's.

        Args:
            detail: tells its watchers why.

        Raises:
            StaleFenceError: it is another worker's now, or back already.
            EndedError: it has its verdict.
        """
        with self._write.begin() as connection:
            records = self._requeue(connection, _held(connection, claim), detail, {})
        return self._committed(records)

    def fail(self, claim: Claim, failure: Failure, tries: int, retry_s: float) -> Records:
        """Put a submission back because the judge failed; end it with `error` if it did so for the last time.

        Args:
            tries: how often a submission is tried.
            retry_s: seconds in which workers that failed do not get it again; longer with each failure.

        Raises what `hand_back` does.
        """
        with self._write.begin() as connection:
            row = _held(connection, claim)
            this = (attempts.c.submission_id == row.id, attempts.c.fence == claim.fence)
            connection.execute(update(attempts).where(*this).values(failed=True))
            failures = row.failures + 1
            if failures < tries:
                detail = f"{failure.detail} {AGAIN}, try {failures + 1} of {tries}."
                columns = {"failures": failures, "retry_at": self._clock() + retry_s * failures}
                records = self._requeue(connection, row, detail, columns)
            elif failure.ending:
                records = self._append(connection, row, failure.ending)
            else:
                records = self._end(connection, row, failure.detail)
        return self._committed(records)

    def take_back(self, attempts: int, *, running: bool = False) -> dict[int, Records]:
        """Put the submissions whose worker has vanished back at the head of the queue.

        Args:
            attempts: a submission that has lost so many workers gets the verdict `error`.
            running: take those as well whose lease still runs. Only for a process that knows that it is the only
                one on this database.

        Returns:
            what was appended, by submission.
        """
        lease = submissions.c.lease_until
        lost = lease.is_not(None) if running else lease < self._clock()
        query = select(*STATE).where(submissions.c.final_status.is_(None), lost).order_by(submissions.c.id)
        appended: dict[int, Records] = {}
        if not self._finds(query):
            return appended
        with self._write.begin() as connection:
            rows = connection.execute(query.with_for_update(skip_locked=True)).all()
            for row in rows:
                if row.losses + 1 >= attempts:
                    detail = f"Judging was started {row.losses + 1} times and never finished."
                    appended[row.id] = self._end(connection, row, detail)
                else:
                    appended[row.id] = self._requeue(connection, row, LOST, {"losses": row.losses + 1})
        return {submission_id: self._committed(records) for submission_id, records in appended.items()}

    def tell_unable(self, able: Able, limit: int) -> dict[int, Records]:
        """Tell the watchers of what a worker lacks something to judge that it waits for another one, once.

        What is being judged somewhere at this moment, only waits its turn.

        Args:
            able: what the worker can judge.
            limit: tell those of at most so many submissions.

        Returns:
            what was appended, by submission.
        """
        which = (*IN_LINE, not_(can_judge(able)), not_(is_judged_elsewhere()))
        query = select(*STATE).where(*which).order_by(submissions.c.id).limit(limit)
        if not self._finds(query):
            return {}
        with self._write.begin() as connection:
            lock_queue(connection)
            rows = connection.execute(query.with_for_update(skip_locked=True)).all()
            appended = {row.id: self._append(connection, row, [_unable(row)], {"told": True}) for row in rows}
        return {submission_id: self._committed(records) for submission_id, records in appended.items()}

    def tell_waiting(self, ids: Sequence[int]) -> dict[int, Records]:
        """Tell the watchers of these submissions that they wait for a worker; they keep their places in the queue.

        Args:
            ids: those that no longer wait, and those whose last event says the same, are left out.

        Returns:
            what was appended, by submission.
        """
        last = and_(events.c.submission_id == submissions.c.id, events.c.seq == submissions.c.last_seq)
        said = select(submissions.c.id, events.c.payload).join(events, last).where(submissions.c.id.in_(ids))
        appended: dict[int, Records] = {}
        with self._write.begin() as connection:
            lock_queue(connection)
            rows = connection.execute(_WAITING, {"submissions": ids}).all()
            known = {row.id: json.loads(row.payload).get("detail") for row in connection.execute(said)}
            for row in rows:
                if known.get(row.id) != unable(row.problem, row.language):
                    appended[row.id] = self._append(connection, row, [_unable(row)])
        return {submission_id: self._committed(records) for submission_id, records in appended.items()}

    def _requeue(self, connection: Connection, row: Row[Any], detail: str, columns: Mapping[str, Any]) -> Records:
        ahead = connection.execute(
            select(func.count())
            .select_from(submissions)
            .where(*WAITING, submissions.c.turn == NEXT, submissions.c.id < row.id)
        ).scalar_one()
        attempt = row.attempt + 1
        event = pending(attempt, queue_position=ahead + 1, detail=detail)
        back = {"attempt": attempt, "turn": NEXT, "fence": row.fence + 1}
        back |= {"lease_until": None, "waiting_since": self._clock(), **columns}
        return self._append(connection, row, [event], back)

    def _end(self, connection: Connection, row: Row[Any], detail: str) -> Records:
        """Append the verdict `error`, which is not the fault of the submitted code."""
        return self._append(
            connection,
            row,
            [
                {"type": "status_update", "status": "failed", "attempt": row.attempt, "detail": detail},
                {
                    "type": "complete",
                    "final_status": "error",
                    "summary": self._summary_so_far(connection, row),
                },
            ],
        )

    def update_queue_positions(self, limit: int) -> dict[int, Records]:
        """Append their position to the first `limit` waiting submissions whose watchers are to be told it.

        Returns:
            what was appended, by submission.
        """
        changes: dict[int, Change] = {}
        if not self._finds(places_to_tell(self._clock(), limit)):
            return {}
        with self._write.begin() as connection:
            lock_queue(connection)
            now = self._clock()
            query = places_to_tell(now, limit)
            places = {row.id: row.place for row in connection.execute(query)}
            for row in connection.execute(_WAITING, {"submissions": list(places)}).all():
                event = {**(_unable(row) if row.told else _still_pending(row)), "queue_position": places[row.id]}
                changes[row.id] = number_events(row, [event], now)
            write_changes(connection, list(changes.values()))
        appended = {submission_id: change.records for submission_id, change in changes.items()}
        return {submission_id: self._committed(records) for submission_id, records in appended.items()}

    def _finds(self, query: Select[*tuple[Any, ...]]) -> bool:
        """Whether there is anything, without the lock of a writer. What comes a moment later is found the next time."""
        with self._read.begin() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def try_to_write(self) -> None:
        """Write something that nobody reads.

        Raises:
            SQLAlchemyError: the database does not answer, or cannot be written.
        """
        with self._write.begin() as connection:
            connection.execute(update(write_probes).values(written_at=self._clock()))

    def _summary_so_far(self, connection: Connection, row: Row[Any]) -> dict[str, int]:
        started = row.started_at or self._clock()
        return summary_of(results_of(connection, row.id), row.total_tests, self._clock() - started)

    def _append(
        self,
        connection: Connection,
        row: Row[Any],
        batch: Sequence[Mapping[str, Any]],
        columns: Mapping[str, Any] = MappingProxyType({}),
    ) -> Records:
        """Append to a locked row, and set more columns of it."""
        change = number_events(row, batch, self._clock())
        change = replace(change, submission={**change.submission, **columns})
        write_changes(connection, [change])
        return change.records

    def _committed(self, records: Records) -> Records:
        """These records with the moment of their commit, which is now."""
        now = self._clock()
        return tuple(replace(each, committed=now) for each in records)


def _locked(connection: Connection, submission_id: int, *conditions: ColumnElement[bool]) -> Row[Any]:
    statement = _LOCKED.where(*conditions) if conditions else _LOCKED
    row = connection.execute(statement, {"submission": submission_id}).one_or_none()
    if row is None:
        raise UnknownSubmissionError
    return row


def _still_pending(row: Row[Any]) -> dict[str, Any]:
    """What the watchers of a submission are told while it waits."""
    return pending(max(1, row.attempt))


def _unable(row: Row[Any]) -> dict[str, Any]:
    return {**_still_pending(row), "detail": unable(row.problem, row.language)}


def _next_turn(connection: Connection, owner_id: int) -> int:
    """The turn after this owner's last one, but not before those that are being served."""
    turn, never_begun = submissions.c.turn, submissions.c.turn > NEXT
    served = connection.execute(select(func.min(turn)).where(*IN_LINE, never_begun)).scalar_one()
    last = connection.execute(
        select(func.max(turn)).where(*WAITING, never_begun, submissions.c.owner_id == owner_id)
    ).scalar_one()
    return max(served or 0, 0 if last is None else int(last) + 1)


def _held(connection: Connection, claim: Claim) -> Row[Any]:
    """Lock the row of a submission that is still held with this claim."""
    row = _locked(connection, claim.submission_id)
    if row.final_status is not None:
        raise EndedError
    if (row.fence, row.epoch) != (claim.fence, claim.epoch):
        raise StaleFenceError
    return row
