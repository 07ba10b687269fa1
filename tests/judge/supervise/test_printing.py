"""What solutions print while they are built and tested, with every runner: told at once, and only if wanted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from subcli.judge import Job, OutputLimits, Problem, judge, load_problem
from tests.judge.judging import MakeNode, MakeProblem

LIMITS = OutputLimits(1_000_000, 1_000_000)
Event = dict[str, Any]


def judging(
    problem: Problem, files: Mapping[str, str], language: str = "python", output: OutputLimits | None = LIMITS
) -> AsyncGenerator[Event, None]:
    return judge(Job(problem, language, files, output=output))


async def all_of(events: AsyncGenerator[Event, None]) -> list[Event]:
    async with aclosing(events):
        return [event async for event in events]


def printed(events: list[Event], **fields: object) -> str:
    """The output with these fields, joined."""
    return "".join(event["text"] for event in events if event["type"] == "output" and fields.items() <= event.items())


async def until_printed(events: AsyncGenerator[Event, None], text: str, gate: Path) -> list[Event]:
    """Every event of a judging whose solution goes on only once ``text`` has been told."""
    seen: list[Event] = []
    async with aclosing(events):
        async for event in events:
            seen.append(event)
            if event["type"] == "output" and text in printed(seen):
                await asyncio.to_thread(gate.touch)
    return seen


def before_its_result(events: list[Event], text: str) -> bool:
    """Whether a text was told before any result."""
    kinds = [event["type"] for event in events]
    return any(text in event["text"] for event in events[: kinds.index("test_result")] if event["type"] == "output")


WAIT = """
import os, sys, time

def wait():
    while not os.path.exists({gate!r}):
        time.sleep(0.01)
"""


def problem_of(directory: Path, manifest: str, files: Mapping[str, str]) -> Problem:
    root = directory / "printing"
    for name, text in {"problem.toml": manifest, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return load_problem(root)


HEAD = """
id = 900
slug = "printing"
title = "Printing"
description = "description.md"
"""
LIMITED = """
[limits]
test_seconds = 60
submission_seconds = 120
build_seconds = 60
"""
PYTHON = """
[languages.python]
source = "main.py"
run = ["{python}", "-u", "{source}"]
"""


def cases(directory: Path, *, top: str = "", bottom: str = "", language: str = PYTHON) -> Problem:
    files = {
        "tests/sample/1.in": "sample\n",
        "tests/sample/1.ans": "sample\n",
        "tests/secret/1.in": "the secret\n",
        "tests/secret/1.ans": "the secret\n",
        "description.md": "Print.",
    }
    return problem_of(directory, f'{HEAD}runner = "cases"\n{top}{LIMITED}{language}{bottom}', files)


async def test_cases_print_before_they_end(tmp_path: Path) -> None:
    """Both streams of a case that is shown in full, with its name; the program waits until somebody has seen them."""
    gate = tmp_path / "gate"
    source = WAIT.format(gate=str(gate)) + "print('hello')\nprint('oh', file=sys.stderr)\nwait()\n"
    events = await until_printed(judging(cases(tmp_path), {"main.py": source}), "hello", gate)
    assert before_its_result(events, "hello")
    names = {event["test_id"] for event in events if event["type"] == "output"}
    shown = [event["test_id"] for event in events if event["type"] == "test_result"]
    assert names <= set(shown)
    assert printed(events, stream="stdout").count("hello\n") == len(names)
    assert printed(events, stream="stderr").count("oh\n") == len(names)
    assert events[-1]["type"] == "complete"


@pytest.mark.parametrize("feedback", ["outcome", "none", "after_close"])
async def test_secret_cases_print_nothing(tmp_path: Path, feedback: str) -> None:
    """Whatever their feedback is called: only cases that are shown in full, here the sample, tell what they print."""
    closes = "closes = 2999-01-01T00:00:00Z\n" if feedback == "after_close" else ""
    problem = cases(tmp_path, top=closes, bottom=f'\n[groups.secret]\nfeedback = "{feedback}"\n')
    source = "import sys\ntext = input()\nprint(text)\nprint('got', text, file=sys.stderr)\n"
    events = await all_of(judging(problem, {"main.py": source}))
    assert events[-1]["final_status"] == "passed", events
    assert "secret" not in printed(events)
    assert printed(events, stream="stderr") == "got sample\n"
    assert not any("secret" in str(event.get("test_id")) for event in events if event["type"] == "output")


async def test_nothing_is_told_unasked(tmp_path: Path) -> None:
    """By default the judge's events are as ever."""
    events = await all_of(judging(cases(tmp_path), {"main.py": "print(input())\n"}, output=None))
    assert {event["type"] for event in events} == {"status_update", "test_result", "complete"}


async def test_a_flood_is_cut_with_a_marker(tmp_path: Path) -> None:
    """The test ends as ever; what was told of it is bounded."""
    source = "import os\nwhile True:\n    os.write(1, b'x' * 65536)\n"
    limits = OutputLimits(10_000, 100_000)
    events = await all_of(judging(cases(tmp_path), {"main.py": source}, output=limits))
    assert events[-1]["final_status"] == "failed"
    assert len(printed(events)) < 12_000
    assert "not shown ...]\n" in printed(events)


@pytest.mark.thorough(measured=True)
async def test_nodes_print_before_their_test_ends(tiny: MakeProblem, node: MakeNode, tmp_path: Path) -> None:
    """What each node of a cluster writes to stderr, with its name."""
    gate = tmp_path / "gate"
    start = "import os, sys, time; print('starting', file=sys.stderr, flush=True)"
    init = (
        "exec(\"print('waiting /tmp', file=sys.stderr, flush=True)\\n"
        f"while not os.path.exists('{gate}'):\\n    time.sleep(0.01)\")"
    )
    events = await until_printed(judging(tiny(limits=LONG), {"node.py": node(start, init=init)}), "waiting", gate)
    assert events[-1]["final_status"] == "passed", events
    assert before_its_result(events, "waiting")
    pieces = [event for event in events if event["type"] == "output"]
    assert {(event["node"], event["stream"]) for event in pieces} == {("n1", "stderr")}
    [result] = [event for event in events if event["type"] == "test_result"]
    assert {event["test_id"] for event in pieces} == {result["test_id"]}


LONG = "build_seconds = 60\ntest_seconds = 60\nsubmission_seconds = 120\nanswer_seconds = 50\n"
TAP = f'{HEAD}runner = "tap"\ncommand = ["{{python}}", "run.py"]\n{LIMITED}{PYTHON}'
TAP_TESTS = """
import os, subprocess
print("1..2", flush=True)
for number in (1, 2):
    done = subprocess.run([os.environ["SUBCLI_SOLUTION"]], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    print("ok" if done.returncode == 0 else "not ok", number, "- test", flush=True)
"""


async def test_tap_commands_run_programs_that_print(tmp_path: Path) -> None:
    """What they write to stderr, though the command throws it away; stdout is the command's."""
    gate = tmp_path / "gate"
    files = {"tests/run.py": TAP_TESTS, "description.md": "Print."}
    problem = problem_of(tmp_path, TAP, files)
    source = WAIT.format(gate=str(gate)) + "print('hidden')\nprint('oh', file=sys.stderr, flush=True)\nwait()\n"
    events = await until_printed(judging(problem, {"main.py": source}), "oh", gate)
    assert events[-1]["final_status"] == "passed", events
    assert before_its_result(events, "oh")
    assert printed(events, test_id="1", stream="stderr") == printed(events, test_id="2", stream="stderr") == "oh\n"
    assert "hidden" not in printed(events)


async def test_tap_commands_print_besides_results(tmp_path: Path) -> None:
    """What they print that is no TAP, in subtests too, while their program runs; each line once."""
    gate = tmp_path / "gate"
    tests = TAP_TESTS.replace(
        "    done =",
        "    print('# Subtest: inner\\n# about to run\\n    # within\\n    ok 1 - inner', flush=True)\n    done =",
    )
    problem = problem_of(tmp_path, TAP, {"tests/run.py": tests + "print('# bye')\n", "description.md": "Print."})
    source = WAIT.format(gate=str(gate)) + "wait()\n"
    events = await until_printed(judging(problem, {"main.py": source}), "about", gate)
    assert events[-1]["final_status"] == "passed", events
    assert before_its_result(events, "about")
    each = "about to run\nwithin\n"
    assert [printed(events, test_id=number, stream="stdout") for number in ("1", "2")] == [each, each]
    assert printed(events).count("bye") == 1
    assert "ok 1" not in printed(events)


async def test_builds_print_while_they_run(tmp_path: Path) -> None:
    """Compilers and scripts, without paths of this machine; a build that passes as well."""
    gate = tmp_path / "gate"
    language = PYTHON.replace("run =", 'build = ["{python}", "-u", "build.py"]\nrun =')
    problem = cases(tmp_path, language=language)
    build = WAIT.format(gate=str(gate)) + (
        "print('building in', os.getcwd())\nprint('warning', file=sys.stderr)\nwait()\nprint('built')\n"
    )
    events = await until_printed(judging(problem, {"main.py": "print(input())\n", "build.py": build}), "building", gate)
    assert events[-1]["final_status"] == "passed", events
    assert printed(events, stream="build") == "building in .\nwarning\nbuilt\n"
    statuses = [event.get("status", event["type"]) for event in events]
    assert statuses.index("output") < statuses.index("testing")
    assert not any("test_id" in event for event in events if event["type"] == "output" and event["stream"] == "build")


async def test_closing_early_leaves_nothing(tmp_path: Path, below: Callable[[], list[Any]]) -> None:
    """As without output."""
    events = judging(cases(tmp_path), {"main.py": "print('x')\nimport signal\nsignal.pause()\n"})
    async for event in events:
        if event["type"] == "output":
            break
    await events.aclose()
    assert not below()
