"""What a run has to wait for, and what waits for it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from subcli.judge.supervise.runs import Runs
from subcli.judge.supervise.tap_runner import _Output
from tests.judge.judging import MakeProblem, Run
from tests.judge.supervise.test_fronts import passes


async def test_signal_for_a_run_that_waits_is_kept(tmp_path: Path) -> None:
    """Its front says so before there is a solution that could get it."""
    woken = asyncio.Event()
    runs = Runs(tmp_path, woken.set)
    starts = os.open(tmp_path / "starts", os.O_WRONLY)
    os.write(starts, b"front 123 0\nfront 124 0\nfront 123 15\nfront 123 2\n")
    os.close(starts)
    await woken.wait()
    found = [runs.next_waiting() for _ in range(3)]
    assert [(each.front, each.signals) for each in found if each] == [(123, [15, 2]), (124, [])]
    runs.close()


async def test_output_that_nobody_reads_calls_nobody_again() -> None:
    """While results wait for whoever reads them, the loop has nothing to do."""
    calls: list[int] = []
    output = _Output(lambda: calls.append(1))
    assert output.read() is None
    os.write(output.writing, b"ok 1\n")
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(calls) == 2
    assert (output.read(), output.read()) == (b"ok 1\n", None)
    output.close_writing()
    for _ in range(20):
        await asyncio.sleep(0)
    assert output.read() == b""
    output.close()


async def test_no_run_makes_a_file(run: Run, tiny: MakeProblem) -> None:
    """Where many were deleted, that takes longer than the run. What it says on stderr needs one."""
    tests = """
place = os.path.dirname(solution)
before, seen = set(os.listdir(place)), set()
for _ in range(3):
    running = subprocess.Popen([solution], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    running.stdout.readline()
    seen |= set(os.listdir(place))
    running.communicate()
check("files", seen == before, sorted(seen - before))
"""
    await passes(run, tiny, tests, "echo here\nread end\n")
