"""One manual page in the language of man(7)."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Final

from subcli import __version__

# Not the day of the build: the same source gives the same page.
DATE: Final = "2026-11-24"
_WIDTH: Final = 70
_SECTIONS: Final = {1: "User Commands", 7: "Miscellaneous"}


class Page:
    """Written from top to bottom; ``str()`` is the whole of it."""

    def __init__(self, title: str, section: int) -> None:
        head = f'.TH "{escaped(title.upper())}" {section} {DATE} "subcli {__version__}" "{_SECTIONS[section]}"'
        self._lines = ['.\\" Made by `make generate`; do not edit.', head]

    def __str__(self) -> str:
        return "\n".join(self._lines) + "\n"

    def section(self, name: str) -> None:
        """Begin a section."""
        self._lines.append(f'.SH "{escaped(name)}"' if " " in name else f".SH {escaped(name)}")
        self._fresh = True

    def subsection(self, name: str) -> None:
        """Begin a part of a section."""
        self._lines.append(f'.SS "{escaped(name)}"')
        self._fresh = True

    def text(self, text: str) -> None:
        """A paragraph of plain text."""
        self.paragraph(escaped(text))

    def paragraph(self, roff: str) -> None:
        """A paragraph that is roff already."""
        if not self._fresh:
            self._lines.append(".PP")
        self._fill(roff)

    def item(self, tag: str, text: str) -> None:
        """A tag, which is roff, and what it means."""
        self.entry(tag, escaped(text))

    def entry(self, tag: str, roff: str) -> None:
        """A tag and what it means, both roff."""
        self._lines += [".TP", tag]
        self._fill(roff)

    def code(self, lines: Sequence[str]) -> None:
        """Lines as they are."""
        if not self._fresh:
            self._lines.append(".PP")
        self._lines += [".EX", *(_safe(escaped(line)) if line else "\\&" for line in lines), ".EE"]
        self._fresh = False

    def raw(self, roff: str) -> None:
        """Lines of roff."""
        self._lines += [_safe(line) for line in roff.split("\n")]
        self._fresh = False

    def filled(self, roff: str) -> None:
        """Roff that may be broken at any space."""
        self._fill(roff)

    def _fill(self, roff: str) -> None:
        lines = textwrap.wrap(roff, _WIDTH, break_long_words=False, break_on_hyphens=False)
        self._lines += [_safe(line) for line in lines] or ["\\&"]
        self._fresh = False


def escaped(text: str) -> str:
    """Plain text as roff."""
    return text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\`").replace("'", "\\(aq").replace("^", "\\(ha")


def bold(text: str) -> str:
    """Plain text, bold."""
    return f"\\fB{escaped(text)}\\fR"


def italic(text: str) -> str:
    """Plain text, as a placeholder."""
    return f"\\fI{escaped(text)}\\fR"


def _safe(line: str) -> str:
    # A line that begins with these would be a request.
    return f"\\&{line}" if line[:1] in (".", "'") else line
