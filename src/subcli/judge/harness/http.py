"""A solution that runs as an HTTP server, for tests in another process and, in a sandbox, in another network.

    test ── TCP ──► relay, a thread here ── a socket that was connected inside ──► the solution

`shims/http_server.py` starts the solution inside, connects to it, and passes the connected sockets out (SCM_RIGHTS).
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from threading import Lock, Thread
from typing import Self

from subcli.judge.harness.faults import Misuse, NodeDied, NodeSilent, OutputFlood, SolutionFault
from subcli.judge.harness.node import Node, NodePlan
from subcli.judge.languages.language import SHIMS
from subcli.judge.process.processes import is_ending, process_below
from subcli.judge.process.stopwatch import MAX_STRETCH

_SHIM = SHIMS / "http_server.py"
_NAME = "the server"
_POLL_S = 0.02
_CHUNK = 65_536
_MOST_BYTES = 16 * 1024 * 1024


class Allowance:
    """How much all servers of a test may answer: their clients keep that in the judge's process."""

    def __init__(self) -> None:
        self._left = _MOST_BYTES
        self._taking = Lock()

    def take(self, size: int) -> bool:
        """Whether so many bytes more are allowed."""
        with self._taking:
            self._left -= size
            return self._left >= 0


class HttpServer:
    """The running solution. It has its port in the environment variable PORT, and listens on the loopback.

    Args:
        plan: How to start it.
        allowance: How much it may answer, together with the other servers of the test.

    Raises:
        Misuse: The problem gives its solutions no network.
        SolutionFault: It ends, or does not listen in time.
    """

    def __init__(self, plan: NodePlan, allowance: Allowance) -> None:
        if not plan.network:
            raise Misuse("a server needs `network = true` in problem.toml")
        self._plan = plan
        self._fault: SolutionFault | None = None
        self._is_ending = False
        self._allowance = allowance
        self._connecting = Lock()
        self._control, theirs = socket.socketpair()
        with ExitStack() as made:
            made.enter_context(self._control)
            self._control.settimeout(plan.answer_seconds)
            command = (sys.executable, "-I", "-S", str(_SHIM), str(theirs.fileno()), *plan.command)
            with theirs:
                self._node = Node(_NAME, replace(plan, command=command), (theirs.fileno(),))
            made.callback(self._node.kill)
            self._wait_until_it_listens()
            listener = made.enter_context(socket.create_server(("127.0.0.1", 0)))
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            """Where tests reach it; without a slash at the end."""
            self._loop = asyncio.new_event_loop()
            made.callback(self._loop.close)
            self._stopping = asyncio.Event()
            self._thread = Thread(target=self._run, args=(listener,), daemon=True)
            self._thread.start()
            self._made = made.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the server."""
        # From now on, its end is not its own doing.
        self._is_ending = True
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
        self._made.close()

    def output(self) -> str:
        """What it printed, on stdout and stderr."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._drained(), self._loop).result()
        return self._node.log.text()

    @property
    def fault(self) -> SolutionFault | None:
        """What it has done wrong by itself: it has ended, or printed too much."""
        if self._fault is None and not self._is_ending:
            solution = process_below(self._node.process.pid, self._plan.start.layers + 1)
            if solution is not None and not is_ending(solution):
                return None
            # Its clients see its end before the process that started it does.
            with suppress(subprocess.TimeoutExpired):
                code = self._plan.start.exit_code(self._node.process.wait(self._plan.answer_seconds))
                self._fault = NodeDied(_NAME, code, self.output(), "while a test used it")
        return self._fault

    # -- connecting

    def _connect(self) -> socket.socket | None:
        """A socket that is connected to the solution; None if that does not listen, or is gone."""
        try:
            with self._connecting:
                self._control.sendall(b"c")
                _, descriptors, _, _ = socket.recv_fds(self._control, 1, 1)
            connection = socket.socket(fileno=descriptors[0]) if descriptors else None
        except OSError:
            return None
        if connection is not None and self._is_ending:
            # Who asked for it has been cancelled.
            connection.close()
            return None
        return connection

    def _wait_until_it_listens(self) -> None:
        began = time.monotonic()
        seconds = self._plan.answer_seconds
        while True:
            connection = self._connect()
            if connection is not None:
                connection.close()
                return
            self._node.drain_log()
            code = self._node.exit_code(0.0)
            if code is not None:
                raise NodeDied(_NAME, code, self._node.log.text(), "before it listened")
            if time.monotonic() - began > min(seconds + self._node.delay_s(), seconds * MAX_STRETCH):
                raise NodeSilent(_NAME, "a listening socket on PORT", seconds, self._node.log.text(), ())
            time.sleep(_POLL_S)

    # -- the relay, in its thread

    def _run(self, listener: socket.socket) -> None:
        self._loop.run_until_complete(self._relay(listener))

    async def _relay(self, listener: socket.socket) -> None:
        for descriptor, read in (
            (self._node.stderr, self._node.read_stderr),
            (self._node.trace, self._node.read_trace),
        ):
            self._loop.add_reader(descriptor, self._read, descriptor, read)
        server = await asyncio.start_server(self._serve, sock=listener)
        await self._stopping.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _read(self, descriptor: int, read: Callable[[], bool]) -> None:
        if not read():
            self._loop.remove_reader(descriptor)
        elif self._node.flooding:
            self._too_much(self._plan.output_kb, "its output")

    def _too_much(self, kilobytes: int, stream: str) -> None:
        if self._fault is None:
            self._fault = OutputFlood(_NAME, kilobytes, stream, "", ())
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._node.process.pid, signal.SIGKILL)

    def _count(self, data: bytes) -> None:
        if not self._allowance.take(len(data)):
            self._too_much(_MOST_BYTES // 1024, "its connections")
            raise ConnectionAbortedError

    async def _drained(self) -> None:
        self._node.drain_log()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            inside = await asyncio.to_thread(self._connect)
            if inside is None:
                writer.transport.abort()
                return
            inner_reader, inner_writer = await asyncio.open_connection(sock=inside)
            with closing(inner_writer):
                await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer, self._count))


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: Callable[[bytes], None] = lambda _: None
) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            count(data)
            writer.write(data)
            await writer.drain()
        writer.write_eof()
        return
    # One side has failed: the other must not wait for it.
    writer.transport.abort()
