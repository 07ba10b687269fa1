"""A child process of the judge's own, with its words kept.

asyncio's `wait` does not return before every pipe of the process is closed, and a grandchild may hold one open for
ever. Here the pipes are ours, so that the end of the process is the end of the process.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from subcli.judge.text import Tail

_LAST_WORDS_SECONDS = 0.2


class Child:
    """A running process, leader of its session. Its stderr, and stdout unless that goes elsewhere, are kept cut."""

    def __init__(self, process: asyncio.subprocess.Process, log: Pipe) -> None:
        self._process = process
        self._log = log
        self._tail = Tail()
        self._logging = asyncio.create_task(self._collect())

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        directory: Path,
        environment: Mapping[str, str],
        pass_fds: Collection[int] = (),
        stdout: int | None = None,
    ) -> Child:
        """Start `command`; raises OSError where that is not possible."""
        log = await Pipe.open()
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log.writing if stdout is None else stdout,
                stderr=log.writing,
                cwd=directory,
                env=environment,
                pass_fds=tuple(pass_fds),
                start_new_session=True,
            )
        except BaseException:
            log.close()
            raise
        finally:
            log.close_writing()
        return cls(process, log)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs."""
        return self._process.returncode

    @property
    def log(self) -> str:
        """What it wrote, the middle cut out where that was much."""
        return self._tail.text().rstrip()

    async def wait(self) -> int:
        """Wait for its end, and a moment for its last words. Returns the exit code."""
        code = await self._process.wait()
        await asyncio.wait({self._logging}, timeout=_LAST_WORDS_SECONDS)
        return code

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        with suppress(ProcessLookupError):
            self._process.kill()

    def close(self) -> None:
        """Give up its pipe. The process is not touched."""
        self._logging.cancel()
        self._log.close()

    async def _collect(self) -> None:
        while data := await self._log.reader.read(65_536):
            self._tail.add(data)


class Pipe:
    """A pipe whose reading end belongs to the event loop."""

    def __init__(self, reader: asyncio.StreamReader, transport: asyncio.ReadTransport, writing: int) -> None:
        self.reader = reader
        self.writing = writing
        """The descriptor to hand to a child."""
        self._transport = transport
        self._is_open = True

    @classmethod
    async def open(cls) -> Pipe:
        reading, writing = os.pipe()
        reader = asyncio.StreamReader()
        try:
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", 0)
            )
        except BaseException:
            os.close(writing)
            raise
        return cls(reader, transport, writing)

    def close_writing(self) -> None:
        """Our copy of the writing end: without this the end of the stream never comes."""
        if self._is_open:
            self._is_open = False
            os.close(self.writing)

    def close(self) -> None:
        self.close_writing()
        self._transport.close()
