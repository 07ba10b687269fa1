"""Who judges what, in the database.

Whoever judges a submission holds a *lease*, which runs out unless it is renewed, with a *fence*: a number that each
claim raises, and that the store compares with the row's at every append. So a worker that was taken for dead cannot
write into what another has taken over (M. Kleppmann, "How to do distributed locking", 2016). The leases are Unix
times of the workers' own clocks: one that is seconds off has its leases end early or late, and no more than that.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import ColumnElement, Engine, func, or_, select, update

from subcli.server.log.lookup import Lookup
from subcli.server.log.records import Claim
from subcli.server.log.tables import submissions


class Leases(Lookup):
    """The claims on submissions.

    Args:
        engine: with the schema of `subcli.server.log.tables`.
        clock: Unix time in seconds.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        super().__init__(engine)
        self._write = engine
        self._clock = clock

    def claim(self, submission_id: int, owner: str, lease: float) -> Claim | None:
        """The right to judge it for `lease` seconds, unless it has ended or another holds it."""
        now = self._clock()
        with self._write.begin() as connection:
            row = connection.execute(
                update(submissions)
                .where(submissions.c.id == submission_id, *self._is_claimable())
                .values(
                    fence=submissions.c.fence + 1,
                    attempt=submissions.c.attempt + 1,
                    lease_owner=owner,
                    lease_until=now + lease,
                    started_at=func.coalesce(submissions.c.started_at, now),
                )
                .returning(submissions)
            ).one_or_none()
        if row is None:
            return None
        return Claim(row.id, row.problem, row.language, row.files, row.attempt, row.fence, row.last_seq)

    def renew(self, claim: Claim, lease: float) -> bool:
        """Hold it for another `lease` seconds. False: it has ended, was given up, or another holds it now."""
        # One that was under way when the lease was given up must not take it back.
        return self._set_lease(claim, self._clock() + lease, submissions.c.lease_until.is_not(None))

    def release(self, claim: Claim) -> bool:
        """Give it up unfinished, to be judged again."""
        return self._set_lease(claim, None)

    def _set_lease(self, claim: Claim, until: float | None, *which: ColumnElement[bool]) -> bool:
        with self._write.begin() as connection:
            result = connection.execute(
                update(submissions)
                .where(
                    submissions.c.id == claim.submission_id,
                    submissions.c.fence == claim.fence,
                    submissions.c.final_status.is_(None),
                    *which,
                )
                .values(lease_until=until)
            )
            return result.rowcount == 1

    def release_all(self) -> None:
        """End every lease. Only for a process that knows to be the only one on this database."""
        with self._write.begin() as connection:
            connection.execute(update(submissions).where(submissions.c.final_status.is_(None)).values(lease_until=None))

    def claimable(self, most: int) -> list[int]:
        """The first `most` of the submissions that have neither a verdict nor a worker, oldest first."""
        query = select(submissions.c.id).where(*self._is_claimable()).order_by(submissions.c.id).limit(most)
        with self._read.begin() as connection:
            return list(connection.execute(query).scalars())

    def queue_length(self) -> int:
        """How many have neither a verdict nor a worker."""
        query = select(func.count()).select_from(submissions).where(*self._is_claimable())
        with self._read.begin() as connection:
            return int(connection.execute(query).scalar_one())

    def _is_claimable(self) -> tuple[ColumnElement[bool], ...]:
        lease = submissions.c.lease_until
        return submissions.c.final_status.is_(None), or_(lease.is_(None), lease < self._clock())
