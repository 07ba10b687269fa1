"""A few lines at the bottom of a terminal that are drawn again in place.

Theory. The cursor rests on the *first* line of the region, not after its last. When the terminal is resized it
may fold the lines of the region or not, terminals differ, but the cursor stays on the character it was on; so
whatever came of the lines below, one "erase from here to the end" removes all of them and nothing else. The
same sequence leaves the terminal clean at the end.

A frame writes only the lines that changed, in one ``write``, between the two marks of synchronized output
(DEC mode 2026; terminals without it ignore it). Automatic wrapping is off while lines are written, so that a
character which the terminal measures wider than we do cannot break the count of lines.
"""

from __future__ import annotations

import contextlib
import os
import sys
import termios
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TextIO

from rich.console import Console

from subcli.output.lines import Ink, Line

_ESC: Final = "\x1b["
_BEGIN: Final = f"{_ESC}?2026h{_ESC}?25l{_ESC}?7l"
_END: Final = f"{_ESC}?7h{_ESC}?2026l"
_ERASE_BELOW: Final = f"\r{_ESC}J"
_ERASE_RIGHT: Final = f"{_ESC}K"
_SHOW_CURSOR: Final = f"{_ESC}?25h"


class _Drawn(NamedTuple):
    """A line as it stands on the terminal."""

    text: str
    cells: int


class Region:
    """Draws lines, and draws over them.

    Args:
        console: on a terminal; its size is asked for at every frame.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._ink = Ink(console)
        self._drawn: list[_Drawn] = []
        self._size = (0, 0)
        self._quiet_keys = _QuietKeys()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines of the terminal at this moment."""
        return self._console.size.width, self._console.size.height

    def draw(self, lines: Sequence[Line]) -> None:
        """Make the region these lines, as many as the terminal has at most."""
        width, height = size = self.size
        fitting = [line.cut(width) for line in lines[:height]]
        new = [_Drawn(self._ink.render(line), line.cells) for line in fitting]
        erased = ""
        if self._drawn and size != self._size:
            erased, self._drawn = _ERASE_BELOW, []
        self._size = size
        if new == self._drawn and not erased:
            return
        self._quiet_keys.begin()
        self._write(_BEGIN + erased + _difference(self._drawn, new, width) + _END)
        self._drawn = new

    def erase(self) -> None:
        """Remove the region, and give the cursor and the keyboard back."""
        try:
            if self._drawn:
                self._write(_ERASE_BELOW + _SHOW_CURSOR)
        finally:
            self._drawn, self._size = [], (0, 0)
            self._quiet_keys.end()

    def _write(self, text: str) -> None:
        stream = self._console.file
        stream.write(text)
        stream.flush()


def _difference(old: Sequence[_Drawn], new: Sequence[_Drawn], width: int) -> str:
    """What turns ``old`` into ``new``, from the first line back to the first line."""
    out: list[str] = []
    row, bottom = 0, max(len(old) - 1, 0)
    for index, line in enumerate(new):
        if index < len(old) and old[index] == line:
            continue
        if index > bottom:
            out.append(_down(bottom - row) + "\r\n" * (index - bottom))
            bottom = index
        else:
            out.append(_down(index - row) + "\r")
        row = index
        out.append(line.text if line.cells >= width else line.text + _ERASE_RIGHT)
    if len(old) > len(new):
        out.append(_down(len(new) - row) + _ERASE_BELOW)
        row = len(new)
    return "".join(out) + "\r" + (f"{_ESC}{row}A" if row else "")


def _down(lines: int) -> str:
    return f"{_ESC}{lines}B" if lines else ""


class _QuietKeys:
    """Keeps typed keys from being echoed into the region: a newline among them would shift it.

    Signals still come from the keyboard. Nothing is changed where this process is not in the foreground.
    """

    def __init__(self) -> None:
        self._saved: list[Any] | None = None

    def begin(self) -> None:
        descriptor = _foreground_terminal(sys.stdin)
        if descriptor is None or self._saved is not None:
            return
        with contextlib.suppress(termios.error):
            saved = termios.tcgetattr(descriptor)
            quiet = list(saved)
            quiet[3] &= ~(termios.ECHO | termios.ECHONL)
            termios.tcsetattr(descriptor, termios.TCSANOW, quiet)
            self._saved = saved

    def end(self) -> None:
        saved, self._saved = self._saved, None
        descriptor = _foreground_terminal(sys.stdin)
        if descriptor is not None and saved is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(descriptor, termios.TCSANOW, saved)


def _foreground_terminal(stream: TextIO | None) -> int | None:
    """The descriptor of a terminal that this process is in the foreground of."""
    try:
        if stream is None or not stream.isatty():
            return None
        descriptor = stream.fileno()
        return descriptor if os.tcgetpgrp(descriptor) == os.getpgrp() else None
    except (OSError, ValueError):
        return None
