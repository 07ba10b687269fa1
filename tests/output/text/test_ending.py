"""The last lines about a submission: what has changed, which tests failed, what to do next."""

from __future__ import annotations

from typing import Any

import pytest

from subcli.core.submission import LOCAL_ID, Submission
from subcli.core.watch import Watch
from subcli.output.text.ending import NAMES_MAX, compared, failed_names, next_step
from subcli.output.view import Ending
from subcli.shared.decoding import from_mapping
from subcli.shared.messages import Comparison, Complete


def comparison(**fields: Any) -> Comparison | None:
    verdict = from_mapping({"type": "complete", "final_status": "failed", "compared_to": {"previous": 11, **fields}})
    assert isinstance(verdict, Complete)
    return verdict.compared_to


def slow(name: str, before: float | None, now: float | None) -> dict[str, Any]:
    return {"test_name": name, "change": "slower", "before_ms": before, "duration_ms": now}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"newly_passing": 2, "newly_failing": 1, "slower": 1, "tests": [slow("Split vote", 1000, 3000)]},
            "since #11: 2 newly passing, 1 newly failing, Split vote 3 × slower",
        ),
        ({}, "since #11: every test ended as before"),
        ({"newly_passing": 1200}, "since #11: 1,200 newly passing"),
        ({"slower": 1, "tests": [slow("a", 100, 257)]}, "since #11: a 2.6 × slower"),
        ({"slower": 1, "tests": [slow("a", 1, 12345)]}, "since #11: a 12,345 × slower"),
        ({"slower": 1, "tests": [slow("a", 0, 5000)]}, "since #11: a slower"),
        ({"slower": 1, "tests": [slow("a", 5, None)]}, "since #11: a slower"),
        ({"slower": 1, "tests": [slow("a", 5, 1e300)]}, "since #11: a slower"),
        ({"slower": 3, "tests": [slow(name, 5, 500) for name in "abc"]}, "since #11: 3 slower"),
        ({"slower": 2, "tests": []}, "since #11: 2 slower"),
        ({"newly_passing": -1, "slower": "many"}, "since #11: every test ended as before"),
        ({"slower": 1, "tests": [slow("\x1b[31mred", 100, 300)]}, "since #11: ^[[31mred 3 × slower"),
    ],
)
def test_comparison_in_words(fields: dict[str, Any], words: str) -> None:
    """Few slower tests are named with their factor, many are counted; a server's text cannot colour anything."""
    assert compared(comparison(**fields)) == words


def test_comparison_that_is_read_aloud() -> None:
    """A cross would be read as a letter."""
    assert compared(comparison(slower=1, tests=[slow("a", 100, 300)]), " times") == "since #11: a 3 times slower"
    assert compared(None) == ""


def watched(
    *failed: str, id: int = 12, passed: int = 3, rerun: str | None = None, problem: str = "lru-cache", **more: Any
) -> Submission:
    """A submission with failed tests, each with the command that runs it again."""
    watch = Watch(id, problem=problem)
    names = [*((name, "failed") for name in failed), *((f"passed {number}", "passed") for number in range(passed))]
    for name, status in names:
        fields = {"rerun": rerun} if rerun and status == "failed" else {}
        watch.take(from_mapping({"type": "test_result", "test_name": name, "status": status, **fields}))
    for event in more.get("events", ()):
        watch.take(from_mapping(event))
    return watch.snapshot()


def ending(id: int = 12, final_status: str = "failed", **more: Any) -> Ending:
    verdict = from_mapping({"type": "complete", "final_status": final_status})
    assert isinstance(verdict, Complete)
    return Ending(submission_id=id, exit_code=1, verdict=verdict, **more)


RERUN = "subcli test --case secret/01"


@pytest.mark.parametrize(
    ("snapshot", "end", "left_out", "command"),
    [
        # The failing test at home, where its tests are.
        (watched("a", rerun=RERUN), ending(at_home="lru-cache"), False, RERUN),
        (watched("a"), ending(at_home="lru-cache"), True, "subcli test"),
        # A replay gets from the server what it needs.
        (
            watched("a", rerun="subcli test --replay 12:a"),
            ending(options=" --profile x"),
            True,
            "subcli test --replay 12:a --profile x",
        ),
        (watched("a", rerun="subcli test --replay '12:a b'"), ending(), False, "subcli test --replay '12:a b'"),
        # They can be fetched.
        (watched("a", rerun=RERUN), ending(options=" --profile x"), False, "subcli init lru-cache --profile x"),
        (watched("a", rerun=RERUN), ending(at_home="other"), False, "subcli open 12"),
        # Everything, if not everything was shown.
        (watched("a"), ending(options=" --server URL"), True, "subcli status 12 --server URL"),
        (watched(), ending(final_status="build_failed"), False, "subcli status 12"),
        (watched("a"), ending(), False, "subcli open 12"),
        # Nothing to look into.
        (watched(), ending(final_status="passed", at_home="lru-cache"), False, ""),
        (watched("a"), ending(final_status="cancelled"), False, ""),
        (watched(), ending(final_status="error"), True, ""),
        # The demo.
        (watched("a"), ending(follow_up="subcli serve"), False, "subcli serve"),
        (watched(), ending(final_status="passed", follow_up="subcli serve"), False, "subcli serve"),
        # `subcli test`: this one alone, if there were others.
        (watched("a", id=LOCAL_ID, rerun=RERUN), ending(LOCAL_ID, follow_up=""), False, RERUN),
        (watched("a", id=LOCAL_ID, passed=0, rerun=RERUN), ending(LOCAL_ID, follow_up=""), False, ""),
        (watched("a", id=LOCAL_ID), ending(LOCAL_ID, follow_up=""), True, ""),
        # A server's text that is more than such a command, and a problem that is no name.
        (watched("a", rerun="subcli test; rm -rf ~"), ending(at_home="lru-cache"), False, "subcli test"),
        (watched("a", rerun="curl example | sh"), ending(at_home="lru-cache"), False, "subcli test"),
        (watched("a", rerun=RERUN, problem="x; rm"), ending(), False, "subcli open 12"),
    ],
)
def test_next_step(snapshot: Submission, end: Ending, left_out: bool, command: str) -> None:
    """One command, and never one that shows what was just shown."""
    assert next_step(snapshot, end, left_out=left_out) == command


def test_failed_tests_are_listed_with_their_places() -> None:
    """One line each, with what is new; many are counted."""
    place = {"type": "error_analysis", "test_name": "b", "error": "x", "location": {"file": "a.py", "line": 3}}
    new = {"previous": 11, "newly_failing": 1, "tests": [{"test_name": "a", "change": "newly_failing"}]}
    end = {"type": "complete", "final_status": "failed", "compared_to": new}
    lines = [line.text for line in failed_names(watched("a", "b", events=[place, end]))]
    assert lines == ["✗ a · new", "✗ b · a.py:3"]
    # Two causes at one place, the second of them of two tests.
    events = [{**place, "test_name": name, "error": error} for name, error in ("ax", "by", "cy")]
    found = watched("a", "b", "c", message="", events=[*events, end])
    assert [line.text for line in failed_names(found)] == ["✗ a · a.py:3 · new", "✗ b · a.py:3", "✗ c"]
    lines = [line.text for line in failed_names(watched(*map(str, range(NAMES_MAX + 5))))]
    assert lines[-1] == "… 5 more failed"
    assert len(lines) == NAMES_MAX + 1
    assert failed_names(watched()) == []
