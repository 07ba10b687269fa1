"""Whether a problem still accepts a submission: until it closes, and until its owner has used all attempts.

Both are checked in the transaction that inserts the submission, under the lock of the queue, so that of two submissions
at the same moment only one takes the last attempt. An attempt is a submission that a worker began to judge, or that
still waits. What was cancelled before any worker took it does not count: its owner has learnt nothing from it. Neither
does one that ended with `error`, which is the judge's own fault. A submission that is judged again is still one.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, or_, select

from subcli.server.log.records import ClosedError, NewSubmission, NoAttemptsLeftError
from subcli.server.log.tables import submissions


def admit(connection: Connection, new: NewSubmission, now: float) -> None:
    """Let a submission pass.

    Args:
        connection: holds the lock of the queue.
        now: Unix seconds by the server's clock.

    Raises:
        ClosedError: the problem has closed.
        NoAttemptsLeftError: its owner has used all attempts.
    """
    if new.closes_at is not None and now >= new.closes_at:
        raise ClosedError(new.problem, new.closes_at)
    if new.max_attempts is None:
        return
    used = attempts_used(connection, new.owner_id, new.problem)
    if used >= new.max_attempts:
        raise NoAttemptsLeftError(new.problem, used, new.max_attempts)


def attempts_used(connection: Connection, owner_id: int, problem: str) -> int:
    """How many attempts at a problem a user has made."""
    verdict, started = submissions.c.final_status, submissions.c.started_at
    counts = or_(
        verdict.is_(None), verdict.not_in(("error", "cancelled")), (verdict == "cancelled") & started.is_not(None)
    )
    query = select(func.count()).where(submissions.c.owner_id == owner_id, submissions.c.problem == problem, counts)
    return int(connection.execute(query.select_from(submissions)).scalar_one())
