"""A child process of the judge's own, with its output kept.

asyncio's `Process.wait` returns only when every pipe of the process is closed, and a grandchild may hold one open for
ever. Here the pipes are separate, so that waiting ends with the process.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from subcli.judge.process.starter import start_own
from subcli.judge.process.text import Tail

_LAST_OUTPUT_TIMEOUT_S = 0.2


@dataclass(frozen=True)
class Fork:
    """A child of this process that is a fork of it."""

    pid: int

    def wait(self) -> int:
        """Wait for its end. Returns the exit code, negative for a signal."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class Child:
    """A running process that leads its session. Its stderr, and stdout unless redirected, are kept, cut if long.

    Args:
        pid: Its id.
        handle: A descriptor that refers to the process, pidfd_open(2). It is closed here when the process has ended.
        ended: Gets the exit code, as `subprocess` reports it, once the process has been reaped.
        log: What it writes to. It is read here.
    """

    def __init__(self, pid: int, handle: int, ended: asyncio.Future[int], log: Pipe) -> None:
        self.pid = pid
        self._handle = handle
        self._ended = ended
        self._ended.add_done_callback(lambda _: os.close(handle))
        self._log = log
        self._tail = Tail()
        self._logging = asyncio.create_task(self._collect())

    @classmethod
    def of(cls, process: subprocess.Popen[bytes] | Fork, log: Pipe) -> Child:
        """Take over `process`, which is reaped here, and `log`."""
        loop = asyncio.get_running_loop()
        handle, ended = os.pidfd_open(process.pid), loop.create_future()

        def end() -> None:
            loop.remove_reader(handle)
            ended.set_result(process.wait())

        loop.add_reader(handle, end)
        return cls(process.pid, handle, ended, log)

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        directory: Path,
        environment: Mapping[str, str],
        stdout: int | None = None,
    ) -> Child:
        """Start `command`.

        Raises:
            OSError: It cannot be started.
        """
        log = await Pipe.open()
        try:
            process = start_own(command, directory=directory, environment=environment, log=log.writing, stdout=stdout)
        except BaseException:
            log.close()
            raise
        finally:
            log.close_writing()
        return cls.of(process, log)

    @property
    def returncode(self) -> int | None:
        """None while it runs."""
        return self._ended.result() if self._ended.done() else None

    @property
    def log(self) -> str:
        """What it wrote, with the middle cut if that is long."""
        return self._tail.text().rstrip()

    async def wait(self) -> int:
        """Wait for it to end, and a moment for its last output. Returns the exit code."""
        # If this task is cancelled, `asyncio.wait` does not cancel the future.
        await asyncio.wait({self._ended})
        await asyncio.wait({self._logging}, timeout=_LAST_OUTPUT_TIMEOUT_S)
        return self._ended.result()

    def kill(self) -> None:
        """Send SIGKILL if it still runs."""
        if not self._ended.done():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def close(self) -> None:
        """Close its pipe. The process is not touched."""
        self._logging.cancel()
        self._log.close()

    async def _collect(self) -> None:
        while data := await self._log.reader.read(65_536):
            self._tail.add(data)


class WriteEnd:
    """Our copy of the write end of a pipe; as long as it is open, the stream does not end.

    Attributes:
        writing: The descriptor to hand to a child.
    """

    def __init__(self, writing: int) -> None:
        self.writing = writing
        self._is_open = True

    def close_writing(self) -> None:
        """Close it, unless that was done."""
        if self._is_open:
            self._is_open = False
            os.close(self.writing)


class Pipe(WriteEnd):
    """A pipe whose read end belongs to the event loop."""

    def __init__(self, reader: asyncio.StreamReader, transport: asyncio.ReadTransport, writing: int) -> None:
        super().__init__(writing)
        self.reader = reader
        self._transport = transport

    @classmethod
    async def open(cls, ends: tuple[int, int] | None = None) -> Pipe:
        """Open a new pipe, or take over the one with these `ends` (read, write)."""
        reading, writing = ends or os.pipe()
        reader = asyncio.StreamReader()
        try:
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", 0)
            )
        except BaseException:
            os.close(writing)
            raise
        return cls(reader, transport, writing)

    def close(self) -> None:
        self.close_writing()
        self._transport.close()
