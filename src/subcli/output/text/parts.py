"""The parts that views are built from: title, counts, stages. Functions from data to lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from subcli.core.submission import Connection, Counts, Points, Stage, Submission
from subcli.output.terminal.terminal import linked
from subcli.output.text import measures, words
from subcli.output.text.lines import Line, clip
from subcli.output.text.theme import (
    ACCENT,
    BAD,
    BAR_EMPTY,
    CIRCLE,
    DIM,
    DOT,
    GOOD,
    MIDDLE_DOT,
    PASS,
    PLAIN,
    RETRY,
    STRONG,
    WARN,
    Mark,
    spinner,
    test_mark,
    verdict_mark,
)
from subcli.shared.messages import StatusUpdate
from subcli.shared.protocol import TERMINAL_STATUSES

MARGIN: Final = 1
"""Columns left free on either side of the screen."""

_RULE_MIN_CELLS: Final = 3
"""The least space of a rule, with the spaces around it."""
_WORD_CELLS: Final = 24
_URL_CELLS: Final = 2000
_STAGE_MIN_MS: Final = 50.0
_COUNT_STYLES: Final = {"passed": GOOD, "failed": BAD, "error": BAD, "skipped": DIM}


def indented(lines: Iterable[Line], by: int = MARGIN) -> list[Line]:
    """Return the same lines, indented."""
    return [Line().pad_to(by).extend(line) if line.cells else line for line in lines]


def on_screen(lines: Sequence[Line], columns: int, height: int) -> list[Line]:
    """Return lines with their margin, cut to the size of the terminal."""
    return [line.cut(columns) for line in indented(lines[:height])]


def submitted(submission_id: int, answer: Mapping[str, Any], width: int) -> list[Line]:
    """Return ``submitted #12  http://…``; a long address gets a line of its own, so that it can be copied whole."""
    url = answer.get("url")
    line = Line("submitted ", DIM).put(f"#{submission_id}", linked(STRONG, url if isinstance(url, str) else None))
    if not isinstance(url, str) or not url:
        return [line]
    address = clip(url, _URL_CELLS)
    if line.cells + 2 + len(address) > width:
        return [line, Line(address, DIM)]
    return [line.put("  ").put(address, DIM)]


def title(snapshot: Submission, width: int, *, strong: bool = True) -> Line:
    """Return ``leader-election · python · #12``; problem and language if they are known."""
    number = snapshot.name
    available = max(width - len(number) - 3, 8)
    line = Line()
    if snapshot.problem:
        line.put(clip(snapshot.problem, available), STRONG if strong else PLAIN).put(f" {MIDDLE_DOT} ", DIM)
    if snapshot.language and available - line.cells > len(snapshot.language):
        line.put(clip(snapshot.language, _WORD_CELLS)).put(f" {MIDDLE_DOT} ", DIM)
    return line.put(number, linked(PLAIN if line.cells else STRONG, snapshot.url))


def counts(numbers: Counts, gap: str = "   ", *, short: bool = False) -> Line:
    """Return ``5 passed   2 failed``, or ``✓ 5   ✗ 2`` if ``short``."""
    line = Line()
    for word, count in words.nonzero_counts(numbers):
        text = f"{test_mark(word).glyph} {words.number(count)}" if short else f"{words.number(count)} {word}"
        line.put(gap if line.cells else "").put(text, _COUNT_STYLES[word])
    return line


def points(some: Points | None, *, short: bool = False) -> Line:
    """Return ``40/100 points``, or ``40/100 pts`` if ``short``; nothing where there are none."""
    if some is None:
        return Line()
    return Line(f"{measures.points(some)} pts" if short else measures.points_in_words(some), STRONG)


def badge(mark: Mark) -> Line:
    """Return a verdict as a badge."""
    return Line(" ", mark.badge).put(f"{mark.glyph} {clip(mark.word, 40)}", mark.badge).put(" ", mark.badge)


def section(heading: Line, width: int, facts: Sequence[str]) -> list[Line]:
    """Return the heading of a section: ``heading``, a rule, and as many of the facts as fit, at the end of the width.

    A heading that is too long continues below.
    """
    *above, last = heading.folded(width, 2)
    right = f" {MIDDLE_DOT} ".join(facts)
    if last.cells + len(right) + _RULE_MIN_CELLS > width:
        right = facts[0] if facts else ""
    if last.cells + len(right) + _RULE_MIN_CELLS > width:
        return [*above, last, *([Line().pad_to(2).put(right, DIM)] if right else [])]
    stroke = width - last.cells - 1 - (len(right) + 1 if right else 0)
    last.put(" ").put(BAR_EMPTY * stroke, DIM)
    return [*above, last.put(f" {right}", DIM) if right else last]


# -- connection -----------------------------------------------------------------------------------


def connection(state: Connection, since: float, now: float) -> Line:
    """Return ``● live``, or the state of reconnecting with its countdown."""
    seconds = words.remaining(state, since, now)
    wait = f" in {seconds} s" if seconds else ""
    match state.state:
        case "open":
            return Line(DOT, GOOD).put(" live")
        case "reconnecting":
            return Line(f"{RETRY} reconnecting{wait}", WARN)
        case "polling":
            return Line(f"{RETRY} polling{wait}", WARN)
        case "closed":
            return Line(f"{CIRCLE} closed", DIM)
        case _:
            return Line(f"{CIRCLE} connecting", DIM)


def connection_line(state: Connection, cells: int) -> Line:
    """Return a change of the connection as a sentence."""
    if state.state == "polling":
        line = Line("no live connection, polling instead", WARN)
    else:
        wait = words.remaining(state, 0.0, 0.0)
        line = Line(f"reconnecting in {wait} s" if wait else "reconnecting", WARN)
        if state.attempt is not None:
            line.put(f" (attempt {state.attempt})", DIM)
    reason = clip(words.connection_reason(state), cells)
    return line.put(f": {reason}", DIM) if reason else line


# -- stages ---------------------------------------------------------------------------------------


def stage_facts(update: StatusUpdate, cells: int) -> list[str]:
    """Return what a status says besides its name: queue position, number of tests, detail."""
    facts = []
    if update.queue_position is not None and update.queue_position > 0:
        facts.append(f"position {words.number(update.queue_position)} in the queue")
    if update.total_tests is not None and update.total_tests > 0:
        facts.append(words.tests(update.total_tests))
    if update.detail:
        facts.append(clip(update.detail.strip().split("\n")[0], cells))
    return facts


def stages(snapshot: Submission, now: float, width: int, running: str = "") -> Line:
    """Return the completed stages, each with its duration, and the current one.

    Args:
        snapshot: The submission.
        now: The clock's seconds.
        width: The width in cells.
        running: What the current stage is busy with: a test and its time.
    """
    attempt = snapshot.attempt or 1
    reached = [stage for stage in snapshot.stages if (stage.attempt or 1) == attempt]
    done = [_completed_stage(stage, after) for stage, after in pairwise(reached)]
    last = _current_stage(snapshot, reached[-1].status if reached else "", now)
    for fact in (*_current_facts(snapshot, width), *([running] if running else [])):
        last.put(f" {MIDDLE_DOT} {fact}", DIM)
    attempts = Line(f"attempt {attempt}", WARN) if attempt > 1 else Line()
    available = width - (attempts.cells + 2 if attempts.cells else 0)
    while done and sum(part.cells + 3 for part in done) + last.cells > available:
        done.pop(0)
    line = Line()
    for part in done:
        line.extend(part).put("   ")
    line = line.extend(last).cut(available)
    return line.pad_to(width - attempts.cells).extend(attempts) if attempts.cells else line


def _completed_stage(stage: Stage, after: Stage) -> Line:
    line = Line(PASS, GOOD).put(" ").put(clip(stage.status, _WORD_CELLS), DIM)
    ms = _milliseconds(stage.timestamp, after.timestamp)
    return line.put(f" {words.total_duration(ms)}", DIM) if ms is not None and ms >= _STAGE_MIN_MS else line


def _milliseconds(begin: str | None, end: str | None) -> float | None:
    """Return the time between two timestamps of one server; ``None`` if they cannot be compared."""
    if begin is None or end is None:
        return None
    try:
        return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds() * 1000
    except (ValueError, TypeError, OverflowError):
        return None


def _current_stage(snapshot: Submission, status: str, now: float) -> Line:
    """The current stage, or how judging ended."""
    if snapshot.verdict is not None:
        mark = verdict_mark(snapshot.verdict.final_status)
        return Line(f"{mark.glyph} {clip(mark.word, _WORD_CELLS)}", mark.style)
    if status in TERMINAL_STATUSES:
        mark = verdict_mark("passed" if status == "completed" else status)
        return Line(mark.glyph, mark.style).put(" ").put(status.replace("_", " "))
    return Line(spinner(now), ACCENT).put(" ").put(clip(status, _WORD_CELLS) or "waiting for the server")


def _current_facts(snapshot: Submission, width: int) -> list[str]:
    facts = []
    if snapshot.connection.state in ("reconnecting", "polling"):
        facts.append(clip(words.connection_reason(snapshot.connection), width // 2))
    if snapshot.queue_position is not None and snapshot.queue_position > 0:
        facts.append(f"position {words.number(snapshot.queue_position)} in the queue")
    if snapshot.detail:
        facts.append(clip(snapshot.detail, width // 2))
    return [fact for fact in facts if fact]
