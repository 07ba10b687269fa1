"""Standard streams and terminals where termios, poll and fcntl are: on Linux and macOS."""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import contextlib
import errno
import fcntl
import os
import select
import stat
import termios
import time
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from subcli.shared.platform.parts import Settings

_LOOK_S: Final = 0.02
"""How often a pipe without a reader is looked at."""


class PosixDescriptors:
    """Reads and writes descriptors that somebody else may have made non-blocking.

    ``O_NONBLOCK`` is a property of the open file, which we share with the process that passed us the descriptor:
    Node.js and ssh set it. Python's own streams then raise or lose data; here the caller waits, and the flag stays as
    it is.

    Args:
        tells_of_readers: whether the system reports the writing end of a pipe as readable when its reader has gone, and
            only then. Linux does; POSIX does not say so.
    """

    def __init__(self, *, tells_of_readers: bool = True) -> None:
        self._tells_of_readers = tells_of_readers

    def write_all(self, descriptor: int, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:
                _wait(descriptor, select.POLLOUT)

    def read_into(self, descriptor: int, buffer: bytearray | memoryview) -> int:
        while True:
            try:
                return os.readv(descriptor, [buffer])
            except BlockingIOError:
                _wait(descriptor, select.POLLIN)

    def identity(self, descriptor: int) -> tuple[int, ...]:
        status = os.fstat(descriptor)
        return status.st_dev, status.st_ino

    def tells_of_reader(self, descriptor: int) -> bool:
        """A shell's `exec 3<>FIFO` opens both ends at once, which says nothing about a reader."""
        if not self._tells_of_readers or not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return False
        return fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY

    def write_through(self, path: Path, data: bytes, timeout_s: float) -> None:
        descriptor = _opened(path, timeout_s)
        try:
            while data:
                if not select.select([], [descriptor], [], timeout_s)[1]:
                    raise OSError(errno.ETIMEDOUT, "its reader has stopped reading")
                # A pipe that can be written has space for this much.
                data = data[os.write(descriptor, data[: select.PIPE_BUF]) :]
        finally:
            os.close(descriptor)


def _wait(descriptor: int, event: int) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    poll.poll()


def _opened(path: Path, timeout_s: float) -> int:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() > deadline:
                raise OSError(errno.ENXIO, "nobody reads it") from None
        time.sleep(_LOOK_S)


class PosixTerminal:
    """A terminal with job control."""

    def prepare(self, env: MutableMapping[str, str]) -> None:
        """Do nothing: ``TERM`` names what the terminal understands."""

    def keys(self) -> PosixKeys:
        return PosixKeys()

    def echo(self, descriptor: int) -> PosixEcho:
        return PosixEcho(descriptor)


class PosixKeys:
    """The keyboard. In the background, changing the terminal, or reading from it, would stop the process."""

    def __init__(self) -> None:
        self._saved: Settings | None = None
        self._loop: AbstractEventLoop | None = None
        self._read_from: int | None = None

    def take(self, on_typed: Callable[[str], None] | None, loop: Callable[[], AbstractEventLoop]) -> None:
        if self._saved is not None and (self._read_from is not None or on_typed is None):
            return
        descriptor = _foreground_terminal(sys.stdin)
        if descriptor is None:
            return
        with contextlib.suppress(termios.error):
            saved = termios.tcgetattr(descriptor)
            silent = _silent(saved)
            if on_typed is not None:
                silent[3] &= ~termios.ICANON
                # A read never waits, whoever else reads.
                silent[6][termios.VMIN] = silent[6][termios.VTIME] = 0
            termios.tcsetattr(descriptor, termios.TCSANOW, silent)
            self._saved = self._saved or saved
        if on_typed is not None:
            self._loop, self._read_from = loop(), descriptor
            self._loop.add_reader(descriptor, self._read, on_typed)

    def give_back(self) -> None:
        self._stop_reading()
        saved, self._saved = self._saved, None
        descriptor = _foreground_terminal(sys.stdin)
        if descriptor is not None and saved is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(descriptor, termios.TCSANOW, saved)

    def _stop_reading(self) -> None:
        if self._read_from is not None and self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._read_from)
        self._loop = self._read_from = None

    def _read(self, on_typed: Callable[[str], None]) -> None:
        descriptor = _foreground_terminal(sys.stdin)
        if descriptor is None:
            # In the background: the next frame after `fg` takes the keyboard again.
            self._stop_reading()
            return
        try:
            typed = os.read(descriptor, 1024)
        except OSError:
            typed = b""
        if not typed:
            # The terminal is gone, or somebody else was quicker.
            self._stop_reading()
        else:
            on_typed(typed.decode(errors="ignore"))


class PosixEcho:
    """The echo of one terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._before: Settings | None = None

    def hide(self) -> None:
        self._before = termios.tcgetattr(self._descriptor)
        termios.tcsetattr(self._descriptor, termios.TCSAFLUSH, _silent(self._before))

    def restore(self) -> None:
        if self._before is not None:
            termios.tcsetattr(self._descriptor, termios.TCSANOW, self._before)


def _silent(settings: Settings) -> Settings:
    """The settings of a terminal without its echo."""
    silent = [*settings[:6], list(settings[6])]
    silent[3] &= ~(termios.ECHO | termios.ECHONL)
    return silent


def _foreground_terminal(stream: TextIO | None) -> int | None:
    """The descriptor of ``stream`` if it is a terminal on which this process is in the foreground."""
    try:
        if stream is None or not stream.isatty():
            return None
        descriptor = stream.fileno()
        return descriptor if os.tcgetpgrp(descriptor) == os.getpgrp() else None
    except (OSError, ValueError):
        return None
