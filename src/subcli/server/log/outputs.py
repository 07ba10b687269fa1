"""What builds and tests have printed, in the database: pieces with numbers of their own, 1, 2, 3 … for each submission.

They are written with the events between which they belong, in one transaction (`subcli.server.log.changes`), so who
finds an event finds the output before it as well. They are no part of the log: some time after the verdict they are
deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from sqlalchemy import Engine, bindparam, delete, select

from subcli.server.log.archive import is_kept
from subcli.server.log.database import has_rows, reading
from subcli.server.log.records import EventPage, LogEnd, Record, UnknownSubmissionError, record
from subcli.server.log.tables import outputs, submissions

_PAGE_BYTES: Final = 256 * 1024
_IDS_PER_QUERY: Final = 1000
_END: Final = select(submissions.c.final_status, submissions.c.output_seq, submissions.c.epoch).where(
    submissions.c.id == bindparam("submission")
)


class Outputs:
    """Queries on the output of submissions. They block.

    Args:
        engine: a database with the schema of `subcli.server.log.tables`.
        clock: Unix time in seconds.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._read = reading(engine)
        self._write = engine
        self._clock = clock

    def page(self, submission_id: int, after: int, limit: int, epoch: str | None = None) -> EventPage:
        """Return at most `limit` pieces after number `after`, and at most about 256 KiB of them.

        Args:
            epoch: the name of the log beside which they were printed. Of a run before the latest, none are left.

        Raises:
            UnknownSubmissionError: there is no such submission.
        """
        query = select(outputs.c.output_seq, outputs.c.payload).where(
            outputs.c.submission_id == submission_id, outputs.c.output_seq > after
        )
        found: list[Record] = []
        size = 0
        more = False
        with self._read.begin() as connection:
            row = connection.execute(_END, {"submission": submission_id}).one_or_none()
            if row is None:
                raise UnknownSubmissionError
            if epoch is not None and epoch != row.epoch and is_kept(connection, submission_id, epoch):
                return EventPage((), False, True, after, epoch, is_kept=True)
            for piece in connection.execute(query.order_by(outputs.c.output_seq).limit(limit + 1)):
                if len(found) == limit or size > _PAGE_BYTES:
                    more = True
                    break
                found.append(record(piece.output_seq, piece.payload, last=False, epoch=row.epoch))
                size += len(piece.payload)
        last = max(row.output_seq, found[-1].seq) if found else row.output_seq
        return EventPage(tuple(found), more, row.final_status is not None, last, row.epoch)

    def ends(self, ids: Collection[int]) -> dict[int, LogEnd]:
        """Return how many pieces each of these submissions has had."""
        wanted = sorted(ids)
        columns = (submissions.c.id, submissions.c.output_seq, submissions.c.epoch)
        found: dict[int, LogEnd] = {}
        with self._read.begin() as connection:
            for start in range(0, len(wanted), _IDS_PER_QUERY):
                which = submissions.c.id.in_(wanted[start : start + _IDS_PER_QUERY])
                for row in connection.execute(select(*columns).where(which)):
                    found[row.id] = LogEnd(row.output_seq, row.epoch)
        return found

    def delete_old(self, keep_s: float) -> int:
        """Delete the output of submissions that ended at least `keep_s` seconds ago.

        Returns:
            how many pieces were deleted.
        """
        is_old = submissions.c.finished_at <= self._clock() - keep_s
        query = select(outputs.c.submission_id).join(submissions).where(is_old).distinct()
        count = 0
        while has_rows(self._read, query):
            with self._write.begin() as connection:
                ids = connection.execute(query.limit(_IDS_PER_QUERY)).scalars().all()
                count += connection.execute(delete(outputs).where(outputs.c.submission_id.in_(ids))).rowcount
        return count
