"""Lines at the bottom of a terminal that are drawn again in place.

Theory. The cursor rests on the *first* line of the region, not after its last. When the terminal is resized it
may fold the lines of the region or not, terminals differ, but the cursor stays on the character it was on; so
whatever came of the lines below, one "erase from here to the end" removes all of them and nothing else. The
same sequence leaves the terminal clean at the end.

One thing cannot be undone: when a terminal that is made narrower folds its lines and they do not fit any more,
it pushes the first ones into its scrollback. So :class:`Region` leaves as many lines free as it needs to be
folded to three quarters of its width. That is enough where the region ends at the bottom of the terminal; tmux
counts the empty lines below it as well. :class:`FullScreen` uses the alternate screen, which has no scrollback,
and is right everywhere.

A frame writes only the lines that changed, in one ``write``, between the two marks of synchronized output
(DEC mode 2026; terminals without it ignore it). Automatic wrapping is off while lines are written, so that a
character which the terminal measures wider than we do cannot break the count of lines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeAlias

from rich.console import Console

from subcli.output.live.frame import Frame, Viewport
from subcli.output.live.keyboard import QuietKeys
from subcli.output.text.lines import Line, LineRenderer

ROOMY: Final = 20
"""From this many lines on there are blank ones, and lines kept free."""

_TRIES: Final = 3
_ESC: Final = "\x1b["
_BEGIN: Final = f"{_ESC}?2026h{_ESC}?25l{_ESC}?7l"
_END: Final = f"{_ESC}?7h{_ESC}?2026l"
# Not a mere "erase to the end": at the top left corner tmux takes that for "clear" and keeps a copy of the
# screen in its history.
_ERASE_BELOW: Final = f"\r\x1b7{_ESC}2K{_ESC}B{_ESC}J\x1b8"
_ERASE_RIGHT: Final = f"{_ESC}K"
_SHOW_CURSOR: Final = f"{_ESC}?25h"
_ENTER: Final = f"{_ESC}?1049h"
_LEAVE: Final = f"{_ESC}?1049l"
_CLEAR: Final = f"{_ESC}H{_ESC}2J"

Maker: TypeAlias = Callable[[int, Viewport], Frame]
"""Makes a frame for so many columns, in so many lines."""


class _Drawn(NamedTuple):
    """A line as it stands on the terminal."""

    text: str
    cells: int


class Region:
    """Draws frames, each over the one before.

    Args:
        console: on a terminal; its size is asked for at every frame.
    """

    enter, again, leave = "", _ERASE_BELOW, _ERASE_BELOW

    def __init__(self, console: Console) -> None:
        self._console = console
        self._ink = LineRenderer(console)
        self._drawn: list[_Drawn] = []
        self._size = (0, 0)
        self._keys = QuietKeys()

    def draw(self, make: Maker) -> Frame:
        """Show the frame that ``make`` makes for the size that the terminal has now."""
        size = self._console.size
        frame = self.fit(make, size.width, size.height)
        self._show([line.cut(size.width) for line in frame.lines[: size.height]], (size.width, size.height))
        return frame

    def fit(self, make: Maker, columns: int, height: int) -> Frame:
        """A frame that can be folded to three quarters of the width. Low terminals have no lines to spare."""
        roomy = height >= ROOMY
        room = max(height - 1, 1)
        frame = make(columns, Viewport(room, roomy))
        for _ in range(_TRIES if roomy else 0):
            folded = _folded(frame.lines, max(columns * 3 // 4, 1))
            if folded <= height:
                break
            room = max(len(frame.lines) * height // folded, ROOMY // 2)
            frame = make(columns, Viewport(room, roomy))
        return frame

    def erase(self) -> None:
        """Remove the region, and give the cursor and the keyboard back."""
        try:
            if self._drawn:
                self._write(self.leave + _SHOW_CURSOR)
        finally:
            self._drawn, self._size = [], (0, 0)
            self._keys.end()

    def _show(self, lines: Sequence[Line], size: tuple[int, int]) -> None:
        new = [_Drawn(self._ink.render(line), line.cells) for line in lines]
        before = ""
        if not self._drawn:
            self._keys.begin()
            before = self.enter
        elif size != self._size:
            before, self._drawn = self.again, []
        if new == self._drawn and not before:
            return
        self._write(_BEGIN + before + _difference(self._drawn, new, size[0]) + _END)
        self._drawn, self._size = new, size

    def _write(self, text: str) -> None:
        stream = self._console.file
        stream.write(text)
        stream.flush()


class FullScreen(Region):
    """Draws frames on the alternate screen: nothing of them is ever in the scrollback."""

    enter, again, leave = _ENTER + _CLEAR, _CLEAR, _CLEAR + _LEAVE

    def fit(self, make: Maker, columns: int, height: int) -> Frame:
        """A frame of all lines."""
        return make(columns, Viewport(height, height >= ROOMY))


def _folded(lines: Sequence[Line], width: int) -> int:
    """How many lines these are when they are folded to ``width``."""
    return sum(1 + max(line.cells - 1, 0) // width for line in lines)


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
