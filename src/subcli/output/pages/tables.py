"""What ``subcli list`` and ``subcli status`` print. Functions from data to renderables; foreign text throughout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console, ConsoleOptions, RenderResult

from subcli.core.catchup import missed
from subcli.core.submission import Counts, Submission, SubmissionRow
from subcli.output.live import summary
from subcli.output.terminal.terminal import linked
from subcli.output.text import details, parts, words
from subcli.output.text.lines import Block, Line, clip
from subcli.output.text.theme import ACCENT, DOT, MORE, QUIET, STRONG, Mark, test_mark, verdict_mark
from subcli.shared.protocol import Complete, ErrorAnalysis, MalformedMessageError, TestResult, from_mapping

TEXT_MAX: Final = 100
"""Columns of what is read as text."""

TABLE_MAX: Final = 200
"""Tests that are all listed; of more, what did not pass is enough."""

_HEADINGS: Final = ("ID", "PROBLEM", "LANGUAGE", "STATUS", "TESTS", "TIME", "AGE")
_RIGHT: Final = (0, 4, 5, 6)
_FLEXIBLE: Final = 1
"""The column that gives way where there is no room."""

_SPARE: Final = (5, 2, 4)
"""The columns that are left out where that is not enough, in this order."""

_GAP: Final = 2
_NARROWEST: Final = 8
_BUILD_LINES: Final = 20
_ABSURD: Final = 1e12


class Page:
    """Lines that are made for the width that they are printed in."""

    def __init__(self, make: Callable[[int], list[Line]]) -> None:
        self._make = make

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Block(self._make(options.max_width))


# -- list -----------------------------------------------------------------------------------------


def submissions_table(rows: Sequence[SubmissionRow], now: float) -> Page:
    """A line for each submission, as the server lists them.

    Args:
        rows: ``url`` is what the id links to.
        now: Unix time, for the ages.
    """
    return Page(lambda width: _submission_lines(rows, now, width))


def _submission_lines(rows: Sequence[SubmissionRow], now: float, width: int) -> list[Line]:
    if not rows:
        return [Line("No submissions yet. ").put("subcli submit", STRONG).put(" hands one in.")]
    table = [[Line(heading, QUIET) for heading in _HEADINGS], *(_submission_cells(row, now) for row in rows)]
    columns = list(range(len(_HEADINGS)))
    widths = [max(line[column].cells for line in table) for column in columns]
    for spare in _SPARE:
        if _table_cells(widths, columns) - widths[_FLEXIBLE] + _NARROWEST <= width:
            break
        columns.remove(spare)
    widths[_FLEXIBLE] -= min(max(_table_cells(widths, columns) - width, 0), max(widths[_FLEXIBLE] - _NARROWEST, 0))
    return [_table_line(line, widths, columns).cut(width) for line in table]


def _table_cells(widths: Sequence[int], columns: Sequence[int]) -> int:
    return sum(widths[column] for column in columns) + _GAP * (len(columns) - 1)


def _table_line(cells: Sequence[Line], widths: Sequence[int], columns: Sequence[int]) -> Line:
    """One row; numbers at the right end of their columns."""
    line = Line()
    for column in columns:
        cell, room = cells[column], widths[column]
        if cell.cells > room:
            cell = Line(clip(cell.text, room))
        start = line.cells + (_GAP if line.cells else 0)
        line.to(start + (room - cell.cells if column in _RIGHT else 0)).join(cell).to(start + room)
    return line


def _submission_cells(row: SubmissionRow, now: float) -> list[Line]:
    total, passed = _sensible(row.summary.total_tests), _sensible(row.summary.passed)
    took = _sensible(row.summary.duration_ms)
    mark = _mark(row.status, row.final_status)
    return [
        Line(str(row.submission_id), linked(STRONG, row.url)),
        Line(_word(row.problem)),
        Line(_word(row.language)),
        Line(f"{mark.glyph} {clip(mark.word, 24)}", mark.style),
        Line(f"{passed:.0f}/{total:.0f}" if passed is not None and total is not None else ""),
        Line(words.total_duration(took)),
        Line(age(row.created_at, now), QUIET),
    ]


def _mark(status: object, final_status: object) -> Mark:
    """The mark of a verdict, or of being on the way."""
    if isinstance(final_status, str) and final_status:
        return verdict_mark(final_status)
    return Mark(DOT, ACCENT, str(status or "unknown"))


def _word(value: object) -> str:
    """A foreign value in a cell."""
    return "" if value is None else clip(str(value), 60)


def _sensible(number: float | None) -> float | None:
    return number if number is not None and 0 <= number < _ABSURD else None


def age(timestamp: object, now: float) -> str:
    """``3 minutes ago``; the day, where it is longer ago than a month; as it came, where it is no time."""
    if not isinstance(timestamp, str):
        return ""
    try:
        then = datetime.fromisoformat(timestamp)
        seconds = now - (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return clip(timestamp, 20)
    if seconds >= 30 * 86_400:
        return then.date().isoformat()
    return words.ago(seconds)


# -- status ---------------------------------------------------------------------------------------


def submission_page(snapshot: Mapping[str, Any], tests: Sequence[Mapping[str, Any]]) -> Page:
    """One submission as it stands: its tests, every failure in full, its build log.

    Args:
        snapshot: the fields of section 4.
        tests: the last result of each test, some with an ``error_analysis``.
    """
    return Page(lambda width: _submission_page(snapshot, tests, min(width, TEXT_MAX)))


def _submission_page(snapshot: Mapping[str, Any], tests: Sequence[Mapping[str, Any]], width: int) -> list[Line]:
    events = missed(snapshot, tests, None)
    results = [event for event in events if isinstance(event, TestResult)]
    verdict = next((event for event in events if isinstance(event, Complete)), None)
    analyses = _analyses(tests)
    lines = _table(results, width)
    for result in results:
        if test_mark(result.status).word in ("failed", "error"):
            lines += [*summary.failure(result, analyses, width, details.ALL), Line()]
    for event in analyses:
        if not any(details.is_about(event, result) for result in results):
            lines += [*summary.unattached(event, width, details.ALL), Line()]
    lines += _build_log(snapshot, width)
    return lines + _heading(snapshot, results, verdict, width)


def _table(results: Sequence[TestResult], width: int) -> list[Line]:
    """All tests where they are not too many; else those that did not pass."""
    listed = results
    if len(results) > TABLE_MAX:
        listed = [result for result in results if result.status != "passed"]
    lines = [parts.row(result, width, with_reason=test_mark(result.status).word == "skipped") for result in listed]
    if len(listed) < len(results):
        lines.append(Line(f"{MORE} {words.number(len(results) - len(listed))} more passed", QUIET))
    return [*lines, Line()] if lines else []


def _analyses(tests: Sequence[Mapping[str, Any]]) -> list[ErrorAnalysis]:
    """The analyses that stand beside the results."""
    found = []
    for test in tests:
        analysis = test.get("error_analysis")
        if isinstance(analysis, dict):
            known = {"test_id": test.get("test_id"), "test_name": test.get("test_name")}
            try:
                event = from_mapping({**known, **analysis, "type": "error_analysis"})
            except MalformedMessageError:
                continue
            if isinstance(event, ErrorAnalysis):
                found.append(event)
    return found


def _build_log(snapshot: Mapping[str, Any], width: int) -> list[Line]:
    """What the compiler said: all of it where the build failed, the end of it otherwise."""
    log = snapshot.get("build_log")
    if not isinstance(log, str):
        return []
    failed = snapshot.get("final_status") == "build_failed" or snapshot.get("status") == "build_failed"
    limits = details.ALL if failed else details.Limits(output=_BUILD_LINES)
    lines = details.output(log, width, limits, "build log")
    return [*lines, Line()] if lines else []


def _heading(
    snapshot: Mapping[str, Any], results: Sequence[TestResult], verdict: Complete | None, width: int
) -> list[Line]:
    """The verdict or the stage, what was submitted, when, and where its page is."""
    url = snapshot.get("url")
    picture = Submission(
        id=int(snapshot.get("submission_id") or 0),
        problem=_word(snapshot.get("problem")) or None,
        language=_word(snapshot.get("language")) or None,
        url=url if isinstance(url, str) else None,
        counts=_counts(results),
    )
    if verdict is not None:
        lines = [parts.badge(verdict_mark(verdict.final_status)).put("  ").put(summary.outcome(verdict, picture))]
    else:
        mark = _mark(snapshot.get("status"), None)
        lines = [Line(f"{mark.glyph} {clip(mark.word, 40)}", mark.style).put("  ").join(parts.counts(picture.counts))]
    lines.append(parts.title(picture, width))
    created = _word(snapshot.get("created_at"))
    if created:
        lines.append(Line("submitted ", QUIET).put(created, QUIET))
    if isinstance(url, str) and url:
        # Not cut: the terminal folds it, and it can still be copied as one.
        lines.append(Line(clip(url, 2000), linked(QUIET, url)))
    return lines


def _counts(results: Sequence[TestResult]) -> Counts:
    seen = [test_mark(result.status).word for result in results]
    return Counts(seen.count("passed"), seen.count("failed"), seen.count("error"), seen.count("skipped"))
