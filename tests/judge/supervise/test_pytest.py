"""Tests that pytest runs: what each of its outcomes becomes."""

from __future__ import annotations

import pytest

from subcli.judge.evidence import Evidence, Site
from subcli.judge.supervise.pytest_records import FinishedRecord, decode, encode
from tests.judge.judging import MakeNode, MakeProblem, Run

OUTCOMES = '''
import pytest
from subcli.judge.harness import Violation

@pytest.fixture
def broken_setup():
    raise KeyError("setup")

@pytest.fixture
def broken_teardown():
    yield
    raise KeyError("teardown")

@pytest.fixture
def skipped_teardown():
    yield
    pytest.skip("too late")

@pytest.mark.title("Its title")
@pytest.mark.kind("chaos")
def test_marked(): pass

def test_documented():
    """Its docstring.

    And more.
    """

def test_named_only(): pass

def test_compares(): assert [1, 2] == [1, 3]

def test_says_why():
    assert False, "because\\nof this"

def test_violates(): raise Violation("it broke a rule", expected="e", actual="a", explanation="Rules are rules.")

@pytest.mark.skip("not today")
def test_skips(): pass

@pytest.mark.xfail(reason="never works", strict=True)
def test_fails_as_expected(): assert False

@pytest.mark.xfail(reason="never works", strict=True)
def test_passes_unexpectedly(): pass

def test_fails_and_skips(skipped_teardown): assert False, "no"
'''


async def test_outcomes_of_pytest(run: Run, tiny: MakeProblem, node: MakeNode) -> None:
    """Names, kinds, statuses and messages of everything that a test can do."""
    judged = await run(tiny(OUTCOMES), node())
    seen = {
        event["test_name"]: (event["status"], event.get("message", ""), event["test_type"])
        for event in judged.of("test_result")
    }
    assert seen == {
        "Its title": ("passed", "", "chaos"),
        "Its docstring": ("passed", "", "functional"),
        "Named only": ("passed", "", "functional"),
        "Compares": ("failed", "assert [1, 2] == [1, 3]", "functional"),
        "Says why": ("failed", "because", "functional"),
        "Violates": ("failed", "it broke a rule", "functional"),
        "Skips": ("skipped", "not today", "functional"),
        "Fails as expected": ("skipped", "assert False", "functional"),
        "Passes unexpectedly": ("failed", "[XPASS(strict)] never works", "functional"),
        "Fails and skips": ("failed", "no", "functional"),
    }
    compared = next(event for event in judged.of("test_result") if event["test_name"] == "Compares")
    assert (compared["expected"], compared["actual"]) == ("[1, 3]", "[1, 2]")
    assert compared["test_id"] == "test_tiny.py::test_compares"
    assert judged.verdict == "failed"
    assert judged.events[-1]["summary"]["skipped"] == 2
    assert [event["test_name"] for event in judged.of("error_analysis")] == [
        "Compares",
        "Says why",
        "Violates",
        "Passes unexpectedly",
        "Fails and skips",
    ]


@pytest.mark.thorough
@pytest.mark.parametrize("fixture", ["broken_setup", "broken_teardown"])
async def test_fixture_that_raises_is_the_judges_fault(
    run: Run, tiny: MakeProblem, node: MakeNode, fixture: str
) -> None:
    """Before or after the test: an error, and the verdict is none about the solution."""
    judged = await run(tiny(OUTCOMES + f"\ndef test_broken({fixture}): pass\n"), node())
    (broken,) = [event for event in judged.of("test_result") if event["status"] == "error"]
    assert broken["test_name"] == "Broken"
    assert "KeyError" in broken["message"]
    assert judged.verdict == "error"


async def test_problem_without_tests_is_the_judges_fault(run: Run, tiny: MakeProblem, node: MakeNode) -> None:
    """Nothing ran, so nothing passed."""
    judged = await run(tiny("x = 1\n"), node())
    assert judged.verdict == "error"
    assert judged.analysis["category"] == "judge_error"


@pytest.mark.thorough
async def test_half_a_surrogate_pair_in_a_message(run: Run, tiny: MakeProblem) -> None:
    """JSON may carry what UTF-8 cannot: the solution fails, and not the judge."""
    tests = """
def test_name(make_cluster):
    answer = make_cluster(1).request("n1", {"type": "read"}, "read_ok")
    assert answer.body["name"] == "x", "it is called " + answer.body["name"]
"""
    source = """
import json, sys
for line in sys.stdin:
    type = json.loads(line)["body"]["type"]
    print(json.dumps({"dest": "judge", "body": {"type": type + "_ok", "name": chr(0xd800)}}), flush=True)
"""
    judged = await run(tiny(tests), source)
    assert judged.verdict == "failed"
    assert judged.of("test_result")[0]["message"].startswith("it is called ")


async def test_forged_trace_harms_nothing(run: Run, tiny: MakeProblem, node: MakeNode) -> None:
    """A solution may claim any line for what it prints: an impossible one is ignored."""
    forge = """
import os, json, zlib
def claim(text, line, file="node.py"):
    report = [zlib.crc32(text.encode()), [[file, line, "f"]]]
    os.write(TRACE, json.dumps(report).encode() + b"\\n")
TRACE = max(int(fd) for fd in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + fd))
for line in (10 ** 40, -1, 0, 2 ** 63, "3", None):
    claim("nonsense", line)
claim("nonsense", 3, chr(0xd800))
print("nonsense", flush=True)
"""
    judged = await run(tiny(), node(forge))
    assert judged.verdict == "failed"
    assert judged.analysis["category"] == "not_json"


def test_records_survive_the_channel() -> None:
    """What is encoded is decoded to the same, on one line; half a surrogate pair becomes a question mark."""
    evidence = Evidence(kind="exit", message="a\nb", exit_code=-9, sites=(Site("a.py", 2, "f"),), suggestions=("do",))
    record = FinishedRecord("id", "Name", "functional", "failed", 3, output="o", evidence=evidence)
    line = encode(record)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decode(line) == record
    assert decode(encode(FinishedRecord("id", "\ud800!", "k", "passed", 0))) == FinishedRecord(
        "id", "?!", "k", "passed", 0
    )
