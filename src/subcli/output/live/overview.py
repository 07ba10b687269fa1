"""One frame of the live screen of several submissions: a line for each, details of those that fail. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from rich.cells import cell_len

from subcli.output.live.bar import bar, progress_number
from subcli.output.live.frame import COLUMN_MAX, Frame, FrameInput, Viewport, analyses, test_rows
from subcli.output.live.summary import ending_mark
from subcli.output.text import parts, words
from subcli.output.text.lines import Line, clip
from subcli.output.text.theme import (
    ACCENT,
    AGAIN,
    BAD,
    FAIL,
    GOOD,
    MORE,
    QUIET,
    STRONG,
    WARN,
    spinner,
)

_BAR_MIN: Final = 4
_BAR_MAX: Final = 30
_PROBLEM_MAX: Final = 32
_STATE: Final = 14
_STATE_USUAL: Final = 8
_NARROW: Final = 72
_ROWS_MIN: Final = 2
_DETAILS_MIN: Final = 4
"""Fewer lines than these tell nothing about a submission."""


class _Columns(NamedTuple):
    """Widths that the content asks for, the same for every row."""

    id: int
    problem: int
    number: int
    failed: int

    @staticmethod
    def of(shots: Sequence[FrameInput]) -> _Columns:
        pictures = [shot.picture for shot in shots]
        return _Columns(
            max(len(str(picture.id)) for picture in pictures) + 1,
            max(cell_len(clip(picture.problem or "", _PROBLEM_MAX)) for picture in pictures),
            max(5, *(len(progress_number(picture)) for picture in pictures)),
            max(3, *(len(str(picture.counts.not_passed)) + 2 for picture in pictures)),
        )


def several(shots: Sequence[FrameInput], now: float, columns: int, space: Viewport) -> Frame:
    """The screen of several submissions."""
    height = space.lines
    width = max(min(columns - 2 * parts.MARGIN, COLUMN_MAX), 10)
    measure = width * 3 // 4 if space.roomy and width >= _NARROW else width
    lines = [_totals(shots, width), *([Line()] if space.roomy else [])]
    room = height - len(lines)
    listed = shots if len(shots) <= room else sorted(shots, key=_urgency)[: max(room - 1, 0)]
    columns_of = _Columns.of(shots)
    lines += [_row(shot, now, width, measure, columns_of) for shot in listed]
    if len(listed) < len(shots):
        lines.append(Line(f"{MORE} {len(shots) - len(listed)} more", QUIET))
    failing = [shot for shot in shots if shot.picture.counts.not_passed or shot.picture.analyses]
    rows = 0
    while failing and (room := height - len(lines) - 1) >= _DETAILS_MIN:
        block = _details(failing.pop(0), width, measure, max(room // (len(failing) + 1), _DETAILS_MIN))
        rows += block.rows
        lines += [Line(), *block.lines]
    return Frame(parts.on_screen(lines, columns, height), rows)


def _details(shot: FrameInput, width: int, measure: int, room: int) -> Frame:
    """What failed of one submission, in ``room`` lines."""
    picture = shot.picture
    failed = picture.counts.not_passed
    left = room - 1
    why = analyses(picture, measure, left - 1 - max(min(failed, _ROWS_MIN), min(failed, left // 2)))
    rows = test_rows(picture, width, left - (len(why) + 1 if why else 0), compact=True)
    gap = [Line()] if rows and why else []
    return Frame([parts.title(picture, width), *rows, *gap, *why], len(rows))


def _urgency(shot: FrameInput) -> int:
    """Failing ones first, then those that go on, then those that passed."""
    if shot.picture.counts.not_passed or (shot.ending and shot.ending.exit_code):
        return 0
    return 1 if shot.ending is None else 2


def _totals(shots: Sequence[FrameInput], width: int) -> Line:
    """How many there are, and how they stand."""
    endings = [shot.ending for shot in shots if shot.ending is not None]
    passed = sum(1 for ending in endings if ending.exit_code == 0)
    line = Line(f"{len(shots)} submissions", STRONG)
    for word, count, style in (
        ("passed", passed, GOOD),
        ("not passed", len(endings) - passed, BAD),
        ("going on", len(shots) - len(endings), QUIET),
    ):
        if count:
            line.put("   ").put(f"{count} {word}", style)
    clock = words.elapsed(max((shot.seconds for shot in shots), default=0.0))
    return line.put("   ").put(clock, STRONG).cut(width)


def _row(shot: FrameInput, now: float, width: int, measure: int, cells: _Columns) -> Line:
    """Mark, id, problem, bar, number, failures, time, state: each in its column."""
    picture = shot.picture
    problem = min(cells.problem, max(measure * 3 // 10, 8))
    line = Line(spinner(now), ACCENT)
    if shot.ending is not None:
        mark = ending_mark(shot.ending)
        line = Line(mark.glyph, mark.style)
    line.put(" ").put(f"#{picture.id}").to(2 + cells.id + 1)
    line.put(clip(picture.problem or "", problem)).to(2 + cells.id + 1 + problem + 1)
    clock = f"{words.elapsed(shot.seconds):>6}"
    state = _STATE if measure == width else _STATE_USUAL
    stroke = measure - line.cells - cells.number - cells.failed - len(clock) - state - 4
    if stroke >= _BAR_MIN:
        line.join(bar(picture, now, min(stroke, _BAR_MAX))).put(" ")
    line.put(f"{progress_number(picture):>{cells.number}} ")
    failed = f"{picture.counts.not_passed} {FAIL}" if picture.counts.not_passed else ""
    line.put(f"{failed:>{cells.failed}}", BAD).put(clock, QUIET).put("  ")
    return line.join(_state(shot, now)).cut(width)


def _state(shot: FrameInput, now: float) -> Line:
    """In one or two words, where a submission stands."""
    picture, ending = shot.picture, shot.ending
    if ending is not None:
        mark = ending_mark(ending)
        return Line(clip(mark.word, _STATE), mark.style)
    if shot.connection.state == "reconnecting":
        left = words.remaining(shot.connection, shot.since, now)
        return Line(f"{AGAIN} retry in {left} s" if left else f"{AGAIN} reconnecting", WARN)
    state = Line(clip(picture.status or "waiting", _STATE))
    if picture.queue_position is not None and picture.queue_position > 0:
        state.put(f", no. {words.number(picture.queue_position)}", QUIET)
    if shot.connection.state == "polling":
        state.put(f" {AGAIN}", WARN)
    return state
