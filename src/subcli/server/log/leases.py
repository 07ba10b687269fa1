"""Who judges which submission, in the database.

A worker that judges a submission holds a *lease*, which expires unless it is renewed, and a *fence*: a number that
each claim raises and that the store compares with the row's at every append. So a worker that was presumed dead cannot
write into a submission that another has taken over (M. Kleppmann, "How to do distributed locking", 2016). Leases are
Unix times by the workers' own clocks; a clock that is some seconds off only makes leases expire early or late.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import ColumnElement, Engine, func, or_, select, update

from subcli.server.log.database import reading
from subcli.server.log.records import Claim
from subcli.server.log.tables import submissions


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

    def claim(self, submission_id: int, owner: str, lease_s: float) -> Claim | None:
        """Claim a submission for `lease_s` seconds. None if it has ended or another worker holds it."""
        now = self._clock()
        with self._write.begin() as connection:
            row = connection.execute(
                update(submissions)
                .where(submissions.c.id == submission_id, *self._is_claimable())
                .values(
                    fence=submissions.c.fence + 1,
                    attempt=submissions.c.attempt + 1,
                    lease_owner=owner,
                    lease_until=now + lease_s,
                    started_at=func.coalesce(submissions.c.started_at, now),
                )
                .returning(submissions)
            ).one_or_none()
        if row is None:
            return None
        return Claim(row.id, row.problem, row.language, row.files, row.attempt, row.fence, row.last_seq)

    def renew(self, claim: Claim, lease_s: float) -> bool:
        """Hold a claim for another `lease_s` seconds.

        Returns:
            False if the submission has ended, was released, or is another worker's now.
        """
        # A renewal that was under way during the release must not undo it.
        return self._set_lease(claim, self._clock() + lease_s, submissions.c.lease_until.is_not(None))

    def release(self, claim: Claim) -> bool:
        """Give up a claim before the verdict, so that the submission is judged again. False if it is not held."""
        return self._set_lease(claim, None)

    def _set_lease(self, claim: Claim, until: float | None, *conditions: ColumnElement[bool]) -> bool:
        with self._write.begin() as connection:
            result = connection.execute(
                update(submissions)
                .where(
                    submissions.c.id == claim.submission_id,
                    submissions.c.fence == claim.fence,
                    submissions.c.final_status.is_(None),
                    *conditions,
                )
                .values(lease_until=until)
            )
            return result.rowcount == 1

    def release_all(self) -> None:
        """End every lease. Only for a process that knows that it is the only one on this database."""
        with self._write.begin() as connection:
            connection.execute(update(submissions).where(submissions.c.final_status.is_(None)).values(lease_until=None))

    def claimable(self, limit: int) -> list[int]:
        """Return the ids of submissions that have neither a verdict nor a worker, oldest first."""
        query = select(submissions.c.id).where(*self._is_claimable()).order_by(submissions.c.id).limit(limit)
        with self._read.begin() as connection:
            return list(connection.execute(query).scalars())

    def queue_length(self) -> int:
        """Return the number of submissions that have neither a verdict nor a worker."""
        query = select(func.count()).select_from(submissions).where(*self._is_claimable())
        with self._read.begin() as connection:
            return int(connection.execute(query).scalar_one())

    def _is_claimable(self) -> tuple[ColumnElement[bool], ...]:
        lease = submissions.c.lease_until
        return submissions.c.final_status.is_(None), or_(lease.is_(None), lease < self._clock())
