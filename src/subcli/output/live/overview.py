"""One frame of the live screen for several submissions: a line for each, then details of those that fail. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from rich.cells import cell_len

from subcli.output.live.bar import bar, progress_text
from subcli.output.live.frame import (
    TABLE_MAX_COLUMNS,
    TEXT_MAX_COLUMNS,
    Frame,
    FrameInput,
    Viewport,
    analyses,
    test_rows,
)
from subcli.output.live.roster import Totals
from subcli.output.live.summary import ending_mark
from subcli.output.text import parts, words
from subcli.output.text.lines import Line, clip
from subcli.output.text.theme import ACCENT, BAD, DIM, ELLIPSIS, FAIL, GOOD, RETRY, STRONG, WARN, spinner

_BAR_MIN: Final = 4
_BAR_MAX: Final = 30
_PROBLEM_MAX: Final = 32
_STATE_CELLS: Final = 14
_STATE_USUAL_CELLS: Final = 8
_RUNNING_MIN: Final = 8
_NARROW_COLUMNS: Final = 72
_TEST_ROWS_MIN: Final = 2
_DETAIL_LINES_MIN: Final = 4
"""With fewer lines, the details of a submission would not help."""


class _Columns(NamedTuple):
    """Column widths that fit the content of every row."""

    id: int
    problem: int
    progress: int
    failed: int

    @staticmethod
    def of(submissions: Sequence[FrameInput]) -> _Columns:
        snapshots = [submission.snapshot for submission in submissions]
        return _Columns(
            max((len(str(snapshot.id)) for snapshot in snapshots), default=0) + 1,
            max((cell_len(clip(snapshot.problem or "", _PROBLEM_MAX)) for snapshot in snapshots), default=0),
            max([5, *(len(progress_text(snapshot)) for snapshot in snapshots)]),
            max([3, *(len(str(snapshot.counts.not_passed)) + 2 for snapshot in snapshots)]),
        )


class Everyone(NamedTuple):
    """What a frame shows of several submissions.

    Attributes:
        totals: How many there are, and how many have ended.
        elapsed_s: How long they have been watched.
        visible: Those that fit: all, or the most urgent ones.
    """

    totals: Totals
    elapsed_s: float
    visible: Sequence[FrameInput]


def several(everyone: Callable[[float, int], Everyone], now: float, viewport: Viewport) -> Frame:
    """Return a frame for several submissions. Its cost does not grow with their number.

    Args:
        everyone: Returns, for ``now`` and a number of lines, what is shown of all submissions.
        now: The clock's seconds.
        viewport: The space there is.
    """
    width = max(min(viewport.columns - 2 * parts.MARGIN, TABLE_MAX_COLUMNS), 10)
    text_width = width * 3 // 4 if viewport.roomy and width >= _NARROW_COLUMNS else width
    gap = [Line()] if viewport.roomy else []
    totals, elapsed_s, listed = everyone(now, viewport.lines - 1 - len(gap))
    lines = [_totals(totals, elapsed_s, width), *gap]
    columns = _Columns.of(listed)
    lines += [_row(submission, now, width, text_width, columns) for submission in listed]
    if len(listed) < totals.submissions:
        lines.append(Line(f"{ELLIPSIS} {words.number(totals.submissions - len(listed))} more", DIM))
    # If not all are listed, there is no space for details either.
    failing = [each for each in listed if each.snapshot.counts.not_passed or each.snapshot.analyses]
    result_rows = 0
    while failing and (free := viewport.lines - len(lines) - 1) >= _DETAIL_LINES_MIN:
        share = max(free // len(failing), _DETAIL_LINES_MIN)
        block = _details(failing.pop(0), width, share)
        result_rows += block.result_rows
        lines += [Line(), *block.lines]
    return Frame(parts.on_screen(lines, viewport.columns, viewport.lines), result_rows)


def _details(submission: FrameInput, width: int, available: int) -> Frame:
    """The failed tests and analyses of one submission, in at most ``available`` lines."""
    snapshot = submission.snapshot
    failed = snapshot.counts.not_passed
    free = available - 1
    wanted = max(min(failed, _TEST_ROWS_MIN), min(failed, free // 2))
    below = analyses(snapshot, min(width, TEXT_MAX_COLUMNS), free - 1 - wanted)
    rows = test_rows(snapshot, width, free - (len(below) + 1 if below else 0), compact=True)
    gap = [Line()] if rows and below else []
    return Frame([parts.title(snapshot, width), *rows, *gap, *below], len(rows))


def _totals(totals: Totals, elapsed_s: float, width: int) -> Line:
    """How many submissions passed, did not pass, and are running; the elapsed time."""
    line = Line(f"{words.number(totals.submissions)} submissions", STRONG)
    for word, count, style in (
        ("passed", totals.passed, GOOD),
        ("not passed", totals.not_passed, BAD),
        ("running", totals.running, DIM),
    ):
        if count:
            line.put("   ").put(f"{words.number(count)} {word}", style)
    return line.put("   ").put(words.elapsed(elapsed_s), STRONG).cut(width)


def _row(submission: FrameInput, now: float, width: int, text_width: int, columns: _Columns) -> Line:
    """Mark, id, problem, bar, progress, failures, time and state, each in its column."""
    snapshot = submission.snapshot
    problem = min(columns.problem, max(text_width * 3 // 10, 8))
    line = Line(spinner(now), ACCENT)
    if submission.ending is not None:
        mark = ending_mark(submission.ending)
        line = Line(mark.glyph, mark.style)
    line.put(" ").put(f"#{snapshot.id}").pad_to(2 + columns.id + 1)
    line.put(clip(snapshot.problem or "", problem)).pad_to(2 + columns.id + 1 + problem + 1)
    clock = f"{words.elapsed(submission.elapsed_s):>6}"
    state_cells = _STATE_CELLS if text_width == width else _STATE_USUAL_CELLS
    bar_cells = text_width - line.cells - columns.progress - columns.failed - len(clock) - state_cells - 4
    if bar_cells >= _BAR_MIN:
        line.extend(bar(snapshot, now, min(bar_cells, _BAR_MAX))).put(" ")
    line.put(f"{progress_text(snapshot):>{columns.progress}} ")
    failed = f"{snapshot.counts.not_passed} {FAIL}" if snapshot.counts.not_passed else ""
    line.put(f"{failed:>{columns.failed}}", BAD).put(clock, DIM).put("  ")
    line.extend(_state(submission, now))
    return line.put(_running(submission, now, width - line.cells), DIM).cut(width)


def _running(submission: FrameInput, now: float, room: int) -> str:
    """The test that runs and for how long, if there is room for enough of its name."""
    running = submission.running
    if running is None or submission.ending is not None or submission.connection.state == "reconnecting":
        return ""
    seconds = words.whole_seconds(now - running.since)
    cells = room - cell_len(seconds) - 3
    return f"  {clip(running.name, cells)} {seconds}" if cells >= _RUNNING_MIN else ""


def _state(submission: FrameInput, now: float) -> Line:
    """The state of a submission in one or two words."""
    snapshot, ending = submission.snapshot, submission.ending
    if ending is not None:
        mark = ending_mark(ending)
        return Line(clip(mark.word, _STATE_CELLS), mark.style)
    if submission.connection.state == "reconnecting":
        seconds = words.remaining(submission.connection, submission.connection_since, now)
        return Line(f"{RETRY} retry in {seconds} s" if seconds else f"{RETRY} reconnecting", WARN)
    state = Line(clip(snapshot.status or "waiting", _STATE_CELLS))
    if snapshot.queue_position is not None and snapshot.queue_position > 0:
        state.put(f", no. {words.number(snapshot.queue_position)}", DIM)
    if submission.connection.state == "polling":
        state.put(f" {RETRY}", WARN)
    return state
