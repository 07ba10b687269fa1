"""The template of all supervisors, and each of them: `python -m subcli.judge.supervise FD`; see `template`.

    server  --the job-->  supervisor  --spawn-->  pytest  --spawn-->  nodes of the solution
            <--events---              <--results-

A supervisor is the judge's own process for one submission. It is the subreaper of everything below it, so that nothing
escapes. The server cannot be one, because it has other children. The order and the events are lines of JSON on one
socket. When the socket ends, the process stops: so it also does when the server is killed.

pytest takes longest to start, so it is forked first; see `pytest_process`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import select
import socket
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from subcli.judge.problem import Problem, ResourceLimits
from subcli.judge.process import mounts
from subcli.judge.process.processes import become_subreaper, hide_from_peers, kill_descendants
from subcli.judge.process.workplace import remove_workplace
from subcli.judge.sandbox.groups import remove_groups
from subcli.judge.supervise.pytest_process import PytestProcess, preload, start_pytest
from subcli.judge.supervise.supervisor import Order, Supervisor

_FLUSH_TIMEOUT_S = 3.0
_CANCEL_TIMEOUT_S = 1.0
"""How long a cancelled task may take to end."""
_REQUEST_BYTES = 256 * 1024
_REQUEST_DESCRIPTORS = 4


class _Forks:
    """The template: forks supervisors, and tells how they have ended.

    It has one thread, so that each fork is whole.

    Args:
        requests: Where the server asks for supervisors.
    """

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._ready = select.poll()
        self._ready.register(requests, select.POLLIN)
        self._forked: dict[int, tuple[int, socket.socket]] = {}
        """By the descriptor that refers to each process: its id, and where to tell its end."""

    def run(self) -> None:
        """Fork until the server goes."""
        is_prepared = False
        while True:
            ready = self._ready.poll(None if is_prepared else 0)
            if not ready:
                _prepare()
                is_prepared = True
            for descriptor, _ in ready:
                if descriptor in self._forked:
                    self._reap(descriptor)
                    continue
                message, descriptors, _, _ = socket.recv_fds(self._requests, _REQUEST_BYTES, _REQUEST_DESCRIPTORS)
                if not message:
                    return
                self._fork(json.loads(message), descriptors)

    def _fork(self, request: dict[str, Any], descriptors: list[int]) -> None:
        status = socket.socket(fileno=descriptors.pop())
        try:
            pid = os.fork()
            if pid == 0:
                _become_supervisor(request, descriptors)
            handle = os.pidfd_open(pid)
        except OSError as error:
            _tell(status, {"errno": error.errno})
            status.close()
        else:
            self._forked[handle] = pid, status
            self._ready.register(handle, select.POLLIN)
            _tell(status, {"pid": pid}, handle)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _reap(self, handle: int) -> None:
        pid, status = self._forked.pop(handle)
        self._ready.unregister(handle)
        os.close(handle)
        _, code = os.waitpid(pid, 0)
        _tell(status, {"code": os.waitstatus_to_exitcode(code)})
        status.close()


def _tell(status: socket.socket, message: dict[str, object], *handles: int) -> None:
    # Whoever asked may have gone.
    with suppress(OSError):
        socket.send_fds(status, [json.dumps(message).encode()], handles)


def _become_supervisor(request: dict[str, Any], descriptors: list[int]) -> None:
    """Turn this process, a fork of the template, into a supervisor. Does not return."""
    code = 1
    try:
        channel, lock, log = descriptors
        os.setsid()
        os.dup2(log, 1)
        os.dup2(log, 2)
        # Of the other supervisors, nothing stays open here.
        least, most = sorted((channel, lock))
        for first, last in ((3, least), (least + 1, most), (most + 1, os.sysconf("SC_OPEN_MAX"))):
            os.closerange(first, last)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["directory"])
        become_subreaper()
        with socket.socket(fileno=channel) as connection:
            _judge(connection)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Finalizing the interpreter would take a tenth of the judge's time and has nothing left to do.
        os._exit(code)


def _judge(channel: socket.socket) -> None:
    """Judge one job."""
    order = _read_order(channel)
    if order is None:
        return
    tests = order["tests"]
    started = start_pytest(Path(tests), Path(order["scratch"])) if tests else None
    try:
        asyncio.run(supervise(channel, order, started))
    finally:
        kill_descendants(os.getpid())


def _read_order(channel: socket.socket) -> dict[str, Any] | None:
    """What the server asks for, as one line; None if the server has gone."""
    line = b""
    while not line.endswith(b"\n"):
        data = channel.recv(65_536)
        if not data:
            return None
        line += data
    order: dict[str, Any] = json.loads(line)
    return order


async def _end_of_input(reader: asyncio.StreamReader) -> None:
    while await reader.read(4_096):
        pass


async def supervise(channel: socket.socket, value: dict[str, Any], started: PytestProcess | None) -> None:
    """Carry out an order and leave nothing behind.

    Args:
        channel: The socket to the server.
        value: The order.
        started: pytest; None if the problem uses another program.
    """
    reader, writer = await asyncio.open_connection(sock=channel)
    order = Order.read(value)
    mounts.begin(order.plans.run.mounts)
    judging = asyncio.create_task(Supervisor(order, writer, started).run())
    stop = asyncio.create_task(_end_of_input(reader))
    try:
        await asyncio.wait({judging, stop}, return_when=asyncio.FIRST_COMPLETED)
        if judging.done():
            try:
                judging.result()
            except ConnectionError:
                # The server no longer reads. Any other connection error is a bug.
                if not writer.is_closing():
                    raise
    finally:
        judging.cancel()
        stop.cancel()
        kill_descendants(os.getpid())
        # It may be starting a process right now, and it still uses the files that are removed below.
        await asyncio.wait({judging, stop}, timeout=_CANCEL_TIMEOUT_S)
        if judging.done() and not judging.cancelled():
            judging.exception()
        kill_descendants(os.getpid())
        remove_groups(order.plans.groups)
        for tool in order.tools:
            remove_groups(tool.plans.groups)
        remove_workplace(order.scratch.parent)
        writer.close()
        with suppress(ConnectionError, TimeoutError):
            # Send what is still unsent, as long as the server reads it.
            async with asyncio.timeout(_FLUSH_TIMEOUT_S):
                await writer.wait_closed()


def _prepare() -> None:
    """Import what only some supervisors need. It waits until no judging does."""
    from subcli.judge import local  # noqa: F401
    from subcli.judge.supervise import cases_runner, grader_runner, tap_runner  # noqa: F401

    preload()

    # msgspec prepares a type when it is used first.
    Problem.from_json(Problem(1, "", "", "", {}, ResourceLimits(), Path()).as_json())
    # What is there now never becomes garbage, and a collection in a fork would copy its pages.
    gc.collect()
    gc.freeze()


def main() -> None:
    """Be the template."""
    requests = socket.socket(fileno=int(sys.argv[1]))
    requests.set_inheritable(False)
    # So do the forks.
    hide_from_peers()
    _Forks(requests).run()
    os._exit(0)


if __name__ == "__main__":
    main()
