"""Counting results, and the events that come of them."""

from __future__ import annotations

import asyncio
import json

import pytest

from subcli.judge import events
from subcli.judge.analysis import Finding
from subcli.judge.analysis.explain import Analyst
from subcli.judge.cases.model import Feedback
from subcli.judge.events import GroupResult, Measured, packed_of
from subcli.judge.evidence import Evidence, Site
from subcli.judge.process.text import ServerPaths
from subcli.judge.supervise import results as module
from subcli.judge.supervise.results import Results
from subcli.judge.supervise.run_traces import RunTraces
from subcli.shared.run_trace import Mark, RunTrace, encode_trace, unpack
from tests.judge.judging import Event

WORKDIR = "/tmp/subcli-judge-x/work"


def test_groups_fit_into_a_message(results: Results) -> None:
    """Of ten thousand groups, the first ones are told."""
    for number in range(10_000):
        results.group(GroupResult(f"secret/{number}é" + "é" * 300, "passed", 1.0))
    line = events.encode(events.complete("passed", results.summary(1)))
    assert len(line) < events.MAX_BYTES
    told = json.loads(line)["summary"]["groups"]
    assert 5 < len(told) < 10_000
    assert told[0] == {"name": "secret/0é" + "é" * 300, "outcome": "passed", "score": 1.0}


@pytest.fixture
def seen() -> list[Event]:
    """The events that were emitted."""
    return []


class Machine:
    is_busy = False


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def results(seen: list[Event], machine: Machine) -> Results:
    async def drain() -> None: ...

    analyst = Analyst({"a.py": "1 / 0\n"}, "python", rules=())
    paths = ServerPaths(WORKDIR)
    return Results(seen.append, drain, analyst, paths, lambda: machine.is_busy, RunTraces({}, paths))


def finish(results: Results, status: str, evidence: Evidence | None = None, output: str = "") -> None:
    results.finished(
        test_id="1",
        name="One",
        kind="chaos",
        status=status,
        duration_ms=3,
        evidence=evidence,
        message="",
        output=output,
    )


def test_places_follow_their_texts(results: Results, seen: list[Event]) -> None:
    """Where the directory of the submission is left out of a text, its places are those of what is left."""
    text = f"{WORKDIR}/a.py\n1 2"
    evidence = Evidence("difference", expected=text, actual=text, expected_at=len(text) - 1, actual_at=len(text) - 3)
    finish(results, "failed", evidence)
    found = seen[0]
    assert found["expected"] == found["actual"] == "a.py\n1 2"
    assert (found["expected_at"], found["actual_at"]) == (7, 5)


def test_summary_counts_every_status(results: Results) -> None:
    """An error counts as failed; what was skipped or never ran counts as skipped."""
    results.testing(7)
    for status in ("passed", "passed", "failed", "error", "skipped"):
        finish(results, status)
    assert results.summary(9) == {"total_tests": 7, "passed": 2, "failed": 2, "duration_ms": 9, "skipped": 3}
    assert (results.reported, results.missing, results.failed, results.errors) == (5, 2, 2, 1)


def test_summary_without_skipped_tests_does_not_mention_them(results: Results) -> None:
    """More tests than announced are all counted."""
    results.testing(None)
    finish(results, "passed")
    assert results.summary(0) == {"total_tests": 1, "passed": 1, "failed": 0, "duration_ms": 0}
    results.testing(1)
    finish(results, "passed")
    assert results.summary(0)["total_tests"] == 2


def test_failure_is_followed_by_its_analysis(results: Results, seen: list[Event]) -> None:
    """Both carry the test; the directory of the submission is in neither."""
    stderr = f'Traceback (most recent call last):\n  File "{WORKDIR}/a.py", line 1, in f\nZeroDivisionError: no\n'
    evidence = Evidence(kind="exit", message=f"{WORKDIR}/a.py died", exit_code=1, node="n1", stderr=stderr)
    finish(results, "failed", evidence, output=f"in {WORKDIR}/a.py and {WORKDIR}")
    result, analysis = seen
    assert result == {
        "type": "test_result",
        "test_id": "1",
        "test_name": "One",
        "test_type": "chaos",
        "status": "failed",
        "outcome": "runtime_error",
        "duration_ms": 3,
        "message": "a.py died",
        "output": "in a.py and .",
    }
    assert (analysis["test_id"], analysis["test_name"]) == ("1", "One")
    assert analysis["location"] == {"file": "a.py", "line": 1}
    assert WORKDIR not in json.dumps(seen)


def test_remark_belongs_to_no_test(results: Results, seen: list[Event]) -> None:
    """It is an analysis alone, and not counted."""
    results.remark(Evidence(kind="judge", message="no", stderr=f"{WORKDIR}/a.py"))
    (analysis,) = seen
    assert analysis["type"] == "error_analysis"
    assert "test_id" not in analysis
    assert analysis["analysis"].endswith("a.py")
    assert results.reported == 0


def test_evidence_is_bounded() -> None:
    """Each text and every list has its limit; what is short stays as it is."""
    long = Evidence(
        kind="tap",
        message="m" * 9_000,
        expected="e" * 9_000,
        actual="a" * 9_000,
        line="l" * 9_000,
        stderr="s" * 90_000,
        explanation="x" * 9_000,
        suggestions=("y" * 9_000,) * 30,
    ).bounded()
    assert len(json.dumps(long.suggestions)) < 12_000
    assert len(long.suggestions) == 10
    for text, limit in (
        (long.message, 2_000),
        (long.expected, 4_000),
        (long.actual, 4_000),
        (long.line, 2_000),
        (long.stderr, 8_192),
        (long.explanation, 4_000),
    ):
        assert limit < len(text) < limit + 50
        assert "bytes cut" in text
    short = Evidence(kind="exit", message="m", sites=(Site("a", 1),), suggestions=("do",))
    assert short.bounded() == short


def test_event_of_an_unbounded_rule_still_fits() -> None:
    """An operator's rule may say as much as it likes."""

    def talks(evidence: Evidence, context: object) -> Finding:
        return Finding("c" * 60_000, "a" * 600_000, ["s" * 60_000] * 100, "e" * 60_000)

    finding = Analyst({}, "python", rules=[talks]).analyse(Evidence(kind="tap", message="no"))
    line = events.encode(events.error_analysis(finding))
    assert len(line) <= events.MAX_BYTES + 1
    assert len(json.loads(line)["suggestions"]) == 10


@pytest.mark.parametrize(
    "evidence",
    [
        Evidence(kind="limit", limit="time"),
        Evidence(kind="limit", limit="submission_time"),
        Evidence(kind="silence"),
    ],
    ids=["test", "submission", "answer"],
)
def test_time_outs_are_noted(results: Results, machine: Machine, evidence: Evidence) -> None:
    """One on a busy machine is enough; what else fails there is no time-out."""
    machine.is_busy = True
    finish(results, "failed", Evidence(kind="assertion"))
    finish(results, "failed", Evidence(kind="limit", limit="memory"))
    said = [results.time_out]
    for is_busy in (False, True, False):
        machine.is_busy = is_busy
        finish(results, "failed", evidence)
        said.append(results.time_out)
    assert said == ["", "undisturbed", "contended", "contended"]


@pytest.mark.parametrize(
    "kind", ["assertion", "difference", "violation", "exit", "limit", "silence", "judge", "flood", "bad_line"]
)
@pytest.mark.parametrize("status", ["passed", "failed", "error", "skipped"])
@pytest.mark.parametrize("feedback", ["outcome", "after_close", "none"])
def test_secrets_stay_in_the_judge(
    results: Results, seen: list[Event], feedback: Feedback, status: str, kind: str
) -> None:
    """Whatever is known of a secret case, only its outcome is told, or not even its name."""
    secret = "s3cret"
    texts = dict.fromkeys(("message", "expected", "actual", "line", "stderr", "explanation", "field"), secret)
    sites = (Site(secret, 1, secret, secret),)
    evidence = Evidence(kind=kind, limit="time", sites=sites, suggestions=(secret,), command=secret, **texts)  # type: ignore[arg-type]
    results.testing(0)
    results.finished(
        test_id="7",
        name="case-7",
        kind="case",
        status=status,
        duration_ms=3,
        evidence=evidence,
        message=secret,
        given=secret,
        output=secret,
        rerun=secret,
        measured=Measured(cpu_ms=2, memory_kb=1, group="group-7"),
        feedback=feedback,
    )
    results.score(5, 10)
    summary = results.summary(9)
    told = json.dumps([seen, summary])
    assert secret not in told
    assert not [event for event in seen if event["type"] == "error_analysis"]
    assert results.failed == (status in ("failed", "error"))
    shown = [event for event in seen if event["type"] == "test_result"]
    if feedback == "none":
        assert "case-7" not in told
        assert "group-7" not in told
        assert summary == {"total_tests": 0, "passed": 0, "failed": 0, "duration_ms": 9}
    else:
        (event,) = shown
        assert set(event) == {
            *("type", "test_id", "test_name", "test_type", "status", "duration_ms", "outcome"),
            *("cpu_ms", "memory_kb", "group"),
        }
        assert (summary["score"], summary["max_score"]) == (5, 10)


async def two_turns() -> None:
    """Let the event loop do what is due."""
    for _ in range(2):
        await asyncio.sleep(0)


async def test_test_that_takes_long_is_named_while_it_runs(
    results: Results, seen: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, without paths of this machine; a quick one is not, nor one of which nobody may know."""
    monkeypatch.setattr(module, "RUNNING_TOLD_AFTER_S", 0.01)
    told = asyncio.Event()

    def emit(event: Event) -> None:
        seen.append(event)
        told.set()

    monkeypatch.setattr(results, "_emit", emit)
    results.starting(f"{WORKDIR}/a.py")
    await told.wait()
    assert seen == [{"type": "status_update", "status": "testing", "running_test": "a.py", "running_ms": 10}]
    finish(results, "passed")
    monkeypatch.setattr(module, "RUNNING_TOLD_AFTER_S", 0.0)
    results.starting("secret", feedback="none")
    await two_turns()
    results.starting("quick")
    finish(results, "passed")
    results.starting("interrupted")
    results.summary(1)
    await two_turns()
    assert [event["type"] for event in seen] == ["status_update", "test_result", "test_result"]


@pytest.mark.thorough
def test_traces_are_told_like_everything_else(results: Results, seen: list[Event]) -> None:
    """Before the result, which names the seed; only with full feedback; and only as long as there is room."""
    noise = "".join(chr(33 + (number * number * 7919) % 90) for number in range(60_000))
    body = {"type": "save", "data": f"{WORKDIR}/a.py"}
    trace = RunTrace(seed=5, violation=noise, marks=(Mark(no=1, ms=0, kind="save", body=body),))
    text = encode_trace(trace).decode()

    def fail(feedback: Feedback) -> list[Event]:
        seen.clear()
        evidence = Evidence(kind="violation", message="two leaders")
        results.finished(
            test_id="1", name="One", kind="chaos", status="failed", duration_ms=3, evidence=evidence, trace=text,
            feedback=feedback,
        )  # fmt: skip
        return [event for event in seen if event["type"] in ("run_trace", "test_result")]

    assert [event["type"] for event in fail("outcome")] == ["test_result"]
    told, result = fail("full")
    assert (told["type"], result["seed"], result["has_trace"]) == ("run_trace", 5, True)
    assert b"/a.py" not in unpack(packed_of(told))
    assert b"a.py" in unpack(packed_of(told))
    assert len(events.encode(told)) > len(events.encode(result))
    while len(found := fail("full")) == 2:
        pass
    assert "has_trace" not in found[0]
