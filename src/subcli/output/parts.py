"""The parts that screens are put together from: title, counts, stages, bar, rows. Functions from data to lines."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from rich.style import Style

from subcli.output import details, words
from subcli.output.lines import Line, clip
from subcli.output.theme import (
    ACCENT,
    AGAIN,
    BAD,
    DONE,
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
    spinner,
    test_mark,
)
from subcli.protocol import StatusUpdate, TestResult
from subcli.submission import Connection, Stage, Submission

TIME_CELLS: Final = 8
"""Room for a duration at the end of a row."""

_COUNT_STYLES: Final = {"passed": GOOD, "failed": BAD, "error": BAD, "skipped": QUIET}


def submitted(submission_id: int, answer: dict[str, Any], width: int) -> Line:
    """``Submitted #12  http://…``."""
    line = Line("submitted ", QUIET).put(f"#{submission_id}", STRONG)
    url = answer.get("url")
    if isinstance(url, str) and url:
        line.put("  ").put(clip(url, width - line.cells - 2), QUIET)
    return line


def title(picture: Submission, width: int, *, strong: bool = True) -> Line:
    """``leader-election · python · #12``: problem and language where they are known."""
    number = f"#{picture.id}"
    line = Line()
    room = max(width - len(number) - 3, 8)
    if picture.problem:
        line.put(clip(picture.problem, room), STRONG if strong else PLAIN).put(f" {MID} ", QUIET)
    if picture.language and room - line.cells > len(picture.language):
        line.put(clip(picture.language, 20)).put(f" {MID} ", QUIET)
    return line.put(number, PLAIN if line.cells else STRONG)


def counts(picture: Submission, *, gap: str = "   ") -> Line:
    """``5 passed   2 failed``."""
    line = Line()
    for word, count in words.counted(picture.counts):
        line.put(gap if line.cells else "").put(f"{words.number(count)} {word}", _COUNT_STYLES[word])
    return line


def stage_facts(update: StatusUpdate, cells: int) -> list[str]:
    """What a status says besides its name."""
    facts = []
    if update.queue_position is not None and update.queue_position > 0:
        facts.append(f"position {words.number(update.queue_position)} in the queue")
    if update.total_tests is not None and update.total_tests > 0:
        facts.append(words.tests(update.total_tests))
    if update.detail:
        facts.append(clip(update.detail, cells))
    return facts


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
    wait = f" in {state.delay_s:.0f} s" if state.delay_s is not None and 0 < state.delay_s < 1e6 else ""
    if state.state == "polling":
        line = Line("no live connection, asking for the state instead", WARN)
    else:
        line = Line(f"reconnecting{wait}", WARN)
        if state.attempt is not None:
            line.put(f" (attempt {state.attempt})", QUIET)
    why = clip(words.why(state), cells)
    return line.put(f": {why}", QUIET) if why else line


def stages(picture: Submission, now: float, width: int) -> Line:
    """The stages passed, each with the time it took, and the present one."""
    present = [stage for stage in picture.stages if (stage.attempt or 1) == (picture.attempt or 1)]
    done = [_passed(stage, after) for stage, after in pairwise(present)]
    last = Line(spinner(now), ACCENT).put(" ")
    last.put(clip(present[-1].status, 24) if present else "waiting for the server", PLAIN)
    for fact in _present_facts(picture, width):
        last.put(f" {MID} {fact}", QUIET)
    again = Line(f"attempt {picture.attempt}", WARN) if (picture.attempt or 1) > 1 else Line()
    room = width - again.cells - (2 if again.cells else 0)
    while done and sum(part.cells + 3 for part in done) + last.cells > room:
        done.pop(0)
    line = Line()
    for part in done:
        line.join(part).put("   ")
    line = line.join(last).cut(room)
    return line.to(width - again.cells).join(again) if again.cells else line


def _passed(stage: Stage, after: Stage) -> Line:
    line = Line(PASS, GOOD).put(" ").put(clip(stage.status, 24), QUIET)
    took = words.total_duration(_milliseconds(stage.timestamp, after.timestamp))
    return line.put(f" {took}", QUIET) if took else line


def _milliseconds(begin: str | None, end: str | None) -> float | None:
    """Between two times as one server wrote them; ``None`` where they cannot be compared."""
    if begin is None or end is None:
        return None
    try:
        return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds() * 1000
    except (ValueError, TypeError, OverflowError):
        return None


def _present_facts(picture: Submission, width: int) -> list[str]:
    facts = []
    if picture.queue_position is not None and picture.queue_position > 0:
        facts.append(f"position {words.number(picture.queue_position)} in the queue")
    if picture.detail:
        facts.append(clip(picture.detail, width // 2))
    return facts


def bar(picture: Submission, now: float, width: int) -> Line:
    """How far it is: what passed, what did not, what is left. A pulse where nobody knows."""
    total = words.known_total(picture)
    if total is not None:
        return _shares(picture, total, width)
    if picture.progress is not None:
        filled = round(min(max(picture.progress, 0.0), 100.0) / 100 * width)
        return Line(DONE * filled, ACCENT).put(LEFT * (width - filled), QUIET)
    return _pulse(now, width)


def _shares(picture: Submission, total: int, width: int) -> Line:
    """A cell for each kind at least: one failure among thousands is the one that counts."""
    seen = picture.counts
    filled = max(width * seen.done // total, 1 if seen.done else 0)
    red = min(max(filled * seen.not_passed // max(seen.done, 1), 1 if seen.not_passed else 0), filled)
    grey = min(filled * seen.skipped // max(seen.done, 1), filled - red)
    line = Line(DONE * (filled - red - grey), GOOD).put(DONE * grey, QUIET).put(DONE * red, BAD)
    return line.put(LEFT * (width - filled), QUIET)


def _pulse(now: float, width: int) -> Line:
    """A short stroke that wanders to and fro."""
    stroke = max(width // 6, 1)
    way = max(width - stroke, 1)
    step = int(now * 10 * max(width / 40, 1)) % (2 * way)
    at = step if step <= way else 2 * way - step
    return Line(LEFT * at, QUIET).put(DONE * stroke, ACCENT).put(LEFT * (width - stroke - at), QUIET)


def progress_number(picture: Submission) -> str:
    """``7/10``, ``42 %``, or how many there are so far."""
    total = words.known_total(picture)
    if total is not None:
        text = words.number(total)
        return f"{words.number(picture.counts.done):>{len(text)}}/{text}"
    if picture.progress is not None:
        return f"{min(max(picture.progress, 0.0), 100.0):3.0f} %"
    return words.number(picture.counts.done) if picture.counts.done else ""


def row(result: TestResult, width: int, name_cells: int) -> Line:
    """One test: mark, name, why it failed, how long it took."""
    mark = test_mark(result.status)
    line = Line(mark.glyph, mark.style).put(" ")
    room = width - TIME_CELLS - 1
    reason = details.reason(result)
    if not reason and mark.word == "skipped":
        reason = "skipped"
    if reason:
        line.put(clip(result.test_name, name_cells)).to(2 + name_cells + 2)
        line.put(clip(reason, room - line.cells), _reason_style(mark.word))
    else:
        line.put(clip(result.test_name, room - line.cells))
    took = words.duration(result.duration_ms)
    return line.to(width - len(took)).put(took, QUIET) if took else line


def _reason_style(word: str) -> Style:
    return BAD if word in ("failed", "error") else QUIET


def name_cells(width: int) -> int:
    """The width of the column of names: the same in every frame, so that nothing jumps."""
    return min(max(width * 2 // 5, 12), 56)
