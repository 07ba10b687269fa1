"""The progress bar: passed, failed and remaining tests; a moving stroke while the total is unknown."""

from __future__ import annotations

from typing import Final

from subcli.core.submission import Submission
from subcli.output.text import words
from subcli.output.text.lines import Line
from subcli.output.text.theme import ACCENT, BAD, BAR_EMPTY, BAR_FILLED, DIM, GOOD

_NOT_STARTED: Final = (None, "pending", "queued", "submitted")


def bar(snapshot: Submission, now: float, width: int) -> Line:
    """Return a bar of ``width`` cells."""
    total = words.known_total(snapshot)
    if total is not None:
        return _results(snapshot, total, width)
    if snapshot.progress is not None:
        filled = int(min(max(snapshot.progress, 0.0), 100.0) / 100 * width)
        return Line(BAR_FILLED * filled, ACCENT).put(BAR_EMPTY * (width - filled), DIM)
    if snapshot.status in _NOT_STARTED or snapshot.connection.state not in ("open", "polling"):
        return Line(BAR_EMPTY * width, DIM)
    return _moving_stroke(now, width)


def progress_text(snapshot: Submission) -> str:
    """Return ``7/10``, ``42 %``, or the number of results so far."""
    total = words.known_total(snapshot)
    if total is not None:
        text = words.number(total)
        return f"{words.number(snapshot.counts.done):>{len(text)}}/{text}"
    if snapshot.progress is not None:
        return f"{min(max(snapshot.progress, 0.0), 100.0):3.0f} %"
    return words.number(snapshot.counts.done) if snapshot.counts.done else ""


def _results(snapshot: Submission, total: int, width: int) -> Line:
    """Each kind of result that exists gets at least one cell: a single failure among thousands must be visible."""
    counts = snapshot.counts
    filled = max(width * counts.done // total, 1 if counts.done else 0)
    red = min(max(filled * counts.not_passed // max(counts.done, 1), 1 if counts.not_passed else 0), filled)
    dim = min(filled * counts.skipped // max(counts.done, 1), filled - red)
    line = Line(BAR_FILLED * (filled - red - dim), GOOD).put(BAR_FILLED * dim, DIM).put(BAR_FILLED * red, BAD)
    return line.put(BAR_EMPTY * (width - filled), DIM)


def _moving_stroke(now: float, width: int) -> Line:
    """A short stroke that moves from one end to the other and back."""
    stroke = max(width // 6, 1)
    distance = max(width - stroke, 1)
    step = int(now * 10 * max(width / 40, 1)) % (2 * distance)
    start = step if step <= distance else 2 * distance - step
    line = Line(BAR_EMPTY * start, DIM).put(BAR_FILLED * stroke, ACCENT)
    return line.put(BAR_EMPTY * (width - stroke - start), DIM)
