"""What ``subcli doctor`` prints: a line for each check, with its remedy below. Functions from data to lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from subcli.output.pages.tables import TEXT_MAX_COLUMNS
from subcli.output.text.lines import AdaptiveBlock, Line, wrap
from subcli.output.text.theme import (
    ACCENT,
    ARROW,
    BAD,
    DIM,
    EXCLAMATION,
    FAIL,
    GOOD,
    GOOD_STRONG,
    PASS,
    PLAIN,
    SKIP,
    STRONG,
    WARN,
    Mark,
)

_MARKS: Final = {
    "ok": Mark(PASS, GOOD, "ok"),
    "warning": Mark(EXCLAMATION, WARN, "warning"),
    "failed": Mark(FAIL, BAD, "failed"),
    "skipped": Mark(SKIP, DIM, "skipped"),
}
_NAME_COLUMN: Final = 12
_DETAIL_COLUMN: Final = 25
_LINES_MAX: Final = 4


def finding_lines(name: str, state: str, detail: str, remedy: str) -> AdaptiveBlock:
    """Return ``✓ ok       server       127.0.0.1:8000 accepts connections``, and the remedy if there is one."""
    return AdaptiveBlock(lambda width: _finding(name, _MARKS[state], detail, remedy, min(width, TEXT_MAX_COLUMNS)))


def _finding(name: str, mark: Mark, detail: str, remedy: str, width: int) -> list[Line]:
    style = DIM if mark.word == "skipped" else PLAIN
    first = Line(" ").put(f"{mark.glyph} {mark.word}", mark.style).pad_to(_NAME_COLUMN).put(name, style or STRONG)
    lines: list[Line] = []
    for part in wrap(detail, width - _DETAIL_COLUMN, _LINES_MAX):
        line = first if not lines else Line()
        lines.append(line.pad_to(_DETAIL_COLUMN).put(part, style))
    for index, part in enumerate(wrap(remedy, width - _DETAIL_COLUMN - 2, _LINES_MAX) if remedy else []):
        line = Line().pad_to(_DETAIL_COLUMN)
        lines.append((line.put(ARROW, ACCENT) if index == 0 else line).pad_to(_DETAIL_COLUMN + 2).put(part, STRONG))
    return lines or [first]


def conclusion(states: Sequence[str]) -> AdaptiveBlock:
    """Return the last line, which sums up the checks."""
    failed, warned = states.count("failed"), states.count("warning")
    if failed:
        text, style = f"{failed} problem{'s; fix in order' if failed > 1 else ' to fix'}", BAD
    elif warned:
        text, style = f"No problems, {warned} warning{'s' if warned > 1 else ''}", WARN
    else:
        text, style = "No problems found", GOOD_STRONG
    return AdaptiveBlock(lambda _: [Line(), Line(" ").put(f"{text}.", style)])
