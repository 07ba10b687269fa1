"""The progress bar: what passed, what did not, what is left; a pulse where nobody knows how much there is."""

from __future__ import annotations

from typing import Final

from subcli.core.submission import Submission
from subcli.output.text import words
from subcli.output.text.lines import Line
from subcli.output.text.theme import ACCENT, BAD, DONE, GOOD, LEFT, QUIET

_AT_REST: Final = (None, "pending", "queued", "submitted")
"""Nobody is at work yet."""


def bar(picture: Submission, now: float, width: int) -> Line:
    """How far it is: what passed, what did not, what is left. A pulse where nobody knows."""
    total = words.known_total(picture)
    if total is not None:
        return _shares(picture, total, width)
    if picture.progress is not None:
        filled = int(min(max(picture.progress, 0.0), 100.0) / 100 * width)
        return Line(DONE * filled, ACCENT).put(LEFT * (width - filled), QUIET)
    if picture.status in _AT_REST or picture.connection.state not in ("open", "polling"):
        return Line(LEFT * width, QUIET)
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
