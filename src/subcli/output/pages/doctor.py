"""What ``subcli doctor`` prints: a line for each thing looked at, its cure below. Functions from data to lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from subcli.output.pages.tables import TEXT_MAX, Page
from subcli.output.text.lines import Line, wrap
from subcli.output.text.theme import (
    ACCENT,
    ARROW,
    BAD,
    FAIL,
    FAULT,
    GOOD,
    GOOD_STRONG,
    PASS,
    PLAIN,
    QUIET,
    SKIP,
    STRONG,
    WARN,
    Mark,
)

_MARKS: Final = {
    "ok": Mark(PASS, GOOD, "ok"),
    "warning": Mark(FAULT, WARN, "warning"),
    "failed": Mark(FAIL, BAD, "failed"),
    "skipped": Mark(SKIP, QUIET, "skipped"),
}
_WORD: Final = 3
_NAME: Final = 12
_DETAIL: Final = 25
_LINES: Final = 4


def finding_lines(name: str, state: str, detail: str, cure: str) -> Page:
    """``✓ ok       server       127.0.0.1:8000 accepts connections``, and the cure where there is one."""
    return Page(lambda width: _finding(name, _MARKS[state], detail, cure, min(width, TEXT_MAX)))


def _finding(name: str, mark: Mark, detail: str, cure: str, width: int) -> list[Line]:
    style = QUIET if mark.word == "skipped" else PLAIN
    first = Line(" ").put(f"{mark.glyph} {mark.word}", mark.style).to(_NAME).put(name, style or STRONG)
    lines: list[Line] = []
    for part in wrap(detail, width - _DETAIL, _LINES):
        line = first if not lines else Line()
        lines.append(line.to(_DETAIL).put(part, style))
    for index, part in enumerate(wrap(cure, width - _DETAIL - 2, _LINES) if cure else []):
        line = Line().to(_DETAIL)
        lines.append((line.put(ARROW, ACCENT) if index == 0 else line).to(_DETAIL + 2).put(part, STRONG))
    return lines or [first]


def conclusion(states: Sequence[str]) -> Page:
    """The last line: whether all is well."""
    failed, warned = states.count("failed"), states.count("warning")
    if failed:
        text, style = f"{failed} problem{'s' if failed > 1 else ''}; fix in order", BAD
    elif warned:
        text, style = f"It works, with {warned} warning{'s' if warned > 1 else ''}", WARN
    else:
        text, style = "Nothing stands between this machine and a verdict", GOOD_STRONG
    return Page(lambda _: [Line(), Line(" ").put(f"{text}.", style)])
