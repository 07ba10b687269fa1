"""What ``subcli list`` and ``subcli status`` print. Functions from the server's data, all of it foreign, to lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from subcli.core.catchup import missed
from subcli.core.groups import Groups, points_of
from subcli.core.submission import Counts, Group, Submission, SubmissionRow
from subcli.output.live import summary
from subcli.output.terminal.terminal import linked
from subcli.output.text import details, measures, parts, rows, words
from subcli.output.text.causes import Causes
from subcli.output.text.lines import AdaptiveBlock, Line, clip, folded
from subcli.output.text.theme import ACCENT, DIM, DOT, ELLIPSIS, STRONG, Mark, test_mark, verdict_mark
from subcli.shared.decoding import MalformedMessageError, from_mapping, read_summary
from subcli.shared.messages import Complete, ErrorAnalysis, TestResult

TEXT_MAX_COLUMNS: Final = 100
"""Text in longer lines would be hard to read."""

TABLE_ROWS_MAX: Final = 200
"""With more tests than this, only those that did not pass are listed."""

_HEADINGS: Final = ("ID", "PROBLEM", "LANGUAGE", "STATUS", "TESTS", "TIME", "AGE", "POINTS", "USER")
_POINTS: Final = 7
_USER: Final = 8
_USER_MAX: Final = 24
_WHERE_KNOWN: Final = (_POINTS, _USER)
"""The columns that are there only where a submission has them."""

_ORDER: Final = (0, _USER, 1, 2, 3, 4, _POINTS, 5, 6)
_RIGHT_ALIGNED: Final = (0, 4, 5, 6, _POINTS)
_FLEXIBLE: Final = 1
"""The column that is narrowed if the table is too wide."""

_OPTIONAL: Final = (5, 2, 4)
"""The columns that are left out if that does not suffice, in this order."""

_GAP: Final = 2
_FLEXIBLE_MIN: Final = 8
_BUILD_LINES: Final = 20
_RUNS_MAX: Final = 20
_NUMBER_MAX: Final = 1e12
_UNCUT_CELLS: Final = 2000
_VERSION_CHARS: Final = 12
"""How much of a version's name is shown; `--json` has all of it."""


# -- list -----------------------------------------------------------------------------------------


def submissions_table(
    rows: Sequence[SubmissionRow], now: float, submit: str = "subcli submit", *, none: str | None = None
) -> AdaptiveBlock:
    """Return a line for each submission, in the server's order.

    Args:
        rows: The id links to ``url``.
        now: Unix time, for the ages.
        submit: The command to suggest where there are none.
        none: What to say instead where there are none.
    """
    return AdaptiveBlock(lambda width: _submission_lines(rows, now, width, submit, none))


def _submission_lines(
    rows: Sequence[SubmissionRow], now: float, width: int, submit: str, none: str | None
) -> list[Line]:
    if not rows and none is not None:
        return [Line(none)]
    if not rows:
        return [Line("No submissions yet. ").put(submit, STRONG).put(" submits one.")]
    table = [[Line(heading, DIM) for heading in _HEADINGS], *(_submission_cells(row, now) for row in rows)]
    columns = [
        column for column in _ORDER if column not in _WHERE_KNOWN or any(cells[column].cells for cells in table[1:])
    ]
    widths = [max(line[column].cells for line in table) for column in range(len(_HEADINGS))]
    for optional in _OPTIONAL:
        if _table_cells(widths, columns) - widths[_FLEXIBLE] + _FLEXIBLE_MIN <= width:
            break
        columns.remove(optional)
    widths[_FLEXIBLE] -= min(max(_table_cells(widths, columns) - width, 0), max(widths[_FLEXIBLE] - _FLEXIBLE_MIN, 0))
    return [_table_line(line, widths, columns).cut(width) for line in table]


def _table_cells(widths: Sequence[int], columns: Sequence[int]) -> int:
    return sum(widths[column] for column in columns) + _GAP * (len(columns) - 1)


def _table_line(cells: Sequence[Line], widths: Sequence[int], columns: Sequence[int]) -> Line:
    """One row; numbers are right-aligned."""
    line = Line()
    for column in columns:
        cell, width = cells[column], widths[column]
        if cell.cells > width:
            cell = Line(clip(cell.text, width))
        start = line.cells + (_GAP if line.cells else 0)
        line.pad_to(start + (width - cell.cells if column in _RIGHT_ALIGNED else 0)).extend(cell).pad_to(start + width)
    return line


def _submission_cells(row: SubmissionRow, now: float) -> list[Line]:
    total, passed = _sensible(row.summary.total_tests), _sensible(row.summary.passed)
    mark = _mark(row.status, row.final_status)
    return [
        Line(str(row.submission_id), linked(STRONG, row.url)),
        Line(_word(row.problem)),
        Line(_word(row.language)),
        Line(f"{mark.glyph} {clip(mark.word, 24)}", mark.style),
        Line(f"{passed:.0f}/{total:.0f}" if passed is not None and total is not None else ""),
        Line(words.total_duration(_sensible(row.summary.duration_ms))),
        Line(age(row.created_at, now), DIM),
        Line(measures.points(points)) if (points := points_of(row.summary)) is not None else Line(),
        Line(clip(row.user or "", _USER_MAX)),
    ]


def _mark(status: object, final_status: object) -> Mark:
    """Return the mark of the verdict, or of the status if there is none yet."""
    if isinstance(final_status, str) and final_status:
        return verdict_mark(final_status)
    return Mark(DOT, ACCENT, str(status or "unknown"))


def _word(value: object) -> str:
    """Return a foreign value as the text of a cell."""
    return "" if value is None else clip(str(value), 60)


def _sensible(number: float | None) -> float | None:
    return number if number is not None and 0 <= number < _NUMBER_MAX else None


def age(timestamp: object, now: float) -> str:
    """Return ``3 minutes ago``, the date if it was more than a month ago, or the text itself if it is not a time."""
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


def submission_page(fields: Mapping[str, Any], tests: Sequence[Mapping[str, Any]]) -> AdaptiveBlock:
    """Return one submission in full: its tests, every failure, its build log.

    Args:
        fields: The fields of ``subcli status`` (contract, section 4).
        tests: The last result of each test, some with an ``error_analysis``.
    """
    return AdaptiveBlock(lambda width: _submission_page(fields, tests, min(width, TEXT_MAX_COLUMNS)))


def _submission_page(fields: Mapping[str, Any], tests: Sequence[Mapping[str, Any]], width: int) -> list[Line]:
    events = missed(fields, tests, None)
    results = [event for event in events if isinstance(event, TestResult)]
    verdict = next((event for event in events if isinstance(event, Complete)), None)
    analyses = [*_analyses(tests), *(event for event in events if isinstance(event, ErrorAnalysis))]
    causes = Causes(analyses, results)
    groups = Groups()
    for number, result in enumerate(results):
        groups.put(number, result, test_mark(result.status).word)
    summary_told = None if verdict is None else verdict.summary
    lines = _table(results, groups.all(summary_told), width)
    for result in results:
        if test_mark(result.status).word in ("failed", "error"):
            lines += [*summary.failure(result, analyses, width, details.UNLIMITED, causes=causes), Line()]
    for event in analyses:
        if causes.test(event) is None:
            lines += [*summary.unattached(event, width, details.UNLIMITED), Line()]
    lines += [*_build_log(fields, width), *_heading(fields, results, analyses, verdict)]
    return [*folded(lines, width), *_address(fields)]


def _table(results: Sequence[TestResult], groups: Sequence[Group], width: int) -> list[Line]:
    """All tests if they are not too many, otherwise those that did not pass."""
    listed = results
    if len(results) > TABLE_ROWS_MAX:
        listed = [result for result in results if result.status != "passed"]
    lines = rows.table(listed, width, groups)
    if len(listed) < len(results):
        lines.append(Line(f"{ELLIPSIS} {words.number(len(results) - len(listed))} more passed", DIM))
    return [*lines, Line()] if lines else []


def _analyses(tests: Sequence[Mapping[str, Any]]) -> list[ErrorAnalysis]:
    """The analyses that came with the results."""
    found = []
    for test in tests:
        analysis = test.get("error_analysis")
        if isinstance(analysis, dict):
            known = {name: test.get(name) for name in ("test_id", "test_name", "test_type")}
            try:
                event = from_mapping({**known, **analysis, "type": "error_analysis"})
            except MalformedMessageError:
                continue
            if isinstance(event, ErrorAnalysis):
                found.append(event)
    return found


def _build_log(fields: Mapping[str, Any], width: int) -> list[Line]:
    """The build log: all of it if the build failed, otherwise its end."""
    log = fields.get("build_log")
    if not isinstance(log, str):
        return []
    failed = fields.get("final_status") == "build_failed" or fields.get("status") == "build_failed"
    limits = details.UNLIMITED if failed else details.TextLimits(output=_BUILD_LINES)
    lines = details.output(log, width, limits, "build log")
    return [*lines, Line()] if lines else []


def _heading(
    fields: Mapping[str, Any],
    results: Sequence[TestResult],
    analyses: Sequence[ErrorAnalysis],
    verdict: Complete | None,
) -> list[Line]:
    """The verdict or the stage, what was submitted and when, what has changed, and the failed tests."""
    url = fields.get("url")
    snapshot = Submission(
        id=int(fields.get("submission_id") or 0),
        problem=_word(fields.get("problem")) or None,
        language=_word(fields.get("language")) or None,
        url=url if isinstance(url, str) else None,
        counts=_counts(results),
        failures=tuple(result for result in results if test_mark(result.status).word in ("failed", "error")),
        analyses=tuple(analyses),
        verdict=verdict,
    )
    if verdict is not None:
        lines = [parts.badge(verdict_mark(verdict.final_status)).put("  ").put(summary.outcome(verdict, snapshot))]
    else:
        mark = _mark(fields.get("status"), None)
        word = Line(f"{mark.glyph} {clip(mark.word, 40)}", mark.style)
        lines = [word.put("  ").extend(parts.counts(snapshot.counts))]
    lines += [parts.title(snapshot, _UNCUT_CELLS), *summary.comparison(verdict), *summary.failed(snapshot)]
    if isinstance(notice := fields.get("notice"), str):
        lines.append(Line(clip(notice, _UNCUT_CELLS)))
    created, version = _word(fields.get("created_at")), _word(fields.get("problem_version"))[:_VERSION_CHARS]
    if created:
        lines.append(Line("submitted ", DIM).put(created, DIM))
    if version:
        lines.append(Line("problem version ", DIM).put(version, DIM))
    return [*lines, *_runs(fields)]


def _runs(fields: Mapping[str, Any]) -> list[Line]:
    """The history of a submission that was judged again: a line for each run."""
    runs = fields.get("runs")
    known = [run for run in runs if isinstance(run, Mapping)] if isinstance(runs, list) else []
    if len(known) < 2:
        return []
    lines = []
    for run in known[-_RUNS_MAX:]:
        mark = _mark(run.get("status"), run.get("final_status"))
        told = read_summary(run.get("summary"))
        passed, total = _sensible(told.passed), _sensible(told.total_tests)
        line = Line(f"run {_word(run.get('run'))}  ", DIM).put(f"{mark.glyph} {clip(mark.word, 24)}", mark.style)
        if passed is not None and total is not None:
            line.put(f"  {passed:.0f}/{total:.0f}")
        if (points := points_of(told)) is not None:
            line.put("  ").put(measures.points(points))
        line.put(f"  {_word(run.get('finished_at') or run.get('asked_at'))}", DIM)
        lines.append(line.put("  shown here", DIM) if run.get("run") == fields.get("run") else line)
    return lines


def _address(fields: Mapping[str, Any]) -> list[Line]:
    """The address of the page. Not folded: the terminal wraps it, and it can still be copied in one piece."""
    url = fields.get("url")
    return [Line(clip(url, _UNCUT_CELLS), linked(DIM, url))] if isinstance(url, str) and url else []


def _counts(results: Sequence[TestResult]) -> Counts:
    statuses = [test_mark(result.status).word for result in results]
    return Counts(
        statuses.count("passed"), statuses.count("failed"), statuses.count("error"), statuses.count("skipped")
    )
