"""The results of a problem over REST, for teachers."""

# No `from __future__ import annotations`: FastAPI reads annotations that name local functions.

from collections.abc import Awaitable, Callable
from typing import Annotated, Final, TypeAlias

from fastapi import APIRouter, Depends, HTTPException, Query

from subcli.server.accounts.identity import Identity
from subcli.server.accounts.permissions import Action
from subcli.server.api import models
from subcli.server.api.auth import allowed, error_responses
from subcli.server.api.listing import Group, group_of_listed
from subcli.server.log.standings import Standing, Which, cursor_of, name_of
from subcli.server.parts import Services
from subcli.shared.encoding import timestamp

_Current: TypeAlias = Callable[..., Awaitable[Identity]]
_FindProblem: TypeAlias = Callable[[Services, str], Awaitable[str]]
_MAX_USERS: Final = 500

ResultsLimit = Annotated[int, Query(ge=1, le=_MAX_USERS, description="Maximum number of users.")]
Counts = Annotated[Which, Query(description="Which submission of each user counts.")]
AfterUser = Annotated[
    str | None, Query(max_length=128, description="Where the page begins: the `next_cursor` of the page before.")
]


def add_results(router: APIRouter, services: Services, current: _Current, find_problem: _FindProblem) -> None:
    """Add the route.

    Args:
        find_problem: the slug of a problem that is named by slug or id; raises 404.
    """
    store = services.store
    reading = allowed(services, current, Action.READ_ANY, services.reads, "requests")

    @router.get(
        "/problems/{problem}/results",
        responses=error_responses(401, 403, 404, 422, 429),
        response_model_exclude_none=True,
    )
    async def results(
        identity: Annotated[Identity, Depends(reading)],
        problem: str,
        which: Counts = "best",
        limit: ResultsLimit = 100,
        cursor: AfterUser = None,
        group: Group = None,
    ) -> models.ResultsResponse:
        """Get a page of a problem's results: a row for each user, by name."""
        slug = await find_problem(services, problem)
        key = await group_of_listed(services, identity, group)
        try:
            after = None if cursor is None else name_of(cursor)
        except ValueError as error:
            raise HTTPException(422, f"cursor: {error}.") from None
        page = await store.run(store.standings.page, slug, which, limit, after, key)
        return models.ResultsResponse(
            problem=slug,
            results=[_row(each) for each in page.rows],
            next_cursor=None if page.next is None else cursor_of(page.next),
        )


def _row(each: Standing) -> models.ResultBody:
    found = each.counted
    row = models.ResultBody(user=each.user, attempts=each.attempts, unfinished=each.unfinished)
    if found is None:
        return row
    passed, total = found.number("passed"), found.number("total_tests")
    row.verdict, row.status, row.language = found.final_status, found.status, found.language
    row.score, row.max_score = found.number("score"), found.number("max_score")
    row.passed, row.total_tests = None if passed is None else int(passed), None if total is None else int(total)
    row.submission_id, row.submitted_at, row.run = found.id, timestamp(found.created_at), found.run
    return row
