"""A verdict compared with the previous one: what passes, fails or is slower now."""

from __future__ import annotations

import json
from typing import Any

import pytest

from subcli.server.log.comparison import TESTS_MAX, compare, outcomes


def result(name: str, status: str = "passed", ms: float | None = 10, **more: Any) -> dict[str, Any]:
    return {"type": "test_result", "test_name": name, "status": status, "duration_ms": ms, **more}


def compared(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> dict[str, Any]:
    return compare(11, outcomes(map(json.dumps, before)), outcomes(now))


def test_every_change_is_counted_and_named() -> None:
    """Failures first, then slower tests, the slowest first; tests that ended as before are left out."""
    before = [
        result("a", "failed"), result("b", "error"), result("c", "skipped"), result("d"),
        result("e", ms=100), result("f", ms=1000), result("g", "failed"), result("h"),
    ]  # fmt: skip
    now = [
        result("a"), result("b"), result("c"), result("d", "error"),
        result("e", ms=500), result("f", ms=3100), result("g", "error"), result("h"),
    ]  # fmt: skip
    assert compared(before, now) == {
        "previous": 11,
        "newly_passing": 3,
        "newly_failing": 1,
        "slower": 2,
        "tests": [
            {"test_name": "d", "change": "newly_failing"},
            {"test_name": "e", "change": "slower", "before_ms": 100, "duration_ms": 500},
            {"test_name": "f", "change": "slower", "before_ms": 1000, "duration_ms": 3100},
            {"test_name": "a", "change": "newly_passing"},
            {"test_name": "b", "change": "newly_passing"},
            {"test_name": "c", "change": "newly_passing"},
        ],
    }


@pytest.mark.parametrize(
    ("before", "now", "slower"),
    [
        (1000, 1999, 0),
        (1000, 2000, 1),
        (40, 89, 0),
        (40, 90, 1),
        (0, 50, 1),
        (0, 49, 0),
        (None, 5000, 0),
        (5, None, 0),
        (2000, 1000, 0),
    ],
)
def test_slower_is_twice_the_time_and_more_than_noise(before: float, now: float, slower: int) -> None:
    """A test of a few milliseconds is not called slower because the machine was busy."""
    assert compared([result("a", ms=before)], [result("a", ms=now)])["slower"] == slower


def test_a_test_that_fails_is_never_called_slower() -> None:
    """It may have waited for its time limit; that it fails says enough."""
    found = compared([result("a", ms=10)], [result("a", "failed", ms=5000)])
    assert (found["newly_failing"], found["slower"]) == (1, 0)
    assert compared([result("a", "failed", ms=10)], [result("a", ms=5000)])["slower"] == 0


def test_tests_of_one_submission_alone_do_not_count() -> None:
    """The problem may have gained or lost tests; a skipped test says nothing about the code."""
    found = compared([result("gone"), result("s")], [result("new", "failed"), result("s", "skipped")])
    assert found == {"previous": 11, "newly_passing": 0, "newly_failing": 0, "slower": 0, "tests": []}


def test_the_last_result_of_a_test_counts_and_its_id_decides() -> None:
    """A submission that was judged again has several results; a renamed test keeps its id."""
    before = [result("old name", "failed", test_id="1"), result("b", "failed"), result("b")]
    now = [result("new name", test_id="1"), result("b"), result("b", "failed"), {"type": "error_analysis"}]
    names = [(test["change"], test["test_name"]) for test in compared(before, now)["tests"]]
    assert names == [("newly_failing", "b"), ("newly_passing", "new name")]


def test_names_are_bounded() -> None:
    """Thousands of changes are counted, the first are named."""
    before = [result(f"{number}", "failed") for number in range(5000)]
    found = compared(before, [result(f"{number}") for number in range(5000)])
    assert (found["newly_passing"], len(found["tests"])) == (5000, TESTS_MAX)
