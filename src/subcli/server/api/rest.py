"""The REST API under `/api` (contract, section 6).

Fields that an event or a summary lacks are absent from the answers as well, not null: hence
`response_model_exclude_unset`.
"""

# No `from __future__ import annotations`: FastAPI reads annotations that name local functions.

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import Annotated, Any, Final, NoReturn, TypeAlias

import msgspec
from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response

from subcli.judge import Problem
from subcli.judge.cases.samples import samples_of
from subcli.judge.scaffold import scaffold
from subcli.server.accounts.identity import Identity
from subcli.server.accounts.permissions import Action
from subcli.server.api import models
from subcli.server.api.account import make_account_router
from subcli.server.api.auth import (
    allowed,
    current_identity,
    error_responses,
    make_auth_router,
    require,
    require_own,
    watch_token,
)
from subcli.server.api.bodies import LargeBodies, documented_body, parse, read
from subcli.server.api.groups import add_groups
from subcli.server.api.links import add_links
from subcli.server.api.listing import After, All, Group, Limit, Since, Status, User, Verdict, Wanted, list_visible
from subcli.server.api.rejudge import add_rejudge
from subcli.server.api.results import add_results
from subcli.server.api.validation import SourceError, check_files
from subcli.server.edge.page_token import is_from_browser
from subcli.server.jobs.languages import OfferedLanguages
from subcli.server.log.pruning import pruned_notice
from subcli.server.log.records import (
    EndedError,
    KeyReusedError,
    NewSubmission,
    Run,
    Snapshot,
    UnknownSubmissionError,
    VersionMissingError,
)
from subcli.server.log.results import find_test, last_results
from subcli.server.observe.disk import LowSpaceError
from subcli.server.parts import Services
from subcli.shared.encoding import timestamp
from subcli.shared.run_trace import unpack

_Current: TypeAlias = Callable[..., Awaitable[Identity]]
_ONE: Final = "/submissions/{submission_id}"
_FEATURES: Final = ("resume", "idempotency", "feed", "traces", "output", "lists", "runs", "feed_all", "feed_output")
_WITH_LOGINS: Final = ("watch_token", "access_tokens", "roles", "links", "rejudge", "results", "groups")
"""The features that a server in demo mode does not have."""
_MAX_ID: Final = 2**63 - 1
"""The largest integer that the databases can store."""

AfterSeq = Annotated[int, Query(ge=0, le=_MAX_ID, description="Return only events after this position.")]
OutputAfter = Annotated[int, Query(ge=0, le=_MAX_ID, description="Return only pieces after this number.")]
RunNumber = Annotated[int | None, Query(ge=1, le=_MAX_ID, description="Which judging; the latest if absent.")]
Epoch = Annotated[
    str | None,
    Query(max_length=64, description="The name of its log instead; the latest one if there is none with this name."),
]
EventLimit = Annotated[int, Query(ge=1, le=1000, description="Maximum number of results.")]
IdempotencyKey = Annotated[
    str | None,
    Header(max_length=255, description="Repeating a request with the same key returns the same submission."),
]


def make_router(services: Services) -> APIRouter:
    """All routes under `/api`."""
    router = APIRouter(prefix="/api")
    current = current_identity(services)
    _add_problems(router, services)
    _add_submissions(router, services, current)
    _add_one_submission(router, services, current)
    add_rejudge(router, services, current, _slug_of)
    add_results(router, services, current, _slug_of)
    if services.auth is not None:
        add_groups(router, services, services.auth, current)
        router.routes += make_account_router(services, services.auth, current).routes
    router.routes += make_auth_router(services, current).routes
    return router


def _add_problems(router: APIRouter, services: Services) -> None:
    offered = OfferedLanguages(services.problems, services.service)

    @router.get("/info", response_model_exclude_none=True)
    async def info(request: Request) -> models.InfoResponse:
        """The server's version and features."""
        demo = services.auth is None
        features = [*_FEATURES, *(() if demo else _WITH_LOGINS)]
        return models.InfoResponse(
            name="subcli",
            version=version("subcli-watch"),
            demo=demo,
            features=features,
            judging=(await services.judges.look()).is_there,
            page_token=None if is_from_browser(request.headers.raw) else services.page_token,
        )

    @router.get("/problems")
    async def list_problems() -> models.ProblemListResponse:
        """List all problems."""
        ordered = sorted(services.problems.values(), key=lambda problem: problem.id)
        return models.ProblemListResponse(
            problems=[models.ProblemSummaryBody(**_problem_fields(services, problem)) for problem in ordered]
        )

    @router.get("/languages")
    async def list_languages() -> models.LanguageListResponse:
        """List the languages that the problems can be solved in, with their versions here."""
        rows = await offered.rows()
        return models.LanguageListResponse(
            languages=[models.LanguageBody(**{**asdict(row), "version": row.version or None}) for row in rows]
        )

    @router.get("/problems/{problem}", responses=error_responses(404))
    def show_problem(problem: str) -> models.ProblemResponse:
        """Get a problem by its id or slug."""
        found = _find_problem(services, problem)
        limits = {name: float(value) for name, value in msgspec.structs.asdict(found.limits).items()}
        sources = {name: language.source for name, language in found.languages.items()}
        samples = samples_of(found.cases) if found.cases is not None else ()
        return models.ProblemResponse(
            **_problem_fields(services, found),
            description=found.description,
            sources=sources,
            limits=limits,
            samples=[
                models.SampleBody(name=sample.name, input=sample.input, answer=sample.answer) for sample in samples
            ]
            or None,
        )

    @router.get("/problems/{problem}/template/{language}", responses=error_responses(404))
    def template(problem: str, language: str) -> models.TemplateResponse:
        """Get the starting point of a new solution."""
        found = _find_problem(services, problem)
        if language not in found.languages:
            raise HTTPException(404, _unknown_language(found, language))
        start = scaffold(found, language)
        return models.TemplateResponse(
            problem=found.slug, language=language, files=dict(start.files), submit=[start.source], test=start.test
        )


def _add_submissions(router: APIRouter, services: Services, current: _Current) -> None:
    large = LargeBodies()
    submitting = allowed(services, current, Action.SUBMIT, services.submits, "submissions")
    listing = allowed(services, current, Action.LIST_OWN, services.reads, "requests")

    @router.post(
        "/submissions",
        status_code=201,
        responses=error_responses(401, 403, 404, 409, 413, 422, 429, 503),
        response_model_exclude_unset=True,
        openapi_extra=documented_body(models.SubmissionBody),
    )
    async def submit(
        request: Request,
        identity: Annotated[Identity, Depends(submitting)],
        idempotency_key: IdempotencyKey = None,
    ) -> models.SubmissionResponse:
        """Submit code to be judged."""
        async with large.place(request, identity.user_id):
            body = parse(models.SubmissionBody, await read(request), request)
        problem = _chosen_problem(services, body)
        if body.language not in problem.languages:
            raise HTTPException(422, _unknown_language(problem, body.language))
        new = NewSubmission(
            owner_id=identity.user_id,
            problem=problem.slug,
            language=body.language,
            files=_files(problem, body),
            idempotency_key=idempotency_key or None,
            closes_at=None if problem.closes is None else problem.closes.timestamp(),
            max_attempts=problem.max_attempts,
        )
        try:
            snapshot, is_new = await _create(services, problem, new)
        except KeyReusedError:
            raise HTTPException(
                422, "This Idempotency-Key was already used for a submission with different content."
            ) from None
        if is_new:
            services.queue.put(snapshot.id)
            services.journal.arrived(snapshot.id, identity.user_id)
        answer = _submission(snapshot, request)
        if problem.max_attempts is not None:
            used = await services.store.run(services.store.lookup.attempts_used, identity.user_id, problem.slug)
            answer.attempts_left = max(0, problem.max_attempts - used)
        return answer

    @router.get("/submissions", responses=error_responses(401, 403, 404, 422, 429), response_model_exclude_unset=True)
    async def list_submissions(
        request: Request,
        identity: Annotated[Identity, Depends(listing)],
        limit: Limit = 20,
        problem: str | None = None,
        user: User = None,
        all: All = False,
        verdict: Verdict = None,
        status: Status = None,
        since: Since = None,
        cursor: After = None,
        group: Group = None,
    ) -> models.SubmissionListResponse:
        """List submissions, newest first: one's own; as a teacher also those of another user, of a group, or of all."""
        slug = None if problem is None else await _slug_of(services, problem)
        wanted = Wanted(user, all, slug, verdict, status, since, limit, cursor, group)
        listed = await list_visible(services, identity, wanted)
        rows = [_submission(row, request) for row in listed.page.rows]
        if listed.names:
            for snapshot, row in zip(listed.page.rows, rows, strict=True):
                row.user = listed.user_of(snapshot)
        more = {} if listed.page.next is None else {"next_cursor": str(listed.page.next)}
        return models.SubmissionListResponse(submissions=rows, **more)


async def _create(services: Services, problem: Problem, new: NewSubmission) -> tuple[Snapshot, bool]:
    """The submission, and whether it is new. One that is there already needs no space."""
    try:
        await services.disk.require_space()
    except LowSpaceError:
        known = await services.store.run(services.store.repeated, new)
        if known is None:
            raise
        return known, False
    return await _create_to_version(services, problem, new)


async def _create_to_version(services: Services, problem: Problem, new: NewSubmission) -> tuple[Snapshot, bool]:
    """Create a submission to the version of a problem that is in service, which is stored before."""
    store, versions = services.store, services.versions
    if versions is None:
        return await store.run(store.create, new)
    try:
        return await store.run(store.create, replace(new, problem_version=await versions.stored(problem)))
    except VersionMissingError:
        versions.is_gone(problem.version)
    return await store.run(store.create, replace(new, problem_version=await versions.stored(problem)))


def _add_one_submission(router: APIRouter, services: Services, current: _Current) -> None:
    store = services.store
    reading = allowed(services, current, Action.READ_OWN, services.reads, "requests")
    asking_for_tokens = allowed(services, current, Action.READ_OWN, services.watch_tokens, "watch tokens")

    async def find(submission_id: int, identity: Annotated[Identity, Depends(reading)]) -> Snapshot:
        """The submission, if the user may see it. Otherwise it looks as if it did not exist."""
        if not 0 < submission_id <= _MAX_ID:
            _refuse_unknown(submission_id)
        try:
            return await store.run(store.lookup.snapshot, submission_id, identity.owner_of_visible(submission_id))
        except UnknownSubmissionError:
            _refuse_unknown(submission_id)

    async def find_run(
        latest: Annotated[Snapshot, Depends(find)], run: RunNumber = None, epoch: Epoch = None
    ) -> Snapshot:
        """The submission at the end of the run that is named, otherwise as it is."""
        if run is None and epoch is None:
            return latest
        chosen = await store.run(store.lookup.of_run, latest, run=run, epoch=epoch)
        if chosen is None and run is not None:
            raise HTTPException(404, f"Submission {latest.id} has no run {run}.")
        return chosen or latest

    @router.get(_ONE, responses=error_responses(401, 404, 422, 429), response_model_exclude_unset=True)
    async def show_submission(
        latest: Annotated[Snapshot, Depends(find)], found: Annotated[Snapshot, Depends(find_run)], request: Request
    ) -> models.SubmissionResponse:
        """Get the current state of a submission, or what it was at the end of an earlier run."""
        compared = await store.run(store.lookup.compared_to, found)
        answer = _submission(found, request, compared)
        answer.runs = [_run(each) for each in await store.run(store.lookup.runs, latest)]
        return answer

    @router.get(
        f"{_ONE}/files",
        responses=error_responses(401, 403, 404, 409, 422, 429),
        response_model=models.FilesResponse,
    )
    async def show_files(
        found: Annotated[Snapshot, Depends(find)], identity: Annotated[Identity, Depends(current)]
    ) -> Response:
        """Get the submitted code."""
        require(identity, Action.READ_CODE)
        if found.pruned_at is not None:
            raise HTTPException(409, pruned_notice(found.pruned_at))
        body = {"submission_id": found.id, "files": await store.run(store.lookup.files, found.id)}
        # With escapes: a text may contain half a surrogate pair, which UTF-8 cannot.
        return Response(json.dumps(body), media_type="application/json")

    @router.get(f"{_ONE}/tests", responses=error_responses(401, 404, 422, 429), response_model_exclude_unset=True)
    async def list_tests(found: Annotated[Snapshot, Depends(find_run)]) -> models.TestListResponse:
        """Get the latest result of each test."""
        rows = last_results(await store.run(store.lookup.results, found.id, found.run))
        return models.TestListResponse(submission_id=found.id, tests=[models.TestBody(**row) for row in rows])

    @router.get(
        f"{_ONE}/tests/{{test:path}}/trace",
        responses=error_responses(401, 404, 422, 429),
        response_model=models.TraceResponse,
    )
    async def show_trace(found: Annotated[Snapshot, Depends(find_run)], test: str) -> Response:
        """Get the course of a failed test on several nodes, by the test's id or name."""
        rows = last_results(await store.run(store.lookup.results, found.id, found.run))
        row = find_test(rows, test)
        if row is None:
            raise HTTPException(404, f"Submission {found.id} has no result of a test {test[:80]!r}.")
        # One that has passed since has none, whatever an earlier attempt has left.
        packed = None
        if row.get("has_trace"):
            packed = await store.run(store.run_traces.get, found.id, str(row.get("test_id")), found.run)
        if packed is None:
            raise HTTPException(404, f"There is no trace of {test[:80]!r}: only failures on several nodes have one.")
        return Response(unpack(packed), media_type="application/json")

    @router.get(f"{_ONE}/events", responses=error_responses(401, 404, 422, 429))
    async def list_events(
        found: Annotated[Snapshot, Depends(find_run)], after_seq: AfterSeq = 0, limit: EventLimit = 500
    ) -> models.EventPageResponse:
        """Get a page of the event log."""
        page = await store.run(store.lookup.page, found.id, after_seq, limit, found.epoch)
        return models.EventPageResponse(
            submission_id=found.id,
            events=[json.loads(record.text) for record in page.records],
            more=page.more,
            last_seq=page.records[-1].seq if page.records else min(after_seq, page.last_seq),
            epoch=page.epoch,
        )

    @router.get(f"{_ONE}/output", responses=error_responses(401, 404, 422, 429))
    async def list_output(
        found: Annotated[Snapshot, Depends(find_run)], output_after: OutputAfter = 0, limit: EventLimit = 500
    ) -> models.OutputPageResponse:
        """Get a page of what the build and the tests have printed. It is deleted some time after the verdict."""
        page = await store.run(store.outputs.page, found.id, output_after, limit, found.epoch)
        return models.OutputPageResponse(
            submission_id=found.id,
            output=[json.loads(record.text) for record in page.records],
            more=page.more,
            last_output=page.records[-1].seq if page.records else min(output_after, page.last_seq),
            epoch=page.epoch,
        )

    @router.post(
        f"{_ONE}/cancel", responses=error_responses(401, 403, 404, 409, 422, 429), response_model_exclude_unset=True
    )
    async def cancel(
        found: Annotated[Snapshot, Depends(find)], identity: Annotated[Identity, Depends(current)], request: Request
    ) -> models.SubmissionResponse:
        """Stop judging; the verdict is `cancelled`."""
        if found.run > 1:
            # Otherwise a student could keep a verdict from being corrected.
            require(identity, Action.REJUDGE)
        else:
            require_own(identity, found, Action.CANCEL_OWN)
        try:
            await services.journal.cancel(found.id, found.owner_id)
            services.metrics.ended(found.problem, "cancelled")
        except EndedError:
            raise HTTPException(409, f"Submission {found.id} already has a verdict.") from None
        return _submission(await store.run(store.lookup.snapshot, found.id, found.owner_id), request)

    if (auth := services.auth) is None:
        return
    add_links(router, services, auth, current, find)

    @router.post(f"{_ONE}/watch-token", responses=error_responses(401, 404, 422, 429))
    async def make_watch_token(
        found: Annotated[Snapshot, Depends(find)],
        identity: Annotated[Identity, Depends(asking_for_tokens)],
        request: Request,
    ) -> models.WatchTokenResponse:
        """Issue a token for one socket on this submission, valid once and for less than a minute."""
        return watch_token(auth, identity, found.id, request)


async def _slug_of(services: Services, name: str) -> str:
    """The slug of a problem that is in service, or to which there are submissions."""
    slug = await services.slug(name)
    return _refuse_unknown_problem(services, name) if slug is None else slug


def _find_problem(services: Services, name: str) -> Problem:
    if (problem := services.problem(name)) is None:
        _refuse_unknown_problem(services, name)
    return problem


def _refuse_unknown_problem(services: Services, name: str) -> NoReturn:
    known = ", ".join(sorted(services.problems))
    raise HTTPException(404, f"There is no problem {name[:64]!r}. Available: {known}.")


def _chosen_problem(services: Services, body: models.SubmissionBody) -> Problem:
    if (body.problem is None) == (body.problem_id is None):
        raise HTTPException(422, "Give either 'problem' or 'problem_id'.")
    return _find_problem(services, str(body.problem_id) if body.problem is None else body.problem)


def _files(problem: Problem, body: models.SubmissionBody) -> dict[str, str]:
    if (body.source_code is None) == (body.files is None):
        raise HTTPException(422, "Give either 'source_code' or 'files'.")
    files = body.files
    if files is None:
        text = body.source_code or ""
        files = {problem.languages[body.language].name_of_single(body.file_name, text): text}
    try:
        check_files(files)
    except SourceError as error:
        raise HTTPException(error.status, error.detail) from None
    return files


def _unknown_language(problem: Problem, language: str) -> str:
    known = ", ".join(sorted(problem.languages))
    return f"{problem.slug} is not available in {language[:64]!r}. Available: {known}."


def _refuse_unknown(submission_id: int) -> NoReturn:
    raise HTTPException(404, f"There is no submission {str(submission_id)[:20]}.")


def _problem_fields(services: Services, problem: Problem) -> dict[str, Any]:
    outdated = services.versions is not None and problem.slug in services.versions.shelf.outdated
    return {
        "version": problem.version or None,
        "outdated": outdated,
        "id": problem.id,
        "slug": problem.slug,
        "title": problem.title,
        "languages": list(problem.languages),
        "total_tests": problem.total_tests,
        "closes": None if problem.closes is None else timestamp(problem.closes.timestamp()),
        "max_attempts": problem.max_attempts,
    }


def _submission(
    snapshot: Snapshot, request: Request, compared: Mapping[str, Any] | None = None
) -> models.SubmissionResponse:
    finished = snapshot.finished_at
    more: dict[str, Any] = {} if compared is None else {"compared_to": models.ComparisonBody(**compared)}
    if snapshot.pruned_at is not None:
        more["notice"] = pruned_notice(snapshot.pruned_at)
    return models.SubmissionResponse(
        submission_id=snapshot.id,
        id=snapshot.id,
        problem=snapshot.problem,
        language=snapshot.language,
        status=snapshot.status,
        final_status=snapshot.final_status,
        summary=None if snapshot.summary is None else models.SummaryBody(**snapshot.summary),
        total_tests=snapshot.total_tests,
        created_at=timestamp(snapshot.created_at),
        finished_at=None if finished is None else timestamp(finished),
        url=f"{request.base_url}submissions/{snapshot.id}",
        last_seq=snapshot.last_seq,
        epoch=snapshot.epoch,
        problem_version=snapshot.problem_version,
        attempt=max(1, snapshot.attempt),
        build_log=snapshot.build_log,
        run=snapshot.run,
        **more,
    )


def _run(each: Run) -> models.RunBody:
    asked, finished = each.asked_at, each.finished_at
    return models.RunBody(
        run=each.run,
        status=each.status,
        final_status=each.final_status,
        summary=None if each.summary is None else models.SummaryBody(**each.summary),
        asked_at=None if asked is None else timestamp(asked),
        finished_at=None if finished is None else timestamp(finished),
        last_seq=each.last_seq,
        epoch=each.epoch,
        problem_version=each.problem_version,
    )
