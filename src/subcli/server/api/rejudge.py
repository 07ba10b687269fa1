"""Judging again over REST, for teachers."""

# No `from __future__ import annotations`: FastAPI reads annotations that name local functions.

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Final, TypeAlias

from fastapi import APIRouter, Depends, HTTPException, Request

from subcli.server.accounts.identity import Identity
from subcli.server.accounts.permissions import Action
from subcli.server.api import models
from subcli.server.api.auth import address_of, allowed, error_responses
from subcli.server.api.bodies import documented_body, parse, read
from subcli.server.api.listing import unix_time
from subcli.server.log.runs import Begun
from subcli.server.log.selection import Place, Selection
from subcli.server.log.store import Store
from subcli.server.observe import audit
from subcli.server.parts import Services

_Current: TypeAlias = Callable[..., Awaitable[Identity]]
_FindProblem: TypeAlias = Callable[[Services, str], Awaitable[str]]
_MAX_BODY_BYTES: Final = 64 * 1024
_PER_REQUEST: Final = 100
_PER_TRANSACTION: Final = 10
"""On SQLite nobody else writes meanwhile."""


def add_rejudge(router: APIRouter, services: Services, current: _Current, find_problem: _FindProblem) -> None:
    """Add the route that has submissions judged again.

    Args:
        find_problem: the slug of a problem that is named by slug or id; raises 404.
    """
    rejudging = allowed(services, current, Action.REJUDGE, services.reads, "requests")

    @router.post(
        "/rejudges",
        responses=error_responses(401, 403, 404, 413, 422, 429),
        response_model_exclude_none=True,
        openapi_extra=documented_body(models.RejudgeBody),
    )
    async def rejudge(identity: Annotated[Identity, Depends(rejudging)], request: Request) -> models.RejudgeResponse:
        """Have submissions judged again, each in a run of its own. Unless `dry_run` is false, only count them.

        Those of a selection are taken at most 100 at a time: repeat the request with `next_cursor` until there is none.
        They are judged after everything that was never judged. Repeating a request with its `key` begins no second run.
        """
        body = parse(models.RejudgeBody, await read(request, _MAX_BODY_BYTES), request)
        if (body.submissions is None) == (body.problem is None):
            raise HTTPException(422, "Give either 'submissions' or 'problem'.")
        if not body.dry_run and body.key is None:
            raise HTTPException(422, "Without 'dry_run', a 'key' is needed.")
        place, selection = _place(body.cursor), None
        if body.problem is not None:
            since = None if body.since is None else unix_time(body.since)
            selection = Selection(await find_problem(services, body.problem), body.verdict, since)
        if body.dry_run or body.key is None:
            return await _count(services.store, body.submissions, selection)
        if selection is None:
            answer = await _begin(services, body.submissions or (), body.key)
        else:
            answer = await _begin_selected(services, selection, place, body.key)
        if answer.queued:
            user, client = identity.name, address_of(request)
            audit.record("submissions judged again", "done", user=user, client=client, submissions=answer.queued)
        return answer


async def _count(store: Store, ids: Sequence[int] | None, selection: Selection | None) -> models.RejudgeResponse:
    if selection is not None:
        counted, unknown = await store.run(store.selections.count, selection), 0
    else:
        counted = await store.run(store.selections.count_ids, ids or ())
        unknown = len(set(ids or ())) - sum(counted.verdicts.values()) - counted.unfinished
    return models.RejudgeResponse(
        dry_run=True,
        matched=sum(counted.verdicts.values()),
        verdicts=dict(counted.verdicts),
        unfinished=counted.unfinished,
        users=counted.users,
        unknown=unknown,
    )


async def _begin_selected(
    services: Services, selection: Selection, place: Place | None, key: str
) -> models.RejudgeResponse:
    """Take the next part of a selection."""
    store = services.store
    place = place or Place(0, await store.run(store.matching.newest))
    ids = await store.run(store.selections.next_ids, selection, place, key, _PER_REQUEST)
    answer = await _begin(services, ids, key)
    if len(ids) == _PER_REQUEST:
        answer.next_cursor = str(Place(ids[-1], place.until))
    return answer


async def _begin(services: Services, ids: Sequence[int], key: str) -> models.RejudgeResponse:
    clock = asyncio.get_running_loop().time
    answer = models.RejudgeResponse(dry_run=False, matched=0, unfinished=0, unknown=0, queued=0, repeated=0)
    for start in range(0, len(ids), _PER_TRANSACTION):
        began = clock()
        few = ids[start : start + _PER_TRANSACTION]
        begun = await services.journal.judge_again(few, key, await _versions_now(services, few))
        for submission_id in begun.records:
            services.queue.put(submission_id)
        _add(answer, begun)
        # Half of the time is left to other writers: SQLite serves whoever happens to ask when the lock is free.
        await asyncio.sleep(clock() - began)
    return answer


async def _versions_now(services: Services, ids: Sequence[int]) -> dict[str, str | None]:
    """The versions in service of the problems of these submissions; nothing of those that are gone."""
    if services.versions is None:
        return {}
    slugs = await services.store.run(services.store.lookup.problems, ids)
    problems = [problem for slug in sorted(slugs) if (problem := services.problems.get(slug)) is not None]
    return {problem.slug: await services.versions.stored(problem) for problem in problems}


def _add(answer: models.RejudgeResponse, begun: Begun) -> None:
    answer.queued = (answer.queued or 0) + len(begun.records)
    answer.repeated = (answer.repeated or 0) + len(begun.repeated)
    answer.matched += len(begun.records) + len(begun.repeated)
    answer.unfinished += len(begun.unfinished)
    answer.unknown += len(begun.unknown)


def _place(cursor: str | None) -> Place | None:
    try:
        return None if cursor is None else Place.of(cursor)
    except ValueError as error:
        raise HTTPException(422, f"cursor: {error}.") from None
