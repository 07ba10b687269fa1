"""Which submission of a user counts. Pure."""

from __future__ import annotations

from typing import Any

import pytest

from subcli.server.log.standings import Judged, Which, counted, cursor_of, name_of


def row(number: int, verdict: str | None = "failed", **summary: Any) -> Judged:
    return Judged(number, "python", "completed", verdict, summary or None, float(number), 1)


@pytest.mark.parametrize(
    ("rows", "which", "expected"),
    [
        ([], "best", None),
        ([row(1), row(2)], "best", 1),
        ([row(1), row(2)], "last", 2),
        ([row(1, passed=3), row(2, passed=5), row(3, passed=5)], "best", 2),
        ([row(1, passed=9), row(2, "passed", passed=2)], "best", 2),
        ([row(1, score=70.0, passed=2), row(2, score=80, passed=1)], "best", 2),
        ([row(1, passed=5), row(2, score=0.0)], "best", 2),
        ([row(1, score="70"), row(2, score=True), row(3, score=1)], "best", 3),
        ([row(1), row(2, "cancelled", passed=9), row(3, "error"), row(4, None)], "best", 1),
        ([row(1), row(2, "cancelled"), row(3, "error"), row(4, None)], "last", 1),
        ([row(1, "cancelled"), row(2, None)], "last", 2),
        ([row(1, "build_failed"), row(2, "error", passed=3)], "best", 1),
    ],
)
def test_what_counts(rows: list[Judged], which: Which, expected: int | None) -> None:
    """Passed before points before tests before time; what says nothing about the code only if there is nothing else."""
    found = counted(rows, which)
    assert (None if found is None else found.id) == expected


@pytest.mark.parametrize("bad", ["", "x", "é", "YWZ0ZXI", "YWZ0ZXIgCg"])
def test_cursors(bad: str) -> None:
    """A name comes back; anything else is refused."""
    assert name_of(cursor_of("ada")) == "ada"
    with pytest.raises(ValueError, match="not a cursor of results"):
        name_of(bad)
