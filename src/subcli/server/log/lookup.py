"""Read access to the log and to the submissions' rows. Each answer comes from one transaction that writes nothing."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, Select, bindparam, func, or_, select, true

from subcli.server.log.admission import attempts_used
from subcli.server.log.archive import kept_page, kept_runs, kept_snapshot, kept_texts
from subcli.server.log.comparison import JUDGED, Outcome, compare, outcomes
from subcli.server.log.database import reading
from subcli.server.log.events import RESULTS, last_stored, stored_after, stored_of_types
from subcli.server.log.records import Attempt, EventPage, LogEnd, Record, Run, Snapshot, UnknownSubmissionError, record
from subcli.server.log.tables import attempts, group_members, submissions

ENDED: Final = "complete"
"""The type of the event that ends a log."""
_PAGE_BYTES: Final = 512 * 1024
"""A page ends here, which bounds what a slow watcher holds in memory."""
_IDS_PER_QUERY: Final = 1000
_LOG: Final = select(submissions.c.final_status, submissions.c.last_seq, submissions.c.epoch).where(
    submissions.c.id == bindparam("submission")
)
_EARLIER: Final = submissions.alias()
_PREVIOUS: Final = (
    select(_EARLIER.c.id, _EARLIER.c.final_status, _EARLIER.c.run)
    .select_from(submissions)
    .join(_EARLIER, (_EARLIER.c.owner_id == submissions.c.owner_id) & (_EARLIER.c.problem == submissions.c.problem))
    .where(
        submissions.c.id == bindparam("submission"),
        _EARLIER.c.id < submissions.c.id,
        or_(_EARLIER.c.final_status.in_(JUDGED), _EARLIER.c.final_status.is_(None) & (_EARLIER.c.run > 1)),
        # Of such a one, no results are left.
        _EARLIER.c.pruned_at.is_(None),
    )
    .order_by(_EARLIER.c.id.desc())
    .limit(1)
)
_RUN: Final = select(submissions.c.run).where(submissions.c.id == bindparam("submission"))
SNAPSHOT: Final = [submissions.c[name] for name in Snapshot.__dataclass_fields__]


class Lookup:
    """Queries. They block.

    Args:
        engine: a database with the schema of `subcli.server.log.tables`.
    """

    def __init__(self, engine: Engine) -> None:
        self._read = reading(engine)

    def snapshot(self, submission_id: int, owner_id: int | None) -> Snapshot:
        """Return one submission.

        Args:
            owner_id: whose it must be; None for anybody's.

        Raises:
            UnknownSubmissionError: this owner has no such submission.
        """
        with self._read.begin() as connection:
            return snapshot_of(connection, submission_id, owned_by(owner_id))

    def of_run(self, latest: Snapshot, *, run: int | None = None, epoch: str | None = None) -> Snapshot | None:
        """Return a submission as it was at the end of one of its runs; the latest one as it is given.

        Args:
            run: its number,
            epoch: or the name of its log.

        Returns:
            None if it has no such run.
        """
        if latest.run == run or (run is None and latest.epoch == epoch):
            return latest
        with self._read.begin() as connection:
            return kept_snapshot(connection, latest, run=run, epoch=epoch)

    def runs(self, latest: Snapshot) -> list[Run]:
        """Return all runs of a submission, oldest first."""
        with self._read.begin() as connection:
            before = [each for each in kept_runs(connection, latest.id) if each.run < latest.run]
        shown = (latest.status, latest.final_status, latest.summary, latest.run_asked_at, latest.finished_at)
        return [*before, Run(latest.run, *shown, latest.last_seq, latest.epoch, latest.problem_version)]

    def page(self, submission_id: int, after: int, limit: int, epoch: str | None = None) -> EventPage:
        """Return at most `limit` events after position `after`, and at most about 512 KiB of them.

        Args:
            epoch: the name of the log, if it may be that of a run before the latest. If there is none with this name,
                it is the latest one all the same, and the page says so.

        Raises:
            UnknownSubmissionError: there is no such submission.
        """
        with self._read.begin() as connection:
            # The row first: if it says that the submission has ended, all of its events can be read.
            row = connection.execute(_LOG, {"submission": submission_id}).one_or_none()
            if row is None:
                raise UnknownSubmissionError
            if epoch is not None and epoch != row.epoch:
                kept = kept_page(connection, submission_id, after, limit, epoch)
                if kept is not None:
                    return kept
            found: list[Record] = []
            size = 0
            more = False
            # Looking among the packed events is in vain if there can be none, or all have been read.
            may_be_packed = row.final_status is not None and row.last_seq > after
            stored = stored_after(connection, submission_id, after, limit + 1, may_be_packed=may_be_packed)
            for event in stored:
                if len(found) == limit or size > _PAGE_BYTES:
                    more = True
                    break
                found.append(record(event.seq, event.payload, last=event.type == ENDED, epoch=row.epoch))
                size += len(event.payload)
        # Without a snapshot of both statements, the events may be more recent than the row.
        last_seq = max(row.last_seq, found[-1].seq) if found else row.last_seq
        return EventPage(tuple(found), more, row.final_status is not None, last_seq, row.epoch)

    def ends(self, ids: Collection[int]) -> dict[int, LogEnd]:
        """Return where the log of each of these submissions ends."""
        wanted = sorted(ids)
        found: dict[int, LogEnd] = {}
        with self._read.begin() as connection:
            for start in range(0, len(wanted), _IDS_PER_QUERY):
                which = submissions.c.id.in_(wanted[start : start + _IDS_PER_QUERY])
                rows = connection.execute(
                    select(submissions.c.id, submissions.c.last_seq, submissions.c.epoch).where(which)
                )
                found.update((row.id, LogEnd(row.last_seq, row.epoch)) for row in rows)
        return found

    def attempts(self, submission_id: int) -> list[Attempt]:
        """Return which workers claimed a submission, in order; none for a submission that does not exist."""
        columns = (attempts.c.attempt, attempts.c.worker, attempts.c.started_at)
        query = select(*columns).where(attempts.c.submission_id == submission_id).order_by(attempts.c.fence)
        with self._read.begin() as connection:
            return [Attempt(*row) for row in connection.execute(query)]

    def attempts_used(self, owner_id: int, problem: str) -> int:
        """Return how many attempts at a problem a user has made; see `subcli.server.log.admission`."""
        with self._read.begin() as connection:
            return attempts_used(connection, owner_id, problem)

    def has_submissions(self, problem: str) -> bool:
        """Return whether anybody has submitted to a problem."""
        with self._read.begin() as connection:
            query = select(submissions.c.id).where(submissions.c.problem == problem).limit(1)
            return connection.execute(query).first() is not None

    def problems(self, ids: Collection[int]) -> set[str]:
        """Return the slugs of the problems of submissions, few at a time."""
        with self._read.begin() as connection:
            query = select(submissions.c.problem).where(submissions.c.id.in_(sorted(ids))).distinct()
            return set(connection.execute(query).scalars())

    def problem(self, submission_id: int) -> str:
        """Return the slug of a submission's problem."""
        with self._read.begin() as connection:
            query = select(submissions.c.problem).where(submissions.c.id == submission_id)
            return str(connection.execute(query).scalar_one())

    def files(self, submission_id: int) -> dict[str, str]:
        """Return what was submitted, by path."""
        with self._read.begin() as connection:
            query = select(submissions.c.files).where(submissions.c.id == submission_id)
            return dict(connection.execute(query).scalar_one())

    def results(self, submission_id: int, run: int) -> list[str]:
        """Return the encoded `test_result` and `error_analysis` events of a run of a submission, in order."""
        with self._read.begin() as connection:
            kept = kept_texts(connection, submission_id, run)
            if kept is not None:
                return [text for text in kept if json.loads(text)["type"] in RESULTS]
            return results_of(connection, submission_id)

    def comparison(self, submission_id: int, latest: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
        """Compare a submission that is about to end with its owner's previous one at the same problem.

        One that is judged again is compared with its own run before.

        Args:
            submission_id: Which one.
            latest: Those of its events that are not in the log yet.

        Returns:
            `compared_to`; None if there is no previous one that was judged to its end.
        """
        with self._read.begin() as connection:
            found = _before(connection, submission_id)
            if found is None:
                return None
            now = outcomes(chain(_tests_of(connection, submission_id), latest))
            more = {} if found.run is None else {"previous_run": found.run}
            return {**compare(found.submission_id, found.outcomes, now), **more}

    def compared_to(self, snapshot: Snapshot) -> dict[str, Any] | None:
        """Return what the verdict of a submission was compared with; None if there is no comparison."""
        if snapshot.final_status not in JUDGED:
            return None
        with self._read.begin() as connection:
            kept = kept_texts(connection, snapshot.id, snapshot.run)
            last = None if kept else last_stored(connection, snapshot.id, snapshot.last_seq)
            payload = kept[-1] if kept else last.payload if last is not None and last.type == ENDED else None
        found = None if payload is None else json.loads(payload).get("compared_to")
        return found if isinstance(found, dict) else None


def owned_by(owner_id: int | None, *, by_index: bool = True) -> ColumnElement[bool]:
    """The condition that a submission is one that this user may see: all queries for users have it.

    Args:
        owner_id: of the user; None for one who may see everybody's.
        by_index: whether the database may look for them in the index on owners.
    """
    if owner_id is None:
        return true()
    return (submissions.c.owner_id if by_index else submissions.c.owner_id + 0) == owner_id


def in_group(key: str | None, *, by_index: bool = True) -> ColumnElement[bool]:
    """The condition that the owner of a submission is a member of a group. It goes with `owned_by`, not in its place.

    Args:
        key: of the group's name; None for anybody.
        by_index: as for `owned_by`.
    """
    if key is None:
        return true()
    return (submissions.c.owner_id if by_index else submissions.c.owner_id + 0).in_(members_of(key))


def members_of(key: str) -> Select[int]:
    """The query for the ids of the members of a group."""
    return select(group_members.c.user_id).where(group_members.c.group_key == key)


def unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A column in a form that no index can answer."""
    return func.coalesce(column, "")


def snapshot_of(connection: Connection, submission_id: int, *conditions: ColumnElement[bool]) -> Snapshot:
    """Read one submission within a transaction.

    Raises:
        UnknownSubmissionError: there is none that meets the conditions.
    """
    row = connection.execute(select(*SNAPSHOT).where(submissions.c.id == submission_id, *conditions)).one_or_none()
    if row is None:
        raise UnknownSubmissionError
    return Snapshot(*row)


def results_of(connection: Connection, submission_id: int) -> list[str]:
    """Read a submission's encoded `test_result` and `error_analysis` events within a transaction, in order."""
    return [each.payload for each in stored_of_types(connection, submission_id, RESULTS)]


def _tests_of(connection: Connection, submission_id: int) -> Iterator[str]:
    """The encoded results of a submission, one after the other: all of them at once may be large."""
    return (each.payload for each in stored_of_types(connection, submission_id, RESULTS[:1]))


class _Before(NamedTuple):
    """What a verdict is compared with; `run` if it is an earlier run of the same submission."""

    submission_id: int
    outcomes: Mapping[Any, Outcome]
    run: int | None = None


def _before(connection: Connection, submission_id: int) -> _Before | None:
    run = connection.execute(_RUN, {"submission": submission_id}).scalar_one()
    if run > 1 and (kept := _judged_run(connection, submission_id, run - 1)) is not None:
        return _Before(submission_id, kept, run - 1)
    previous = connection.execute(_PREVIOUS, {"submission": submission_id}).one_or_none()
    if previous is None:
        return None
    if previous.final_status is not None:
        return _Before(previous.id, outcomes(_tests_of(connection, previous.id)))
    # It is being judged again.
    kept = _judged_run(connection, previous.id, previous.run - 1)
    return None if kept is None else _Before(previous.id, kept)


def _judged_run(connection: Connection, submission_id: int, run: int) -> dict[Any, Outcome] | None:
    """How the tests of a kept run ended, if it was judged to its end."""
    texts = kept_texts(connection, submission_id, run)
    if not texts or json.loads(texts[-1]).get("final_status") not in JUDGED:
        return None
    return outcomes(texts)
