"""The traces of failed tests, and what was submitted: kept beside the log, for their owner."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from subcli.judge.events import run_trace
from subcli.server.log.records import Claim, EndedError, StaleFenceError
from subcli.shared.run_trace import Mark, RunTrace, Sent, decode_trace, encode_trace, pack
from tests.server.conftest import complete, result, update

pytestmark = pytest.mark.every_backend

TRACE = RunTrace(
    seed=5,
    nodes=("n1", "n2"),
    violation="two leaders \u2028",
    messages=(Sent(no=2, ms=1, src="n1", dest="n2", body={"type": "x", "half": "?"}),),
    marks=(Mark(no=1, ms=0, kind="start", node="n1"),),
)
ID = "test_x.py::test_split[a/b]"
EVENTS = (
    update("building"),
    update("testing", total_tests=2),
    run_trace(ID, 5, pack(encode_trace(TRACE))),
    result("Split Vote", "failed", test_id=ID, seed=5, has_trace=True),
    result("Other", "failed", test_id="other"),
    update("failed"),
    complete("failed", passed=0, failed=2),
)


async def judged(live: Any) -> int:
    """A submission whose judge tells a trace."""
    submission_id = int(await live.submit("wait"))
    for event in EVENTS:
        live.judge.events.put_nowait(event)
    await live.ended(submission_id)
    return submission_id


async def test_trace_is_kept_beside_the_log(live: Any) -> None:
    """By id or name; it is no event, and the result says that it is there."""
    number = await judged(live)
    for test in ("test_x.py::test_split%5Ba%2Fb%5D", "Split%20Vote"):
        response = await live.http.get(f"/api/submissions/{number}/tests/{test}/trace")
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "application/json"
        assert decode_trace(response.content) == TRACE
    log = (await live.http.get(f"/api/submissions/{number}/events")).json()["events"]
    assert "run_trace" not in {event["type"] for event in log}
    assert "packed" not in str(log)
    (test,) = [event for event in log if event.get("test_id") == ID]
    assert (test["seed"], test["has_trace"]) == (5, True)
    # Its author gives no tests away, so it cannot be replayed.
    assert "rerun" not in test
    rows = (await live.http.get(f"/api/submissions/{number}/tests")).json()["tests"]
    assert [row.get("has_trace") for row in rows] == [True, None]


async def test_no_trace(live: Any) -> None:
    """404 with a sentence: no such test, no trace, no submission."""
    number = await judged(live)
    for path, words in (
        (f"{number}/tests/Other/trace", "only failures on several nodes have one"),
        (f"{number}/tests/nothing/trace", "no result of a test 'nothing'"),
        (f"{number + 1000}/tests/Other/trace", "There is no submission"),
    ):
        response = await live.http.get(f"/api/submissions/{path}")
        assert response.status_code == 404
        assert words in response.json()["detail"]


async def test_submitted_files(live: Any) -> None:
    """As they were sent, whatever is in them."""
    files = {"solution.py": "print('\u2028 😀 é')", "a/b.py": ""}
    body = {"problem": "echo", "language": "python", "files": files}
    number = (await live.http.post("/api/submissions", json=body)).json()["id"]
    told = (await live.http.get(f"/api/submissions/{number}/files")).json()
    assert told == {"submission_id": number, "files": files}


@pytest.mark.thorough
async def test_a_worker_that_lost_its_claim_keeps_nothing(live: Any) -> None:
    """Neither does one whose submission has ended; the trace of a later attempt replaces the one before."""
    number = await judged(live)
    store = live.services.store
    other = await live.submit("wait")
    await live.until(lambda: len(live.judge.jobs) == 2)
    with store.try_to_write.__self__._write.begin() as connection:
        row = connection.exec_driver_sql(f"SELECT fence, epoch FROM submissions WHERE id = {other}").one()
    claim = Claim(other, "echo", "python", {}, 1, row.fence, 1, "demo", 0.0, row.epoch)
    for text in (b"one", b"two"):
        store.run_traces.put(claim, ID, text)
    assert store.run_traces.get(other, ID, 1) == b"two"
    assert store.run_traces.get(other, "x" * 10_000, 1) is None
    with pytest.raises(StaleFenceError):
        store.run_traces.put(replace(claim, fence=claim.fence - 1), ID, b"three")
    with pytest.raises(EndedError):
        store.run_traces.put(replace(claim, submission_id=number), ID, b"three")
    live.judge.events.put_nowait(complete("failed", passed=0, failed=0))
    await live.ended(other)
