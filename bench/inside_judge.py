"""Run by the interpreter of the measured environment: judging, compared with running the same tests by hand.

By hand, a process that has imported pytest forks one that runs the tests: so does the judge, and what importing pytest
takes is nothing that judging saves. A whole `pytest -q` is timed as well, for who wants to know. Prints JSON: seconds
of each run, by contender, in turns.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

import _pytest.config
import pytest

from subcli.judge import Job, judge, load_problem

ROUNDS = 7
MANY = 200
PROBLEM = """\
id = 99
slug = "many"
title = "Many"
description = "description.md"
runner = "pytest"
tests = "tests"
total_tests = {total}

[limits]
test_seconds = 20
submission_seconds = 120
build_seconds = 30
memory_mb = 256
processes = 24
file_size_mb = 8
output_kb = 2048

[languages.python]
source = "node.py"
template = "node.py"
run = ["{{python}}", "{{source}}"]
"""
TESTS = """\
import pytest


@pytest.mark.parametrize("number", range({total}))
def test_nothing(number):
    assert number >= 0
"""


def made(root: Path, total: int) -> Path:
    """A problem with this many empty tests."""
    (root / "tests").mkdir(parents=True)
    (root / "problem.toml").write_text(PROBLEM.format(total=total))
    (root / "description.md").write_text("Nothing.\n")
    (root / "node.py").write_text("pass\n")
    (root / "tests" / "test_many.py").write_text(TESTS.format(total=total))
    return root


def judged(root: Path) -> float:
    """Seconds from submitting a job to the judge to its verdict."""
    job = Job(load_problem(root), "python", {"node.py": "pass\n"})

    async def run() -> float:
        began = time.perf_counter()
        async for event in judge(job):
            if event["type"] == "complete":
                assert event["final_status"] == "passed", event
        return time.perf_counter() - began

    return asyncio.run(run())


def _arguments(root: Path) -> list[str]:
    # Or pytest would look at all that lies beside the problem, in the directory of temporary files.
    inside = [f"--{name}={root / 'tests'}" for name in ("rootdir", "confcutdir")]
    return ["-q", "-p", "no:cacheprovider", "-c", os.devnull, *inside, str(root / "tests")]


def in_fork(root: Path) -> float:
    """Seconds of pytest in a fork of this process, which has imported it."""
    began = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(pytest.main(_arguments(root)))
    assert os.waitpid(pid, 0)[1] == 0
    return time.perf_counter() - began


def whole(root: Path) -> float:
    """Seconds of a whole pytest."""
    began = time.perf_counter()
    command = [sys.executable, "-P", "-m", "pytest", *_arguments(root)]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def main() -> None:
    """Measure one test and many, judged and by hand."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for name in _pytest.config.default_plugins:
        import_module(f"_pytest.{name}")
    # As the judge does: a collection in a fork would look at all that was imported.
    gc.collect()
    gc.freeze()
    took: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        problems = {total: made(Path(folder) / str(total), total) for total in (1, MANY + 1)}
        for number in range(-1, ROUNDS):
            for total, root in problems.items():
                for name, run in (("judged", judged), ("by hand", in_fork), ("a whole pytest", whole)):
                    seconds = run(root)
                    if number >= 0:
                        took.setdefault(f"{total}, {name}", []).append(seconds)
    json.dump({"many": MANY, "took": took}, sys.stdout)


if __name__ == "__main__":
    main()
