"""The process as a command sees it: standard streams, environment and working directory in one value.

:func:`open_streams` replaces the interpreter's streams with our own (:mod:`subcli.cli.outlet`): they never block the
event loop, wait if a descriptor is non-blocking, and encode everything. JSON is UTF-8 in every locale; other output has
the locale's encoding, with escapes for characters that it lacks.

:func:`subcli.cli.main.run` creates one and passes it to the command, whose run function passes it on. No other module
of ``cli`` reads ``sys.stdout`` or ``os.environ``, so a test calls a run function with streams of its own.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from subcli.cli.outlet import Inlet, Outlet, Writer
from subcli.shared.platform import HERE, Platform

if TYPE_CHECKING:
    from rich.console import Console


def open_streams(*, json: bool, platform: Platform = HERE) -> None:
    """Replace ``sys.stdin``, ``sys.stdout`` and ``sys.stderr``, unless a test has put something else there.

    Args:
        json: whether stdout carries JSON.
        platform: knows how they are read and written.
    """
    descriptors = platform.descriptors
    if type(sys.stdin) is io.TextIOWrapper and type(sys.stdin.buffer) is io.BufferedReader:
        source = io.BufferedReader(Inlet(sys.stdin.fileno(), descriptors))
        sys.stdin = io.TextIOWrapper(source, encoding=sys.stdin.encoding, errors="replace")
    writers: dict[tuple[int, ...], Writer] = {}
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if type(stream) is io.TextIOWrapper:
            descriptor = stream.fileno()
            status = os.fstat(descriptor)
            waits = not (stat.S_ISREG(status.st_mode) or (stat.S_ISCHR(status.st_mode) and not stream.isatty()))
            # If stderr is the same file as stdout, it is needed as well.
            made = Writer(descriptors, waits=waits, is_needed=name == "stdout")
            writer = writers.setdefault(descriptors.identity(descriptor), made)
            encoding = "utf-8" if json and name == "stdout" else stream.encoding
            outlet: Any = Outlet(descriptor, writer)
            setattr(sys, name, io.TextIOWrapper(outlet, encoding=encoding, errors="backslashreplace"))


@dataclass(frozen=True, kw_only=True)
class Streams:
    """What a command reads and writes.

    Attributes:
        env: the environment. Mutable because `serve` removes secrets that its children must not inherit.
        cwd: the working directory; ``None`` if it no longer exists.
        stdin_tty, stdout_tty, stderr_tty: whether the stream is a terminal, whatever ``FORCE_COLOR`` says.
        platform: the system that they belong to.
    """

    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    env: MutableMapping[str, str]
    cwd: Path | None
    stdin_tty: bool = False
    stdout_tty: bool = False
    stderr_tty: bool = False
    platform: Platform = HERE

    @classmethod
    def of_process(cls, platform: Platform = HERE) -> Streams:
        """The streams of this process."""
        platform.terminal.prepare(os.environ)
        try:
            cwd = Path.cwd()
        except OSError:
            cwd = None
        return cls(
            stdin=sys.stdin,
            stdout=sys.stdout,
            stderr=sys.stderr,
            env=os.environ,
            cwd=cwd,
            stdin_tty=sys.stdin.isatty(),
            stdout_tty=sys.stdout.isatty(),
            stderr_tty=sys.stderr.isatty(),
            platform=platform,
        )

    @property
    def can_prompt(self) -> bool:
        """Whether there is somebody to ask: stdin and stderr are terminals."""
        return self.stdin_tty and self.stderr_tty

    @property
    def writers(self) -> tuple[Writer, ...]:
        """The writers of stdout and stderr; none in tests."""
        found = (_writer(stream) for stream in (self.stdout, self.stderr))
        return tuple(dict.fromkeys(writer for writer in found if writer is not None))

    @property
    def unwritten(self) -> bool:
        """Whether some output is not written yet."""
        return any(writer.unwritten for writer in self.writers)

    @contextlib.contextmanager
    def unblocked(
        self, on_failure: Callable[[OSError], None] = lambda failure: None, *, lossy: bool = False
    ) -> Iterator[None]:
        """In this context, in which an event loop runs, no reader makes the program wait.

        Args:
            on_failure: called, in another thread, when stdout cannot be written.
            lossy: drop what the readers do not take in time, instead of keeping it.
        """
        with contextlib.ExitStack() as stack:
            for writer in self.writers:
                stack.enter_context(writer.unblocked(on_failure, lossy=lossy))
            yield

    @contextlib.contextmanager
    def of_server(self) -> Iterator[None]:
        """In this context, if the reader of our log stops reading, lines are lost instead of delaying the server."""
        with self.unblocked(lossy=True):
            yield
        self.hurry()

    async def read_by_all(self) -> None:
        """Wait until the readers have taken everything that was written."""
        for stream in (self.stdout, self.stderr):
            stream.flush()
        for writer in self.writers:
            await writer.room()

    def settle(self, seconds: float) -> None:
        """Wait until everything is written, but no longer than this; also while an event loop runs."""
        for stream in (self.stdout, self.stderr):
            stream.flush()
        for writer in self.writers:
            writer.settle(seconds)

    def hurry(self) -> None:
        """The command is ending: from now on wait for readers only while they read."""
        for writer in self.writers:
            writer.hurry()

    def abandon(self, *streams: TextIO) -> None:
        """Drop the unwritten and all later output of these streams, or of all: nobody reads it."""
        for stream in streams or (self.stdout, self.stderr):
            writer = _writer(stream)
            if writer is not None:
                writer.abandon()

    def write(self, text: str) -> None:
        """Write to stdout, so that the reader has it at once."""
        self.stdout.write(text)
        self.stdout.flush()

    def write_error(self, text: str) -> None:
        """Write to stderr, so that the reader has it at once."""
        self.stderr.write(text)
        self.stderr.flush()

    def print_json(self, fields: Mapping[str, Any]) -> None:
        """Print one object on stdout, with the schema's version."""
        from subcli.output.ndjson import SCHEMA_VERSION
        from subcli.shared.encoding import encode_any

        self.write(encode_any({"schema": SCHEMA_VERSION, **fields}) + "\n")

    def console(self) -> Console:
        """A Rich console on stdout."""
        from subcli.output.terminal.console import make_console

        return make_console(self.stdout, self.env)


def _writer(stream: TextIO) -> Writer | None:
    outlet = getattr(stream, "buffer", None)
    return outlet.writer if isinstance(outlet, Outlet) else None
