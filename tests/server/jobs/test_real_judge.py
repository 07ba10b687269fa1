"""The server with the real judge and its processes, on a problem that needs little CPU."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from subcli.judge import Job, Problem, judge, load_problem
from subcli.judge.supervise.template import template_pid
from subcli.server.run.startup import copied_problems

PROBLEM = """
id = 99
slug = "waiting"
title = "Waiting"
total_tests = 4

[languages.python]
source = "solution.py"
run = ["{python}", "{source}"]
"""
TESTS = '''
import time
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range(4))
def test_waits(number):
    """Waits"""
    while not (Path("GATES") / str(number)).exists():
        time.sleep(0.01)
'''


@dataclass(frozen=True)
class Waiting:
    """A problem with four tests, each of which waits for its gate."""

    problems: dict[str, Problem]
    gates: Path

    def open(self, number: int) -> None:
        (self.gates / str(number)).touch()


@pytest.fixture
def waiting(tmp_path: Path) -> Waiting:
    root, gates = tmp_path / "problems" / "waiting", tmp_path / "gates"
    (root / "tests").mkdir(parents=True)
    gates.mkdir()
    (root / "problem.toml").write_text(PROBLEM)
    (root / "description.md").write_text("Wait.")
    (root / "tests" / "test_waiting.py").write_text(TESTS.replace("GATES", str(gates)))
    return Waiting({"waiting": load_problem(root)}, gates)


@pytest.mark.thorough
async def test_from_submit_to_verdict(start: Callable[..., Any], waiting: Waiting) -> None:
    """Each result arrives while the later tests still wait, and the snapshot agrees with the events."""
    async with start(judge, waiting.problems) as live:
        submission_id = await live.submit(problem="waiting")
        watcher = await live.watch(submission_id)
        events: list[dict[str, Any]] = []
        opened = 0
        with suppress(ConnectionClosed):
            while True:
                events.append(json.loads(await watcher.recv()))
                results = [event for event in events if event["type"] == "test_result"]
                assert len(results) <= opened
                if opened < 4 and len(results) == opened:
                    waiting.open(opened)
                    opened += 1
        assert watcher.close_code == 1000
        snapshot = (await live.http.get(f"/api/submissions/{submission_id}")).json()
        tests = (await live.http.get(f"/api/submissions/{submission_id}/tests")).json()["tests"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    updates = [event for event in events if event["type"] == "status_update" and "running_test" not in event]
    assert [event["status"] for event in updates] == ["pending", "building", "testing", "completed"]
    assert events[-1]["final_status"] == snapshot["final_status"] == "passed"
    assert snapshot["summary"]["passed"] == snapshot["total_tests"] == 4
    assert [row["test_name"] for row in tests] == [event["test_name"] for event in results]


@pytest.mark.thorough
async def test_cancelling_ends_the_processes(start: Callable[..., Any], waiting: Waiting) -> None:
    """A cancelled judging leaves no process behind."""
    before = descendants()
    async with start(judge, waiting.problems) as live:
        submission_id = await live.submit(problem="waiting")
        watcher = await live.watch(submission_id)
        while '"testing"' not in await watcher.recv():
            pass
        running = descendants() - before
        assert running
        response = await live.http.post(f"/api/submissions/{submission_id}/cancel")
        assert response.json()["final_status"] == "cancelled"
        await live.until(lambda: not running & descendants())


@pytest.mark.thorough
async def test_stopping_the_server_ends_the_processes(start: Callable[..., Any], waiting: Waiting) -> None:
    """A server that stops leaves no process behind, and the submission unfinished."""
    before = descendants()
    async with start(judge, waiting.problems) as live:
        watcher = await live.watch(await live.submit(problem="waiting"))
        while '"testing"' not in await watcher.recv():
            pass
        running = descendants() - before
        assert running
    assert not running & descendants()


@pytest.mark.thorough
async def test_edits_between_claim_and_judging_change_nothing(start: Callable[..., Any], waiting: Waiting) -> None:
    """What judges and what is told is what was there when the server started."""
    root = waiting.problems["waiting"].root
    for number in range(4):
        waiting.open(number)
    with (root / "problem.toml").open("a") as file:
        file.write('template = "template.py"\n')
    (root / "template.py").write_text("pass")
    files = [root / "tests" / "test_waiting.py", root / "template.py", root / "problem.toml"]

    async def edit_and_judge(job: Job) -> AsyncIterator[Mapping[str, Any]]:
        for path in files:
            path.write_text("no longer valid {")
        async with aclosing(judge(job)) as judging:
            async for event in judging:
                yield event

    with copied_problems(root.parent, root.parents[1]) as copied:
        async with start(edit_and_judge, copied.problems) as live:
            ended = await live.ended(await live.submit(problem="waiting"))
            assert (ended["final_status"], ended["summary"]["passed"]) == ("passed", 4)
            told = (await live.http.get("/api/problems/waiting/template/python")).json()
            assert told["files"] == {"solution.py": "pass"}


def descendants() -> set[int]:
    """The processes below this one, but the template of the supervisors, which stays."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    children.setdefault(int(parent), []).append(int(entry.name))
    found: set[int] = set()
    todo = [os.getpid()]
    while todo:
        below = children.get(todo.pop(), [])
        found.update(below)
        todo += below
    return found - {template_pid()}
