"""Judging on this machine, as a session that the views follow."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from subcli.cli.watching.local import LocalSession
from subcli.core.submission import Connection
from subcli.judge import Job, LocalStarter
from subcli.judge.problem import Problem, ResourceLimits
from subcli.judge.supervise import engine
from subcli.shared.messages import Complete, Output, StatusUpdate

CONTENDED = {"time_out": "contended"}
UNDISTURBED = {"time_out": "undisturbed"}


@pytest.mark.parametrize(
    ("ends", "attempts", "verdict"),
    [
        ([("failed", CONTENDED), ("passed", {})], 2, "passed"),
        ([("failed", CONTENDED), ("failed", CONTENDED)], 2, "failed"),
        ([("failed", UNDISTURBED)], 1, "failed"),
        ([("passed", CONTENDED)], 1, "passed"),
        ([("error", CONTENDED)], 1, "error"),
    ],
)
async def test_time_that_ran_out_on_a_busy_machine(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ends: list[tuple[str, dict[str, str]]],
    attempts: int,
    verdict: str,
) -> None:
    """It is judged again once, as on a server, and nothing tells of the verdict that did not count."""
    jobs: list[Job] = []

    async def judge(job: Job, **_: object) -> AsyncGenerator[dict[str, object], None]:
        final, more = ends[len(jobs)]
        jobs.append(job)
        yield {"type": "status_update", "status": "testing", "total_tests": 1}
        yield {"type": "test_result", "test_id": "1", "test_name": "1", "status": "failed"}
        yield {"type": "status_update", "status": "completed" if final == "passed" else "failed"}
        yield {"type": "complete", "final_status": final, "summary": {}, **more}

    monkeypatch.setattr(engine, "judge", judge)
    problem = Problem(1, "p", "P", "", {}, ResourceLimits(), tmp_path)
    session = LocalSession(Job(problem, "python", {}), LocalStarter())
    shown = [event async for events in session.batches() for event in events]
    assert [(job.attempt, job.alone) for job in jobs] == [(1, False), (2, True)][:attempts]
    assert [event.final_status for event in shown if isinstance(event, Complete)] == [verdict]
    told = [event.status for event in shown if isinstance(event, StatusUpdate)]
    assert sum(status in ("failed", "completed") for status in told) == 1
    assert ("pending" in told) is (attempts == 2)
    assert session.watch.snapshot().counts.done == 1


@pytest.mark.parametrize("wanted", [False, True])
async def test_output_is_numbered_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: bool) -> None:
    """As on a server; the judge is asked for it only if somebody may look."""
    jobs: list[Job] = []

    async def judge(job: Job, **_: object) -> AsyncGenerator[dict[str, object], None]:
        jobs.append(job)
        yield {"type": "status_update", "status": "testing", "total_tests": 1}
        for text in ("a\n", "b\n") if job.output is not None else ():
            yield {"type": "output", "test_id": "1", "stream": "stdout", "text": text}
        yield {"type": "test_result", "test_id": "1", "test_name": "1", "status": "passed"}
        yield {"type": "complete", "final_status": "passed", "summary": {}}

    monkeypatch.setattr(engine, "judge", judge)
    problem = Problem(1, "p", "P", "", {}, ResourceLimits(), tmp_path)
    session = LocalSession(Job(problem, "python", {}), LocalStarter())
    if wanted:
        session.ask_for_output()
    shown = [event async for events in session.batches() for event in events if not isinstance(event, Connection)]
    assert (jobs[0].output is not None) == wanted
    pieces = [(event.text, event.output_seq, event.after_seq) for event in shown if isinstance(event, Output)]
    assert pieces == ([("a\n", 1, 1), ("b\n", 2, 1)] if wanted else [])
    assert [event.seq for event in shown if event.seq is not None] == [1, 2, 3]
