"""The host of a sandbox, `process/host.py`, as the supervisor sees it; and the pipes of what it runs."""

from __future__ import annotations

import asyncio
import json
import marshal
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from subcli.judge.process.host import READY, STARTING, STOP
from subcli.judge.process.processes import Process, descendants, is_ending
from subcli.judge.process.starter import HOST, StartPlan, spawn

_MESSAGE_BYTES = 256 * 1024
_CHUNK_BYTES = 64 * 1024


class Ran(msgspec.Struct, frozen=True):
    """How a program that the host has run ended."""

    code: int
    """As `subprocess` reports it: negative for a signal."""
    cpu_ms: int
    wall_ms: int
    memory_kb: int
    left: int = 0
    """Processes that it had left."""
    found: tuple[str, ...] = ()
    """Which of the files that were asked for it has written."""

    def took_longer_than(self, seconds: float) -> bool:
        """Whether it used more processor time; `processor_bound_s` ends it then at the latest."""
        # Whoever sends itself the kernel's signal has used less.
        ended_by_kernel = self.code == -signal.SIGXCPU and self.cpu_ms > seconds * 500
        return ended_by_kernel or self.cpu_ms > seconds * 1000


def processor_bound_s(seconds: float) -> int:
    """The processor time at which the kernel ends a program that may take `seconds`.

    The kernel counts ticks of its clock for this: on a busy machine an eighth more than the program has used, which is
    what is measured.
    """
    return int(1.25 * seconds) + 1


class HostFault(Exception):
    """The host could not carry out an order, for a reason that is not the program's. The text says why."""


class HostProcess:
    """Runs programs one after the other in one sandbox.

    Args:
        plan: How the sandbox is started.
        directories: What is emptied between two runs, as the sandbox sees it.
        on_start: Called with the process id before anything else can wait for the process.
    """

    def __init__(self, plan: StartPlan, directories: Sequence[str], on_start: Callable[[int], None]) -> None:
        self._plan = plan
        self._directories = directories
        self._on_start = on_start
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._is_starting = False
        """Whether the program of the last order has been reached."""
        self._streams: list[int] = []
        """Those of the program that is to be started."""

    async def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-I", "-S", str(HOST), *self._directories]
            self._process = spawn(
                self._plan, command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        self._on_start(self._process.pid)
        ours.setblocking(False)
        self._channel = ours
        loop = asyncio.get_running_loop()
        self._answer = loop.create_future()
        loop.add_reader(ours, self._read)
        if await self._answer != READY:
            self.close()
            raise HostFault("a sandbox for the cases could not be started")
        return ours

    def _read(self) -> None:
        assert self._channel is not None
        try:
            message = self._channel.recv(_MESSAGE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        assert self._answer is not None
        if message == STARTING:
            self._is_starting = True
            # From here on the program alone has them, so that their other ends learn when it closes them.
            self._close_streams()
        elif not self._answer.done():
            self._answer.set_result(message)
        elif not message:
            # Between two runs: the next one gets a new sandbox.
            self.close()

    async def run(
        self,
        order: Mapping[str, object],
        streams: Sequence[int],
        files: Sequence[int] = (),
        wanted: Sequence[int] = (),
    ) -> Ran | None:
        """Run one program and wait until nothing of it is left.

        Args:
            order: `command`, `memory` (bytes; 0: not bounded), `cpu_s`, `files`, `wanted` and `keep`.
            streams: Its stdin, stdout and stderr. They are closed here once it has them.
            files: The descriptors of `order["files"]`.
            wanted: Where the files named `order["wanted"]` are copied to.

        Returns:
            How it ended; None if the sandbox ended with it.

        Raises:
            HostFault: It could not be run.
            OSError: The sandbox cannot be started.
        """
        self._streams = list(streams)
        try:
            facts = await self._order(order, (*streams, *files, *wanted))
            if not self._is_starting and (facts is None or "spoiled" in facts or "fault" in facts):
                # What ran before may have used something up, or ended the host. A new sandbox has nothing of it.
                self.close()
                facts = await self._order(order, (*streams, *files, *wanted))
        finally:
            self._close_streams()
        if facts is None:
            self.close()
            return None
        if "fault" in facts:
            raise HostFault(facts["fault"])
        return msgspec.convert(facts, Ran)

    async def _order(self, order: Mapping[str, object], descriptors: Sequence[int]) -> dict[str, Any] | None:
        channel = self._channel or await self._start()
        self._answer = asyncio.get_running_loop().create_future()
        self._is_starting = False
        with suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(channel, [marshal.dumps({**order})], descriptors)
        answer = await self._answer
        facts: dict[str, Any] | None = json.loads(answer) if answer else None
        return facts

    def _close_streams(self) -> None:
        close_all(self._streams)
        self._streams = []

    def goes_on(self) -> bool:
        """Whether the program that was started has not begun to end."""
        return any(not process.is_sandbox and not is_ending(process.pid) for process in self.processes())

    def processes(self) -> list[Process]:
        """Those in the sandbox, its host among them."""
        return [] if self._process is None else descendants(self._process.pid)

    def stop(self) -> None:
        """End the program that runs now."""
        if self._channel is not None:
            with suppress(OSError):
                self._channel.send(STOP)

    def close(self) -> None:
        """End the sandbox."""
        if self._channel is not None:
            asyncio.get_running_loop().remove_reader(self._channel)
            self._channel.close()
            self._channel = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(b"")
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
            self._process = None


class Collector:
    """Keeps what is written to a pipe, up to a limit.

    Args:
        limit_bytes: How much is kept.
        on_excess: Called once if there is more.
        on_data: Called with what comes, as it comes.
    """

    def __init__(
        self, limit_bytes: int, on_excess: Callable[[], None], on_data: Callable[[bytes], None] | None = None
    ) -> None:
        self.data = bytearray()
        self.is_exceeded = False
        self._limit_bytes = limit_bytes
        self._on_excess = on_excess
        self._on_data = on_data
        self._reading, self.writing = os.pipe()
        os.set_blocking(self._reading, False)
        # A solution that runs as another user may open it again, as /dev/stdout.
        os.fchmod(self.writing, 0o622)
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self._reading, self._take)

    def _take(self) -> None:
        try:
            data = os.read(self._reading, _CHUNK_BYTES)
        except BlockingIOError:
            return
        if data and self._on_data is not None:
            self._on_data(data)
        if not data:
            self.close()
        elif len(self.data) + len(data) > self._limit_bytes:
            self.data += data[: self._limit_bytes - len(self.data)]
            if not self.is_exceeded:
                self.is_exceeded = True
                self._on_excess()
        else:
            self.data += data

    def close(self) -> None:
        """Take no more."""
        if not self._ended.done():
            self._ended.set_result(None)
            asyncio.get_running_loop().remove_reader(self._reading)
            os.close(self._reading)

    async def end(self) -> bytes:
        """Everything, once nobody can write any more."""
        await self._ended
        return bytes(self.data)


def close_all(descriptors: Collection[int]) -> None:
    """Close descriptors."""
    for descriptor in descriptors:
        os.close(descriptor)
