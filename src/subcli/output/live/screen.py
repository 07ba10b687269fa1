"""Draws the frames of the live view on the terminal's alternate screen.

The alternate screen has no scrollback: nothing of a frame remains in the user's terminal, however it is resized
meanwhile, and leaving it brings back what was there before.

A frame writes only the lines that changed, each at its absolute position, in one ``write``, between the two marks of
synchronized output (DEC mode 2026; terminals without it ignore it). Automatic wrapping is off while lines are written,
so that a character that the terminal measures wider than we do cannot push the next line down.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeAlias

from rich.console import Console

from subcli.output.live.frame import Frame, Viewport
from subcli.output.live.keyboard import Keyboard
from subcli.output.text.lines import LineRenderer

ROOMY_LINES: Final = 20
"""Terminals with at least this many lines get blank lines between the parts of a frame."""

_CSI: Final = "\x1b["
_BEGIN_FRAME: Final = f"{_CSI}?2026h{_CSI}?25l{_CSI}?7l"
_END_FRAME: Final = f"{_CSI}?7h{_CSI}?2026l"
_CLEAR: Final = f"{_CSI}H{_CSI}2J"
_ENTER: Final = f"{_CSI}?1049h{_CLEAR}"
_LEAVE: Final = f"{_CLEAR}{_CSI}?1049l{_CSI}?25h"
_ERASE_RIGHT: Final = f"{_CSI}K"
_ERASE_BELOW: Final = f"{_CSI}J"

FrameMaker: TypeAlias = Callable[[Viewport], Frame]
"""Makes a frame for a viewport."""


class _DrawnLine(NamedTuple):
    """A line as it is on the terminal."""

    text: str
    cells: int


class Screen:
    """The alternate screen: entered with the first frame, left with :meth:`leave`, and entered again after that.

    Args:
        console: A console on a terminal; its size is read for every frame.
        keyboard: Is taken while the screen is shown.
    """

    def __init__(self, console: Console, keyboard: Keyboard | None = None) -> None:
        self._console = console
        self._renderer = LineRenderer(console)
        self._keyboard = keyboard or Keyboard()
        self._is_entered = False
        self._drawn: list[_DrawnLine] = []
        self._drawn_size = (0, 0)

    def draw(self, make: FrameMaker) -> Frame:
        """Show the frame that ``make`` returns for the present size of the terminal.

        Returns:
            That frame.
        """
        columns, height = self._console.size
        frame = make(Viewport(columns, height, roomy=height >= ROOMY_LINES))
        lines = [line.cut(columns) for line in frame.lines[:height]]
        self._show([_DrawnLine(self._renderer.render(line), line.cells) for line in lines], (columns, height))
        return frame

    def copy(self, text: str) -> None:
        """Put ``text`` into the clipboard (OSC 52; terminals that do not know it ignore it)."""
        self._write(f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\x07")

    def leave(self) -> None:
        """Return to the normal screen, and restore the cursor and the keyboard."""
        try:
            if self._is_entered:
                self._write(_LEAVE)
        finally:
            self._is_entered = False
            self._drawn = []
            self._keyboard.give_back()

    def _show(self, lines: list[_DrawnLine], size: tuple[int, int]) -> None:
        prefix = ""
        self._keyboard.take()
        if not self._is_entered:
            prefix = _ENTER
        elif size != self._drawn_size:
            prefix, self._drawn = _CLEAR, []
        changes = _changes(self._drawn, lines, size[0])
        if prefix or changes:
            # Before writing: a write that fails halfway has still entered the screen.
            self._is_entered = True
            self._write(_BEGIN_FRAME + prefix + changes + _END_FRAME)
        self._drawn, self._drawn_size = lines, size

    def _write(self, text: str) -> None:
        self._console.file.write(text)
        self._console.file.flush()


def _changes(old: Sequence[_DrawnLine], new: Sequence[_DrawnLine], columns: int) -> str:
    """Return what turns the lines ``old`` into the lines ``new``; empty if they are the same."""
    out: list[str] = []
    for index, line in enumerate(new):
        if index >= len(old) or old[index] != line:
            # Erasing to the right of a full line would erase its last character on some terminals.
            out.append(_at(index) + line.text + ("" if line.cells >= columns else _ERASE_RIGHT))
    if len(old) > len(new):
        out.append(_at(len(new)) + _ERASE_BELOW)
    return "".join(out)


def _at(index: int) -> str:
    """Return what moves the cursor to the beginning of a line, counted from 0."""
    return f"{_CSI}{index + 1}H"
