"""The template of all supervisors: a process that has imported what they need, and forks one for each judging.

    server  --an order to fork-->  template  --fork-->  supervisor
            <------------- pid, exit code ---

Starting Python and importing the judge takes ten times as long as a fork. The template runs nothing of a submission,
and learns nothing of one: the job reaches the supervisor over a socket that the template passes on unread. So each
supervisor is a copy of the same clean process, and no two submissions share one. The template ends with the process
that has started it.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from subcli.judge.process.starter import own_environment
from subcli.judge.supervise.child import Child, Pipe

_ANSWER_BYTES: Final = 256
_TIMES_TRIED: Final = 2
_OWN: Final = ("HOME", "TMPDIR", "PATH")
"""Each supervisor has its own of these variables, so that they are no reason for another template."""


class _Template:
    """The template of this process, as long as it lives."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.owner = os.getpid()
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self.process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "subcli.judge.supervise", str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    cwd="/",
                    env={**environment, "TMPDIR": tempfile.gettempdir()},
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
        except BaseException:
            self._channel.close()
            raise

    def ask(self, request: bytes, descriptors: Sequence[int]) -> None:
        """Ask for a supervisor.

        Raises:
            OSError: The template has ended.
        """
        socket.send_fds(self._channel, [request], descriptors)

    def close(self) -> None:
        """Let it end. What it has forked goes on."""
        self._channel.close()
        if self.owner == os.getpid():
            self.process.wait()


_template: _Template | None = None
_lock: Final = threading.Lock()


def _ask(directory: Path, descriptors: Sequence[int]) -> None:
    """Ask the template for a supervisor: a new one if it has ended, or if this process imports from elsewhere now.

    Raises:
        OSError: There is no template, and none can be started.
    """
    global _template
    environment = own_environment(directory)
    request = json.dumps({"directory": str(directory), "environment": environment}).encode()
    wanted = {name: value for name, value in environment.items() if name not in _OWN}
    with _lock:
        if _template is not None:
            if _template.owner == os.getpid() and _template.environment == wanted:
                with suppress(BrokenPipeError, ConnectionResetError):
                    _template.ask(request, descriptors)
                    return
            _template.close()
            _template = None
        _template = _Template(wanted)
        _template.ask(request, descriptors)


@atexit.register
def _close() -> None:
    if _template is not None:
        _template.close()


def template_pid() -> int | None:
    """The process id of this process's template, if it has one."""
    return None if _template is None else _template.process.pid


async def start_supervisor(directory: Path, channel: int, lock: int) -> Child:
    """Start a supervisor.

    Args:
        directory: Its working directory, and its home.
        channel: The socket over which it gets its job.
        lock: A lock that it holds as long as it lives.

    Raises:
        OSError: It cannot be started.
    """
    log = await Pipe.open()
    try:
        for _ in range(_TIMES_TRIED):
            # A template that was killed is noticed only by its silence.
            if (begun := await _begin(directory, (channel, lock, log.writing))) is not None:
                status, pid, handle = begun
                log.close_writing()
                return Child(pid, handle, _ended(status, handle), log)
        raise OSError(0, "the template of the supervisors has ended")
    except BaseException:
        log.close()
        raise


async def _begin(directory: Path, descriptors: Sequence[int]) -> tuple[socket.socket, int, int] | None:
    """Ask for a supervisor.

    Returns:
        Where its end will be told, its id, and a descriptor that refers to it; None if the template has ended.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with theirs:
            _ask(directory, (*descriptors, theirs.fileno()))
        ours.setblocking(False)
        begun = await _begun(ours)
    except BaseException:
        ours.close()
        raise
    if begun is None:
        ours.close()
        return None
    return ours, *begun


async def _begun(status: socket.socket) -> tuple[int, int] | None:
    loop = asyncio.get_running_loop()
    is_there = asyncio.Event()
    loop.add_reader(status, is_there.set)
    try:
        await is_there.wait()
    finally:
        loop.remove_reader(status)
    try:
        message, handles, _, _ = socket.recv_fds(status, _ANSWER_BYTES, 1)
    except ConnectionError:
        return None
    if not message:
        return None
    answer = json.loads(message)
    if not handles:
        raise OSError(answer["errno"], os.strerror(answer["errno"]))
    return answer["pid"], handles[0]


def _ended(status: socket.socket, handle: int) -> asyncio.Future[int]:
    """A future for the exit code, which the template tells; it reaps the process.

    If the template was killed, nobody knows the code, but the end shows all the same.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()

    def lost() -> None:
        loop.remove_reader(handle)
        ended.set_result(-signal.SIGKILL)

    def told() -> None:
        try:
            message = status.recv(_ANSWER_BYTES)
        except ConnectionError:
            message = b""
        loop.remove_reader(status)
        status.close()
        if message:
            ended.set_result(json.loads(message)["code"])
        else:
            loop.add_reader(handle, lost)

    loop.add_reader(status, told)
    return ended
