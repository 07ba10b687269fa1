"""The results of a problem: one row for each user, with the submission that counts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import Engine, and_, or_, select

from subcli.server.log.cursors import read_cursor, write_cursor
from subcli.server.log.database import reading
from subcli.server.log.lookup import members_of
from subcli.server.log.tables import submissions, users

Which: TypeAlias = Literal["best", "last"]

_STUDENT: Final = "student"
_ABOUT_CODE: Final = ("passed", "failed", "build_failed")
"""Other verdicts say nothing about the code, so such a submission counts only if there is no other one."""
_CURSOR: Final = re.compile(rb"after ([ -~]*)\Z")


@dataclass(frozen=True, slots=True)
class Judged:
    """A submission, as far as results need it. Times are Unix seconds."""

    id: int
    language: str
    status: str
    final_status: str | None
    summary: Mapping[str, Any] | None
    created_at: float
    run: int

    def number(self, name: str) -> float | None:
        """A number of the summary."""
        value = (self.summary or {}).get(name)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None


@dataclass(frozen=True, slots=True)
class Standing:
    """The row of a user.

    Attributes:
        counted: the submission that counts; None if there is none at all.
        attempts: how many there are.
        unfinished: how many of them have no verdict at the moment.
    """

    user: str
    counted: Judged | None
    attempts: int
    unfinished: int


@dataclass(frozen=True, slots=True)
class StandingsPage:
    """A part of the results, by the users' names.

    Attributes:
        next: the name after which the next page begins; None if there is none.
    """

    rows: Sequence[Standing]
    next: str | None


def counted(rows: Sequence[Judged], which: Which) -> Judged | None:
    """The submission of a user that counts.

    The best one is passed rather than not, then has more points, then more tests passed, and then came first.

    Args:
        rows: all of the user, oldest first.
    """
    chosen = [row for row in rows if row.final_status in _ABOUT_CODE] or list(rows)
    if not chosen:
        return None
    return chosen[-1] if which == "last" else max(chosen, key=_merit)


def _merit(row: Judged) -> tuple[bool, float, float]:
    score, passed = row.number("score"), row.number("passed")
    return row.final_status == "passed", float("-inf") if score is None else score, passed or 0.0


class Standings:
    """Queries. They block.

    Args:
        engine: a database with the schema of `subcli.server.log.tables`.
    """

    def __init__(self, engine: Engine) -> None:
        self._read = reading(engine)

    def page(
        self, problem: str, which: Which, limit: int, after: str | None = None, group: str | None = None
    ) -> StandingsPage:
        """Return the rows of at most `limit` users: of every student who can log in, and of everybody who has tried.

        Args:
            problem: its slug.
            after: the name after which the page begins.
            group: only of its members, by the key of its name.
        """
        has_tried = select(submissions.c.id).where(
            submissions.c.owner_id == users.c.id, submissions.c.problem == problem
        )
        may_try = and_(users.c.role == _STUDENT, users.c.password_hash.is_not(None), users.c.disabled_at.is_(None))
        query = select(users.c.id, users.c.name).where(or_(may_try, has_tried.exists()))
        if group is not None:
            query = query.where(users.c.id.in_(members_of(group)))
        if after is not None:
            query = query.where(users.c.name > after)
        with self._read.begin() as connection:
            people = connection.execute(query.order_by(users.c.name).limit(limit + 1)).all()
            shown = people[:limit]
            columns = [submissions.c[name] for name in Judged.__dataclass_fields__]
            of_them = submissions.c.owner_id.in_([row.id for row in shown])
            tried = select(submissions.c.owner_id, *columns).where(of_them, submissions.c.problem == problem)
            found = connection.execute(tried.order_by(submissions.c.owner_id, submissions.c.id))
            by_owner = {owner: [Judged(*row[1:]) for row in rows] for owner, rows in groupby(found, lambda row: row[0])}
        rows = [_standing(row.name, by_owner.get(row.id, ()), which) for row in shown]
        return StandingsPage(rows, shown[-1].name if len(people) > limit else None)


def _standing(user: str, rows: Sequence[Judged], which: Which) -> Standing:
    return Standing(user, counted(rows, which), len(rows), _count_unfinished(rows))


def _count_unfinished(rows: Iterable[Judged]) -> int:
    return sum(row.final_status is None for row in rows)


def cursor_of(name: str) -> str:
    """A name as the cursor of a page."""
    return write_cursor(f"after {name}".encode())


def name_of(cursor: str) -> str:
    """The name in a cursor.

    Raises:
        ValueError: it is none.
    """
    match = read_cursor(_CURSOR, cursor)
    if match is None:
        raise ValueError("not a cursor of results")
    return match[1].decode()
