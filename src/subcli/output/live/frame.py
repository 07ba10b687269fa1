"""One frame of the live screen for one submission. Pure; its cost does not grow with the number of results.

::

    title, connection, elapsed time
    stages
    bar, counts
    tests: failures first, then the latest
    analyses: the latest first; in a second column where the terminal is wide
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from subcli.core.submission import Connection, Submission
from subcli.output.live.bar import bar, progress_text
from subcli.output.text import details, parts, rows, words
from subcli.output.text.causes import Causes
from subcli.output.text.lines import Line, clip
from subcli.output.text.theme import ACCENT, BAD, DIM, ELLIPSIS, FAIL, GUTTER, MIDDLE_DOT, STRONG
from subcli.output.view import Ending
from subcli.shared.messages import ErrorAnalysis, TestResult

WIDE_COLUMNS: Final = 120
"""From this width on, the analyses stand beside the tests."""

TABLE_MAX_COLUMNS: Final = 116
"""The maximum width of a test's or submission's row."""

TEXT_MAX_COLUMNS: Final = 100
"""Text in longer lines would be hard to read."""

_LATEST_KEPT: Final = 3
_ANALYSIS_MIN_CELLS: Final = 20
_ANALYSIS_LINES: Final = (16, 4, 2, 1)
"""Lines of each text of an analysis, tried one after the other until the analysis fits."""

_VALUE_LIMITS: Final = details.TextLimits(values=6, fold=1)
_GUTTER_CELLS: Final = 5


class Running(NamedTuple):
    """The test that runs, and since when, in the clock's seconds."""

    name: str
    since: float


class FrameInput(NamedTuple):
    """What a frame shows of one submission.

    Attributes:
        connection_since: When ``connection`` was entered, in the clock's seconds.
        elapsed_s: How long the submission has been watched.
        running: The test that runs, if the server has named it.
    """

    snapshot: Submission
    connection: Connection
    connection_since: float
    elapsed_s: float
    ending: Ending | None = None
    running: Running | None = None


class Viewport(NamedTuple):
    """The space for a frame, and whether some of its lines may be blank."""

    columns: int
    lines: int
    roomy: bool


class Frame(NamedTuple):
    """The lines to draw, and how many rows of test results are among them."""

    lines: list[Line]
    result_rows: int


def single(submission: FrameInput, now: float, viewport: Viewport, *, compact: bool) -> Frame:
    """Return a frame for one submission.

    Args:
        submission: What to show.
        now: The clock's seconds, for countdowns and what moves.
        viewport: The space there is.
        compact: Whether only failed tests are listed.
    """
    make = _two_columns if viewport.columns >= WIDE_COLUMNS else _one_column
    return make(submission, now, viewport, compact)


def _two_columns(submission: FrameInput, now: float, viewport: Viewport, compact: bool) -> Frame:
    """The analyses beside everything else."""
    width = viewport.columns - 2 * parts.MARGIN
    left = min(TABLE_MAX_COLUMNS, width * 58 // 100)
    lines = header(submission, now, left, roomy=viewport.roomy)
    tests = test_rows(submission.snapshot, left, viewport.lines - len(lines), compact=compact)
    right = analyses(submission.snapshot, width - left - _GUTTER_CELLS, viewport.lines)
    both = _side_by_side(lines + tests, right, left)
    return Frame(parts.on_screen(both, viewport.columns, viewport.lines), len(tests))


def _one_column(submission: FrameInput, now: float, viewport: Viewport, compact: bool) -> Frame:
    """The analyses below the tests: as many lines as the tests leave, and at least half of them."""
    width = max(viewport.columns - 2 * parts.MARGIN, 10)
    snapshot = submission.snapshot
    lines = header(submission, now, width, roomy=viewport.roomy)
    free = max(viewport.lines - len(lines), 0)
    wanted = _wanted_rows(snapshot, compact=compact)
    below = analyses(snapshot, min(width, TEXT_MAX_COLUMNS), max(free - 1 - wanted, free // 2))
    tests = test_rows(snapshot, width, free - (len(below) + 1 if below else 0), compact=compact)
    gap = [Line()] if tests and below else []
    return Frame(parts.on_screen([*lines, *tests, *gap, *below], viewport.columns, viewport.lines), len(tests))


def header(submission: FrameInput, now: float, width: int, *, roomy: bool) -> list[Line]:
    """Return everything above the tests."""
    snapshot = submission.snapshot
    clock = f"   {words.elapsed(submission.elapsed_s)}   "
    state = parts.connection(submission.connection, submission.connection_since, now)
    top = parts.title(snapshot, width - len(clock) - state.cells).put(clock, STRONG).extend(state)
    progress = progress_text(snapshot)
    progress_line = bar(snapshot, now, rows.table_cells(width) - (len(progress) + 1 if progress else 0))
    if progress:
        progress_line.put(" ").put(progress, STRONG)
    counts = _counts(snapshot)
    running = submission.running if submission.ending is None and snapshot.verdict is None else None
    fact = f"{clip(running.name, width // 2)} {words.whole_seconds(now - running.since)}" if running is not None else ""
    lines = [top.cut(width), parts.stages(snapshot, now, width, running=fact)]
    if roomy:
        groups = rows.groups_in_a_line(snapshot.groups, width)
        below = [line for line in (counts, groups) if line.cells]
        return [*lines, Line(), progress_line, *below, *([Line()] if below or snapshot.analyses else [])]
    if progress_line.cells + 2 + counts.cells > width:
        counts = _counts(snapshot, short=True)
    return [*lines, progress_line.put("  ").extend(counts).cut(width)]


def _counts(snapshot: Submission, *, short: bool = False) -> Line:
    """The tests by status, and the points."""
    line, points = parts.counts(snapshot.counts, short=short), parts.points(snapshot.points, short=short)
    return line.put("   ").extend(points) if line.cells and points.cells else line.extend(points)


def _wanted_rows(snapshot: Submission, *, compact: bool) -> int:
    return snapshot.counts.not_passed if compact else snapshot.counts.done


def test_rows(snapshot: Submission, width: int, available: int, *, compact: bool) -> list[Line]:
    """Return failures, then the latest other results, in at most ``available`` lines."""
    if available <= 0:
        return []
    wanted = _wanted_rows(snapshot, compact=compact)
    failures: Sequence[TestResult] = snapshot.failures
    failed = set(map(id, failures))
    others = () if compact else snapshot.recent
    if wanted <= available and wanted <= len(failures) + len(others):
        latest = [result for result in others if id(result) not in failed]
        shown = (*failures, *latest)[:available]
        columns = _columns(snapshot, shown, width)
        return [rows.row(result, width, columns) for result in shown]
    content = available - 1
    failures = failures[: max(content - min(_LATEST_KEPT, len(others), content // 3), 0)]
    latest = []
    for result in reversed(others):
        if len(failures) + len(latest) >= content:
            break
        if id(result) not in failed:
            latest.append(result)
    columns = _columns(snapshot, (*failures, *latest), width)
    lines = [rows.row(result, width, columns) for result in failures]
    lines.append(_more(wanted - len(failures) - len(latest), snapshot.counts.not_passed - len(failures)))
    lines.extend(rows.row(result, width, columns) for result in reversed(latest))
    return lines


def _columns(snapshot: Submission, shown: Sequence[TestResult], width: int) -> rows.Columns:
    """Failures come first, whatever their group: each row names its own where there are several."""
    return rows.Columns.of(shown, width, name="qualified" if len(snapshot.groups) > 1 else "")


def _more(count: int, failed: int) -> Line:
    """``… 4,970 more``, and how many of them failed."""
    line = Line(f"{ELLIPSIS} {words.number(max(count, 0))} more", DIM)
    return line.put(f", {words.number(failed)} of them failed", DIM) if 0 < failed < count else line


def analyses(snapshot: Submission, width: int, available: int) -> list[Line]:
    """Return the latest analyses, newest first, in at most ``available`` lines; the newest is shortened to fit."""
    lines: list[Line] = []
    if width < _ANALYSIS_MIN_CELLS:
        return lines
    causes = Causes(snapshot.analyses, snapshot.failures)
    for event, more in [(cause.first, len(cause.tests) - 1) for cause in reversed(causes.all)]:
        gap = 1 if lines else 0
        result = causes.test(event)
        block = _analysis(event, result, width, available - len(lines) - gap, shorten=not lines, more=more)
        if not block:
            break
        lines.extend([Line()] * gap + block)
    return lines


def _analysis(
    event: ErrorAnalysis, result: TestResult | None, width: int, available: int, *, shorten: bool, more: int
) -> list[Line]:
    """One analysis in at most ``available`` lines; empty if it does not fit and must not be shortened.

    ``more`` tests fail for the same cause.
    """
    if available < 2:
        return []
    place = details.place(event.location, width // 2)
    heading = Line(FAIL, BAD).put(" ")
    title = event.test_name or event.category or "analysis"
    also = f" and {words.number(more)} more" if more > 0 else ""
    heading.put(clip(title, width - 2 - len(also) - (len(place) + 3 if place else 0)), STRONG).put(also, STRONG)
    if place:
        heading.put(f" {MIDDLE_DOT} ", DIM).put(place, ACCENT)
    body: list[Line] = []
    shown_before = result.message if result is not None else None
    for limit in _ANALYSIS_LINES if shorten else _ANALYSIS_LINES[:2]:
        body = details.analysis(event, width - 2, details.TextLimits(analysis=limit, code=2), shown_before=shown_before)
        if len(body) < available:
            break
    if len(body) >= available:
        if not shorten:
            return []
        body = body[: available - 1]
    values = details.values(result, width - 2, _VALUE_LIMITS) if result is not None else []
    if len(body) + len(values) < available:
        body = values + body
    return [heading, *parts.indented(body, 2)]


def _side_by_side(left: list[Line], right: list[Line], width: int) -> list[Line]:
    """Two columns, with a rule between them as far down as the right one reaches."""
    lines = []
    for index in range(max(len(left), len(right))):
        line = Line().extend(left[index]) if index < len(left) else Line()
        if index < len(right):
            line.pad_to(width + 2).put(GUTTER, DIM).put("  ").extend(right[index])
        lines.append(line)
    return lines
