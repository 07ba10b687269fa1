"""Submissions that forge the results of cases: none is accepted, and the case after each is judged as if alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from subcli.judge.process.confine import NICENESS
from tests.judge.judging import Event
from tests.judge.sandbox.test_attacks import HERE, IDENTITIES, World, needs_sandbox, run_order, world  # noqa: F401

FORGERIES = (
    *("exit_as_a_checker", "print_verdicts", "read_the_answer", "read_descriptors", "read_memory", "write_memory"),
    *("signal_everybody", "signal_all", "stop_all", "trace", "change_limits", "change_priorities"),
    *("rename_the_way_to_a_mount", "fill", "nest", "replace_scratch", "leave_daemons", "fork_on_and_on"),
    *("write_to_descriptors", "close_pipes", "talk_to_the_socket", "change_the_input", "run_out_the_clock"),
)
ANSWER = "the-answer-4712"
PROBLEM = """
id = 951
slug = "forging"
title = "Forging"
runner = "cases"
[limits]
test_seconds = 1
memory_mb = 128
processes = 16
disk_mb = 8
files = 500
output_kb = 256
[languages.python]
source = "forging.py"
run = ["{python}", "-I", "-S", "{source}"]
"""


def about(events: list[Event], test_id: str) -> str:
    """Everything that is told of a case."""
    return "\n".join(str(event) for event in events if event.get("test_id") == test_id)


@pytest.mark.thorough
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("world", "identity"), IDENTITIES, indirect=["world"])
def test_nothing_is_forged(world: World, identity: str, subtests: pytest.Subtests) -> None:  # noqa: F811
    """Each attempt is refused, costs the submission that case alone, and changes nothing of the author's."""
    needs_sandbox(identity)
    problem = world.root / "problem"
    (problem / "tests" / "test_attacks.py").unlink(missing_ok=True)
    (problem / "problem.toml").write_text(PROBLEM)
    (problem / "description.md").write_text("Forge.")
    files = {}
    expected = f"{min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)} {len(os.sched_getaffinity(0))}"
    for number, name in enumerate(FORGERIES):
        files[f"{number:02}-{name}"] = (f"{name} what\n", f"{ANSWER}\n")
        files[f"{number:02}-{name}-then"] = (f"honest word-{number} {expected}\n", f"word-{number}\n")
    for name, (given, answer) in files.items():
        (problem / "tests" / f"{name}.in").write_text(given)
        (problem / "tests" / f"{name}.ans").write_text(answer)
    source = (HERE / "forging.py").read_text()
    order = {
        "problem": str(problem),
        "language": "python",
        "files": {"forging.py": source},
        "starter": "sandbox",
        "hidden": [str(world.root / "data")],
        "next": {},
    }
    events = run_order(world, order)["events"]
    found = {Path(str(event["test_id"])).name: event for event in events if event["type"] == "test_result"}
    assert len(found) == len(files)
    for name, event in found.items():
        with subtests.test(name):
            if name.endswith("-then"):
                assert event["outcome"] == "passed", about(events, event["test_id"])
            else:
                assert event["outcome"] in ("wrong_answer", "runtime_error", "time_limit", "output_limit"), event
            assert "GAINED" not in str(event)
    with subtests.test("the author's files"):
        for name, (given, answer) in files.items():
            assert (problem / "tests" / f"{name}.in").read_text() == given
            assert (problem / "tests" / f"{name}.ans").read_text() == answer
            assert (problem / "tests" / f"{name}.in").stat().st_mode & 0o777 == 0o644
    with subtests.test("the verdict"):
        assert events[-1]["final_status"] == "failed", events[-1]
