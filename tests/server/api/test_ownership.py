"""A foreign submission looks exactly like an unknown one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import Engine, event
from websockets.exceptions import ConnectionClosed

from tests.hang import HANG_S

pytestmark = pytest.mark.every_backend

CALLS = [
    ("GET", ""),
    ("GET", "/tests"),
    ("GET", "/tests/One/trace"),
    ("GET", "/files"),
    ("GET", "/events"),
    ("GET", "/events?after_seq=1&limit=2"),
    ("GET", "/output"),
    *(("GET", f"{tail}?run=1") for tail in ("", "/tests", "/tests/One/trace", "/events", "/output")),
    *((method, "/links") for method in ("GET", "POST", "DELETE")),
    ("POST", "/cancel"),
    ("POST", "/watch-token"),
]


async def two_users(live: Any) -> tuple[int, int, int]:
    """Ada's ended and running submission, and an unknown id; from now on Bob sends the requests."""
    ended, running = await live.submit(), await live.submit("wait")
    await live.ended(ended)
    await live.be("bob")
    return ended, running, running + 1000


@pytest.mark.thorough
async def test_rest_hides_foreign_submissions(guarded: Any, subtests: pytest.Subtests) -> None:
    """Status, headers and body are the same as for an unknown id."""
    ended, running, absent = await two_users(guarded)
    for method, tail in CALLS:
        seen = []
        for submission_id in (ended, running, absent):
            response = await guarded.http.request(method, f"/api/submissions/{submission_id}{tail}")
            headers = {k: v for k, v in response.headers.items() if k not in ("date", "content-length", "x-request-id")}
            seen.append((response.status_code, response.text.replace(f" {submission_id}.", " N."), headers))
        with subtests.test(f"{method} {tail}"):
            assert seen[0] == seen[1] == seen[2]
            assert seen[0][0] == 404
    # Nothing of it touched Ada's.
    await guarded.be("ada")
    snapshot = (await guarded.http.get(f"/api/submissions/{running}")).json()
    assert snapshot["final_status"] is None
    listed = (await guarded.http.get("/api/submissions")).json()["submissions"]
    assert [row["id"] for row in listed] == [running, ended]


@pytest.mark.thorough
async def test_list_and_idempotency_key_are_per_user(guarded: Any) -> None:
    """Bob's list is empty, and Ada's Idempotency-Key does not affect him."""
    body = {"problem": "echo", "language": "python", "source_code": "print()"}
    headers = {"Idempotency-Key": "k"}
    ada = (await guarded.http.post("/api/submissions", json=body, headers=headers)).json()["id"]
    await guarded.be("bob")
    assert (await guarded.http.get("/api/submissions")).json() == {"submissions": []}
    response = await guarded.http.post("/api/submissions", json={**body, "source_code": "2"}, headers=headers)
    assert response.status_code == 201
    assert response.json()["id"] != ada


async def test_socket_hides_foreign_submissions(guarded: Any) -> None:
    """4004 with the same reason, and nothing before it."""
    ended, running, absent = await two_users(guarded)
    headers = {"Authorization": guarded.http.headers["Authorization"]}
    seen = []
    for submission_id in (ended, running, absent):
        watcher = await guarded.watch(submission_id, additional_headers=headers)
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(watcher.recv(), HANG_S)
        seen.append((watcher.close_code, watcher.close_reason))
    assert seen == [(4004, "submission not found")] * 3


async def test_foreign_submission_costs_the_same_queries(guarded: Any) -> None:
    """Response times do not reveal that a foreign submission exists, because the queries are the same."""
    _, running, absent = await two_users(guarded)
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if "FROM submissions" in statement or "FROM events" in statement or "FROM results" in statement:
            statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    seen = []
    try:
        for submission_id in (running, absent):
            # The worker of the running submission has queries of its own.
            await guarded.http.get(f"/api/submissions/{submission_id}/tests")
            seen.append([each for each in statements if "owner_id" in each.partition("WHERE")[2]])
            statements.clear()
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert seen[0] == seen[1] != []


@pytest.mark.thorough
async def test_removed_user_is_logged_out(guarded: Any) -> None:
    """`user remove` ends the sessions at once and deletes the submissions; a new user of that name sees none."""
    submission_id = await guarded.submit()
    await guarded.ended(submission_id)
    guarded.accounts.users.remove("ada", with_submissions=True)
    response = await guarded.http.get(f"/api/submissions/{submission_id}")
    assert response.status_code == 401
    assert "session ended" in response.json()["detail"]
    await guarded.be("ada")
    assert (await guarded.http.get(f"/api/submissions/{submission_id}")).status_code == 404
    assert await guarded.submit() > submission_id


@pytest.mark.thorough
async def test_demo_submissions_belong_to_the_demo_user(start: Any) -> None:
    """Submissions of demo mode are visible in demo mode only."""
    async with start() as live:
        submission_id = await live.submit()
        await live.ended(submission_id)
    async with start(auth=True) as live:
        await live.be("ada")
        assert (await live.http.get(f"/api/submissions/{submission_id}")).status_code == 404
        assert (await live.grant(grant_type="password", username="demo", password="demo")).status_code == 401
    async with start() as live:
        assert (await live.http.get(f"/api/submissions/{submission_id}")).status_code == 200
