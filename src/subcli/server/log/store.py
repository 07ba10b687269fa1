"""The log of every submission and its snapshot: the source of truth.

Events are numbered when they are appended, 1, 2, 3 … without holes, in the transaction that also updates the
submission's row. So a snapshot never contradicts the events, and an event that anybody has seen is committed. An append
by a worker carries the fence of its claim (`subcli.server.log.leases`); one with an older fence is refused, however
late it arrives.

The methods block; `Store.run` calls them in a thread.
"""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final, ParamSpec, TypeVar

from sqlalchemy import (
    Connection,
    Engine,
    and_,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from subcli.server.log.admission import admit
from subcli.server.log.appending import Records, append_to, committed, locked, summary_so_far
from subcli.server.log.changes import (
    Change,
    State,
    number_events,
    output_after,
    records_after,
    states_of,
    write_changes,
)
from subcli.server.log.database import lock_queue, reading
from subcli.server.log.driver import DriverTransaction, Statements, Writer, writing
from subcli.server.log.interruptions import Interruptions
from subcli.server.log.leases import Leases
from subcli.server.log.listing import Listing
from subcli.server.log.lookup import SNAPSHOT, Lookup, snapshot_of
from subcli.server.log.matching import Matching
from subcli.server.log.outputs import Outputs
from subcli.server.log.packages import Packages, is_stored
from subcli.server.log.packer import Packer
from subcli.server.log.presence import Presence
from subcli.server.log.records import (
    Append,
    EndedError,
    KeyReusedError,
    NewSubmission,
    Snapshot,
    StaleFenceError,
    UnknownSubmissionError,
    VersionMissingError,
)
from subcli.server.log.requeue import (
    IN_LINE,
    LATER,
    NEXT,
    WAITING,
    pending,
)
from subcli.server.log.run_traces import RunTraces
from subcli.server.log.runs import Runs
from subcli.server.log.selection import Selections
from subcli.server.log.standings import Standings
from subcli.server.log.tables import submissions, write_probes
from subcli.server.log.threads import Threads
from subcli.server.log.waiting import WaitingSubmissions
from subcli.shared.protocol import OUTPUT

P = ParamSpec("P")
T = TypeVar("T")

_THREADS: Final = 4
_EPOCH_BYTES: Final = 8


class Store:
    """Submissions and events in a database.

    Attributes:
        lookup: queries.
        listing: lists of submissions.
        matching: queries for feeds.
        leases: which worker judges which submission.
        interruptions: what goes back to the queue without a verdict.
        waiting: what those are told who wait.
        outputs: what builds and tests have printed.
        run_traces: the traces of failed tests.
        packages: versions of problems.
        packer: packs the logs of what ended some time ago.
        presence: who judges for others.
        runs: has submissions judged again,
        selections: and finds out which.
        standings: results of problems.

    Args:
        engine: a database with the schema of `subcli.server.log.tables`.
        clock: Unix time in seconds.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self.lookup = Lookup(engine)
        self.listing = Listing(engine)
        self.matching = Matching(engine)
        self.leases = Leases(engine, clock)
        self.interruptions = Interruptions(engine, clock)
        self.waiting = WaitingSubmissions(engine, clock)
        self.outputs = Outputs(engine, clock)
        self.run_traces = RunTraces(engine)
        self.packages = Packages(engine, clock)
        self.packer = Packer(engine, clock)
        self.presence = Presence(engine, clock)
        self.runs = Runs(engine, clock)
        self.selections = Selections(engine)
        self.standings = Standings(engine)
        self._read = reading(engine)
        self._write = engine
        self._clock = clock
        self._writer = Writer(engine)
        self._threads = Threads(_THREADS, "store")

    async def run(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `method` in a thread. A call that has begun is completed even if the caller is cancelled."""
        call = functools.partial(method, *args, **kwargs)
        return await self._threads.run(call)

    def close(self) -> None:
        """Wait for the calls that have begun and close the connections."""
        self._threads.close()
        self._writer.close()
        self._write.dispose()

    # -- creating ------------------------------------------------------------------------------------

    def create(self, new: NewSubmission) -> tuple[Snapshot, bool]:
        """Create a pending submission, unless there is one with the same idempotency key.

        Returns:
            the submission, and whether it is new.

        Raises:
            KeyReusedError: the key belongs to a submission with different content.
            ClosedError: the problem has closed.
            NoAttemptsLeftError: the owner has used all attempts at the problem.
            VersionMissingError: the version of the problem is not stored.
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

    def repeated(self, new: NewSubmission) -> Snapshot | None:
        """Return the submission that was created with the same idempotency key; None if there is none.

        Raises what `create` does.
        """
        with self._read.begin() as connection:
            return self._with_key(connection, new)

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
        now = self._clock()
        admit(connection, new, now)
        if new.problem_version is not None and not is_stored(connection, new.problem_version):
            raise VersionMissingError
        turn = _next_turn(connection, new.owner_id)
        ahead = connection.execute(
            select(func.count()).select_from(submissions).where(*IN_LINE, submissions.c.turn <= turn)
        ).scalar_one()
        created = connection.execute(
            insert(submissions)
            .values(
                owner_id=new.owner_id,
                problem=new.problem,
                language=new.language,
                files=dict(new.files),
                idempotency_key=new.idempotency_key,
                problem_version=new.problem_version,
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
        append_to(connection, created, [pending(1, queue_position=ahead + 1)], now)
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
        with writing(self._write) as transaction:
            row = states_of(transaction, [wanted.submission_id]).get(wanted.submission_id)
            if row is None:
                raise UnknownSubmissionError
            change = self._prepare(transaction, row, wanted)
            write_changes(transaction, [change])
        return committed(change.records, self._clock())

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

        def write(transaction: DriverTransaction) -> list[Change | Exception | None]:
            rows = states_of(transaction, [each.submission_id for each in wanted], skip_locked=True)
            prepared = [self._try_to_prepare(transaction, rows.get(each.submission_id), each) for each in wanted]
            write_changes(transaction, [each for each in prepared if isinstance(each, Change)])
            return prepared

        prepared = self._writer.run(write)
        now = self._clock()
        return [committed(each.records, now) if isinstance(each, Change) else each for each in prepared]

    def _try_to_prepare(self, transaction: Statements, row: State | None, wanted: Append) -> Change | Exception | None:
        """Like `_prepare`, but return why an append is refused; None if its row could not be locked."""
        if row is None:
            return None
        try:
            return self._prepare(transaction, row, wanted)
        except self._write.dialect.loaded_dbapi.Error:
            raise
        except Exception as refused:
            return refused

    def _prepare(self, transaction: Statements, row: State, wanted: Append) -> Change:
        """Work out what an append to a locked row changes. Raises what `append` does."""
        batch, after = wanted.batch, wanted.after
        if wanted.fence is not None and row.fence != wanted.fence:
            raise StaleFenceError
        if wanted.epoch not in (None, row.epoch) or (after is not None and row.last_seq < after):
            # A backup was restored: the log that this worker wrote to is gone, or its end is.
            raise StaleFenceError
        if after is not None and _is_written(row, after, wanted):
            records = records_after(transaction, row, after)
            if row.output_seq > wanted.output_after:
                records += output_after(transaction, row, wanted.output_after)
            return Change(records, (), row.id, {})
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
            row = locked(connection, submission_id, submissions.c.owner_id == owner_id)
            if row.final_status is not None:
                raise EndedError
            now = self._clock()
            summary = summary_so_far(connection, row, now)
            ending: list[dict[str, Any]] = [
                {"type": "status_update", "status": "cancelled"},
                {"type": "complete", "final_status": "cancelled", "summary": summary},
            ]
            records = append_to(connection, row, ending, now)
        return committed(records, self._clock())

    def try_to_write(self) -> None:
        """Write something that nobody reads.

        Raises:
            SQLAlchemyError: the database does not answer, or cannot be written.
        """
        with self._write.begin() as connection:
            connection.execute(update(write_probes).values(written_at=self._clock()))


def _is_written(row: State, after: int, wanted: Append) -> bool:
    """Whether the row is as it is after this append. A transaction writes all of it or nothing."""
    outputs = sum(event["type"] == OUTPUT for event in wanted.batch)
    if outputs and row.output_seq != wanted.output_after + outputs:
        return False
    return bool(row.last_seq == after + len(wanted.batch) - outputs)


def _next_turn(connection: Connection, owner_id: int) -> int:
    """The turn after this owner's last one, but not before those that are being served."""
    turn = submissions.c.turn
    never_begun = and_(turn > NEXT, turn < LATER)
    served = connection.execute(select(func.min(turn)).where(*IN_LINE, never_begun)).scalar_one()
    last = connection.execute(
        select(func.max(turn)).where(*WAITING, never_begun, submissions.c.owner_id == owner_id)
    ).scalar_one()
    return max(served or 0, 0 if last is None else int(last) + 1)
