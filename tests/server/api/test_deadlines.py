"""Problems that close, that limit attempts, or that are gone: what REST and feeds say."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from subcli.judge.problem import Problem

pytestmark = pytest.mark.every_backend
BODY = {"language": "python", "source_code": "print()"}
PAST, FUTURE = datetime(2020, 1, 31, 22, 59, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
async def server(start: Callable[..., Any], problem: Problem) -> AsyncIterator[Any]:
    """With a problem that has closed and one with two attempts."""
    closed = replace(problem, id=1, slug="closed", closes=PAST)
    limited = replace(problem, id=2, slug="limited", closes=FUTURE, max_attempts=2)
    async with start(problems={"closed": closed, "limited": limited}) as live:
        yield live


async def test_closed_problem_refuses(server: Any) -> None:
    """With a sentence, a code for programs, and the moment. The problem itself stays readable."""
    response = await server.http.post("/api/submissions", json={**BODY, "problem": "closed"})
    assert response.status_code == 409
    assert response.json() == {
        "detail": "closed closed on 2020-01-31 at 22:59:00 UTC.",
        "code": "problem_closed",
        "closes": "2020-01-31T22:59:00.000Z",
    }
    assert (await server.http.get("/api/submissions")).json() == {"submissions": []}
    shown = (await server.http.get("/api/problems/closed")).json()
    assert (shown["closes"], shown["max_attempts"]) == ("2020-01-31T22:59:00.000Z", None)
    assert "<dt>Closed</dt>" in (await server.http.get("/problems/closed")).text


@pytest.mark.thorough
async def test_attempts_are_used_up(server: Any) -> None:
    """Each answer says how many are left; repeating a request takes none."""
    body = {**BODY, "problem": "limited"}
    for key, left in (("a", 1), ("a", 1), ("b", 0)):
        response = await server.http.post("/api/submissions", json=body, headers={"Idempotency-Key": key})
        assert (response.status_code, response.json()["attempts_left"]) == (201, left)
    response = await server.http.post("/api/submissions", json=body, headers={"Idempotency-Key": "c"})
    assert response.status_code == 409
    assert response.json() == {
        "detail": "You have used 2 of 2 attempts at limited.",
        "code": "no_attempts_left",
        "max_attempts": 2,
        "attempts_used": 2,
    }


async def test_problem_without_limits_says_nothing_of_attempts(live: Any) -> None:
    """The field is absent, not null."""
    response = await live.http.post("/api/submissions", json={**BODY, "problem": "echo"})
    assert "attempts_left" not in response.json()


@pytest.mark.thorough
async def test_submissions_to_a_retired_problem_stay_readable(start: Callable[..., Any], problem: Problem) -> None:
    """Snapshot, results, log, and the list of those to it; a name that nobody has used is still refused."""
    async with start() as live:
        submission_id = await live.submit()
        await live.ended(submission_id)
    async with start(problems={"other": replace(problem, id=8, slug="other")}) as live:
        assert (await live.http.get("/api/problems/echo")).status_code == 404
        [row] = (await live.http.get("/api/submissions?problem=echo")).json()["submissions"]
        assert (row["id"], row["problem"], row["final_status"]) == (submission_id, "echo", "passed")
        assert (await live.http.get("/api/submissions?problem=ecko")).status_code == 404
        for path in ("", "/tests", "/events"):
            assert (await live.http.get(f"/api/submissions/{submission_id}{path}")).status_code == 200
        watched = await live.watch(submission_id)
        assert [json.loads(text)["type"] async for text in watched][-1] == "complete"
