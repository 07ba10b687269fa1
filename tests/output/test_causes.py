"""Tests that fail for one cause: every view tells it once and names them all; the JUnit report repeats it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from subcli.output.github.view import GithubView
from subcli.output.live.frame import analyses
from subcli.output.live.summary import failures
from subcli.output.pages.tables import submission_page
from subcli.output.plain import PlainView
from subcli.output.terminal.console import make_console
from subcli.output.text.causes import NAMES_MAX, Causes
from subcli.output.view import NullView
from subcli.output.workflow_commands import CommandSafeStream
from subcli.shared.messages import ErrorAnalysis, Location, TestResult
from tests.output.playhouse.script import Clock, Stage

NAMES = [f"case {number:02}" for number in range(1, 11)]
CAUSE = "A key is missing from the table."


def analysis(number: int, **more: Any) -> dict[str, Any]:
    """What the server says of one test: its own message, and the cause that all share."""
    return {
        "test_id": str(number),
        "test_name": f"case {number:02}",
        "category": "exception",
        "error": "KeyError: 'b'",
        "analysis": f"run {number} ended with exit code 1. {CAUSE}",
        "suggestions": ["Use .get()."],
        "location": {"file": "mine.py", "line": 6},
        **more,
    }


def play(stage: Stage) -> None:
    """Ten tests fail for one cause, an eleventh for another."""
    stage.begin()
    for number in range(1, 12):
        name = f"case {number:02}"
        stage.result(name, "failed", test_id=str(number), message=f"run {number} ended with exit code 1")
        other = {"location": {"file": "mine.py", "line": 9}} if number == 11 else {}
        stage.send("error_analysis", **analysis(number, **other))
    stage.complete("failed")
    stage.view.close()


def test_log_tells_it_once_and_refers_to_it() -> None:
    """A log cannot name tests to come, so each that follows names the first."""
    out = io.StringIO()
    clock = Clock()
    play(Stage(PlainView(make_console(out, {"COLUMNS": "120"}), make_console(io.StringIO(), {}), clock), clock))
    text = out.getvalue()
    assert text.count(CAUSE) == 2
    assert text.count("the same cause as in case 01") == 9
    assert all(f"failed: {name} " in text for name in NAMES)


def test_status_page_tells_it_once_and_names_all() -> None:
    """With the first of the tests, and each of the others refers to it."""
    tests = [
        {
            "test_id": str(number),
            "test_name": name,
            "status": "failed",
            "message": f"run {number} ended with exit code 1",
            "error_analysis": analysis(number),
        }
        for number, name in enumerate(NAMES, 1)
    ]
    out = io.StringIO()
    make_console(out, {"COLUMNS": "100"}).print(submission_page({"submission_id": 1, "status": "failed"}, tests))
    words = " ".join(out.getvalue().split())
    assert words.count(CAUSE) == 1
    assert f"the same cause: {', '.join(NAMES[1:])}" in words
    assert words.count("the same cause as in case 01") == 9


def test_live_view_tells_it_once() -> None:
    """While it runs and at its end; a heading says how many tests share a cause."""
    stage = Stage(NullView(), Clock())
    play(stage)
    snapshot = stage.watches[12].snapshot()
    running = "\n".join(line.text for line in analyses(snapshot, 90, 60))
    assert running.count(CAUSE) == 2
    assert "case 01 and 9 more · mine.py:6" in running
    ended = "\n".join(line.text for line in failures(snapshot, 90))
    assert ended.count(CAUSE) == 2
    assert "the same cause in 9 more tests:" in ended
    assert all(f"✗ {name} · 1.25 s: run {number} ended" in ended for number, name in enumerate(NAMES[1:10], 2))


def test_github_tells_it_once(tmp_path: Path) -> None:
    """One annotation and one entry of the summary for each cause."""
    raw = io.BytesIO()
    stdout = CommandSafeStream(raw, json=False, encoding="utf-8")
    clock = Clock()
    plain = PlainView(make_console(stdout, {"COLUMNS": "120"}), make_console(io.StringIO(), {}), clock)
    summary = tmp_path / "summary.md"
    play(Stage(GithubView(plain, stdout, summary, lambda name: name, io.StringIO()), clock))
    stdout.flush()
    errors = [line for line in raw.getvalue().decode().splitlines() if line.startswith("::error")]
    assert [line.partition("title=")[2].partition("::")[0] for line in errors] == ["case 01 and 9 more", "case 11"]
    assert all(name in errors[0] for name in NAMES)
    text = summary.read_text()
    assert text.count(CAUSE) == 2
    assert "<summary>case 01 and 9 more, mine.py:6</summary>" in text


@pytest.mark.parametrize(
    "change",
    [
        lambda event: {**event, "category": "crash"},
        lambda event: {**event, "location": {"file": "mine.py", "line": 7}},
        lambda event: {**event, "error": "KeyError: 'c'"},
        lambda event: {**event, "suggestions": []},
        lambda event: {**event, "test_id": None, "test_name": None},
    ],
)
def test_another_cause_is_told_apart(change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Category, place, error, explanation and advice are the cause; what belongs to no test stands alone."""
    events = [_event(analysis(1)), _event(change(analysis(2)))]
    assert [cause.first for cause in Causes(events, _results()).all] == events


def test_many_names_are_counted() -> None:
    """A line does not grow without end."""
    events = [_event(analysis(number, analysis="")) for number in range(1, NAMES_MAX + 4)]
    (cause,) = Causes(events, []).all
    assert cause.others.endswith(" and 2 more")
    assert len(cause.others.split(", ")) == NAMES_MAX


def _event(fields: dict[str, Any]) -> ErrorAnalysis:
    from subcli.shared.decoding import from_mapping

    event = from_mapping({"type": "error_analysis", **fields})
    assert isinstance(event, ErrorAnalysis)
    return event


def _results() -> list[TestResult]:
    return [
        TestResult(test_id=str(n), test_name=f"case {n:02}", status="failed", message=f"run {n} ended with exit code 1")
        for n in (1, 2)
    ]


def failure(name: str, **fields: Any) -> TestResult:
    return TestResult(test_name=name, status="failed", **fields)


def explained(name: str | None, **fields: Any) -> ErrorAnalysis:
    return ErrorAnalysis(**{"test_name": name, "error": "E", "analysis": "why", **fields})


def test_namesakes_are_two_tests() -> None:
    """Known by their ids or their types; each one's own message is left out of the comparison, and each is named."""
    for one, other in (({"test_id": "1"}, {"test_id": "2"}), ({"test_type": "chaos"}, {"test_type": "functional"})):
        results = [failure("Same", message="got 1", **one), failure("Same", message="got 2", **other)]
        analyses = [explained("Same", error="got 1: E", **one), explained("Same", error="got 2: E", **other)]
        [cause] = Causes(analyses, results).all
        assert (cause.tests, cause.others) == (["Same", "Same"], "Same")


def test_an_id_alone_names_a_test() -> None:
    """It has the name of the result with this id, whether the ids are numbers or texts."""
    results = [failure("A", test_id="1"), failure("B", test_id="2")]
    [cause] = Causes([explained(None, test_id=1), explained(None, test_id="2")], results).all
    assert cause.tests == ["A", "B"]


def test_an_id_of_another_test_is_not_overruled_by_the_name() -> None:
    """The message that is left out is never that of a namesake."""
    results = [failure("Same", test_id="1", message="got 1")]
    analyses = [explained("Same", test_id="1", error="got 1"), explained("Same", test_id="2", error="got 1")]
    assert len(Causes(analyses, results).all) == 2


def test_a_test_that_is_explained_twice_is_named_once() -> None:
    results = [failure("A", test_id="1")]
    [cause] = Causes([explained("A", test_id="1"), explained("A")], results).all
    assert cause.tests == ["A"]


def test_what_belongs_to_no_test_stands_for_itself() -> None:
    analyses = [explained(None), explained(None), explained(None, test_id="9")]
    assert [cause.tests for cause in Causes(analyses, []).all] == [[], [], []]


def test_different_wrong_answers_have_different_causes() -> None:
    """Whatever else is said of both, an answer that is wrong in another way is another cause."""
    told = [("1", "Line 1: expected 1, got 2"), ("2", "Line 9: expected 7, got 8"), ("3", "Line 9: expected 7, got 8")]
    analyses = [
        ErrorAnalysis(test_name=name, error=message, analysis="The token before it is right.", category="wrong_answer")
        for name, message in told
    ]
    results = [TestResult(test_name=name, status="failed", message=message) for name, message in told]
    assert [cause.tests for cause in Causes(analyses, results).all] == [["1"], ["2", "3"]]


def test_same_wrong_answers_have_one_cause() -> None:
    """Whatever the tests did before: each one's own message says that. Other answers are another cause."""
    answers = {"1": ("ok", "none"), "2": ("ok", "none"), "3": ("ok", "1")}
    analyses = [
        ErrorAnalysis(
            test_name=name,
            error=f"`capacity {name}` was answered with `{actual}`",
            analysis="Trace it by hand.",
            category="wrong_answer",
        )
        for name, (_, actual) in answers.items()
    ]
    results = [
        TestResult(test_name=event.test_name or "", status="failed", message=event.error, expected=wanted, actual=got)
        for event, (wanted, got) in zip(analyses, answers.values(), strict=True)
    ]
    assert [cause.tests for cause in Causes(analyses, results).all] == [["1", "2"], ["3"]]


def test_wrong_answers_of_one_place_have_one_cause() -> None:
    """The exception behind them does; an analysis may repeat the test's message as the beginning of a sentence."""
    told = {"1": "it printed 1 too few", "2": "it printed 2 too few"}
    analyses = [
        ErrorAnalysis(
            test_name=name,
            error="KeyError: 0",
            analysis=f"It{message[2:]}. stderr shows KeyError.",
            category="wrong_answer",
            location=Location("a.py", 3),
        )
        for name, message in told.items()
    ]
    results = [TestResult(test_name=name, status="failed", message=message) for name, message in told.items()]
    assert [cause.tests for cause in Causes(analyses, results).all] == [["1", "2"]]


def test_what_ends_as_before_is_not_explained_again() -> None:
    """In a log of what is judged again, a test that fails in the same way has neither a line nor an explanation."""
    out = io.StringIO()
    clock = Clock()
    stage = Stage(PlainView(make_console(out, {"COLUMNS": "120"}), make_console(io.StringIO(), {}), clock), clock)
    stage.begin()
    for attempt in (1, 2):
        stage.status("testing", attempt=attempt)
        for number in (1, 2):
            stage.result(
                NAMES[number - 1], "failed", test_id=str(number), message=f"run {number} ended with exit code 1"
            )
            stage.send("error_analysis", **analysis(number))
    text = out.getvalue()
    assert "judged again, attempt 2" in text
    assert text.count(CAUSE) == 1
    assert text.count("the same cause as in") == 1
