"""Durations, counts and states in words."""

from __future__ import annotations

import math

import pytest

from subcli.core.submission import Connection, Counts, Group, Submission
from subcli.output.live.summary import outcome
from subcli.output.text import rows, words
from subcli.output.text.details import place, reason
from subcli.shared.decoding import from_mapping
from subcli.shared.messages import Complete, Location, Summary, TestResult


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 ms"), (0.44, "0.4 ms"), (9.44, "9.4 ms"), (9.5, "10 ms"), (412, "412 ms"), (999.4, "999 ms"),
        (999.5, "1.00 s"), (1250, "1.25 s"), (99_994, "99.99 s"), (99_995, "1m 40s"), (3_599_600, "1h 00m"),
        (7_500_000, "2h 05m"), (None, ""), (-1, ""), (math.inf, ""), (1e300, ""),
    ],
)  # fmt: skip
def test_duration(ms: float | None, text: str) -> None:
    """Three digits and a unit; empty if unknown or absurd."""
    assert words.duration(ms) == text
    assert len(text) <= 7


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (7.9, "0:07"), (65, "1:05"), (3723, "1:02:03"), (-3, "0:00")]
)
def test_elapsed_time(seconds: float, text: str) -> None:
    """Minutes and seconds, and hours if there are any."""
    assert words.elapsed(seconds) == text


@pytest.mark.parametrize(
    ("delay", "passed", "left"),
    [(4.0, 0.0, 4), (4.0, 0.1, 4), (4.0, 3.9, 1), (4.0, 4.0, 0), (4.0, 9.0, 0), (None, 0.0, None), (math.inf, 0, None)],
)
def test_countdown(delay: float | None, passed: float, left: int | None) -> None:
    """Whole seconds, rounded up, never negative."""
    assert words.remaining(Connection("reconnecting", delay_s=delay), 100.0, 100.0 + passed) == left


@pytest.mark.parametrize(
    ("connection", "text"),
    [
        (Connection("reconnecting"), ""),
        (Connection("reconnecting", code=1006), "1006 connection lost"),
        (Connection("reconnecting", code=1012, reason="restarting"), "1012 restarting"),
        (Connection("reconnecting", code=4242), "4242"),
        (Connection("polling", reason="a proxy"), "a proxy"),
    ],
)
def test_connection_reason(connection: Connection, text: str) -> None:
    """The server's own reason takes precedence over ours."""
    assert words.connection_reason(connection) == text


@pytest.mark.parametrize(
    ("status", "summary", "counts", "text"),
    [
        ("passed", Summary(10, 10, 0, None, 45_000), Counts(), "10 of 10 tests in 45.0 s"),
        ("passed", Summary(1, 1, 0, None, 45_000), Counts(), "1 of 1 test in 45.0 s"),
        ("passed", Summary(10, 8, 2, None, 45_000), Counts(), "8 passed, 2 failed in 45.0 s"),
        ("passed", Summary(11, 10, 0, 1, 160_000), Counts(), "10 passed, 0 failed, 1 skipped in 2m 40s"),
        ("failed", Summary(), Counts(3, 1, 1, 0), "3 passed, 2 failed"),
        ("passed", Summary(), Counts(3), "3 of 3 tests"),
        ("failed", Summary(1, 1, 0, None, None), Counts(1), "1 passed, 0 failed"),
        ("timeout", Summary(), Counts(3), "3 passed, 0 failed"),
        ("cancelled", Summary(4, 2, None, None, 800), Counts(), "2 passed in 0.8 s"),
        ("build_failed", Summary(None, None, None, None, 812), Counts(), "after 0.8 s"),
        ("build_failed", Summary(0, 0, 0, 0, None), Counts(), ""),
    ],
)
def test_outcome(status: str, summary: Summary, counts: Counts, text: str) -> None:
    """The server's counts, otherwise those of the results."""
    verdict = Complete(final_status=status, summary=summary)
    assert outcome(verdict, Submission(id=1, counts=counts)) == text


@pytest.mark.parametrize(
    ("location", "cells", "text"),
    [
        (None, 20, ""),
        (Location(" "), 20, ""),
        (Location("node.py", 48), 20, "node.py:48"),
        (Location("node.py"), 20, "node.py"),
        (Location("node.py", -1), 20, "node.py"),
        (Location("a/very/long/path/node.py", 48), 12, "a/very/l…:48"),
    ],
)
def test_place_is_clickable(location: Location | None, cells: int, text: str) -> None:
    """``file:line``; the line number is never cut."""
    assert place(location, cells) == text


def result(**fields: object) -> TestResult:
    """A failed test with these fields."""
    event = from_mapping({"type": "test_result", "test_name": "x", "status": "failed", **fields})
    assert isinstance(event, TestResult)
    return event


def test_reason_is_the_first_line_with_text() -> None:
    """The message comes first, then the category, otherwise it is empty."""
    assert reason(result(message="\n \nfirst\nsecond", error_category="timeout")) == "first"
    assert reason(result(message=" \n", error_category="timeout")) == "timeout"
    assert reason(result()) == ""


@pytest.mark.parametrize(
    ("total", "done", "known"), [(1, 0, 1), (10, 3, 10), (2, 3, 3), (0, 3, None), (-1, 0, None), (None, 3, None)]
)
def test_known_total(total: int | None, done: int, known: int | None) -> None:
    """The server's word, unless it cannot be true: there are at least as many tests as results."""
    assert words.known_total(Submission(id=1, total_tests=total, counts=Counts(done))) == known


@pytest.mark.parametrize(
    ("outcome", "counts", "word"),
    [
        (None, Counts(2, 1), "failed"),
        (None, Counts(2), "passed"),
        (None, Counts(0, 0, 0, 3), "skipped"),
        ("passed", Counts(2, 1), "passed"),
        ("time_limit", Counts(2), "failed"),
        ("skipped", Counts(), "skipped"),
    ],
)
def test_mark_of_a_group(outcome: str | None, counts: Counts, word: str) -> None:
    """The server has the last word, as one of its tests may fail where another one suffices; else its tests count."""
    assert rows.group_mark(Group("g", counts=counts, outcome=outcome)).word == word
