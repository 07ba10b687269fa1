"""Colours and glyphs, in one place.

Only the sixteen colours of the terminal's own palette, bold and dim: the user chose them, so they can be read
on a dark background and on a light one. Nothing is told by colour alone: every state has its glyph and its
word. Cyan is the one accent: what is going on at this moment.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from rich.style import Style

PLAIN: Final = Style.null()
QUIET: Final = Style(dim=True)
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
FAULT: Final = "!"
DOT: Final = "●"
RING: Final = "○"
AGAIN: Final = "↻"
ARROW: Final = "→"
GUTTER: Final = "│"
MID: Final = "·"
MORE: Final = "…"
DONE: Final = "━"
LEFT: Final = "─"
SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

_ASCII: Final = str.maketrans(
    {
        PASS: "+",
        FAIL: "x",
        SKIP: "-",
        DOT: "*",
        RING: "o",
        AGAIN: "@",
        ARROW: ">",
        GUTTER: "|",
        MID: "-",
        MORE: "~",
        DONE: "=",
        LEFT: "-",
        **{glyph: "|/-\\"[number % 4] for number, glyph in enumerate(SPINNER)},
    }
)


class Mark(NamedTuple):
    """How a state is shown: never by colour alone. ``badge`` is the style of a verdict that cannot be missed."""

    glyph: str
    style: Style
    word: str
    badge: Style = PLAIN


_TESTS: Final = {
    "passed": Mark(PASS, GOOD, "passed"),
    "failed": Mark(FAIL, BAD, "failed"),
    "error": Mark(FAULT, BAD, "error"),
    "skipped": Mark(SKIP, QUIET, "skipped"),
}
_VERDICTS: Final = {
    "passed": Mark(PASS, GOOD_STRONG, "passed", GOOD_BADGE),
    "failed": Mark(FAIL, BAD_STRONG, "failed", BAD_BADGE),
    "build_failed": Mark(FAIL, BAD_STRONG, "build failed", BAD_BADGE),
    "cancelled": Mark(SKIP, WARN_STRONG, "cancelled", WARN_BADGE),
    "error": Mark(FAULT, WARN_STRONG, "error of the judge", WARN_BADGE),
}
NO_VERDICT: Final = Mark(FAULT, WARN_STRONG, "no verdict", WARN_BADGE)
DETACHED: Final = Mark(SKIP, WARN_STRONG, "detached", WARN_BADGE)


def test_mark(status: str) -> Mark:
    """The mark of one test's status; a word not known counts as failed (contract, section 1)."""
    return _TESTS.get(status, _TESTS["failed"])


def verdict_mark(final_status: str) -> Mark:
    """The mark of a verdict; another word counts as failed, and is said in its own words."""
    return _VERDICTS.get(final_status) or Mark(FAIL, BAD_STRONG, final_status.replace("_", " "), BAD_BADGE)


def spinner(now: float) -> str:
    """The glyph of what is going on, ten a second."""
    return SPINNER[int(now * 10) % len(SPINNER)]


def in_ascii(text: str) -> str:
    """``text`` with our glyphs replaced, for terminals whose encoding does not have them."""
    if text.startswith(MORE + " "):
        text = "..." + text[1:]
    return text.translate(_ASCII)
