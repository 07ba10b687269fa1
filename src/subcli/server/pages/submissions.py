"""`/submissions/N`: one submission, as it is now. `static/submission.js` then keeps it up to date."""

# No `from __future__ import annotations`: FastAPI reads annotations that name local functions.

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response

from subcli.server.accounts.identity import Identity
from subcli.server.accounts.permissions import Action
from subcli.server.log.pruning import pruned_notice
from subcli.server.log.records import Run, Snapshot, UnknownSubmissionError
from subcli.server.log.results import last_results
from subcli.server.pages import words
from subcli.server.pages.code import files_with_notes
from subcli.server.pages.outcomes import analyses_of, failures_of, listed_tests
from subcli.server.pages.visitors import Visitor, VisitorOf
from subcli.server.parts import Services

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_NOTHING: Final[Mapping[str, Any]] = {
    "tests": (),
    "left_out": "",
    "has_points": False,
    "failures": (),
    "build_log": "",
    "notice": "",
    "files": (),
    "runs": (),
}
RunNumber = Annotated[int | None, Query(ge=1, le=2**63 - 1)]


def add_submissions(router: APIRouter, services: Services, visitor: VisitorOf) -> None:
    """Add the page of a submission."""

    @router.get("/submissions/{number}")
    async def submission_page(
        request: Request, number: str, found: Annotated[Visitor, Depends(visitor)], run: RunNumber = None
    ) -> Response:
        if not _NUMBER.fullmatch(number):
            raise HTTPException(404, f"{number[:20]!r} is not the number of a submission.")
        submission_id = int(number)
        if found.identity is None:
            # The address may hold a link's token behind `#`, which browsers tell no server. The script sees it.
            return found.page(request, "submission.html", state="login", id=submission_id, **_NOTHING)
        try:
            shown = await _visible(services, found.identity, submission_id, run)
        except UnknownSubmissionError:
            return found.page(request, "submission.html", 404, state="absent", id=submission_id, **_NOTHING)
        return found.page(request, "submission.html", id=submission_id, **shown)


async def _visible(services: Services, identity: Identity, submission_id: int, run: int | None) -> dict[str, Any]:
    """What the page shows.

    Args:
        run: which judging; None for the latest.

    Raises:
        UnknownSubmissionError: there is no such submission that this user may see.
        HTTPException: 404, it has no such run.
    """
    store = services.store
    owner_id = identity.owner_of_visible(submission_id)
    latest = await store.run(store.lookup.snapshot, submission_id, owner_id)
    snapshot = latest if run is None else await store.run(store.lookup.of_run, latest, run=run)
    if snapshot is None:
        raise HTTPException(404, f"Submission {submission_id} has no run {run}.")
    runs = await store.run(store.lookup.runs, latest)
    payloads = await store.run(store.lookup.results, submission_id, snapshot.run)
    tests, analyses = last_results(payloads), analyses_of(payloads)
    files: dict[str, str] = {}
    if identity.may(Action.READ_CODE):
        files = await store.run(store.lookup.files, submission_id)
    user = ""
    if services.auth is not None and snapshot.owner_id != identity.user_id:
        names = await store.run(services.auth.accounts.users.names, {snapshot.owner_id})
        user = names.get(snapshot.owner_id, "")
    problem = services.problems.get(snapshot.problem)
    listed, left_out = listed_tests(tests, snapshot.summary)
    is_unbuilt = snapshot.final_status == "build_failed"
    return {
        # Only the latest run can change.
        "state": "found" if snapshot.run == latest.run else "kept",
        "runs": [_run(each) for each in runs] if len(runs) > 1 else (),
        "snapshot": snapshot,
        "verdict": _verdict(snapshot, tests),
        "user": user,
        "title": snapshot.problem if problem is None else problem.title,
        "has_problem_page": problem is not None,
        "tests": listed,
        "left_out": f"… {left_out:,} more" if left_out else "",
        "has_points": any(test["points"] for test in listed),
        "failures": failures_of(tests, analyses),
        "build_log": snapshot.build_log if is_unbuilt and snapshot.build_log else "",
        "notice": "" if snapshot.pruned_at is None else pruned_notice(snapshot.pruned_at),
        "files": files_with_notes(files, analyses),
    }


def _run(run: Run) -> dict[str, Any]:
    """A line of the history."""
    return {
        "number": run.run,
        "word": words.words(run.final_status or run.status),
        "glyph": words.glyph(run.final_status) if run.final_status else "…",
        "tone": words.tone(run.final_status),
        "summary": words.summary(run.summary),
        "finished_at": run.finished_at,
    }


def _verdict(snapshot: Snapshot, tests: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The verdict or the stage, and what follows it."""
    status, verdict = snapshot.status, snapshot.final_status
    passed = sum(test.get("status") == "passed" for test in tests)
    return {
        "glyph": "…" if verdict is None else words.glyph(verdict),
        "word": words.words(verdict or status),
        "tone": words.tone(verdict),
        "summary": "" if verdict is None else words.summary(snapshot.summary, len(tests), passed),
    }
