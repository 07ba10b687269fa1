"""The bundled problem, judged for real."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import aclosing
from itertools import pairwise

import pytest

from subcli.judge import Job, Problem, judge
from tests.judge.judging import Run

TITLES = [
    "Leader Election",
    "Five Nodes Agree",
    "A Stable Leader Stays",
    "Re-election After a Crash",
    "One Leader per Term",
    "Split Vote",
    "Partition Heals",
    "No Leader Without a Majority",
    "Terms Survive a Restart",
    "Lossy Network",
]


@pytest.mark.thorough
async def test_reference_solution_passes_all_ten_tests(
    run: Run, election: Problem, solution: Callable[[str], str]
) -> None:
    """Every result is yielded when its test ends, not at the end; the total is known before the first one."""
    judged = await run(election, solution("passing.py"))

    assert [event["test_name"] for event in judged.of("test_result")] == TITLES
    assert judged.failed == []
    stages = [event["status"] for event in judged.of("status_update") if "running_test" not in event]
    assert stages == ["building", "testing", "completed"]
    assert judged.events[1]["total_tests"] == 10
    assert judged.verdict == "passed"
    summary = judged.events[-1]["summary"]
    assert summary == {"total_tests": 10, "passed": 10, "failed": 0, "duration_ms": summary["duration_ms"]}
    seen = [at for event, at in zip(judged.events, judged.times, strict=True) if event["type"] == "test_result"]
    assert seen[0] < judged.times[-1] / 2
    assert all(later - earlier > 0.02 for earlier, later in pairwise(seen))


@pytest.mark.thorough
async def test_wrong_solution_fails_two_tests_and_the_analyses_show_its_bug(
    run: Run, election: Problem, solution: Callable[[str], str]
) -> None:
    """Both say who voted twice and point at the line that granted the second vote, in every run the same."""
    source = solution("failing.py")
    judged = await run(election, source)

    assert judged.failed == ["One Leader per Term", "Split Vote"]
    assert judged.verdict == "failed"
    analyses = judged.of("error_analysis")
    assert [event["test_name"] for event in analyses] == judged.failed
    # Simulated time and seeds: the very same story in every run, on every machine.
    assert analyses[0]["error"] == "n1 and n3 both lead term 1"
    assert analyses[1]["error"] == "n1 voted twice in term 1: for itself and for n2"
    for analysis in analyses:
        before = judged.events[judged.events.index(analysis) - 1]
        assert before["test_id"] == analysis["test_id"]
        assert analysis["location"]["file"] == "node.py"
        line = source.splitlines()[analysis["location"]["line"] - 1]
        assert "granted=granted" in line
        assert "on_request_vote" in analysis["analysis"]
        # The bug itself is in the lines that are shown above that one.
        assert 'granted = body["term"] >= self.term' in analysis["analysis"]
        assert any("one vote in a term" in suggestion for suggestion in analysis["suggestions"])


async def test_solution_that_does_not_compile_is_not_tested(
    run: Run, election: Problem, solution: Callable[[str], str]
) -> None:
    """A syntax error ends the build: the verdict is build_failed, with the line."""
    judged = await run(election, solution("broken.py"))

    assert judged.verdict == "build_failed"
    assert judged.of("test_result") == []
    assert judged.analysis["category"] == "syntax_error"
    line = solution("broken.py").splitlines()[judged.analysis["location"]["line"] - 1]
    assert line == "    def on_vote(self, src, body)"
    assert "SyntaxError" in judged.events[1]["detail"]


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
async def test_javascript_is_judged_by_the_same_tests(election: Problem, solution: Callable[[str], str]) -> None:
    """The protocol is lines of JSON. (`subcli problems check` sees this solution through to its end.)"""
    seen = []
    async with aclosing(judge(Job(election, "javascript", {"node.js": solution("passing.js")}))) as events:
        async for event in events:
            seen += [event["status"]] if event["type"] == "test_result" else []
            if len(seen) == 4:
                break
    assert seen == ["passed"] * 4


@pytest.mark.thorough
@pytest.mark.parametrize("language", ["python", pytest.param("javascript", marks=pytest.mark.thorough)])
async def test_templates_start_and_fail_for_the_right_reason(run: Run, election: Problem, language: str) -> None:
    """A template is a node that answers and never leads."""
    if language == "javascript" and shutil.which("node") is None:
        pytest.skip("needs node")
    files = {election.languages[language].source: election.languages[language].template_text()}
    async with aclosing(judge(Job(election, language, files))) as events:
        # All ten tests fail alike; the first one says it.
        analysis = await anext(event async for event in events if event["type"] == "error_analysis")
    assert "Nobody ever stood for election" in str(analysis["analysis"])
