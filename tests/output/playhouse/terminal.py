"""A terminal for tests: a real pty, with pyte at its other end."""

from __future__ import annotations

import collections
import copy
import fcntl
import os
import struct
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import pyte
from rich.console import Console

from subcli.output.terminal.console import make_console
from tests.hang import HANG_S

HISTORY = 20_000


class AlternateScreen(pyte.HistoryScreen):
    """A pyte screen with an alternate screen (DEC mode 1049), which pyte itself lacks.

    The alternate screen has no scrollback. Leaving it restores the normal screen as it was.
    """

    def __init__(self, columns: int, lines: int) -> None:
        self._normal: tuple[Any, Any, Any] | None = None
        super().__init__(columns, lines, history=HISTORY, ratio=0.5)

    @property
    def is_alternate(self) -> bool:
        """Whether the alternate screen is shown."""
        return self._normal is not None

    def set_mode(self, *modes: int, **options: Any) -> None:
        super().set_mode(*modes, **options)
        if options.get("private") and 1049 in modes and self._normal is None:
            self._normal = (copy.deepcopy(self.buffer), copy.copy(self.cursor), self.history)
            self.history = self.history._replace(top=collections.deque(), bottom=collections.deque())
            self.erase_in_display(2)

    def reset_mode(self, *modes: int, **options: Any) -> None:
        super().reset_mode(*modes, **options)
        if options.get("private") and 1049 in modes and self._normal is not None:
            buffer, cursor, self.history = self._normal
            self._normal = None
            self.buffer.clear()
            self.buffer.update(buffer)
            cursor.hidden = self.cursor.hidden
            self.cursor = cursor
            self.dirty.update(range(self.lines))


class Terminal:
    """A pty whose other end is read by a thread, so that writers never block."""

    def __init__(self, columns: int, lines: int, *, encoding: str = "utf-8", env: dict[str, str] | None = None) -> None:
        self.columns, self.lines = columns, lines
        self.screen = AlternateScreen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self.env = {"TERM": "xterm-256color", **(env or {})}
        self.raw = b""
        self._fed = 0
        self._master, self.slave = os.openpty()
        self.resize(columns, lines)
        self.file: TextIO = os.fdopen(self.slave, "w", encoding=encoding, newline="")
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def resize(self, columns: int, lines: int) -> None:
        """Change the size, as a window manager does."""
        self.columns, self.lines = columns, lines
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.resize(lines, columns)

    def console(self) -> Console:
        """Return a console as the commands make it, with this terminal's size: Rich would ask the process's own."""
        size = {"COLUMNS": str(self.columns), "LINES": str(self.lines)}
        return make_console(self.file, {**self.env, **size})

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:
                return
            if not data:
                return
            self.raw += data

    def settle(self) -> None:
        """Wait until everything that was written has arrived, and show it."""
        mark = f"\x1b]0;{time.monotonic_ns()}\x07"
        self.file.write(mark)
        self.file.flush()
        deadline = time.monotonic() + HANG_S
        while mark.encode() not in self.raw:
            assert time.monotonic() < deadline, "the terminal swallowed something"
            time.sleep(0.0005)
        self._stream.feed(self.raw[self._fed :])
        self._fed = len(self.raw)

    def scrollback(self) -> list[str]:
        """Return the lines that have left the screen at the top: of the screen that is shown."""
        self.settle()
        return ["".join(line[x].data for x in range(self.columns)).rstrip() for line in self.screen.history.top]

    def visible(self) -> str:
        """Return the screen, without blank lines at the end."""
        self.settle()
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip("\n") + "\n"

    def text(self) -> str:
        """Return the scrollback and the screen, without blank lines at the end."""
        return "".join(f"{line}\n" for line in self.scrollback()) + self.visible()

    def close(self) -> None:
        """Hang up."""
        self.file.close()
        os.close(self._master)
        self._reader.join(5)


@contextmanager
def terminal(columns: int, lines: int, **options: Any) -> Iterator[Terminal]:
    """Open a terminal, and hang up at the end."""
    opened = Terminal(columns, lines, **options)
    try:
        yield opened
    finally:
        opened.close()
