"""Does a busy machine fail a right solution? `python -m bench.busy_machine --rounds 200`

A solution that needs 60 % of its time limit on a machine of its own is judged again and again, beside busy loops. Half
of the rounds compute for that time, and half wait. Every round has to pass.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from subcli.judge import Job, Problem, judge, load_problem

_LIMIT_S: Final = 2.0
_SHARE: Final = 0.6
_PROBLEM: Final = f"""
id = 900
slug = "busy"
title = "Busy"
runner = "tap"
command = ["{{python}}", "run.py"]
[limits]
test_seconds = {_LIMIT_S}
answer_seconds = 1
[languages.python]
source = "solution.py"
run = ["{{python}}", "-s", "-S", "-P", "{{source}}"]
"""
_TESTS: Final = """
import os, subprocess
done = subprocess.run([os.environ["SUBCLI_SOLUTION"]], capture_output=True)
print("1..1")
print("ok 1 - ends" if done.returncode == 0 else "not ok 1 - ends", flush=True)
"""
SOLUTIONS: Final = {
    "computes": f"import time\nwhile time.process_time() < {_LIMIT_S * _SHARE}: pass\n",
    "waits": f"import time\ntime.sleep({_LIMIT_S * _SHARE})\n",
}


def make_problem(root: Path) -> Problem:
    """Write the problem below `root`, which is empty, and load it."""
    (root / "tests").mkdir()
    (root / "problem.toml").write_text(_PROBLEM)
    (root / "description.md").write_text("End.")
    (root / "tests" / "run.py").write_text(_TESTS)
    return load_problem(root)


@contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Processes that want a processor each."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


async def judge_once(problem: Problem, source: str) -> list[dict[str, Any]]:
    """The events of one judging."""
    return [event async for event in judge(Job(problem, "python", {"solution.py": source}))]


async def main() -> int:
    """Run the rounds and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--loops", type=int, default=4)
    options = parser.parse_args()
    passed, longest_s = 0, 0.0
    with tempfile.TemporaryDirectory() as directory, busy_loops(options.loops):
        problem = make_problem(Path(directory))
        for number in range(options.rounds):
            name = list(SOLUTIONS)[number % len(SOLUTIONS)]
            started = time.monotonic()
            events = await judge_once(problem, SOLUTIONS[name])
            longest_s = max(longest_s, time.monotonic() - started)
            if events[-1]["final_status"] == "passed":
                passed += 1
            else:
                print(f"round {number} ({name}): {json.dumps(events)}", flush=True)
    print(f"{passed} of {options.rounds} passed beside {options.loops} busy loops; the longest took {longest_s:.1f} s")
    return 0 if passed == options.rounds else 1


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
