"""Judging in tests: solutions as texts, events as lists."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from subcli.judge import Job, Problem, judge, load_problem, load_problems
from subcli.judge.process.processes import Process, descendants
from subcli.judge.supervise.template import template_pid
from tests.judge.judging import Below, Event, Judged, MakeNode, MakeProblem, Run


async def _run(problem: Problem, source: str | Mapping[str, str], language: str = "python") -> Judged:
    files = {problem.languages[language].source: source} if isinstance(source, str) else source
    events: list[Event] = []
    times: list[float] = []
    started = time.monotonic()
    async for event in judge(Job(problem, language, files)):
        events.append(event)
        times.append(time.monotonic() - started)
    return Judged(events, times)


@pytest.fixture
def below() -> Below:
    """The processes below this one that the test has started: databases of other tests may be there too."""
    template = template_pid()
    others = [each.pid for each in descendants(os.getpid()) if each.parent == os.getpid() and each.pid != template]

    def found() -> list[Process]:
        foreign = {process.pid for other in others for process in descendants(other)} | set(others)
        # The template of the supervisors stays, and is of no test.
        foreign.add(template_pid() or 0)
        return [process for process in descendants(os.getpid()) if process.pid not in foreign]

    return found


@pytest.fixture
def run() -> Run:
    """Judges a source text, or several files by name, to the end."""
    return _run


@pytest.fixture(scope="session")
def election() -> Problem:
    return load_problems()["leader-election"]


@pytest.fixture
def solution(election: Problem) -> Callable[[str], str]:
    """The text of a bundled solution of leader-election."""
    return lambda name: (election.root / "solutions" / name).read_text(encoding="utf-8")


NODE = """
import json, sys

def send(body):
    print(json.dumps({"src": me, "dest": "judge", "body": body}), flush=True)

for line in sys.stdin:
    body = json.loads(line)["body"]
    if body["type"] == "init":
        me = body["node_id"]
        INIT
        send({"type": "init_ok"})
    else:
        TICK
        send({"type": "tick_ok"})
"""
ONE_NODE = """
def test_answers(make_cluster):
    make_cluster(1).run(100)
"""


@pytest.fixture
def node() -> MakeNode:
    """Makes a correct node that does something more: when it starts, at `init`, at every tick."""

    def make(start: str = "", *, init: str = "pass", tick: str = "pass") -> str:
        return start + NODE.replace("INIT", init).replace("TICK", tick)

    return make


@pytest.fixture
def tiny(tmp_path: Path) -> MakeProblem:
    """Makes a problem from the text of its test file; by default one node must answer ten ticks."""

    def make(tests: str = ONE_NODE, *, limits: str = LIMITS, language: str = PYTHON, runner: str = "") -> Problem:
        root = tmp_path / "tiny"
        (root / "tests").mkdir(parents=True)
        (root / "tests" / ("run.py" if runner else "test_tiny.py")).write_text(tests, encoding="utf-8")
        (root / "description.md").write_text("Answer.", encoding="utf-8")
        text = f'id = 900\nslug = "tiny"\ntitle = "Tiny"\n{runner}\n[limits]\n{limits}\n{language}'
        (root / "problem.toml").write_text(text, encoding="utf-8")
        return load_problem(root)

    return make


# Short for what never comes, and still long for a machine under load.
LIMITS = "test_seconds = 15\nanswer_seconds = 1.5\n"
PYTHON = """
[languages.python]
source = "node.py"
build = ["{python}", "-s", "-S", "-P", "{shims}/python_compile.py", "{sources}"]
run = ["{python}", "-s", "-S", "-P", "{shims}/python_node.py", "{source}"]
"""
