"""Problems of cases: one submission is judged, and each of its cases does something else."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from subcli.judge import Problem
from subcli.judge.cases.model import Aggregation, Case, CaseSet, Checker, Feedback, Group, Tool
from subcli.judge.languages.language import Language
from subcli.judge.problem import ResourceLimits
from tests.judge.judging import Below, Event, Judged, Run

PYTHON = Language(name="python", source="a.py", run=("{python}", "-I", "-S", "{source}"))
SOLUTION = """
import os, signal, sys

what = sys.argv[1]
if what == "echo":
    sys.stdout.write(sys.stdin.read())
elif what == "spin":
    while True:
        pass
elif what == "wait":
    signal.pause()
elif what == "bound":
    import time

    while time.process_time() < 0.15:
        pass
    os.kill(os.getpid(), signal.SIGXCPU)
elif what == "pretend":
    os.kill(os.getpid(), signal.SIGXCPU)
elif what == "memory":
    bytearray(1 << 30)
elif what == "flood":
    while True:
        os.write(1, b"x" * 65536)
elif what == "complain":
    while True:
        os.write(2, b"x" * 65536)
elif what == "crash":
    sys.exit("it does not work")
elif what == "signal":
    os.kill(os.getpid(), signal.SIGSEGV)
elif what == "ignore":
    print("ok")
elif what == "close":
    print("ok", flush=True)
    os.close(1)
    sys.stdin.read()
elif what == "orphan":
    os.kill(os.getppid(), signal.SIGKILL)
    signal.pause()
elif what == "again":
    with open("/dev/stdout", "w") as stream:
        stream.write(open("/dev/stdin").read())
elif what == "daemon":
    print("ok", flush=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.pause()
        os._exit(0)
    os.wait()
"""
BIG = b"0123456789abcde\n" * 200_000


def case(root: Path, name: str, what: str, given: bytes = b"", answer: bytes = b"ok\n", **more: object) -> Case:
    """A case whose program does `what`."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".in").write_bytes(given)
    path.with_suffix(".ans").write_bytes(answer)
    fields: dict[str, object] = {
        "name": name,
        "input": path.with_suffix(".in"),
        "answer": path.with_suffix(".ans"),
        "program_arguments": (what,),
        **more,
    }
    return Case(**fields)  # type: ignore[arg-type]


def problem(root: Path, cases: CaseSet, *, language: Language = PYTHON, **limits: float) -> Problem:
    """A problem of these cases."""
    bounds: Mapping[str, float] = {"test_seconds": 20.0, "memory_mb": 128, "output_kb": 4096, **limits}
    return Problem(
        id=1,
        slug="cases",
        title="Cases",
        description="",
        languages={"python": language},
        limits=ResourceLimits(**bounds),  # type: ignore[arg-type]
        root=root,
        runner="cases",
        cases=cases,
    )


def by_name(judged: Judged) -> dict[str, Event]:
    """The results by the last part of their names."""
    return {str(event["test_id"]).rpartition("/")[2]: event for event in judged.of("test_result")}


def outcomes(judged: Judged) -> dict[str, str]:
    return {name: str(event["outcome"]) for name, event in by_name(judged).items()}


async def test_each_way_to_end_has_its_outcome(run: Run, tmp_path: Path, below: Below) -> None:
    """Accepted, wrong, memory, output, errors and signals, in one submission; none touches the case after it.

    A daemon holds the stdout of its case, which ends all the same.
    """
    every = (
        case(tmp_path, "secret/right", "echo", b"1 2\n", b"1  2\n"),
        case(tmp_path, "secret/wrong", "echo", b"1 2\n1 4\n", b"1 2\n1 3\n"),
        case(tmp_path, "secret/memory", "memory"),
        case(tmp_path, "secret/flood", "flood"),
        case(tmp_path, "secret/complain", "complain"),
        case(tmp_path, "secret/crash", "crash"),
        case(tmp_path, "secret/signal", "signal"),
        case(tmp_path, "secret/big", "echo", BIG, BIG),
        case(tmp_path, "secret/ignore", "ignore", BIG),
        case(tmp_path, "secret/close", "close", BIG),
        case(tmp_path, "secret/daemon", "daemon"),
        case(tmp_path, "secret/after", "ignore"),
    )
    cases = CaseSet(Group(name="", parts=every, stop_on_failure=False), rerun="subcli test a.py")
    judged = await run(problem(tmp_path, cases), SOLUTION)
    assert outcomes(judged) == {
        "right": "passed",
        "wrong": "wrong_answer",
        "memory": "memory_limit",
        "flood": "output_limit",
        "complain": "output_limit",
        "crash": "runtime_error",
        "signal": "runtime_error",
        "big": "passed",
        "ignore": "passed",
        "close": "passed",
        "daemon": "passed",
        "after": "passed",
    }
    found = by_name(judged)
    wrong = found["wrong"]
    assert wrong["message"] == "Line 2, token 2: expected 3, got 4"
    assert (wrong["expected"][wrong["expected_at"]], wrong["actual"][wrong["actual_at"]]) == ("3", "4")
    assert wrong["input"] == "1 2\n1 4\n"
    assert wrong["rerun"] == "subcli test a.py --case secret/wrong"
    assert not {"input", "rerun"} & found["right"].keys()
    assert "it does not work" in json.dumps(found["crash"])
    assert "signal 11" in found["signal"]["message"]
    assert found["right"]["memory_kb"] > 1000
    assert judged.verdict == "failed"
    assert below() == []


@pytest.mark.thorough
async def test_answers_that_are_only_examples(run: Run, tmp_path: Path) -> None:
    """What differs from an example is neither right nor wrong; what is wrong without it fails."""
    every = (
        case(tmp_path, "sample/same", "ignore"),
        case(tmp_path, "sample/other", "echo", b"1 2\n", b"2 1\n"),
        case(tmp_path, "sample/crash", "crash"),
    )
    group = Group(name="", parts=every, stop_on_failure=False)
    judged = await run(problem(tmp_path, CaseSet(group, examples_only=True)), SOLUTION)
    assert outcomes(judged) == {"same": "passed", "other": "skipped", "crash": "runtime_error"}
    other = by_name(judged)["other"]
    assert other["status"] == "skipped"
    assert "other answers than that of the example may be right" in other["message"]
    assert judged.verdict == "failed"
    judged = await run(
        problem(tmp_path, CaseSet(msgspec.structs.replace(group, parts=every[:2]), examples_only=True)), SOLUTION
    )
    assert judged.verdict == "passed"
    judged = await run(
        problem(tmp_path, CaseSet(msgspec.structs.replace(group, parts=every[1:2]), examples_only=True)), SOLUTION
    )
    assert judged.verdict == "error"
    assert judged.analysis["error"] == "no case was decided: every output differs from the example's answer"
    assert judged.analysis["suggestions"] == ["Submit it: `subcli submit`."]


@pytest.mark.parametrize("interactive", [False, True])
async def test_what_a_checker_refuses(run: Run, tmp_path: Path, *, interactive: bool) -> None:
    """The message is the checker's; the input is shown to those whose program has read it."""
    (tmp_path / "check.py").write_text("import sys\nsys.stdin.read()\nsys.exit(43)\n")
    checker = Checker(Tool(tmp_path, ("check.py",), PYTHON, "check.py"), interactive=interactive)
    cases = CaseSet(Group(name="", parts=(case(tmp_path, "secret/1", "ignore", b"1 2\n"),)), checker)
    found = by_name(await run(problem(tmp_path, cases), SOLUTION))["1"]
    assert found["message"] == "the checker did not accept the output"
    assert ("input" in found, found.get("actual")) == (not interactive, None if interactive else "ok\n")


TESTLIB = """
import sys
from exits import WORDS
given, output, answer = (open(path).read().split() for path in sys.argv[1:4])
assert answer == ["ok"] and given == output and sys.argv[4:] == ["strict"], sys.argv
print(WORDS[output[0]], file=sys.stderr)
sys.exit(int(output[0]))
"""
WORDS = """
WORDS = {"0": "ok 3 numbers", "1": "wrong answer 1st numbers differ", "2": "wrong output format too long",
    "3": "FAIL the jury has a worse answer", "4": "wrong output format more", "7": "points 2.5 nearly", "8": "eof",
    "9": "odd"}
"""


@pytest.mark.thorough
@pytest.mark.parametrize("scores", [False, True])
async def test_a_checker_of_testlib(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture, *, scores: bool
) -> None:
    """It reads the output as a file, and its exit codes are those of testlib.h; why it rejects stands on its stderr."""
    (tmp_path / "check.py").write_text(TESTLIB)
    (tmp_path / "exits.py").write_text(WORDS)
    language = replace(PYTHON, source="check.py", run=("{python}", "{source}"))
    tool = Tool(tmp_path, ("check.py", "exits.py"), language, "check.py")
    checker = Checker(tool, interface="testlib", scores=scores)
    parts = tuple(
        case(tmp_path, code, "echo", code.encode(), arguments=("strict",))
        for code in ("0", "1", "2", "3", "4", "7", "8", "9")
    )
    group = Group(name="", parts=parts, stop_on_failure=False, aggregation="sum" if scores else "pass-fail")
    judged = await run(problem(tmp_path, CaseSet(group, checker, is_scored=scores)), SOLUTION)
    found = by_name(judged)
    assert {code: event["outcome"] for code, event in found.items()} == {
        "0": "passed",
        **dict.fromkeys(("1", "2", "4", "8"), "wrong_answer"),
        **dict.fromkeys(("3", "9"), "judge_error"),
        "7": "passed" if scores else "judge_error",
    }
    assert found["1"]["message"] == "wrong answer 1st numbers differ"
    assert found["7"].get("score") == (2.5 if scores else None)
    assert judged.verdict == "error"
    assert "3: the checker exited with code 3, which is not a verdict of testlib: FAIL the jury" in caplog.text
    assert ("the checker gave points, and `scores = true` does not say that it may" in caplog.text) is not scores


@pytest.mark.thorough
async def test_a_time_limit_is_processor_time(run: Run, tmp_path: Path) -> None:
    """A program that computes too long and one that waits too long exceed the limit, and say which.

    So does one that the kernel ends for its processor time, before it is measured; whoever sends itself that signal has
    used none.
    """
    every = tuple(case(tmp_path, f"secret/{what}", what) for what in ("spin", "wait", "bound", "pretend"))
    cases = CaseSet(Group(name="", parts=every, stop_on_failure=False))
    judged = await run(problem(tmp_path, cases, test_seconds=0.2), SOLUTION)
    exceeded = dict.fromkeys(("spin", "wait", "bound"), "time_limit")
    assert outcomes(judged) == {**exceeded, "pretend": "runtime_error"}
    assert by_name(judged)["pretend"]["message"] == f"the program was ended by signal {signal.SIGXCPU}"
    assert "had not ended after 1.4 s" in by_name(judged)["wait"]["message"]


@pytest.mark.thorough
async def test_groups_are_scored_and_stop_at_a_failure(run: Run, tmp_path: Path) -> None:
    """What comes after a failure in its group is skipped; the sum of the groups is the score of the submission."""
    first = (
        case(tmp_path, "secret/one/a", "ignore", points=2.0),
        case(tmp_path, "secret/one/b", "crash", points=3.0),
        case(tmp_path, "secret/one/c", "ignore", points=4.0),
    )
    second = (case(tmp_path, "secret/two/d", "ignore", points=5.0),)
    root = Group(
        name="",
        parts=(
            Group(name="secret/one", parts=first, aggregation="sum"),
            Group(name="secret/two", parts=second, aggregation="sum"),
        ),
        stop_on_failure=False,
        aggregation="sum",
        max_score=14.0,
    )
    judged = await run(problem(tmp_path, CaseSet(root, is_scored=True)), SOLUTION)
    assert outcomes(judged) == {"a": "passed", "b": "runtime_error", "c": "skipped", "d": "passed"}
    found = by_name(judged)
    assert (found["a"]["score"], found["a"]["max_score"], found["a"]["group"]) == (2.0, 2.0, "secret/one")
    assert "cpu_ms" not in found["c"]
    summary = judged.events[-1]["summary"]
    assert (summary["score"], summary["max_score"]) == (7.0, 14.0)
    assert summary["groups"] == [
        {"name": "secret/one", "outcome": "runtime_error", "score": 2.0, "max_score": 9.0},
        {"name": "secret/two", "outcome": "passed", "score": 5.0, "max_score": 5.0},
    ]
    assert judged.verdict == "failed"
    assert "pass_score" not in summary
    passing = await run(problem(tmp_path, CaseSet(root, is_scored=True, pass_score=7.0)), SOLUTION)
    assert passing.verdict == "passed"
    assert passing.events[-1]["summary"]["pass_score"] == 7.0


async def test_groups_are_told_as_they_are_graded(run: Run, tmp_path: Path) -> None:
    """Whatever makes the points of a group, and with groups in groups; not those of which nobody may know."""

    def group(name: str, kind: Aggregation, *ways: str, **more: Any) -> Group:
        cases = tuple(
            case(tmp_path, f"{name}/{way}", way, points=10.0, feedback=more.get("told", "full")) for way in ways
        )
        return Group(name=name, parts=cases, aggregation=kind, stop_on_failure=False, requires=more.get("requires", ()))

    inner = (group("s/min", "min", "ignore", "daemon"), group("s/max", "max", "crash", "ignore"))
    late = group("late", "sum", "ignore", requires=("s",))
    secret = (group("avg", "avg", "crash", "ignore"), group("hidden", "sum", "ignore", told="none"))
    parts = (Group(name="s", parts=inner, aggregation="sum", stop_on_failure=False), late, *secret)
    whole = Group(name="whole", parts=(case(tmp_path, "whole/1", "crash"),), max_score=20)
    root = Group(name="", parts=(*parts, whole), aggregation="sum", stop_on_failure=False)
    judged = await run(problem(tmp_path, CaseSet(root, is_scored=True)), SOLUTION)
    # Only its group has points.
    assert "score" not in judged.of("test_result")[-1]
    summary = judged.events[-1]["summary"]
    assert "score" not in summary
    assert {each["name"]: tuple(each.values())[1:] for each in summary["groups"]} == {
        "s": ("runtime_error", 20.0, 20.0),
        "s/min": ("passed", 10.0, 10.0),
        "s/max": ("runtime_error", 10.0, 10.0),
        "late": ("skipped", 0.0, 10.0),
        "avg": ("runtime_error", 5.0, 10.0),
        "whole": ("runtime_error", 0.0, 20.0),
    }


@pytest.mark.parametrize("feedback", ["outcome", "none"])
async def test_nothing_of_a_secret_case_is_in_any_event(run: Run, tmp_path: Path, feedback: Feedback) -> None:
    """Input, answer, output and errors of a secret case stay in the judge, however it ended."""
    tells = 'import sys\ntext = sys.stdin.read()\nprint(text)\nprint(text, file=sys.stderr)\nsys.exit("bad" in text)'
    every = tuple(
        case(tmp_path, f"secret/{name}", "", f"planted-{name}".encode(), b"planted-answer", feedback=feedback)
        for name in ("a", "bad")
    )
    shown = case(tmp_path, "sample/1", "", b"shown", b"expected")
    cases = CaseSet(Group(name="", parts=(*every, shown), stop_on_failure=False))
    judged = await run(problem(tmp_path, cases), tells)
    assert judged.verdict == "failed"
    assert "planted" not in json.dumps(judged.events)
    assert "shown" in json.dumps(judged.events)
    assert len(judged.of("test_result")) == (1 if feedback == "none" else 3)


@pytest.mark.parametrize("feedback", ["full", "outcome", "none", "after_close"])
async def test_what_a_broken_checker_says_of_a_secret_case_is_for_the_operator(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture, feedback: Feedback
) -> None:
    """Those who submit learn that the judge failed: neither the data nor, with `none`, the name of the case."""
    (tmp_path / "check.py").write_text(
        "import pathlib, sys\n"
        "text = pathlib.Path(sys.argv[2]).read_text()\n"
        "pathlib.Path(sys.argv[3], 'judgemessage.txt').write_text('it wants ' + text)\n"
        "sys.exit(text)\n"
    )
    checker = Checker(Tool(tmp_path, ("check.py",), replace(PYTHON, source="check.py"), "check.py"))
    group = Group(name="g", parts=(case(tmp_path, "g/hushed", "ignore", answer=b"planted", feedback=feedback),))
    judged = await run(problem(tmp_path, CaseSet(Group(name="", parts=(group,)), checker, closes=4e9)), SOLUTION)
    assert judged.verdict == "error"
    told = json.dumps(judged.events)
    assert ("planted" in told) is (feedback == "full")
    assert ("hushed" in told) is (feedback != "none")
    assert "it wants planted" in caplog.text


async def test_a_checker_that_does_not_build_is_built_once(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its build would print something else each time. What it has printed is logged once, for all cases."""
    (tmp_path / "check.py").write_text("")
    words = ("{python}", "-I", "-S", "-c", "import os, sys; sys.exit('built ' + os.urandom(8).hex())")
    checker = Checker(Tool(tmp_path, ("check.py",), replace(PYTHON, source="check.py", build=words), "check.py"))
    parts = tuple(case(tmp_path, str(number), "ignore") for number in range(3))
    group = Group(name="", parts=parts, stop_on_failure=False)
    judged = await run(problem(tmp_path, CaseSet(group, checker)), SOLUTION)
    assert judged.verdict == "error"
    assert len(re.findall(r"built [0-9a-f]{16}", caplog.text)) == 1
    assert "0 and 2 more: check.py cannot be built: " in caplog.text


@pytest.mark.thorough
async def test_what_many_cases_lack_is_said_once(run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A checker that fails on each case in another way is quoted for some of them; the others are counted."""
    (tmp_path / "check.py").write_text("import sys\nsys.exit(open(sys.argv[1]).read())\n")
    checker = Checker(Tool(tmp_path, ("check.py",), replace(PYTHON, source="check.py"), "check.py"))
    parts = tuple(case(tmp_path, str(number), "ignore", f"odd-{number}".encode()) for number in range(22))
    group = Group(name="", parts=parts, stop_on_failure=False)
    assert (await run(problem(tmp_path, CaseSet(group, checker)), SOLUTION)).verdict == "error"
    assert len(re.findall(r"odd-\d+", caplog.text)) == 20
    assert "2 more cases could not be judged for other reasons" in caplog.text


async def test_a_missing_interpreter_is_named(run: Run, tmp_path: Path) -> None:
    """A program that is not there is an error that names it, not a wrong answer."""
    language = Language(name="python", source="a.py", run=("no-such-interpreter", "{source}"))
    cases = CaseSet(Group(name="", parts=(case(tmp_path, "secret/1", "echo"),)))
    judged = await run(problem(tmp_path, cases, language=language), SOLUTION)
    assert judged.verdict != "passed"
    assert "no-such-interpreter" in json.dumps(judged.events)


async def test_what_cannot_be_read_is_the_judges_fault(run: Run, tmp_path: Path) -> None:
    """A case whose input is gone is no fault of the solution's."""
    cases = CaseSet(Group(name="", parts=(case(tmp_path, "secret/1", "echo"),)))
    (tmp_path / "secret" / "1.in").unlink()
    judged = await run(problem(tmp_path, cases), SOLUTION)
    assert outcomes(judged) == {"1": "judge_error"}
    assert judged.verdict == "error"


@pytest.mark.thorough
async def test_a_program_without_its_host_fails(run: Run, tmp_path: Path, below: Below) -> None:
    """Without a sandbox a program can end what started it: it fails, is ended as well, and the next case is judged."""
    every = (
        case(tmp_path, "secret/orphan", "orphan"),
        case(tmp_path, "secret/after", "again", b"ok\n"),
    )
    judged = await run(problem(tmp_path, CaseSet(Group(name="", parts=every, stop_on_failure=False))), SOLUTION)
    assert outcomes(judged) == {"orphan": "runtime_error", "after": "passed"}
    assert judged.verdict == "failed"
