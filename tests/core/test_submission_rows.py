"""Rows of ``GET /submissions``, whatever a server makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from subcli.core.submission import read_row
from subcli.shared.messages import Summary


def test_row_of_our_server() -> None:
    """Typed where it is shown, and complete for ``--json``."""
    raw = {
        "id": 7,
        "problem": "leader-election",
        "language": "python",
        "status": "completed",
        "final_status": "failed",
        "created_at": "2026-03-01T10:00:00Z",
        "summary": {"total_tests": 3, "passed": 2, "failed": 1, "duration_ms": 12.5},
        "queue": "a field of tomorrow",
    }
    row = read_row(raw, submission_id=7, url="http://x/submissions/7")
    assert (row.problem, row.language, row.status, row.final_status) == (
        "leader-election",
        "python",
        "completed",
        "failed",
    )
    assert row.created_at == "2026-03-01T10:00:00Z"
    assert row.summary == Summary(total_tests=3, passed=2, failed=1, duration_ms=12.5)
    assert row.fields() == {**raw, "submission_id": 7, "url": "http://x/submissions/7"}
    assert next(iter(row.fields())) == "submission_id"


@pytest.mark.parametrize("odd", [None, 3, ["x"], {"a": 1}, True])
def test_fields_of_unexpected_types_do_not_raise(odd: Any) -> None:
    """What is shown becomes text; what is computed with counts as absent."""
    names = ("problem", "language", "status", "final_status", "created_at", "summary")
    row = read_row(dict.fromkeys(names, odd), submission_id=7, url=None)
    shown = None if odd is None else str(odd)
    assert (row.problem, row.language, row.status) == (shown, shown, shown)
    assert (row.final_status, row.created_at, row.summary) == (None, None, Summary())


def test_problem_id_stands_in_for_the_problem() -> None:
    """The other platform names problems by number."""
    assert read_row({"problem_id": 3}, submission_id=7, url=None).problem == "3"
    assert read_row({"problem": "kv", "problem_id": 3}, submission_id=7, url=None).problem == "kv"


@pytest.mark.parametrize("count", ["3", True, 2.5, None])
def test_counts_of_unexpected_types_are_absent(count: Any) -> None:
    """The others are kept."""
    row = read_row({"summary": {"total_tests": count, "passed": 2}}, submission_id=7, url=None)
    assert row.summary == Summary(passed=2)
