"""Deleting old submissions, or all of them but the verdict: for an operator, beside a running server.

What runs or waits is never touched, and no transaction is long: a few submissions are deleted in each.

A submission whose verdict is kept has a log of two events in place of its own: a status that says what happened, and
`complete` with the verdict and the counts. So whoever watches it, with whatever version, sees why there is no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, Text, delete, func, select, update

from subcli.server.log.appending import append_to
from subcli.server.log.changes import STATE
from subcli.server.log.database import reading
from subcli.server.log.removal import delete_referring
from subcli.server.log.tables import attempts, events, outputs, packed_events, run_traces, runs, submissions

STEP: Final = 100
"""How many submissions a transaction deletes."""
_ENDED_AT: Final = func.coalesce(submissions.c.finished_at, submissions.c.created_at)
_DETAILS: Final = (attempts, events, outputs, packed_events, run_traces, runs)
"""What goes even if the verdict is kept."""
_STATE: Final = [*STATE, submissions.c.summary, submissions.c.finished_at]


@dataclass(frozen=True, slots=True)
class Old:
    """What can be pruned.

    Attributes:
        submissions: how many there are,
        users: whose they are,
        problems: and to how many problems,
        files_bytes: the size of their code, as it is stored.
        kept: how many others there are.
        running: how many of those are as old, but have no verdict.
    """

    submissions: int
    users: int
    problems: int
    files_bytes: int
    kept: int
    running: int


def pruned_notice(pruned_at: float) -> str:
    """What is said about a submission of which only the verdict is left."""
    day = datetime.fromtimestamp(pruned_at, UTC).date().isoformat()
    return f"Its code, results and output were deleted on {day}; the verdict remains."


class Pruning:
    """Deletes what is old. The methods block.

    Args:
        engine: a database with the schema of `subcli.server.log.tables`.
        clock: Unix time in seconds.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._read = reading(engine)
        self._write = engine
        self._clock = clock

    def old(self, older_than_s: float, *, keep_verdicts: bool) -> Old:
        """Count what `prune` would delete, and what it would not."""
        before = self._clock() - older_than_s
        is_old = _conditions(before, keep_verdicts)
        size = func.coalesce(func.sum(func.length(submissions.c.files.cast(Text))), 0)
        of_old = select(func.count(), _distinct(submissions.c.owner_id), _distinct(submissions.c.problem), size)
        unended = (submissions.c.final_status.is_(None), submissions.c.created_at < before)
        with self._read.begin() as connection:
            count, users, problems, files_bytes = connection.execute(of_old.where(*is_old)).one()
            total = connection.execute(select(func.count()).select_from(submissions)).scalar_one()
            running = connection.execute(select(func.count()).select_from(submissions).where(*unended)).scalar_one()
        return Old(count, users, problems, int(files_bytes), total - count, running)

    def prune(self, older_than_s: float, *, keep_verdicts: bool) -> Iterator[int]:
        """Delete, a few submissions at a time.

        Yields:
            after each transaction, how many it has deleted. What others have locked at that moment is left out.
        """
        before = self._clock() - older_than_s
        after = 0
        query = select(submissions.c.id).where(*_conditions(before, keep_verdicts)).order_by(submissions.c.id)
        while True:
            with self._read.begin() as connection:
                ids = connection.execute(query.where(submissions.c.id > after).limit(STEP)).scalars().all()
            if not ids:
                return
            after = ids[-1]
            chosen = select(*_STATE).where(submissions.c.id.in_(ids), *_conditions(before, keep_verdicts))
            with self._write.begin() as connection:
                rows = connection.execute(chosen.with_for_update(skip_locked=True)).all()
                (self._keep_verdicts if keep_verdicts else _delete)(connection, rows)
            yield len(rows)

    def _keep_verdicts(self, connection: Connection, rows: Sequence[Row[Any]]) -> None:
        now = self._clock()
        ids = [row.id for row in rows]
        for table in _DETAILS:
            connection.execute(delete(table).where(table.c.submission_id.in_(ids)))
        emptied: dict[str, Any] = {"files": {}, "build_log": None, "pruned_at": now, "packed": False}
        connection.execute(update(submissions).where(submissions.c.id.in_(ids)).values(**emptied))
        for row in rows:
            log: list[dict[str, Any]] = [
                {"type": "status_update", "status": row.status, "detail": pruned_notice(now)},
                {"type": "complete", "final_status": row.final_status, "summary": row.summary or {}},
            ]
            emptied_row: Any = SimpleNamespace(**{**row._asdict(), "last_seq": 0})
            # The time of the verdict stays, and what the status says is no build log.
            columns = {"finished_at": row.finished_at, "build_log": None}
            append_to(connection, emptied_row, log, now, columns)


def _distinct(column: Any) -> Any:
    return func.count(column.distinct())


def _conditions(before: float, keep_verdicts: bool) -> tuple[Any, ...]:
    """What is old: it ended before that time. What has its verdict kept is not pruned so again."""
    ended = (submissions.c.final_status.is_not(None), before > _ENDED_AT)
    return (*ended, submissions.c.pruned_at.is_(None)) if keep_verdicts else ended


def _delete(connection: Connection, rows: Sequence[Row[Any]]) -> None:
    ids = [row.id for row in rows]
    delete_referring(connection, submissions.c.id, ids)
    connection.execute(delete(submissions).where(submissions.c.id.in_(ids)))
