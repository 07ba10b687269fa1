"""A busy machine takes nothing from a solution's time: what counts is the time that it would need alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.judge.judging import MakeProblem, Run

TESTS = """
import json, os, subprocess
done = subprocess.run([os.environ["SUBCLI_SOLUTION"]], capture_output=True)
print("1..1")
print("ok 1 - ends" if done.returncode == 0 else "not ok 1 - ends", flush=True)
"""
RUNNER = 'runner = "tap"\ncommand = ["{python}", "run.py"]\n'
COMPUTES = "import time\nwhile time.process_time() < {}: pass\n"
WAITS = "import time\ntime.sleep({})\n"


@pytest.fixture
def busy_loops() -> Iterator[None]:
    """Four processes that want a processor each."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    yield
    for loop in loops:
        loop.kill()
        loop.wait()


async def test_start_of_the_tests_is_not_the_solutions_time(run: Run, tiny: MakeProblem) -> None:
    """Test programs that compute for longer than the limit before they start the solution."""
    slow = f"import time\nwhile time.process_time() < 1.5: pass\n{TESTS}"
    judged = await run(tiny(slow, runner=RUNNER, limits="test_seconds = 1\nanswer_seconds = 1\n"), "pass\n")
    assert judged.verdict == "passed", judged.events


@pytest.mark.thorough
@pytest.mark.usefixtures("busy_loops")
@pytest.mark.parametrize("source", [COMPUTES.format(1.2), WAITS.format(1.2)], ids=["computes", "waits"])
async def test_sixty_percent_of_the_limit_passes(run: Run, tiny: MakeProblem, source: str) -> None:
    """1.2 of 2 seconds, on two cores that six processes share."""
    judged = await run(tiny(TESTS, runner=RUNNER, limits="test_seconds = 2\nanswer_seconds = 1\n"), source)
    assert judged.verdict == "passed", judged.events


@pytest.mark.thorough
@pytest.mark.usefixtures("busy_loops")
@pytest.mark.parametrize("source", ["while True: pass\n", WAITS.format(60)], ids=["computes", "waits"])
async def test_endless_solution_fails(run: Run, tiny: MakeProblem, source: str) -> None:
    """It ends by its own processor time, or by the time that it waited."""
    judged = await run(tiny(TESTS, runner=RUNNER, limits="test_seconds = 2\nanswer_seconds = 1\n"), source)
    assert (judged.verdict, judged.analysis["category"]) == ("failed", "timeout")
