"""Who judges which submission, in the database.

A worker that judges a submission holds a *lease*, which expires unless it is renewed, and a *fence*: a number that
each claim raises and that the store compares with the row's at every append. So a worker that was presumed dead cannot
write into a submission that another has taken over (M. Kleppmann, "How to do distributed locking", 2016). Leases are
Unix times by the workers' own clocks; a clock that is some seconds off only makes leases expire early or late.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import ColumnElement, Connection, Engine, and_, case, func, insert, or_, select, update

from subcli.server.log.database import lock_queue, reading
from subcli.server.log.records import Claim
from subcli.server.log.requeue import IN_ORDER, WAITING, Able, waits_for
from subcli.server.log.tables import attempts, submissions, users


class Leases:
    """The claims on submissions. The methods block.

    Args:
        engine: a database with the schema of `subcli.server.log.tables`.
        clock: Unix time in seconds.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._read = reading(engine)
        self._write = engine
        self._clock = clock

    def claim_next(self, owner: str, able: Able, lease_s: float) -> Claim | None:
        """Claim the submission whose turn it is. None if nothing waits for this worker."""
        with self._write.begin() as connection:
            # With this lock, rows that are locked nevertheless are about to end.
            lock_queue(connection)
            query = select(submissions.c.id).where(*waits_for(owner, able, self._clock())).order_by(*IN_ORDER).limit(1)
            found = connection.execute(query.with_for_update(skip_locked=True)).scalar_one_or_none()
            return None if found is None else self._claim(connection, found, owner, lease_s)

    def _claim(self, connection: Connection, submission_id: int, owner: str, lease_s: float) -> Claim | None:
        now = self._clock()
        row = connection.execute(
            update(submissions)
            .where(submissions.c.id == submission_id, *WAITING)
            .values(
                fence=submissions.c.fence + 1,
                attempt=case((submissions.c.attempt == 0, 1), else_=submissions.c.attempt),
                lease_owner=owner,
                lease_until=now + lease_s,
                told=False,
                started_at=func.coalesce(submissions.c.started_at, now),
            )
            .returning(submissions)
        ).one_or_none()
        if row is None:
            return None
        by_whom = {"attempt": row.attempt, "worker": owner, "started_at": now}
        connection.execute(insert(attempts).values(submission_id=row.id, fence=row.fence, **by_whom))
        user = connection.execute(select(users.c.name).where(users.c.id == row.owner_id)).scalar_one()
        waiting_since = row.created_at if row.waiting_since is None else row.waiting_since
        return Claim(
            *(row.id, row.problem, row.language, row.files, row.attempt, row.fence, row.last_seq),
            owner=user,
            waited_s=max(0.0, now - waiting_since),
            epoch=row.epoch,
            output_seq=row.output_seq,
            output_bytes=row.output_bytes,
            problem_version=row.problem_version,
        )

    def renew(self, claim: Claim, lease_s: float) -> bool:
        """Hold a claim for another `lease_s` seconds.

        Returns:
            False if the submission has ended, went back to the queue, or is another worker's now.
        """
        with self._write.begin() as connection:
            result = connection.execute(
                update(submissions)
                .where(
                    submissions.c.id == claim.submission_id,
                    submissions.c.fence == claim.fence,
                    submissions.c.epoch.is_not_distinct_from(claim.epoch),
                    submissions.c.final_status.is_(None),
                )
                .values(lease_until=self._clock() + lease_s)
            )
            return result.rowcount == 1

    def claimable(self, limit: int, owner: str, able: Able) -> list[int]:
        """Return the ids of submissions that wait for this worker, in the order of their turns."""
        query = select(submissions.c.id).where(*waits_for(owner, able, self._clock())).order_by(*IN_ORDER).limit(limit)
        with self._read.begin() as connection:
            return list(connection.execute(query).scalars())

    def others_hold(self, owner: str, seconds: float) -> bool:
        """Return whether another worker is still judging what it claimed at least so many seconds ago."""
        now = self._clock()
        this = and_(attempts.c.submission_id == submissions.c.id, attempts.c.fence == submissions.c.fence)
        is_held = (submissions.c.final_status.is_(None), submissions.c.lease_until > now)
        by_others = (submissions.c.lease_owner != owner, attempts.c.started_at <= now - seconds)
        query = select(submissions.c.id).join(attempts, this).where(*is_held, *by_others).limit(1)
        with self._read.begin() as connection:
            return connection.execute(query).first() is not None

    def queue_length(self) -> int:
        """Return the number of submissions that have neither a verdict nor a worker."""
        query = select(func.count()).select_from(submissions).where(*self._has_no_worker())
        with self._read.begin() as connection:
            return int(connection.execute(query).scalar_one())

    def _has_no_worker(self) -> tuple[ColumnElement[bool], ...]:
        lease = submissions.c.lease_until
        return submissions.c.final_status.is_(None), or_(lease.is_(None), lease < self._clock())
