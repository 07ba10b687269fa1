"""The pages of ``list`` and ``status``."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

import pytest
from rich.cells import cell_len

from subcli.core.submission import read_row
from subcli.output.pages.tables import TABLE_ROWS_MAX, age, submission_page, submissions_table
from subcli.output.terminal.console import make_console
from subcli.output.text.lines import AdaptiveBlock
from tests.output.conftest import with_colours
from tests.output.playhouse.script import CASES, DURATIONS, GROUPS, NAMES, SPLIT, TIMERS, TWICE, TWO_LEADERS

NOW = 1772360000.0
ROWS: list[dict[str, Any]] = [
    {
        "submission_id": 112,
        "problem": "leader-election",
        "language": "python",
        "status": "completed",
        "final_status": "failed",
        "summary": {"total_tests": 10, "passed": 8, "failed": 2, "duration_ms": 25249},
        "created_at": "2026-03-01T10:00:00Z",
        "url": "http://127.0.0.1:8000/submissions/112",
    },
    {"id": 13, "problem": "kv-store-with-a-rather-long-name", "language": "c", "status": "testing"},
    {
        "id": 9,
        "problem_id": 3,
        "language": "中文",
        "status": "completed",
        "final_status": "passed",
        "summary": {"total_tests": 4, "passed": 4, "duration_ms": "soon"},
        "created_at": "2026-02-28T09:00:00",
    },
    {"id": 8, "final_status": "build_failed", "created_at": "yesterday", "summary": 7},
]


def printed(page: AdaptiveBlock, columns: int, **env: str) -> str:
    stream = io.StringIO()
    make_console(stream, {"COLUMNS": str(columns), **env}).print(page)
    return stream.getvalue()


def scored() -> list[dict[str, Any]]:
    """Results with outcomes, groups, points and measured resources."""
    return [
        {"test_name": name, "status": outcome if outcome in ("passed", "skipped") else "failed", "outcome": outcome,
         "group": name.rpartition("/")[0], "score": points if outcome == "passed" else 0, "max_score": points, **fields}
        for name, points, outcome, fields in CASES
    ]  # fmt: skip


def results() -> list[dict[str, Any]]:
    """Test results as our server lists them, each with its analysis."""
    rows: list[dict[str, Any]] = [
        {"test_name": name, "status": "passed", "duration_ms": duration}
        for name, duration in zip(NAMES, DURATIONS, strict=True)
    ]
    rows[2].update(TWO_LEADERS, status="failed", error_analysis={**TWICE, "test_name": NAMES[2]})
    rows[3].update(SPLIT, status="failed", error_analysis=TIMERS)
    rows[4].update(status="skipped", duration_ms=None, error_analysis={"error": 3})
    return rows


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_approved_list(approved: Callable[[str, str], None], columns: int) -> None:
    """Columns fit their content; the problem is shortened if the table is too wide."""
    rows = [read_row(row, submission_id=row.get("submission_id", row.get("id", 0)), url=row.get("url")) for row in ROWS]
    approved(f"list-{columns}", printed(submissions_table(rows, NOW), columns))


def test_empty_list_suggests_a_command() -> None:
    """The next command stands there instead of a bare heading."""
    assert printed(submissions_table([], NOW), 80) == "No submissions yet. subcli submit submits one.\n"


@pytest.mark.parametrize("columns", [60, 100])
def test_approved_status_page(approved: Callable[[str, str], None], columns: int) -> None:
    """All tests, every failure in full with its analysis, the verdict last."""
    page = submission_page({**ROWS[0], "build_log": "cc -O2 node.c\n"}, results())
    approved(f"status-{columns}", printed(page, columns))


@pytest.mark.parametrize("columns", [60, 100])
def test_approved_page_with_points(approved: Callable[[str, str], None], columns: int) -> None:
    """Groups with their points, each test with its label, time and memory."""
    summary = {"total_tests": 8, "passed": 4, "failed": 3, "skipped": 1, "score": 40, "max_score": 100,
               "groups": GROUPS}  # fmt: skip
    fields = {**ROWS[0], "problem": "bus-routes", "summary": summary}
    approved(f"status-points-{columns}", printed(submission_page(fields, scored()), columns))


def test_approved_colours(approved: Callable[[str, str], None]) -> None:
    """Verdicts and failures can be seen from afar; numbers that one types are bold, what accompanies is dim."""
    rows = [read_row(row, submission_id=row.get("submission_id", row.get("id", 0)), url=row.get("url")) for row in ROWS]
    summary = {"total_tests": 8, "passed": 4, "failed": 3, "skipped": 1, "score": 40, "max_score": 100,
               "groups": GROUPS}  # fmt: skip
    pages = {
        "list": submissions_table(rows, NOW),
        "none": submissions_table([], NOW, "subcli submit --server x"),
        "status": submission_page({**ROWS[0], "build_log": "cc -O2 node.c\n"}, results()),
        "points": submission_page({**ROWS[0], "problem": "bus-routes", "summary": summary}, scored()),
        "running": submission_page({**ROWS[1], "submission_id": 13, "created_at": "2026-03-01"}, results()[:4]),
        "lost": submission_page({"submission_id": 7}, []),
    }
    text = "".join(f"== {name}\n{printed(page, 100, FORCE_COLOR='1')}" for name, page in pages.items())
    approved("colours-tables", with_colours(text))


@pytest.mark.parametrize("columns", [30, 40, 50, 70])
def test_list_is_never_wider_than_the_terminal(columns: int) -> None:
    """Columns that matter less are left out, and the rest is cut."""
    rows = [read_row(row, submission_id=row.get("submission_id", row.get("id", 0)), url=row.get("url")) for row in ROWS]
    lines = printed(submissions_table(rows, NOW), columns).splitlines()
    assert max(map(cell_len, lines)) <= columns
    assert lines[0].split()[:2] == ["ID", "PROBLEM"]


def test_running_submission_has_no_points_yet() -> None:
    """Only who grades knows what the tests so far are worth together."""
    text = printed(submission_page({"submission_id": 13, "status": "testing"}, scored()[:4]), 100)
    assert "4 passed" in text
    assert "20/20" in text
    assert "points" not in text


def test_list_has_a_column_for_points_where_there_are_any() -> None:
    """Beside the tests; without a submission that has points, the list is as it was."""
    row = read_row({**ROWS[0], "summary": {"score": 62.5, "max_score": 100}}, submission_id=112, url=None)
    other = read_row(ROWS[2], submission_id=9, url=None)
    text = printed(submissions_table([row, other], NOW), 120)
    assert text.splitlines()[0].split() == ["ID", "PROBLEM", "LANGUAGE", "STATUS", "TESTS", "POINTS", "TIME", "AGE"]
    assert "62.5/100" in text.splitlines()[1]
    assert "POINTS" not in printed(submissions_table([other], NOW), 120)


def test_running_submission_shows_its_stage() -> None:
    """Without a verdict, the page shows the stage and the counts so far."""
    text = printed(submission_page({**ROWS[1], "submission_id": 13}, results()[:2]), 80)
    assert text.splitlines()[-2:] == ["● testing  2 passed", "kv-store-with-a-rather-long-name · c · #13"]


def test_analysis_without_its_test_is_shown() -> None:
    """An analysis that names another test, or none, still appears; text lines are at most 100 cells wide."""
    row = {"test_name": "x", "status": "passed", "error_analysis": {"test_name": "y", "error": "word " * 60}}
    lines = printed(submission_page(ROWS[0], [row]), 200).splitlines()
    assert any(line.startswith("✗ y ─") for line in lines)
    assert max(map(len, lines)) == 100


def test_status_of_a_failed_build_shows_the_whole_log() -> None:
    """Other servers say so in ``status`` only."""
    log = "\n".join(f"line {number}" for number in range(100))
    text = printed(submission_page({"submission_id": 1, "status": "build_failed", "build_log": log}, []), 80)
    assert "line 0\n" in text


def test_expected_and_actual_are_not_cut() -> None:
    """The page shows in full what the live view shortens."""
    row = {
        "test_name": "x",
        "status": "failed",
        "expected": "a\n" * 300 + "end",
        "actual": "b" * 5000,
        "output": "o" * 999,
    }
    text = printed(submission_page(ROWS[0], [row]), 80)
    assert text.count("- a") == 300
    assert text.count("b") >= 5000
    assert text.count("o") >= 999
    assert "…" not in text


def test_failed_build_shows_the_whole_log() -> None:
    """Otherwise its end suffices."""
    log = "\n".join(f"line {number}" for number in range(100))
    failed = printed(submission_page({"submission_id": 1, "final_status": "build_failed", "build_log": log}, []), 80)
    assert "line 0\n" in failed
    passed = printed(submission_page({"submission_id": 1, "final_status": "passed", "build_log": log}, []), 80)
    assert "line 0\n" not in passed
    assert "line 99\n" in passed


def test_passed_tests_of_a_large_run_are_counted() -> None:
    """Thousands of lines would hide the one that failed."""
    rows = [{"test_name": f"case {number}", "status": "passed"} for number in range(TABLE_ROWS_MAX + 1)]
    rows[7]["status"] = "error"
    text = printed(submission_page(ROWS[0], rows), 80)
    assert f"… {TABLE_ROWS_MAX} more passed" in text
    assert "! case 7" in text
    assert "case 8" not in text


@pytest.mark.parametrize(
    ("timestamp", "text"),
    [
        ("2026-03-01T10:13:20Z", "just now"),
        ("2026-03-01T10:13:50Z", "just now"),
        ("2026-03-01T10:12:20Z", "1 minute ago"),
        ("2026-03-01T08:13:20", "2 hours ago"),
        ("2026-02-27T10:13:20+00:00", "2 days ago"),
        ("2025-02-27T10:13:20Z", "2025-02-27"),
        ("once", "once"),
        (17, ""),
        (None, ""),
    ],
)
def test_age(timestamp: object, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest unit that fits; times without a zone are UTC, wherever somebody reads them."""
    for zone in ("UTC", "America/New_York"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        assert age(timestamp, NOW) == text
    monkeypatch.undo()
    time.tzset()
