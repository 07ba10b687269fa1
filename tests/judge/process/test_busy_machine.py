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
TIME_OUTS = ("undisturbed", "contended")


@pytest.fixture
def busy_loops() -> Iterator[None]:
    """Four processes that want a processor each, in sessions of their own: the kernel may share by sessions first."""
    command = [sys.executable, "-c", "while True: pass"]
    loops = [subprocess.Popen(command, start_new_session=True) for _ in range(4)]
    yield
    for loop in loops:
        loop.kill()
        loop.wait()


@pytest.mark.thorough
async def test_start_of_the_tests_is_not_the_solutions_time(run: Run, tiny: MakeProblem) -> None:
    """Test programs that compute for longer than the limit before they start the solution."""
    slow = f"import time\nwhile time.process_time() < 1.5: pass\n{TESTS}"
    judged = await run(tiny(slow, runner=RUNNER, limits="test_seconds = 1\nanswer_seconds = 1\n"), "pass\n")
    assert judged.verdict == "passed", judged.events


async def test_time_of_the_build_is_not_the_tests(run: Run, tiny: MakeProblem) -> None:
    """A build that waits for longer than a test may take, and tests that sleep before they start the solution."""
    language = '[languages.python]\nsource = "node.py"\nbuild = ["sleep", "2"]\nrun = ["{python}", "{source}"]\n'
    runner = RUNNER.replace('"{python}", "run.py"', '"/bin/sh", "run.py"')
    tests = 'sleep 0.3\n"$SUBCLI_SOLUTION" && echo "ok 1 - ends"\necho "1..1"\n'
    problem = tiny(tests, runner=runner, language=language, limits="test_seconds = 1.5\nanswer_seconds = 1\n")
    judged = await run(problem, WAITS.format(0.2))
    assert judged.verdict == "passed", judged.events


@pytest.mark.thorough
@pytest.mark.parametrize("language", ["", 'build = ["sleep", "60"]\n'], ids=["test", "build"])
async def test_a_time_out_is_told_to_the_judges_caller(run: Run, tiny: MakeProblem, language: str) -> None:
    """It alone knows what else is judged; a verdict that has nothing to do with time does not say a word about it."""
    language = f'[languages.python]\nsource = "node.py"\nrun = ["{{python}}", "{{source}}"]\n{language}'
    limits = "test_seconds = 0.5\nanswer_seconds = 0.5\nbuild_seconds = 0.5\n"
    problem = tiny(TESTS, runner=RUNNER, language=language, limits=limits)
    judged = await run(problem, WAITS.format(60))
    assert judged.verdict == ("build_failed" if "build" in language else "failed")
    assert judged.analysis["category"] == "timeout"
    assert judged.events[-1]["time_out"] in TIME_OUTS


async def test_other_failures_say_nothing_of_time(run: Run, tiny: MakeProblem) -> None:
    judged = await run(tiny(TESTS, runner=RUNNER), "raise SystemExit(1)\n")
    assert (judged.verdict, "time_out" in judged.events[-1]) == ("failed", False)


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
    """It ends by its own processor time, or by the time that it waited, and the judge says that it had competition."""
    judged = await run(tiny(TESTS, runner=RUNNER, limits="test_seconds = 2\nanswer_seconds = 1\n"), source)
    assert (judged.verdict, judged.analysis["category"]) == ("failed", "timeout")
    assert judged.events[-1]["time_out"] in (("contended",) if source.startswith("while") else TIME_OUTS)
