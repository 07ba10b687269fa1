"""The parts that screens are put together from: title, counts, stages, rows. Functions from data to lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from subcli.core.submission import Connection, Counts, Stage, Submission
from subcli.output.terminal.terminal import linked
from subcli.output.text import details, words
from subcli.output.text.lines import Line, clip
from subcli.output.text.theme import (
    ACCENT,
    AGAIN,
    BAD,
    DOT,
    GOOD,
    LEFT,
    MID,
    PASS,
    PLAIN,
    QUIET,
    RING,
    STRONG,
    WARN,
    Mark,
    spinner,
    test_mark,
    verdict_mark,
)
from subcli.shared.protocol import TERMINAL_STATUSES, StatusUpdate, TestResult

MARGIN: Final = 1
"""Columns left free at either side of the screen."""

_WORD: Final = 24
_TIME: Final = 7
_NOTICED_MS: Final = 50.0
_COUNT_STYLES: Final = {"passed": GOOD, "failed": BAD, "error": BAD, "skipped": QUIET}


def indented(lines: Iterable[Line], by: int = MARGIN) -> list[Line]:
    """The same lines, further to the right."""
    return [Line().to(by).join(line) if line.cells else line for line in lines]


def on_screen(lines: Sequence[Line], columns: int, height: int) -> list[Line]:
    """Lines with their margin, as many and as much of them as the terminal has room for."""
    return [line.cut(columns) for line in indented(lines[:height])]


def submitted(submission_id: int, answer: dict[str, Any], width: int) -> Line:
    """``submitted #12  http://…``."""
    url = answer.get("url")
    line = Line("submitted ", QUIET).put(f"#{submission_id}", linked(STRONG, url if isinstance(url, str) else None))
    if isinstance(url, str) and url:
        line.put("  ").put(clip(url, width - line.cells - 2), QUIET)
    return line


def title(picture: Submission, width: int, *, strong: bool = True) -> Line:
    """``leader-election · python · #12``: problem and language where they are known."""
    number = f"#{picture.id}"
    room = max(width - len(number) - 3, 8)
    line = Line()
    if picture.problem:
        line.put(clip(picture.problem, room), STRONG if strong else PLAIN).put(f" {MID} ", QUIET)
    if picture.language and room - line.cells > len(picture.language):
        line.put(clip(picture.language, _WORD)).put(f" {MID} ", QUIET)
    return line.put(number, linked(PLAIN if line.cells else STRONG, picture.url))


def counts(seen: Counts, gap: str = "   ", *, short: bool = False) -> Line:
    """``5 passed   2 failed``; ``short``: ``✓ 5   ✗ 2``."""
    line = Line()
    for word, count in words.counted(seen):
        text = f"{test_mark(word).glyph} {words.number(count)}" if short else f"{words.number(count)} {word}"
        line.put(gap if line.cells else "").put(text, _COUNT_STYLES[word])
    return line


def badge(mark: Mark) -> Line:
    """A verdict that cannot be missed."""
    return Line(" ", mark.badge).put(f"{mark.glyph} {clip(mark.word, 40)}", mark.badge).put(" ", mark.badge)


def rule(line: Line, width: int, right: str) -> Line:
    """``line``, then a stroke to ``right`` at the end of the width: begins a section."""
    stroke = width - line.cells - 1 - (len(right) + 1 if right else 0)
    line.put(" ").put(LEFT * stroke, QUIET)
    return line.put(f" {right}", QUIET) if right else line


# -- connection -----------------------------------------------------------------------------------


def connection(state: Connection, since: float, now: float) -> Line:
    """``● live``, or what is done about it with a countdown."""
    left = words.remaining(state, since, now)
    wait = f" in {left} s" if left else ""
    match state.state:
        case "open":
            return Line(DOT, GOOD).put(" live")
        case "reconnecting":
            return Line(f"{AGAIN} reconnecting{wait}", WARN)
        case "polling":
            return Line(f"{AGAIN} polling{wait}", WARN)
        case "closed":
            return Line(f"{RING} closed", QUIET)
        case _:
            return Line(f"{RING} connecting", QUIET)


def connection_line(state: Connection, cells: int) -> Line:
    """A change of connection as a sentence."""
    if state.state == "polling":
        line = Line("no live connection, asking for the state instead", WARN)
    else:
        wait = words.remaining(state, 0.0, 0.0)
        line = Line(f"reconnecting in {wait} s" if wait else "reconnecting", WARN)
        if state.attempt is not None:
            line.put(f" (attempt {state.attempt})", QUIET)
    why = clip(words.why(state), cells)
    return line.put(f": {why}", QUIET) if why else line


# -- stages ---------------------------------------------------------------------------------------


def stage_facts(update: StatusUpdate, cells: int) -> list[str]:
    """What a status says besides its name."""
    facts = []
    if update.queue_position is not None and update.queue_position > 0:
        facts.append(f"position {words.number(update.queue_position)} in the queue")
    if update.total_tests is not None and update.total_tests > 0:
        facts.append(words.tests(update.total_tests))
    if update.detail:
        facts.append(clip(update.detail.strip().split("\n")[0], cells))
    return facts


def stages(picture: Submission, now: float, width: int) -> Line:
    """The stages passed, each with the time it took, and the present one."""
    attempt = picture.attempt or 1
    reached = [stage for stage in picture.stages if (stage.attempt or 1) == attempt]
    done = [_passed(stage, after) for stage, after in pairwise(reached)]
    last = _present(picture, reached[-1].status if reached else "", now)
    for fact in _present_facts(picture, width):
        last.put(f" {MID} {fact}", QUIET)
    again = Line(f"attempt {attempt}", WARN) if attempt > 1 else Line()
    room = width - (again.cells + 2 if again.cells else 0)
    while done and sum(part.cells + 3 for part in done) + last.cells > room:
        done.pop(0)
    line = Line()
    for part in done:
        line.join(part).put("   ")
    line = line.join(last).cut(room)
    return line.to(width - again.cells).join(again) if again.cells else line


def _passed(stage: Stage, after: Stage) -> Line:
    line = Line(PASS, GOOD).put(" ").put(clip(stage.status, _WORD), QUIET)
    took = _milliseconds(stage.timestamp, after.timestamp)
    return line.put(f" {words.total_duration(took)}", QUIET) if took is not None and took >= _NOTICED_MS else line


def _milliseconds(begin: str | None, end: str | None) -> float | None:
    """Between two times as one server wrote them; ``None`` where they cannot be compared."""
    if begin is None or end is None:
        return None
    try:
        return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds() * 1000
    except (ValueError, TypeError, OverflowError):
        return None


def _present(picture: Submission, status: str, now: float) -> Line:
    """The stage that goes on, or how it ended."""
    if picture.verdict is not None:
        mark = verdict_mark(picture.verdict.final_status)
        return Line(f"{mark.glyph} {clip(mark.word, _WORD)}", mark.style)
    if status in TERMINAL_STATUSES:
        mark = verdict_mark("passed" if status == "completed" else status)
        return Line(mark.glyph, mark.style).put(" ").put(status.replace("_", " "))
    return Line(spinner(now), ACCENT).put(" ").put(clip(status, _WORD) or "waiting for the server")


def _present_facts(picture: Submission, width: int) -> list[str]:
    facts = []
    if picture.connection.state in ("reconnecting", "polling"):
        facts.append(clip(words.why(picture.connection), width // 2))
    if picture.queue_position is not None and picture.queue_position > 0:
        facts.append(f"position {words.number(picture.queue_position)} in the queue")
    if picture.detail:
        facts.append(clip(picture.detail, width // 2))
    return [fact for fact in facts if fact]


# -- rows -----------------------------------------------------------------------------------------


def name_cells(width: int) -> int:
    """The width of the column of names: the same in every frame, so that nothing jumps."""
    return min(max(width * 9 // 20, 12), 56)


def table_cells(width: int) -> int:
    """The width of mark, name and duration; the bar above them is as long."""
    return 2 + name_cells(width) + 1 + _TIME


def row(result: TestResult, width: int, *, with_reason: bool = True) -> Line:
    """One test: mark, name, how long it took, why it failed.

    The reason comes last and the duration beside the name: rows stay short, so that a terminal that is made
    narrower has little to fold.
    """
    mark = test_mark(result.status)
    line = Line(mark.glyph, mark.style).put(" ").put(clip(result.test_name, name_cells(width)))
    took = words.duration(result.duration_ms)
    reason = details.reason(result) if with_reason else ""
    if not reason and mark.word == "skipped":
        reason = mark.word
    cells = table_cells(width)
    if took:
        line.to(cells - len(took)).put(took, QUIET)
    if reason:
        line.to(cells + 2)
        line.put(clip(reason, width - line.cells), BAD if mark.word in ("failed", "error") else QUIET)
    return line
