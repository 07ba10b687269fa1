"""Lists of submissions in pages: as many as are wanted, however many the server sends at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from subcli.client.api import SubmissionPage, Whose
from subcli.core.submission import SubmissionRow

if TYPE_CHECKING:
    from subcli.client.client import Client

FEATURE: Final = "lists"
"""The feature of servers that filter by more than the problem, and list in pages."""

_PAGE: Final = 100
"""How many submissions a server lists at most in one answer."""


class ListQuery(NamedTuple):
    """Which submissions to list.

    Attributes:
        limit: how many at most.
        problem: only those to this one, by id or slug.
        whose: other people's; ``None``: one's own.
        verdict: only those with this one.
        status: only those with this one.
        since: only those submitted then or later; a time in ISO 8601 with its zone.
        cursor: where to begin; ``None`` for the newest.
    """

    limit: int = 20
    problem: str | None = None
    whose: Whose | None = None
    verdict: str | None = None
    status: str | None = None
    since: str | None = None
    cursor: str | None = None

    @property
    def needs_lists(self) -> bool:
        """Whether only a server with the feature `lists` can answer it."""
        return self.limit > _PAGE or any((self.verdict, self.status, self.since, self.cursor))

    @property
    def is_plain(self) -> bool:
        """Whether every server can answer it."""
        return self.whose is None and not self.needs_lists


class Listed(NamedTuple):
    """Submissions, newest first, and where the list goes on; ``None`` if there are no more, or nobody knows."""

    rows: list[SubmissionRow]
    next_cursor: str | None


async def list_submissions(client: Client, query: ListQuery) -> Listed:
    """List submissions, page by page.

    Raises:
        SubcliError: the server cannot list these, or there is no such problem.
    """
    if query.whose is not None:
        await client.require_feature("roles", "list other users' submissions")
        if query.whose.group is not None:
            await client.require_groups()
    if query.needs_lists:
        await client.require_feature(FEATURE, "filter lists of submissions, or list more than 100", in_demo=True)
    params = _params(query)
    rows: list[SubmissionRow] = []
    cursor = query.cursor
    while True:
        page = await _page(client, query.problem, {**params, "limit": min(_PAGE, query.limit - len(rows))}, cursor)
        rows += client.rows(page.entries)
        is_stuck = page.next_cursor in (None, cursor) or not page.entries
        cursor = page.next_cursor
        if is_stuck or len(rows) >= query.limit:
            return Listed(rows[: query.limit], None if is_stuck else cursor)


async def _page(client: Client, problem: str | None, params: dict[str, Any], cursor: str | None) -> SubmissionPage:
    if cursor is not None:
        params["cursor"] = cursor
    if problem is None:
        return await client.api.submission_page(params)
    return await client.with_id(problem, None, lambda name: client.api.submission_page({**params, "problem": name}))


def _params(query: ListQuery) -> dict[str, Any]:
    params = {"verdict": query.verdict, "status": query.status, "since": query.since}
    if query.whose is not None:
        params |= query.whose.params()
    return {name: value for name, value in params.items() if value is not None}
