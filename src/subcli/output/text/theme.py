"""Colours and glyphs, in one place.

Only the sixteen colours of the terminal's own palette, bold and dim: the user chose them, so they are readable on a
dark and on a light background. Nothing depends on colour alone: every state has its glyph and its word. Cyan is the
one accent; it marks what is in progress.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from rich.style import Style

PLAIN: Final = Style.null()
DIM: Final = Style(dim=True)
STRONG: Final = Style(bold=True)
ACCENT: Final = Style(color="cyan")
GOOD: Final = Style(color="green")
BAD: Final = Style(color="red")
WARN: Final = Style(color="yellow")
GOOD_STRONG: Final = Style(color="green", bold=True)
BAD_STRONG: Final = Style(color="red", bold=True)
WARN_STRONG: Final = Style(color="yellow", bold=True)
GOOD_BADGE: Final = Style(color="green", bold=True, reverse=True)
BAD_BADGE: Final = Style(color="red", bold=True, reverse=True)
WARN_BADGE: Final = Style(color="yellow", bold=True, reverse=True)
GOOD_MARK: Final = Style(color="green", bold=True, underline=True)
BAD_MARK: Final = Style(color="red", bold=True, underline=True)

PASS: Final = "✓"
FAIL: Final = "✗"
SKIP: Final = "–"
EXCLAMATION: Final = "!"
DOT: Final = "●"
CIRCLE: Final = "○"
RETRY: Final = "↻"
ARROW: Final = "→"
GUTTER: Final = "│"
MIDDLE_DOT: Final = "·"
ELLIPSIS: Final = "…"
BAR_FILLED: Final = "━"
BAR_EMPTY: Final = "─"
FROM_LEFT: Final = "├"
FROM_RIGHT: Final = "┤"
CROSSING: Final = "┼"
LEFT: Final = "◄"
RIGHT: Final = "►"
POINTER: Final = "▶"
SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

_ASCII: Final = str.maketrans(
    {
        PASS: "+",
        FAIL: "x",
        SKIP: "-",
        DOT: "*",
        CIRCLE: "o",
        RETRY: "@",
        ARROW: ">",
        GUTTER: "|",
        MIDDLE_DOT: "-",
        ELLIPSIS: "~",
        BAR_FILLED: "=",
        BAR_EMPTY: "-",
        FROM_LEFT: "+",
        FROM_RIGHT: "+",
        CROSSING: "+",
        LEFT: "<",
        RIGHT: ">",
        POINTER: ">",
        **{glyph: "|/-\\"[number % 4] for number, glyph in enumerate(SPINNER)},
    }
)


class Mark(NamedTuple):
    """How a state is shown.

    Attributes:
        badge: The style of a verdict's badge.
    """

    glyph: str
    style: Style
    word: str
    badge: Style = PLAIN


_TESTS: Final = {
    "passed": Mark(PASS, GOOD, "passed"),
    "failed": Mark(FAIL, BAD, "failed"),
    "error": Mark(EXCLAMATION, BAD, "error"),
    "skipped": Mark(SKIP, DIM, "skipped"),
}
_VERDICTS: Final = {
    "passed": Mark(PASS, GOOD_STRONG, "passed", GOOD_BADGE),
    "failed": Mark(FAIL, BAD_STRONG, "failed", BAD_BADGE),
    "build_failed": Mark(FAIL, BAD_STRONG, "build failed", BAD_BADGE),
    "cancelled": Mark(SKIP, WARN_STRONG, "cancelled", WARN_BADGE),
    "error": Mark(EXCLAMATION, WARN_STRONG, "judge error", WARN_BADGE),
}
NO_VERDICT: Final = Mark(EXCLAMATION, WARN_STRONG, "no verdict", WARN_BADGE)
DETACHED: Final = Mark(SKIP, WARN_STRONG, "detached", WARN_BADGE)


def test_mark(status: str) -> Mark:
    """Return the mark of a test's status; an unknown status counts as failed (contract, section 1)."""
    return _TESTS.get(status, _TESTS["failed"])


def verdict_mark(final_status: str) -> Mark:
    """Return the mark of a verdict; an unknown one counts as failed and is shown as it came."""
    return _VERDICTS.get(final_status) or Mark(FAIL, BAD_STRONG, final_status.replace("_", " "), BAD_BADGE)


def spinner(now: float) -> str:
    """Return the spinner's glyph; ten a second."""
    return SPINNER[int(now * 10) % len(SPINNER)]


def in_ascii(text: str) -> str:
    """Return ``text`` with our glyphs replaced by ASCII characters."""
    if text.startswith(ELLIPSIS + " "):
        text = "..." + text[1:]
    return text.translate(_ASCII)
