"""Lists of submissions: filtered, newest first, a page at a time.

Every filter is answered by an index, whatever it is combined with, so a page takes as long in a database of a million
submissions as in a small one; a test reads the plans. Databases choose an index by guessing how many rows a condition
leaves. Here that is known: few of an owner's, and few that have no verdict yet. So conditions that shall not decide
are written in a form that no index can answer.

For a group, the entries of its members in the index on owners are put in order for each page: the page of a group with
many submissions takes longer, but not one of a small group in a large database.

A page begins after a submission, not after a number of them: what comes meanwhile changes nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Engine, Select, false, select

from subcli.server.log.cursors import read_cursor, write_cursor
from subcli.server.log.database import reading
from subcli.server.log.lookup import SNAPSHOT, in_group, owned_by, unindexed
from subcli.server.log.records import Snapshot
from subcli.server.log.tables import submissions
from subcli.shared.protocol import TERMINAL_STATUSES

_CLOCKS_S: Final = 300.0
"""Ids ascend in the order of commits; the clocks of several gateways may differ by this much."""
_CURSOR: Final = re.compile(rb"before ([0-9]{1,18})\Z")
_VERDICT_OF_STATUS: Final = {"completed": "passed"}
"""Other terminal statuses are called as their verdicts are."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which submissions are listed.

    Attributes:
        owner_id: whose; None for everybody's, for those who may see them.
        problem: to this one, by its slug.
        verdict: with this one.
        status: with this one. A terminal one means the verdict that it leads to.
        since: made at this time or later, Unix seconds.
        group: of its members, by the key of its name.
    """

    owner_id: int | None
    problem: str | None = None
    verdict: str | None = None
    status: str | None = None
    since: float | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class ListCursor:
    """Where a page of a list begins: after this submission."""

    submission_id: int

    def __str__(self) -> str:
        return write_cursor(b"before %d" % self.submission_id)

    @staticmethod
    def of(text: str) -> ListCursor:
        """The cursor that was written so.

        Raises:
            ValueError: it is none.
        """
        match = read_cursor(_CURSOR, text)
        if match is None:
            raise ValueError("not a cursor of a list")
        return ListCursor(int(match[1]))


@dataclass(frozen=True, slots=True)
class ListPage:
    """A part of a list, newest first.

    Attributes:
        next: where the next page begins; None if there is none.
    """

    rows: list[Snapshot]
    next: ListCursor | None


class Listing:
    """Lists of submissions. The methods block.

    Args:
        engine: a database with the schema of `subcli.server.log.tables`.
    """

    def __init__(self, engine: Engine) -> None:
        self._read = reading(engine)

    def page(self, wanted: Filter, limit: int, after: ListCursor | None = None) -> ListPage:
        """Return at most `limit` submissions, newest first.

        Args:
            after: where the page begins; None for the newest.
        """
        query = matching(SNAPSHOT, wanted, after).limit(limit + 1)
        with self._read.begin() as connection:
            rows = [Snapshot(*row) for row in connection.execute(query)]
        return ListPage(rows[:limit], ListCursor(rows[limit - 1].id) if len(rows) > limit else None)


def matching(columns: list[Any], wanted: Filter, after: ListCursor | None = None) -> Select[Any]:
    """The query for columns of the submissions that a filter leaves, newest first."""
    conditions = list(conditions_of(wanted))
    if after is not None:
        conditions.append(_place(wanted) < after.submission_id)
    return select(*columns).where(*conditions).order_by(submissions.c.id.desc())


def conditions_of(wanted: Filter) -> list[ColumnElement[bool]]:
    """The conditions that a submission is left by a filter, so that the right index answers them."""
    verdict, is_running = wanted.verdict, False
    conditions: list[ColumnElement[bool]] = []
    if wanted.status in TERMINAL_STATUSES:
        said = _VERDICT_OF_STATUS.get(wanted.status, wanted.status)
        if verdict not in (None, said):
            conditions.append(false())
        verdict = said
    elif wanted.status is not None:
        is_running = True
        conditions += [submissions.c.final_status.is_(None), submissions.c.status == wanted.status]
    conditions.append(owned_by(wanted.owner_id, by_index=not is_running))
    conditions.append(in_group(wanted.group, by_index=not is_running and wanted.owner_id is None))
    if wanted.problem is not None:
        conditions.append(submissions.c.problem == wanted.problem)
    if verdict is not None:
        # An owner has few submissions, a verdict has many.
        by_verdict = wanted.owner_id is None and wanted.group is None and not is_running
        column = submissions.c.final_status if by_verdict else unindexed(submissions.c.final_status)
        conditions.append(column == verdict)
    if wanted.since is not None:
        first = select(submissions.c.id).where(submissions.c.created_at >= wanted.since - _CLOCKS_S)
        first = first.order_by(submissions.c.created_at).limit(1)
        conditions.append(_place(wanted) >= first.scalar_subquery())
        conditions.append(submissions.c.created_at + 0 >= wanted.since)
    return conditions


def _place(wanted: Filter) -> ColumnElement[int]:
    """The id, as conditions on the place in the list need it: the members of a group decide, and no index on ids."""
    return submissions.c.id if wanted.group is None else submissions.c.id + 0
