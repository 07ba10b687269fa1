"""Which submissions are to be judged again: counted first, and then taken a few at a time, oldest first."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Engine, and_, func, or_, select

from subcli.server.log.cursors import read_cursor, write_cursor
from subcli.server.log.database import reading
from subcli.server.log.listing import Filter, conditions_of
from subcli.server.log.lookup import unindexed
from subcli.server.log.tables import submissions

_CURSOR: Final = re.compile(rb"after ([0-9]{1,18}) until ([0-9]{1,18})\Z")
_HAS_CODE: Final = submissions.c.pruned_at.is_(None)
"""That of which only the verdict was kept cannot be judged again."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The submissions to a problem, with a verdict and since a moment (Unix seconds) if these are given."""

    problem: str
    verdict: str | None = None
    since: float | None = None

    @property
    def filter(self) -> Filter:
        """The same for lists."""
        return Filter(None, self.problem, self.verdict, None, self.since)


@dataclass(frozen=True, slots=True)
class Place:
    """How far a selection has been taken: those after one id are left, up to the latest when it began."""

    after: int
    until: int

    def __str__(self) -> str:
        return write_cursor(b"after %d until %d" % (self.after, self.until))

    @staticmethod
    def of(text: str) -> Place:
        """The place that was written so.

        Raises:
            ValueError: it is none.
        """
        match = read_cursor(_CURSOR, text)
        if match is None:
            raise ValueError("not a cursor of a selection")
        return Place(int(match[1]), int(match[2]))


@dataclass(frozen=True, slots=True)
class Counted:
    """What a selection has.

    Attributes:
        verdicts: how many with each verdict.
        unfinished: how many without one; they are left alone.
        users: whose they are, those with a verdict.
    """

    verdicts: Mapping[str, int]
    unfinished: int
    users: int


class Selections:
    """Queries. They block.

    Args:
        engine: a database with the schema of `subcli.server.log.tables`.
    """

    def __init__(self, engine: Engine) -> None:
        self._read = reading(engine)

    def count(self, selection: Selection) -> Counted:
        """Count what a selection has."""
        return self._count(*conditions_of(selection.filter), _HAS_CODE)

    def count_ids(self, ids: Collection[int]) -> Counted:
        """Count these submissions."""
        return self._count(submissions.c.id.in_(sorted(set(ids))), _HAS_CODE)

    def _count(self, *conditions: ColumnElement[bool]) -> Counted:
        verdict = submissions.c.final_status
        by_verdict = select(verdict, func.count()).where(*conditions).group_by(verdict)
        users = select(func.count(submissions.c.owner_id.distinct())).where(*conditions, verdict.is_not(None))
        with self._read.begin() as connection:
            found = {row[0]: row[1] for row in connection.execute(by_verdict)}
            count = connection.execute(users).scalar_one()
        unfinished = found.pop(None, 0)
        return Counted(dict(sorted(found.items())), unfinished, count)

    def next_ids(self, selection: Selection, place: Place, key: str, limit: int) -> Sequence[int]:
        """Return the next submissions of a selection, oldest first.

        Args:
            key: of the request. Those that it has taken already are among them, whatever became of them since: so a
                request that is repeated counts them again.
        """
        wanted = selection.filter
        verdict = unindexed(submissions.c.final_status)
        is_wanted = verdict != "" if wanted.verdict is None else verdict == wanted.verdict
        others = conditions_of(Filter(None, wanted.problem, None, None, wanted.since))
        query = (
            select(submissions.c.id)
            .where(*others, and_(submissions.c.id > place.after, submissions.c.id <= place.until))
            .where(or_(is_wanted, submissions.c.run_key == key), _HAS_CODE)
            .order_by(submissions.c.id)
            .limit(limit)
        )
        with self._read.begin() as connection:
            return connection.execute(query).scalars().all()
