"""The server with the real judge and the bundled problem."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed

from subcli.judge import judge, load_problems


async def test_a_bundled_solution_passes(start: Callable[..., Any]) -> None:
    """Ten results, each seen while later ones still run, then the verdict; the snapshot says the same."""
    problems = load_problems()
    source = (problems["leader-election"].root / "solutions" / "passing.py").read_text(encoding="utf-8")
    async with start(judge, problems) as live:
        submission_id = await live.submit(source, problem="leader-election")
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
    assert [each for each in statuses if each != "pending"] == ["building", "testing", "completed"]
    assert events[-1]["final_status"] == snapshot["final_status"] == "passed"
    results = [(moment, event) for moment, event in seen if event["type"] == "test_result"]
    assert [row["test_name"] for row in tests] == [event["test_name"] for _, event in results]
    assert len(results) == 10
    assert len({round(moment, 2) for moment, _ in results}) > 5
    assert snapshot["summary"]["passed"] == 10


async def test_cancelling_ends_its_processes(start: Callable[..., Any]) -> None:
    """A judging that is cancelled leaves no process behind."""
    problems = load_problems()
    source = (problems["leader-election"].root / "solutions" / "passing.py").read_text(encoding="utf-8")
    async with start(judge, problems) as live:
        submission_id = await live.submit(source, problem="leader-election")
        watcher = await live.watch(submission_id)
        while '"test_result"' not in await watcher.recv():
            pass
        running = descendants()
        assert running
        await live.http.post(f"/api/submissions/{submission_id}/cancel")
        await live.until(lambda: not running & descendants())


def descendants() -> set[int]:
    """The processes below this one."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: set[int] = set()
    todo = [os.getpid()]
    while todo:
        below = children.get(todo.pop(), [])
        found.update(below)
        todo += below
    return found
