"""A command on a real terminal: its controlling pty, read by pyte as a person would see it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import termios
import time
from collections.abc import Callable
from typing import Any

import pyte

from tests.hang import HANG_S
from tests.preload.client import take_terminal

from .command import SUBCLI, Commands

COLUMNS, ROWS = 100, 30


async def until(true: Callable[[], bool], seconds: float = HANG_S) -> None:
    """Wait until something outside of this process is so.

    Raises:
        TimeoutError: it never was.
    """
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError
        await asyncio.sleep(0.02)


class Terminal:
    """One command on a pty of its own.

    Args:
        columns: how wide it is.

    Attributes:
        program: what runs there.
        raw: every byte that it wrote.
        screen: what can be seen.
    """

    def __init__(self, command: Commands, *arguments: str, columns: int = COLUMNS, rows: int = ROWS) -> None:
        self._command = command
        self._columns, self._rows = columns, rows
        self.program = [*SUBCLI, *arguments]
        self.raw = b""
        self.screen = pyte.HistoryScreen(columns, rows, history=1000)
        self._stream = pyte.ByteStream(self.screen)
        self._closed = False

    async def __aenter__(self) -> Terminal:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", self._rows, self._columns, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.started = time.monotonic()
        self.process = await asyncio.create_subprocess_exec(
            *self.program,
            env=self._command.env,
            cwd=self._command.cwd,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            preexec_fn=take_terminal,
        )
        # Kept open, so that what the command leaves behind can be looked at.
        self._slave = slave
        asyncio.get_running_loop().add_reader(self._master, self._read)
        return self

    async def __aexit__(self, *exception: Any) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        self.hang_up()
        self._command.printed.append(self.raw.decode(errors="replace"))

    def _read(self) -> None:
        try:
            data = os.read(self._master, 65536)
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._master)
            return
        self.raw += data
        self._stream.feed(data)

    @property
    def text(self) -> str:
        """What can be seen, with what has scrolled away above it."""
        past = ["".join(row[column].data for column in range(self._columns)) for row in self.screen.history.top]
        return "\n".join(line.rstrip() for line in [*past, *self.screen.display])

    @property
    def after(self) -> list[Any]:
        """The settings of the terminal."""
        return termios.tcgetattr(self._slave)

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self._master, keys)

    def hang_up(self) -> None:
        """Close the terminal, as a window that is closed does; once, for the numbers soon belong to others."""
        if self._closed:
            return
        self._closed = True
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)

    async def until(self, seen: Callable[[str], bool], seconds: float = HANG_S) -> None:
        """Wait until the text on the screen fits."""
        try:
            await until(lambda: seen(self.text), seconds)
        except TimeoutError:
            raise AssertionError(f"never seen; instead:\n{self.text}") from None

    async def end(self, seconds: float = HANG_S) -> int:
        """Wait for the exit code, and read what is left."""
        code = await asyncio.wait_for(self.process.wait(), seconds)
        if not self._closed:
            # What it wrote comes before what we write; a screen ignores NUL.
            os.write(self._slave, b"\0")
            await until(lambda: self.raw.endswith(b"\0"))
            self.raw = self.raw[:-1]
        return code

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command alone."""
        self.process.send_signal(number)
