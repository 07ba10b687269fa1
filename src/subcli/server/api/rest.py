"""The REST half under `/api` (contract, section 6)."""

# No `from __future__ import annotations`: FastAPI reads annotations that name local functions.

import json
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Annotated, Any, Final, NoReturn, TypeAlias

import msgspec
from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response

from subcli.judge import Problem
from subcli.judge.scaffold import scaffold
from subcli.server.accounts.identity import Identity
from subcli.server.api import models
from subcli.server.api.auth import current_identity, make_auth_router, says, watch_token
from subcli.server.api.validation import SourceError, check_files
from subcli.server.limits import LimitedError
from subcli.server.log.results import last_results
from subcli.server.log.values import (
    EndedError,
    KeyReusedError,
    NewSubmission,
    Snapshot,
    UnknownSubmissionError,
)
from subcli.server.parts import Services
from subcli.shared.protocol import timestamp

_Current: TypeAlias = Callable[..., Awaitable[Identity]]
# What a database's integers hold.
_BIGGEST: Final = 2**63 - 1

Limit = Annotated[int, Query(ge=1, le=100, description="How many at most.")]
AfterSeq = Annotated[int, Query(ge=0, le=_BIGGEST, description="Only events after this position.")]
EventLimit = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]
IdempotencyKey = Annotated[
    str | None,
    Header(max_length=255, description="The same key gives the same submission, however often it is sent."),
]


def make_router(services: Services) -> APIRouter:
    """All routes, over these services."""
    router = APIRouter()
    current = current_identity(services)
    _add_problems(router, services)
    _add_submissions(router, services, current)
    _add_one_submission(router, services, current)
    router.include_router(make_auth_router(services, current))
    return router


def _add_problems(router: APIRouter, services: Services) -> None:
    @router.get("/info")
    async def info() -> models.Info:
        """What this server is and can do."""
        demo = services.authority is None
        features = ["resume", "idempotency"] if demo else ["resume", "idempotency", "watch_token"]
        return models.Info(name="subcli", version=version("subcli-watch"), demo=demo, features=features)

    @router.get("/problems")
    async def list_problems() -> models.ProblemList:
        """All problems."""
        ordered = sorted(services.problems.values(), key=lambda problem: problem.id)
        return models.ProblemList(problems=[models.ProblemSummary(**_problem_fields(problem)) for problem in ordered])

    @router.get("/problems/{problem}", responses=says(404))
    async def show_problem(problem: str) -> models.ProblemDetail:
        """One problem, by its id or its slug."""
        found = _find_problem(services, problem)
        limits = {name: float(value) for name, value in msgspec.structs.asdict(found.limits).items()}
        return models.ProblemDetail(**_problem_fields(found), description=found.description, limits=limits)

    @router.get("/problems/{problem}/template/{language}", responses=says(404))
    def template(problem: str, language: str) -> models.Template:
        """What a new solution starts from."""
        found = _find_problem(services, problem)
        if language not in found.languages:
            raise HTTPException(404, _unknown_language(found, language))
        start = scaffold(found, language)
        return models.Template(problem=found.slug, language=language, files=dict(start.files), submit=[start.source])


def _add_submissions(router: APIRouter, services: Services, current: _Current) -> None:
    store = services.store

    async def counted(identity: Annotated[Identity, Depends(current)], response: Response) -> Identity:
        """Who hands in, unless that is too often; the answer says how often it still may be."""
        if identity.is_limited:
            standing = await services.limiter.take(services.submits, str(identity.user_id))
            if standing.retry_after:
                seconds = standing.seconds_to_wait
                raise LimitedError(standing, f"Too many submissions; the next one can be handed in in {seconds} s.")
            response.headers.update(standing.headers())
        return identity

    @router.post("/submissions", status_code=201, responses=says(400, 401, 404, 413, 422, 429))
    async def submit(
        new: models.NewSubmission,
        request: Request,
        identity: Annotated[Identity, Depends(counted)],
        idempotency_key: IdempotencyKey = None,
    ) -> models.Submission:
        """Hand in code to be judged."""
        problem = _chosen_problem(services, new)
        if new.language not in problem.languages:
            raise HTTPException(422, _unknown_language(problem, new.language))
        handed_in = NewSubmission(
            owner_id=identity.user_id,
            problem=problem.slug,
            language=new.language,
            files=_files(problem, new),
            idempotency_key=idempotency_key or None,
        )
        try:
            snapshot, is_new = await store.run(store.create, handed_in)
        except KeyReusedError:
            raise HTTPException(422, "This Idempotency-Key was used for a submission with another content.") from None
        if is_new:
            services.queue.put(snapshot.id)
        return _submission(snapshot, request)

    @router.get("/submissions", responses=says(401, 404, 422))
    async def list_submissions(
        request: Request,
        identity: Annotated[Identity, Depends(current)],
        limit: Limit = 20,
        problem: str | None = None,
    ) -> models.SubmissionList:
        """The latest submissions, the latest first."""
        slug = None if problem is None else _find_problem(services, problem).slug
        found = await store.run(store.recent, identity.user_id, limit, slug)
        return models.SubmissionList(submissions=[_submission(snapshot, request) for snapshot in found])


def _add_one_submission(router: APIRouter, services: Services, current: _Current) -> None:
    store = services.store

    async def find(submission_id: int, identity: Annotated[Identity, Depends(current)]) -> Snapshot:
        """The submission, if it is the one's who asks: nobody else can tell that it exists."""
        if not 0 < submission_id <= _BIGGEST:
            _refuse_unknown(submission_id)
        try:
            return await store.run(store.snapshot, submission_id, identity.user_id)
        except UnknownSubmissionError:
            _refuse_unknown(submission_id)

    @router.get("/submissions/{submission_id}", responses=says(401, 404, 422))
    async def show_submission(found: Annotated[Snapshot, Depends(find)], request: Request) -> models.Submission:
        """One submission as it is now."""
        return _submission(found, request)

    @router.get("/submissions/{submission_id}/tests", responses=says(401, 404, 422))
    async def list_tests(found: Annotated[Snapshot, Depends(find)]) -> models.TestList:
        """The last result of each test."""
        rows = last_results(await store.run(store.results, found.id))
        return models.TestList(submission_id=found.id, tests=[models.TestRow(**row) for row in rows])

    @router.get("/submissions/{submission_id}/events", responses=says(401, 404, 422))
    async def list_events(
        found: Annotated[Snapshot, Depends(find)], after_seq: AfterSeq = 0, limit: EventLimit = 500
    ) -> models.EventPage:
        """The event log, a page at a time."""
        page = await store.run(store.page, found.id, after_seq, limit)
        return models.EventPage(
            submission_id=found.id,
            events=[json.loads(record.text) for record in page.records],
            more=page.more,
            last_seq=page.records[-1].seq if page.records else after_seq,
        )

    @router.post("/submissions/{submission_id}/cancel", responses=says(401, 404, 409, 422))
    async def cancel(found: Annotated[Snapshot, Depends(find)], request: Request) -> models.Submission:
        """Stop judging; the verdict is `cancelled`."""
        try:
            await services.journal.cancel(found.id, found.owner_id)
        except EndedError:
            raise HTTPException(409, f"Submission {found.id} has its verdict already.") from None
        return _submission(await store.run(store.snapshot, found.id, found.owner_id), request)

    if (authority := services.authority) is None:
        return

    @router.post("/submissions/{submission_id}/watch-token", responses=says(401, 404, 422))
    async def make_watch_token(
        found: Annotated[Snapshot, Depends(find)], identity: Annotated[Identity, Depends(current)]
    ) -> models.WatchToken:
        """A token for one socket on this submission, good once and for less than a minute."""
        return watch_token(authority, identity, found.id)


def _find_problem(services: Services, name: str) -> Problem:
    for problem in services.problems.values():
        if name in (problem.slug, str(problem.id)):
            return problem
    known = ", ".join(sorted(services.problems))
    raise HTTPException(404, f"There is no problem {name[:64]!r}; there is: {known}.")


def _chosen_problem(services: Services, new: models.NewSubmission) -> Problem:
    if (new.problem is None) == (new.problem_id is None):
        raise HTTPException(422, "Give either 'problem' or 'problem_id'.")
    return _find_problem(services, str(new.problem_id) if new.problem is None else new.problem)


def _files(problem: Problem, new: models.NewSubmission) -> dict[str, str]:
    if (new.source_code is None) == (new.files is None):
        raise HTTPException(422, "Give either 'source_code' or 'files'.")
    files = new.files
    if files is None:
        files = {problem.languages[new.language].source: new.source_code or ""}
    try:
        check_files(files)
    except SourceError as error:
        raise HTTPException(error.status, error.detail) from None
    return files


def _unknown_language(problem: Problem, language: str) -> str:
    known = ", ".join(sorted(problem.languages))
    return f"{problem.slug} cannot be solved in {language[:64]!r}; it can in: {known}."


def _refuse_unknown(submission_id: int) -> NoReturn:
    raise HTTPException(404, f"There is no submission {str(submission_id)[:20]}.")


def _problem_fields(problem: Problem) -> dict[str, Any]:
    return {
        "id": problem.id,
        "slug": problem.slug,
        "title": problem.title,
        "languages": list(problem.languages),
        "total_tests": problem.total_tests,
    }


def _submission(snapshot: Snapshot, request: Request) -> models.Submission:
    finished = snapshot.finished_at
    return models.Submission(
        submission_id=snapshot.id,
        id=snapshot.id,
        problem=snapshot.problem,
        language=snapshot.language,
        status=snapshot.status,
        final_status=snapshot.final_status,
        summary=None if snapshot.summary is None else models.Summary(**snapshot.summary),
        total_tests=snapshot.total_tests,
        created_at=timestamp(snapshot.created_at),
        finished_at=None if finished is None else timestamp(finished),
        url=f"{request.base_url}submissions/{snapshot.id}",
        last_seq=snapshot.last_seq,
        attempt=max(1, snapshot.attempt),
        build_log=snapshot.build_log,
    )
