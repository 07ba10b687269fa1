"""One frame of the live screen: what fits, of what is known, in lines. Pure; constant in the number of results.

One submission::

    title, connection, elapsed time
    stages
    bar, counts
    tests: failures first, then the latest
    analyses: the latest first; beside the rest where the terminal is wide
"""

from __future__ import annotations

from typing import Final, NamedTuple

from subcli.output import details, parts, words
from subcli.output.lines import Line, clip
from subcli.output.theme import (
    ACCENT,
    BAD,
    FAIL,
    FAULT,
    GOOD,
    GUTTER,
    MID,
    MORE,
    QUIET,
    STRONG,
    WARN,
    spinner,
    verdict_mark,
)
from subcli.output.view import Ending
from subcli.protocol import ErrorAnalysis, TestResult
from subcli.submission import Connection, Submission

WIDE: Final = 120
"""From this many columns on, analyses stand beside the tests."""

COLUMN_MAX: Final = 110
"""Rows are no wider: the eye has to find the way from a name to its duration."""

ROOMY: Final = 20
"""From this many lines on there are blank ones."""

_LATEST_KEPT: Final = 3
_MARGIN: Final = 1


class Shot(NamedTuple):
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


class Frame(NamedTuple):
    """Lines to draw, and how many rows of results were made for them."""

    lines: list[Line]
    rows: int


def single(shot: Shot, now: float, columns: int, height: int, *, compact: bool) -> Frame:
    """The screen of one submission in at most ``height`` lines."""
    width = max(columns - 2 * _MARGIN, 10)
    wide = columns >= WIDE
    left = min(COLUMN_MAX, width * 58 // 100) if wide else width
    lines = _head(shot, now, left, height >= ROOMY)
    picture = shot.picture
    room = max(height - len(lines), 0)
    if wide:
        rows = test_rows(picture, left, room, compact=compact)
        why = analyses(picture.analyses, width - left - 5, height - 1)
        return Frame(_margin(_beside(lines + rows, why, left)), len(rows))
    why = analyses(picture.analyses, width, max(room - 1, 0))
    wanted = _rows_wanted(picture, compact=compact)
    if why and wanted + 1 + len(why) > room:
        share = max(room - wanted - 1, room // 2)
        why = analyses(picture.analyses, width, share)
    rows = test_rows(picture, width, room - len(why) - (1 if why else 0), compact=compact)
    gap = [Line()] if rows and why else []
    return Frame(_margin([*lines, *rows, *gap, *why][:height]), len(rows))


def _head(shot: Shot, now: float, width: int, roomy: bool) -> list[Line]:
    """Everything above the tests."""
    picture = shot.picture
    lines = [top_line(parts.title(picture, width - 22), shot, now, width)]
    lines.append(parts.stages(picture, now, width))
    number = parts.progress_number(picture)
    counts = parts.counts(picture)
    if not roomy:
        stroke = parts.bar(picture, now, max(width * 2 // 5, 8))
        return [*lines, stroke.put(f" {number}" if number else "").put("   ").join(counts)]
    stroke = parts.bar(picture, now, width - (len(number) + 1 if number else 0))
    if number:
        stroke.put(" ").put(number, STRONG)
    lines += [Line(), stroke]
    if counts.cells:
        lines.append(counts)
    return [*lines, Line()] if picture.counts.done or picture.analyses else lines


def top_line(title: Line, shot: Shot, now: float, width: int) -> Line:
    """A title with connection and time at its right end."""
    right = parts.connection(shot.connection, shot.since, now).put("  ")
    right.put(f"{words.elapsed(shot.seconds):>5}", STRONG)
    return title.cut(max(width - right.cells - 1, 0)).to(width - right.cells).join(right)


def _rows_wanted(picture: Submission, *, compact: bool) -> int:
    return len(picture.failures) if compact else picture.counts.done


def test_rows(picture: Submission, width: int, room: int, *, compact: bool) -> list[Line]:
    """Failures first, then the latest of the others, in ``room`` lines."""
    if room <= 0:
        return []
    done = _rows_wanted(picture, compact=compact)
    known = {result.key for result in picture.failures}
    others = () if compact else picture.recent
    names = parts.name_cells(width)
    if done <= room and done <= len(known) + len(others):
        chosen = [*picture.failures, *(result for result in others if result.key not in known)]
        return [parts.row(result, width, names) for result in chosen[:room]]
    content = room - 1
    keep = min(_LATEST_KEPT, len(others), content // 3)
    failures = picture.failures[: max(content - keep, 0)]
    latest: list[TestResult] = []
    for result in reversed(others):
        if len(failures) + len(latest) >= content:
            break
        if result.key not in known:
            latest.append(result)
    rows = [parts.row(result, width, names) for result in failures]
    rows.append(_more(picture, len(failures), len(latest), compact=compact))
    rows.extend(parts.row(result, width, names) for result in reversed(latest))
    return rows


def _more(picture: Submission, failures: int, latest: int, *, compact: bool) -> Line:
    """``… 4,970 more``, and how many of them failed."""
    failed = picture.counts.not_passed - failures
    count = failed if compact else picture.counts.done - failures - latest
    line = Line(f"{MORE} {words.number(max(count, 0))} more", QUIET)
    return line.put(f", {words.number(failed)} of them failed", QUIET) if failed > 0 and not compact else line


def analyses(events: tuple[ErrorAnalysis, ...], width: int, room: int) -> list[Line]:
    """The latest analyses, newest first, as many as there is room for; the newest is shortened to fit."""
    lines: list[Line] = []
    if width < 20:
        return lines
    for event in reversed(events):
        gap = 1 if lines else 0
        block = _analysis(event, width, room - len(lines) - gap, first=not lines)
        if not block:
            break
        lines.extend([Line()] * gap + block)
    return lines


def _analysis(event: ErrorAnalysis, width: int, room: int, *, first: bool) -> list[Line]:
    """One analysis in ``room`` lines; nothing where it does not fit and is not the first."""
    if room < 2:
        return []
    title = Line(FAIL, BAD).put(" ")
    where = details.place(event.location, width // 2)
    name = event.test_name or event.category or "analysis"
    title.put(clip(name, width - 2 - (len(where) + 3 if where else 0)), STRONG)
    if where:
        title.put(f" {MID} ", QUIET).put(where, ACCENT)
    body: list[Line] = []
    for limit in (4, 2, 1):
        body = details.analysis(event, width - 2, limit, with_place=False)
        if len(body) < room:
            return [title, *details.indent(body, 2)]
    return [title, *details.indent(body[: room - 1], 2)] if first else []


def _beside(left: list[Line], right: list[Line], width: int) -> list[Line]:
    """Two columns with a rule between them, if there is something for the right one."""
    if not right:
        return left
    lines = []
    for index in range(max(len(left), len(right))):
        line = left[index] if index < len(left) else Line()
        line = Line().join(line).to(width + 2).put(GUTTER, QUIET)
        lines.append(line.put("  ").join(right[index]) if index < len(right) else line)
    return lines


def _margin(lines: list[Line]) -> list[Line]:
    return details.indent(lines, _MARGIN)


def several(shots: list[Shot], now: float, columns: int, height: int, *, compact: bool) -> Frame:
    """A line for each submission, and details of those that fail."""
    width = max(min(columns, COLUMN_MAX + 2) - 2 * _MARGIN, 10)
    lines = [_totals(shots, width), *([Line()] if height >= ROOMY else [])]
    room = height - len(lines)
    listed = sorted(shots, key=_urgency)[: max(room - 1, 0)] if len(shots) > room else shots
    cells = max((len(str(shot.picture.id)) for shot in shots), default=1)
    lines += [_submission_row(shot, now, width, cells) for shot in listed]
    if len(listed) < len(shots):
        lines.append(Line(f"{MORE} {len(shots) - len(listed)} more", QUIET))
    rows = 0
    for shot in shots:
        room = height - len(lines) - 2
        if room < 2 or not shot.picture.counts.not_passed:
            continue
        share = room if room < 8 else max(room // 2, 6)
        why = analyses(shot.picture.analyses, width, share // 2)
        tests = test_rows(shot.picture, width, share - len(why) - (1 if why else 0), compact=True)
        rows += len(tests)
        lines += [Line(), parts.title(shot.picture, width), *tests]
        lines += [Line(), *why] if why else []
    return Frame(_margin(lines[:height]), rows)


def _urgency(shot: Shot) -> int:
    """Failing ones first, then those that go on, then those that passed."""
    if shot.picture.counts.not_passed or (shot.ending and shot.ending.exit_code):
        return 0
    return 1 if shot.ending is None else 2


def _totals(shots: list[Shot], width: int) -> Line:
    passed = sum(1 for shot in shots if shot.ending is not None and shot.ending.exit_code == 0)
    ended = sum(1 for shot in shots if shot.ending is not None)
    line = Line(f"{len(shots)} submissions", STRONG)
    for word, count, style in (
        ("passed", passed, GOOD),
        ("not passed", ended - passed, BAD),
        ("going on", len(shots) - ended, QUIET),
    ):
        if count:
            line.put("   ").put(f"{count} {word}", style)
    clock = words.elapsed(max((shot.seconds for shot in shots), default=0.0))
    return line.to(width - len(clock)).put(clock, STRONG)


def _submission_row(shot: Shot, now: float, width: int, id_cells: int) -> Line:
    """Mark, id, problem, bar, number, state, time: each in its column."""
    picture, ending = shot.picture, shot.ending
    clock = f"{words.elapsed(shot.seconds):>5}"
    problem = min(max(width // 4, 8), 28)
    state_cells = 14 if width < 75 else 20
    line = Line()
    state = Line(clip(picture.status or "waiting", state_cells), QUIET)
    if ending is not None and ending.verdict is not None:
        mark = verdict_mark(ending.verdict.final_status)
        line.put(mark.glyph, mark.style)
        state = Line(clip(mark.word, state_cells), mark.style)
    elif ending is not None:
        line.put(FAULT, WARN)
        state = Line("no verdict", WARN)
    else:
        line.put(spinner(now), ACCENT)
        if shot.connection.state != "open":
            state = parts.connection(shot.connection, shot.since, now)
    line.put(" ").put(f"#{picture.id:<{id_cells}}").put("  ")
    line.put(clip(picture.problem or "", problem)).to(id_cells + 5 + problem + 1)
    number = f"{parts.progress_number(picture):>7}"
    stroke = max(width - line.cells - len(number) - state_cells - len(clock) - 6, 4)
    line.join(parts.bar(picture, now, stroke)).put(f" {number}  ")
    line.join(state.cut(state_cells)).to(width - len(clock))
    return line.put(clock, QUIET)
