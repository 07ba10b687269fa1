"""One frame of the live screen of one submission: what fits, of what is known. Pure; no dearer for more results.

::

    title, connection, elapsed time
    stages
    bar, counts
    tests: failures first, then the latest
    analyses: the latest first; beside all the rest where the terminal is wide
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from subcli.core.submission import Connection, Submission
from subcli.output.live.bar import bar, progress_number
from subcli.output.text import details, parts, words
from subcli.output.text.lines import Line, clip
from subcli.output.text.theme import ACCENT, BAD, FAIL, GUTTER, MID, MORE, QUIET, STRONG
from subcli.output.view import Ending
from subcli.shared.protocol import ErrorAnalysis, TestResult

WIDE: Final = 120
"""From this many columns on, analyses stand beside the tests."""

COLUMN_MAX: Final = 116
"""Rows are no wider."""

_LATEST_KEPT: Final = 3
_NARROWEST: Final = 20
_TEXT_LINES: Final = (16, 4, 2, 1)
_LIMITS: Final = details.TextLimits(values=6, fold=1)
_GUTTER_CELLS: Final = 5


class FrameInput(NamedTuple):
    """What a frame shows of one submission.

    Attributes:
        since: when ``connection`` was entered, in the clock's seconds.
        seconds: how long it has been watched.
    """

    picture: Submission
    connection: Connection
    since: float
    seconds: float
    ending: Ending | None = None


class Viewport(NamedTuple):
    """Lines to fill, and whether some of them may be blank."""

    lines: int
    roomy: bool


class Frame(NamedTuple):
    """Lines to draw, and how many rows of results were made for them."""

    lines: list[Line]
    rows: int


def single(shot: FrameInput, now: float, columns: int, room: Viewport, *, compact: bool) -> Frame:
    """The screen of one submission."""
    make = _wide if columns >= WIDE else _narrow
    return make(shot, now, columns, room, compact)


def _wide(shot: FrameInput, now: float, columns: int, room: Viewport, compact: bool) -> Frame:
    """Analyses beside all the rest."""
    width = columns - 2 * parts.MARGIN
    left = min(COLUMN_MAX, width * 58 // 100)
    lines = _head(shot, now, left, roomy=room.roomy)
    rows = test_rows(shot.picture, left, room.lines - len(lines), compact=compact)
    why = analyses(shot.picture, width - left - _GUTTER_CELLS, room.lines)
    return Frame(parts.on_screen(_beside(lines + rows, why, left), columns, room.lines), len(rows))


def _narrow(shot: FrameInput, now: float, columns: int, room: Viewport, compact: bool) -> Frame:
    """Analyses below the tests: as many lines as the tests leave, and half of them at least."""
    width = max(columns - 2 * parts.MARGIN, 10)
    text = width * 3 // 4 if room.roomy else width
    picture = shot.picture
    lines = _head(shot, now, width, roomy=room.roomy)
    left = max(room.lines - len(lines), 0)
    wanted = _rows_wanted(picture, compact=compact)
    why = analyses(picture, text, max(left - 1 - wanted, left // 2))
    rows = test_rows(picture, width, left - (len(why) + 1 if why else 0), compact=compact)
    gap = [Line()] if rows and why else []
    return Frame(parts.on_screen([*lines, *rows, *gap, *why], columns, room.lines), len(rows))


def _head(shot: FrameInput, now: float, width: int, *, roomy: bool) -> list[Line]:
    """Everything above the tests."""
    picture = shot.picture
    clock = f"   {words.elapsed(shot.seconds)}   "
    state = parts.connection(shot.connection, shot.since, now)
    top = parts.title(picture, width - len(clock) - state.cells).put(clock, STRONG).join(state)
    number = progress_number(picture)
    stroke = bar(picture, now, parts.table_cells(width) - (len(number) + 1 if number else 0))
    if number:
        stroke.put(" ").put(number, STRONG)
    counts = parts.counts(picture.counts)
    lines = [top.cut(width), parts.stages(picture, now, width)]
    if roomy:
        below = [counts] if counts.cells else []
        return [*lines, Line(), stroke, *below, *([Line()] if below or picture.analyses else [])]
    if stroke.cells + 2 + counts.cells > width:
        counts = parts.counts(picture.counts, short=True)
    return [*lines, stroke.put("  ").join(counts).cut(width)]


def _rows_wanted(picture: Submission, *, compact: bool) -> int:
    return picture.counts.not_passed if compact else picture.counts.done


def test_rows(picture: Submission, width: int, room: int, *, compact: bool) -> list[Line]:
    """Failures first, then the latest of the others, in ``room`` lines."""
    if room <= 0:
        return []
    wanted = _rows_wanted(picture, compact=compact)
    failures: Sequence[TestResult] = picture.failures
    failed = {result.key for result in failures}
    others = () if compact else picture.recent
    if wanted <= room and wanted <= len(failures) + len(others):
        latest = [result for result in others if result.key not in failed]
        return [parts.row(result, width) for result in (*failures, *latest)[:room]]
    content = room - 1
    failures = failures[: max(content - min(_LATEST_KEPT, len(others), content // 3), 0)]
    latest = []
    for result in reversed(others):
        if len(failures) + len(latest) >= content:
            break
        if result.key not in failed:
            latest.append(result)
    rows = [parts.row(result, width) for result in failures]
    rows.append(_more(picture, wanted - len(failures) - len(latest), picture.counts.not_passed - len(failures)))
    rows.extend(parts.row(result, width) for result in reversed(latest))
    return rows


def _more(picture: Submission, count: int, failed: int) -> Line:
    """``… 4,970 more``, and how many of them failed."""
    line = Line(f"{MORE} {words.number(max(count, 0))} more", QUIET)
    return line.put(f", {words.number(failed)} of them failed", QUIET) if 0 < failed < count else line


def analyses(picture: Submission, width: int, room: int) -> list[Line]:
    """The latest analyses, newest first, as many as there is room for; the newest is shortened to fit."""
    lines: list[Line] = []
    if width < _NARROWEST:
        return lines
    for event in reversed(picture.analyses):
        gap = 1 if lines else 0
        result = next((test for test in picture.failures if details.is_about(event, test)), None)
        block = _analysis(event, result, width, room - len(lines) - gap, shorten=not lines)
        if not block:
            break
        lines.extend([Line()] * gap + block)
    return lines


def _analysis(event: ErrorAnalysis, result: TestResult | None, width: int, room: int, *, shorten: bool) -> list[Line]:
    """One analysis in ``room`` lines; nothing where it does not fit, unless it may be shortened."""
    if room < 2:
        return []
    where = details.place(event.location, width // 2)
    heading = Line(FAIL, BAD).put(" ")
    about = event.test_name or event.category or "analysis"
    heading.put(clip(about, width - 2 - (len(where) + 3 if where else 0)), STRONG)
    if where:
        heading.put(f" {MID} ", QUIET).put(where, ACCENT)
    body: list[Line] = []
    known = result.message if result is not None else None
    for limit in _TEXT_LINES if shorten else _TEXT_LINES[:2]:
        body = details.analysis(event, width - 2, details.TextLimits(analysis=limit), known=known)
        if len(body) < room:
            break
    if len(body) >= room:
        if not shorten:
            return []
        body = body[: room - 1]
    values = details.values(result, width - 2, _LIMITS) if result is not None else []
    if len(body) + len(values) < room:
        body = values + body
    return [heading, *parts.indented(body, 2)]


def _beside(left: list[Line], right: list[Line], width: int) -> list[Line]:
    """Two columns with a rule between them, as far as the right one reaches."""
    lines = []
    for index in range(max(len(left), len(right))):
        line = Line().join(left[index]) if index < len(left) else Line()
        if index < len(right):
            line.to(width + 2).put(GUTTER, QUIET).put("  ").join(right[index])
        lines.append(line)
    return lines
