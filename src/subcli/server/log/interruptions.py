"""Judgings that end without a verdict, through no fault of the submitted code.

A submission whose worker stopped, vanished or failed goes back to the head of the queue, in the transaction that tells
its watchers why. One on which this has happened too often ends with the verdict `error`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, select, update

from subcli.server.log.appending import Records, all_committed, append_to, committed, held, summary_so_far
from subcli.server.log.changes import STATE
from subcli.server.log.database import has_rows, reading
from subcli.server.log.records import Claim, Failure
from subcli.server.log.requeue import AGAIN, LOST, NEXT, WAITING, pending
from subcli.server.log.tables import attempts, submissions


class Interruptions:
    """Hand back, fail and take back submissions. The methods block.

    Args:
        engine: a database with the schema of `subcli.server.log.tables`.
        clock: Unix time in seconds.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._read = reading(engine)
        self._write = engine
        self._clock = clock

    def hand_back(self, claim: Claim, detail: str) -> Records:
        """Put a submission back at the head of the queue before its verdict, through no fault of anybody's.

        Args:
            detail: tells its watchers why.

        Raises:
            StaleFenceError: it is another worker's now, or back already.
            EndedError: it has its verdict.
        """
        with self._write.begin() as connection:
            records = self._requeue(connection, held(connection, claim), detail, {})
        return committed(records, self._clock())

    def fail(self, claim: Claim, failure: Failure, tries: int, retry_s: float) -> Records:
        """Put a submission back because the judge failed; end it with `error` if it did so for the last time.

        Args:
            tries: how often a submission is tried.
            retry_s: seconds in which workers that failed do not get it again; longer with each failure.

        Raises what `hand_back` does.
        """
        with self._write.begin() as connection:
            row = held(connection, claim)
            this = (attempts.c.submission_id == row.id, attempts.c.fence == claim.fence)
            connection.execute(update(attempts).where(*this).values(failed=True))
            failures = row.failures + 1
            if failures < tries:
                detail = f"{failure.detail} {AGAIN}, try {failures + 1} of {tries}."
                columns = {"failures": failures, "retry_at": self._clock() + retry_s * failures}
                records = self._requeue(connection, row, detail, columns)
            elif failure.ending:
                records = append_to(connection, row, failure.ending, self._clock())
            else:
                records = self._end(connection, row, failure.detail)
        return committed(records, self._clock())

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
        if not has_rows(self._read, query):
            return appended
        with self._write.begin() as connection:
            rows = connection.execute(query.with_for_update(skip_locked=True)).all()
            for row in rows:
                if row.losses + 1 >= attempts:
                    detail = f"Judging was started {row.losses + 1} times and never finished."
                    appended[row.id] = self._end(connection, row, detail)
                else:
                    appended[row.id] = self._requeue(connection, row, LOST, {"losses": row.losses + 1})
        return all_committed(appended, self._clock())

    def _requeue(self, connection: Connection, row: Row[Any], detail: str, columns: Mapping[str, Any]) -> Records:
        ahead = connection.execute(
            select(func.count())
            .select_from(submissions)
            .where(*WAITING, submissions.c.turn == NEXT, submissions.c.id < row.id)
        ).scalar_one()
        now = self._clock()
        attempt = row.attempt + 1
        event = pending(attempt, queue_position=ahead + 1, detail=detail)
        back = {"attempt": attempt, "turn": NEXT, "fence": row.fence + 1}
        back |= {"lease_until": None, "waiting_since": now, **columns}
        return append_to(connection, row, [event], now, back)

    def _end(self, connection: Connection, row: Row[Any], detail: str) -> Records:
        """Append the verdict `error`, which is not the fault of the submitted code."""
        now = self._clock()
        ending = [
            {"type": "status_update", "status": "failed", "attempt": row.attempt, "detail": detail},
            {"type": "complete", "final_status": "error", "summary": summary_so_far(connection, row, now)},
        ]
        return append_to(connection, row, ending, now)
