"""`/problems/P`: what a problem asks for, and how to submit."""

# No `from __future__ import annotations`: FastAPI reads annotations that name local functions.

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import Response

from subcli.judge import Problem
from subcli.judge.cases.samples import Sample, samples_of
from subcli.judge.languages.language import Language
from subcli.server.accounts.permissions import Action
from subcli.server.pages.visitors import Visitor, VisitorOf
from subcli.server.parts import Services


def _to_html(markdown: str, title: str) -> str:
    # 1 MB, and only for these pages. Called in a thread, so that it does not stop the event loop either.
    from subcli.server.pages.statement import to_html

    return to_html(markdown, title)


def add_problems(router: APIRouter, services: Services, visitor: VisitorOf) -> None:
    """Add the page of a problem. As over REST, it is for everybody."""

    @router.get("/problems/{name}")
    async def problem_page(request: Request, name: str, found: Annotated[Visitor, Depends(visitor)]) -> Response:
        problem = services.problem(name)
        if problem is None:
            raise HTTPException(404, f"There is no problem {name[:64]!r}.")
        html = await services.store.run(_to_html, problem.description, problem.title)
        samples: Sequence[Sample] = ()
        if problem.cases is not None:
            samples = await services.store.run(samples_of, problem.cases)
        return found.page(
            request,
            "problem.html",
            problem=problem,
            statement=html,
            samples=samples,
            languages=[_Offered.of(each) for each in problem.languages.values()],
            limits=_limits(problem),
            closes=None if problem.closes is None else problem.closes.timestamp(),
            is_closed=problem.closes is not None and problem.closes.timestamp() <= time.time(),
            attempts=await _attempts(services, problem, found),
            server=str(request.base_url).rstrip("/"),
        )


@dataclass(frozen=True)
class _Offered:
    """A language, and the file to submit in it."""

    name: str
    title: str
    source: str

    @classmethod
    def of(cls, language: Language) -> "_Offered":
        return cls(language.name, language.title or language.name, language.source)


async def _attempts(services: Services, problem: Problem, found: Visitor) -> str:
    """How many submissions are allowed, and how many the visitor has left; empty if there is no limit."""
    most = problem.max_attempts
    if most is None:
        return ""
    if found.identity is None or not found.may(Action.SUBMIT):
        return f"{most:,}"
    used = await services.store.run(services.store.lookup.attempts_used, found.identity.user_id, problem.slug)
    return f"{max(0, most - used):,} of {most:,} left"


def _limits(problem: Problem) -> dict[str, str]:
    """What a solver needs to know of the limits."""
    limits = problem.limits
    return {"Time for each test": f"{limits.test_seconds:g} s", "Memory": f"{limits.memory_mb} MB"}
