"""The results in a log: the last one of each test counts, wherever it came from."""

from __future__ import annotations

import json
from typing import Any

from subcli.server.log.results import last_results, summary_of


def result(name: str, status: str, **more: Any) -> str:
    return json.dumps({"type": "test_result", "test_name": name, "status": status, **more})


def analysis(name: str, text: str, **more: Any) -> str:
    return json.dumps({"type": "error_analysis", "test_name": name, "analysis": text, **more})


def test_the_last_result_of_a_test_counts() -> None:
    """In the order in which the tests first ended."""
    rows = last_results([result("One", "failed"), result("Two", "passed"), result("One", "passed")])
    assert [(row["test_name"], row["status"]) for row in rows] == [("One", "passed"), ("Two", "passed")]


def test_the_id_tells_tests_of_one_name_apart() -> None:
    """Where there is one; the name and the id of another test do not collide."""
    rows = last_results(
        [
            result("Same", "failed", test_id=1),
            result("Same", "passed", test_id=2),
            result("Same", "skipped"),
            result("Renamed", "passed", test_id=1),
        ]
    )
    assert [(row["test_name"], row["status"]) for row in rows] == [
        ("Renamed", "passed"),
        ("Same", "passed"),
        ("Same", "skipped"),
    ]


def test_an_analysis_belongs_to_its_result() -> None:
    """It becomes a field of the result that it explains; a new result of the test has none yet."""
    payloads = [
        result("One", "failed", test_id=1),
        result("Two", "failed", test_id=2),
        analysis("Two", "off by one", test_id=2),
        analysis("Nobody", "lost", test_id=3),
    ]
    one, two = last_results(payloads)
    assert "error_analysis" not in one
    assert two["error_analysis"]["analysis"] == "off by one"
    assert "error_analysis" not in last_results([*payloads, result("Two", "passed", test_id=2)])[1]


def test_a_summary_counts_errors_as_failed_and_skipped_as_neither() -> None:
    """The total is at least the announced one; the duration is in milliseconds and never negative."""
    payloads = [result(status, status) for status in ("passed", "failed", "error", "skipped")]
    expected = {"total_tests": 10, "passed": 1, "failed": 2, "duration_ms": 1500}
    assert summary_of(payloads, 10, 1.5) == expected
    assert summary_of(payloads, None, 0.0004)["total_tests"] == 4
    assert summary_of(payloads, 3, -1.0) == {**expected, "total_tests": 4, "duration_ms": 0}
