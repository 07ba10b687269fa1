"""What the watchers of waiting submissions are told: that no worker can judge them yet, and their place."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, Select, and_, bindparam, not_, select, update

from subcli.server.log.appending import Records, all_committed, append_to
from subcli.server.log.changes import STATE, Change, number_events, write_changes
from subcli.server.log.database import has_rows, lock_queue, reading
from subcli.server.log.positions import places_to_tell
from subcli.server.log.requeue import IN_LINE, WAITING, Able, can_judge, is_judged_elsewhere, pending, unable
from subcli.server.log.tables import events, submissions

# One that is being cancelled at this moment is left out.
_WAITING: Final[Select[*tuple[Any, ...]]] = (
    select(*STATE, submissions.c.told)
    .where(submissions.c.id.in_(bindparam("submissions", expanding=True)), *WAITING)
    .with_for_update(skip_locked=True)
)


class WaitingSubmissions:
    """Tell the watchers of submissions that wait. The methods block.

    Args:
        engine: a database with the schema of `subcli.server.log.tables`.
        clock: Unix time in seconds.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._read = reading(engine)
        self._write = engine
        self._clock = clock

    def tell_unable(self, able: Able, limit: int) -> dict[int, Records]:
        """Tell the watchers of what a worker lacks something to judge that it waits for another one, once.

        What is being judged somewhere at this moment, only waits its turn.

        Args:
            able: what the worker can judge. What was told so by `tell_waiting` only loses its place in the queue.
            limit: tell those of at most so many submissions.

        Returns:
            what was appended, by submission.
        """
        which = (*IN_LINE, not_(can_judge(able)), not_(is_judged_elsewhere()))
        query = select(*STATE).where(*which).order_by(submissions.c.id).limit(limit)
        if not has_rows(self._read, query):
            return {}
        with self._write.begin() as connection:
            lock_queue(connection)
            rows = connection.execute(query.with_for_update(skip_locked=True)).all()
            known = _last_details(connection, [row.id for row in rows])
            told = [row.id for row in rows if _says_so(known, row)]
            connection.execute(update(submissions).where(submissions.c.id.in_(told)).values(told=True))
            appended = {
                row.id: append_to(connection, row, [_unable(row)], self._clock(), {"told": True})
                for row in rows
                if not _says_so(known, row)
            }
        return all_committed(appended, self._clock())

    def tell_waiting(self, ids: Sequence[int]) -> dict[int, Records]:
        """Tell the watchers of these submissions that they wait for a worker; they keep their places in the queue.

        Args:
            ids: those that no longer wait, and those whose last event says the same, are left out.

        Returns:
            what was appended, by submission.
        """
        appended: dict[int, Records] = {}
        with self._write.begin() as connection:
            lock_queue(connection)
            rows = connection.execute(_WAITING, {"submissions": ids}).all()
            known = _last_details(connection, ids)
            for row in rows:
                if not _says_so(known, row):
                    appended[row.id] = append_to(connection, row, [_unable(row)], self._clock())
        return all_committed(appended, self._clock())

    def update_queue_positions(self, limit: int) -> dict[int, Records]:
        """Append their position to the first `limit` waiting submissions whose watchers are to be told it.

        Returns:
            what was appended, by submission.
        """
        changes: dict[int, Change] = {}
        if not has_rows(self._read, places_to_tell(self._clock(), limit)):
            return {}
        with self._write.begin() as connection:
            lock_queue(connection)
            now = self._clock()
            query = places_to_tell(now, limit)
            places = {row.id: row.place for row in connection.execute(query)}
            for row in connection.execute(_WAITING, {"submissions": list(places)}).all():
                event = {**(_unable(row) if row.told else _still_pending(row)), "queue_position": places[row.id]}
                changes[row.id] = number_events(row, [event], now)
            write_changes(connection, list(changes.values()))
        appended = {submission_id: change.records for submission_id, change in changes.items()}
        return all_committed(appended, self._clock())


def _last_details(connection: Connection, ids: Sequence[int]) -> dict[int, object]:
    """What the last events of submissions say in their `detail`."""
    last = and_(events.c.submission_id == submissions.c.id, events.c.seq == submissions.c.last_seq)
    said = select(submissions.c.id, events.c.payload).join(events, last).where(submissions.c.id.in_(ids))
    return {row.id: json.loads(row.payload).get("detail") for row in connection.execute(said)}


def _says_so(details: Mapping[int, object], row: Row[Any]) -> bool:
    """Whether a submission's last event says already that it waits for another worker."""
    return details.get(row.id) == unable(row.problem, row.language)


def _still_pending(row: Row[Any]) -> dict[str, Any]:
    """What the watchers of a submission are told while it waits."""
    return pending(max(1, row.attempt))


def _unable(row: Row[Any]) -> dict[str, Any]:
    return {**_still_pending(row), "detail": unable(row.problem, row.language)}
