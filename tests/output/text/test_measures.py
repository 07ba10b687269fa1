"""Outcomes, memory and points in few characters."""

from __future__ import annotations

import math
from typing import Any

import pytest

from subcli.core.submission import Points
from subcli.output.text import measures
from subcli.shared.decoding import from_mapping
from subcli.shared.messages import TestResult


def result(status: str = "failed", **fields: Any) -> TestResult:
    event = from_mapping({"type": "test_result", "test_name": "x", "status": status, **fields})
    assert isinstance(event, TestResult)
    return event


@pytest.mark.parametrize(
    ("outcome", "label"),
    [
        ("wrong_answer", "WA"),
        ("time_limit", "TLE"),
        ("memory_limit", "MLE"),
        ("output_limit", "OLE"),
        ("runtime_error", "RE"),
        ("protocol_error", "PE"),
        ("judge_error", "JE"),
        ("skipped", "SKIP"),
        ("new one", ""),
        (None, ""),
    ],
)
def test_label_of_an_outcome(outcome: str | None, label: str) -> None:
    """Those that contests use; none for a test that passed, whatever its outcome says."""
    fields: dict[str, Any] = {} if outcome is None else {"outcome": outcome}
    assert measures.label(result(**fields)) == label
    assert measures.label(result("passed", **fields)) == ""
    assert measures.labelled(result(**fields), "too late") == (f"{label}: too late" if label else "too late")
    assert measures.labelled(result(**fields), "") == label


@pytest.mark.parametrize(
    ("kb", "text"),
    [
        (None, ""), (-1, ""), (1e12, ""), (math.nan, ""), (0, "0 KB"), (0.4, "0 KB"), (812, "812 KB"), (1.5, "2 KB"),
        (999.4, "999 KB"), (999.5, "1.0 MB"), (1024, "1.0 MB"), (9.94 * 1024, "9.9 MB"), (9.95 * 1024, "10 MB"),
        (12.4 * 1024, "12 MB"), (999.4 * 1024, "999 MB"), (1536 * 1024, "1.5 GB"), (999.5 * 1024**2, "1.0 TB"),
        (9e11, "838 TB"),
    ],
)  # fmt: skip
def test_memory(kb: float | None, text: str) -> None:
    """Two or three digits and a unit; empty if unknown or absurd."""
    assert measures.memory(kb) == text
    assert len(text) <= 7


@pytest.mark.parametrize(
    ("value", "text"),
    [(40, "40"), (62.5, "62.5"), (0, "0"), (100, "100"), (1 / 3, "0.33"), (-0.001, "0"), (-2, "-2"), (2.999, "3")],
)
def test_points(value: float, text: str) -> None:
    """At most two decimals, and none that say nothing; one point is one point."""
    assert measures.score(value) == text
    assert measures.points(Points(value, None)) == text
    assert measures.points(Points(value, 100)) == f"{text}/100"
    assert measures.points_in_words(Points(value, 100)) == f"{text}/100 points"
    assert measures.points_in_words(Points(1, None)) == "1 point"
    assert measures.points_in_words(Points(1, 1)) == "1/1 points"


def test_what_is_known_of_a_test() -> None:
    """Time, processor time, memory and points, as far as the server sent them."""
    fields: dict[str, Any] = {"duration_ms": 412, "cpu_ms": 400, "memory_kb": 12 * 1024, "score": 5, "max_score": 10}
    assert measures.facts(result(**fields)) == ["412 ms", "cpu 400 ms", "12 MB", "5/10"]
    assert measures.facts(result()) == []
    assert measures.facts(result(cpu_ms=3, score=5)) == ["cpu 3.0 ms", "5"]
    assert measures.points_of(result(score=5)) == "5"
    assert measures.points_of(result(max_score=5)) == ""
