"""Judging again: each judging of a submission is a *run*, with a log of its own.

A submission's row, its events and its output are those of its latest run. So everything that judges, follows, lists and
cancels submissions needs to know nothing about runs, and neither does an older server on the same database. When a
submission is judged again, the run before is put into `runs` as it is, with its log, and the row begins again: with
another name for its log (epoch), at seq 1. Whoever followed the run before names that log, and gets its end from here.

The names of all runs of a submission begin alike (`subcli.shared.protocol.submission_part`): a client that remembers
one of them knows that another belongs to the same submission, and not to one that got its id after a restored backup.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, bindparam, delete, insert, select, update

from subcli.server.log.appending import Records, all_committed
from subcli.server.log.archive import packed
from subcli.server.log.changes import STATE, number_events, write_changes
from subcli.server.log.database import lock_queue
from subcli.server.log.events import all_stored
from subcli.server.log.packages import is_stored
from subcli.server.log.requeue import LATER, pending
from subcli.server.log.run_traces import key_of_run, keys_of_latest
from subcli.server.log.tables import (
    attempts,
    events,
    outputs,
    packed_events,
    run_numbers,
    run_traces,
    runs,
    submissions,
)
from subcli.shared.protocol import submission_part

_NAME_BYTES: Final = 8
_NAME_OF_RUN_BYTES: Final = 4
AGAIN: Final = "Judged again, as a teacher asked; nothing is left of the results before but the history."

# What a new run begins with.
_FRESH: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("started_at", "finished_at", "final_status", "summary", "build_log", "total_tests", "retry_at")),
    **dict.fromkeys(("position_told", "position_told_at", "lease_owner", "lease_until")),
    **dict.fromkeys(("last_seq", "output_seq", "output_bytes", "attempt", "losses", "failures"), 0),
    "status": "pending",
    "told": False,
    "packed": False,
    "turn": LATER,
}
_KEPT: Final = (
    *("status", "final_status", "summary", "build_log", "total_tests", "attempt", "finished_at", "last_seq"),
    "problem_version",
)


@dataclass(frozen=True, slots=True)
class Begun:
    """What became of submissions that were to be judged again.

    Attributes:
        records: the first event of each new run, by submission.
        announcements: the number of each new run and the id of the user whose submission it is, in order.
        repeated: those on which the same request had begun a run before.
        unfinished: those that have no verdict yet; they are left alone.
        unknown: those that do not exist, or whose code was deleted.
    """

    records: Mapping[int, Records]
    repeated: Sequence[int] = ()
    unfinished: Sequence[int] = ()
    unknown: Sequence[int] = ()
    announcements: Sequence[tuple[int, int]] = ()


class Runs:
    """Begins runs. The methods block.

    Args:
        engine: a database with the schema of `subcli.server.log.tables`.
        clock: Unix time in seconds.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._write = engine
        self._clock = clock

    def begin(self, ids: Sequence[int], key: str, versions: Mapping[str, str | None] = MappingProxyType({})) -> Begun:
        """Have submissions judged again, after everything that was never judged. One transaction: few at a time.

        Args:
            key: of the request. One that is repeated begins no second run.
            versions: by which version of each problem they are judged now, by slug; where there is none, by the same
                as before.
        """
        with self._write.begin() as connection:
            # Under this lock, no version that is stored is deleted.
            lock_queue(connection)
            versions = {slug: _if_stored(connection, version) for slug, version in versions.items()}
            # Of what is pruned, there is no code to judge.
            found = {row.id: row for row in _locked(connection, ids) if row.pruned_at is None}
            ended = [row for row in found.values() if row.final_status is not None and row.run_key != key]
            records = self._begin_again(connection, ended, key, versions) if ended else {}
            numbers = _number(connection, sorted(records)) if records else {}
        left = [row for row in found.values() if row.id not in records]
        return Begun(
            all_committed(records, self._clock()),
            repeated=[row.id for row in left if row.run_key == key],
            unfinished=[row.id for row in left if row.run_key != key],
            unknown=[each for each in ids if each not in found],
            announcements=[(number, found[each].owner_id) for number, each in sorted(numbers.items())],
        )

    def _begin_again(
        self, connection: Connection, rows: Sequence[Row[Any]], key: str, versions: Mapping[str, str | None]
    ) -> dict[int, Records]:
        ids, now = [row.id for row in rows], self._clock()
        _keep(connection, rows)
        fresh = update(submissions).where(submissions.c.id == bindparam("id_"))
        fresh = fresh.values(run=submissions.c.run + 1, fence=submissions.c.fence + 1, epoch=bindparam("epoch_"))
        fresh = fresh.values(**_FRESH, run_key=key, run_asked_at=now, waiting_since=now)
        fresh = fresh.values(problem_version=bindparam("version_"))
        judged_by = {row.id: versions.get(row.problem, row.problem_version) for row in rows}
        changed = [{"id_": row.id, "epoch_": _next_name(row.epoch), "version_": judged_by[row.id]} for row in rows]
        connection.execute(fresh, changed)
        # A worker that failed on it has not failed on this run.
        connection.execute(update(attempts).where(attempts.c.submission_id.in_(ids)).values(failed=False))
        states = connection.execute(select(*STATE, submissions.c.run).where(submissions.c.id.in_(ids))).all()
        changes = [number_events(row, [pending(1, run=row.run, detail=AGAIN)], now) for row in states]
        write_changes(connection, changes)
        return {change.submission_id: change.records for change in changes}


def _number(connection: Connection, ids: Sequence[int]) -> dict[int, int]:
    """Give each of these submissions the number of its new run: ascending in the order of commits.

    The lock of the queue is held until the end of the transaction, so whoever has seen a number misses none before it.
    """
    connection.execute(delete(run_numbers).where(run_numbers.c.submission_id.in_(ids)))
    made = insert(run_numbers).returning(run_numbers.c.number, run_numbers.c.submission_id)
    return {
        row.number: row.submission_id for row in connection.execute(made, [{"submission_id": each} for each in ids])
    }


def _if_stored(connection: Connection, version: str | None) -> str | None:
    return version if version is not None and is_stored(connection, version) else None


def _locked(connection: Connection, ids: Iterable[int]) -> Sequence[Row[Any]]:
    names = ("id", "owner_id", "problem", "run", "run_key", "run_asked_at", "epoch", "pruned_at", *_KEPT)
    query = select(*(submissions.c[name] for name in names)).where(submissions.c.id.in_(sorted(set(ids))))
    return connection.execute(query.order_by(submissions.c.id).with_for_update()).all()


def _keep(connection: Connection, rows: Sequence[Row[Any]]) -> None:
    """Put the runs of locked rows into `runs`, with their logs and traces, and delete their output."""
    ids = [row.id for row in rows]
    kept = [
        {
            "submission_id": row.id,
            "run": row.run,
            "epoch": row.epoch or secrets.token_hex(_NAME_BYTES),
            "asked_at": row.run_asked_at,
            "log": packed(texts_of(connection, row.id)),
            **{name: getattr(row, name) for name in _KEPT},
        }
        for row in rows
    ]
    connection.execute(insert(runs), kept)
    for table in (events, packed_events, outputs):
        connection.execute(delete(table).where(table.c.submission_id.in_(ids)))
    numbers = {row.id: row.run for row in rows}
    traces = select(run_traces.c.submission_id, run_traces.c.test)
    traces = traces.where(run_traces.c.submission_id.in_(ids), keys_of_latest())
    renamed = [
        {"id_": each.submission_id, "key_": each.test, "new_": key_of_run(each.test, numbers[each.submission_id])}
        for each in connection.execute(traces).all()
    ]
    if renamed:
        which = (run_traces.c.submission_id == bindparam("id_"), run_traces.c.test == bindparam("key_"))
        connection.execute(update(run_traces).where(*which).values(test=bindparam("new_")), renamed)


def texts_of(connection: Connection, submission_id: int) -> list[str]:
    """The events of a submission's latest run, as they are stored, in order."""
    return [each.payload for each in all_stored(connection, submission_id)]


def _next_name(epoch: str | None) -> str:
    """The name of the next run's log."""
    return submission_part(epoch or secrets.token_hex(_NAME_BYTES)) + secrets.token_hex(_NAME_OF_RUN_BYTES)
