"""A terminal to look at: a real pty, and pyte at its other end."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import pyte
from rich.console import Console

from subcli.output.terminal.console import make_console

HISTORY = 20_000


class Terminal:
    """A pty whose other end is read by a thread, so that no writer ever waits."""

    def __init__(self, columns: int, lines: int, *, encoding: str = "utf-8", env: dict[str, str] | None = None) -> None:
        self.columns, self.lines = columns, lines
        self.screen = pyte.HistoryScreen(columns, lines, history=HISTORY)
        self._stream = pyte.ByteStream(self.screen)
        self.env = {"TERM": "xterm-256color", **(env or {})}
        self.raw = b""
        self._fed = 0
        self._master, self.slave = os.openpty()
        self.resize(columns, lines)
        self.file: IO[str] = os.fdopen(self.slave, "w", encoding=encoding, newline="")
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def resize(self, columns: int, lines: int) -> None:
        """What a window manager does."""
        self.columns, self.lines = columns, lines
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.resize(lines, columns)

    def console(self) -> Console:
        """A console as the commands make it. Rich asks the process's own terminal for the size: not this one."""
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
        """Wait until all that was written has arrived, and show it."""
        mark = f"\x1b]0;{time.monotonic_ns()}\x07"
        self.file.write(mark)
        self.file.flush()
        deadline = time.monotonic() + 10
        while mark.encode() not in self.raw:
            assert time.monotonic() < deadline, "the terminal swallowed something"
            time.sleep(0.0005)
        self._stream.feed(self.raw[self._fed :])
        self._fed = len(self.raw)

    def scrollback(self) -> list[str]:
        """The lines that have left the screen at its top."""
        self.settle()
        return ["".join(line[x].data for x in range(self.columns)).rstrip() for line in self.screen.history.top]

    def text(self) -> str:
        """All lines, those that have scrolled away first; without blank ones at the end."""
        lines = self.scrollback() + [line.rstrip() for line in self.screen.display]
        return "\n".join(lines).rstrip("\n") + "\n"

    def close(self) -> None:
        """Hang up."""
        self.file.close()
        os.close(self._master)
        self._reader.join(5)


@contextmanager
def terminal(columns: int, lines: int, **options: Any) -> Iterator[Terminal]:
    """A terminal that is hung up in the end."""
    opened = Terminal(columns, lines, **options)
    try:
        yield opened
    finally:
        opened.close()
