"""The server with the real judge and its processes, on a problem that needs little CPU."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from subcli.judge import Problem, judge, load_problem

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
import pytest

@pytest.mark.parametrize("number", range(4))
def test_waits(number):
    """Waits"""
    time.sleep(SECONDS)
'''


@pytest.fixture
def waiting(tmp_path: Path) -> Callable[[float], dict[str, Problem]]:
    """Makes a problem whose four tests take so many seconds each."""

    def make(seconds: float) -> dict[str, Problem]:
        root = tmp_path / "waiting"
        (root / "tests").mkdir(parents=True)
        (root / "problem.toml").write_text(PROBLEM)
        (root / "description.md").write_text("Wait.")
        (root / "tests" / "test_waiting.py").write_text(TESTS.replace("SECONDS", str(seconds)))
        return {"waiting": load_problem(root)}

    return make


async def test_from_submit_to_verdict(start: Callable[..., Any], waiting: Any) -> None:
    """Each result arrives while later tests still run, and the snapshot agrees with the events."""
    async with start(judge, waiting(0.15)) as live:
        submission_id = await live.submit(problem="waiting")
        watcher = await live.watch(submission_id)
        seen: list[tuple[float, dict[str, Any]]] = []
        with suppress(ConnectionClosed):
            while True:
                event = json.loads(await watcher.recv())
                seen.append((asyncio.get_running_loop().time(), event))
        assert watcher.close_code == 1000
        snapshot = (await live.http.get(f"/api/submissions/{submission_id}")).json()
        tests = (await live.http.get(f"/api/submissions/{submission_id}/tests")).json()["tests"]
    events = [event for _, event in seen]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    statuses = [event["status"] for event in events if event["type"] == "status_update"]
    assert statuses == ["pending", "building", "testing", "completed"]
    assert events[-1]["final_status"] == snapshot["final_status"] == "passed"
    assert snapshot["summary"]["passed"] == snapshot["total_tests"] == 4
    results = [(moment, event) for moment, event in seen if event["type"] == "test_result"]
    assert [row["test_name"] for row in tests] == [event["test_name"] for _, event in results]
    moments = [moment for moment, _ in results]
    assert all(later - earlier > 0.05 for earlier, later in pairwise(moments))


async def test_cancelling_ends_the_processes(start: Callable[..., Any], waiting: Any) -> None:
    """A cancelled judging leaves no process behind."""
    before = descendants()
    async with start(judge, waiting(15)) as live:
        submission_id = await live.submit(problem="waiting")
        watcher = await live.watch(submission_id)
        while '"testing"' not in await watcher.recv():
            pass
        running = descendants() - before
        assert running
        response = await live.http.post(f"/api/submissions/{submission_id}/cancel")
        assert response.json()["final_status"] == "cancelled"
        await live.until(lambda: not running & descendants())


async def test_stopping_the_server_ends_the_processes(start: Callable[..., Any], waiting: Any) -> None:
    """A server that stops leaves no process behind, and the submission unfinished."""
    before = descendants()
    async with start(judge, waiting(15)) as live:
        watcher = await live.watch(await live.submit(problem="waiting"))
        while '"testing"' not in await watcher.recv():
            pass
        running = descendants() - before
        assert running
    assert not running & descendants()


def descendants() -> set[int]:
    """The processes below this one."""
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
    return found
