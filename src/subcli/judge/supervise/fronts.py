"""What a TAP command starts in place of the solution: fronts, each of which stands for a run.

    TAP command  --exec-->  front (sh)      its streams  ---.
                              | pid    ^ exit code          |
                              v        |                    v
                            supervisor --order, streams--> serve.py  --fork-->  solution

A shell starts in a millisecond, and an interpreter in ten, so the front is a shell script of built-in commands. It says
its process id on a FIFO, and reads from a pipe of its own how the run has ended: the only one that a shell can make by
itself, that of a here-document. No run creates a file, which takes longer than all the rest where many were deleted.
Its streams and that pipe are taken from it, pidfd_getfd(2); where that is not allowed, as in a container without a
profile for it, or where the shell has no such pipe, `launch.py` is started for each run instead.
"""

from __future__ import annotations

import asyncio
import ctypes
import marshal
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from subcli.judge.process.starter import LAUNCH, SERVE

_ANSWER_BYTES: Final = 256
_PIDFD_GETFD: Final = 438
"""The number of the system call, on every architecture."""
_LIBRARY: Final = ctypes.CDLL(None, use_errno=True)
_COPIES: Final = (7, 8, 9)
"""Where the script keeps its streams: what a shell does may be in the way of the first three, for a moment."""
_ANSWER: Final = 6
"""Where it reads the answer."""
_PIPE: Final = "exec 6<<END\nEND\n"
_SCRIPT: Final = """\
#!/bin/sh
command exec 7<&0 || exec 7</dev/null
command exec 8>&1 || exec 8>/dev/null
command exec 9>&2 || exec 9>/dev/null
PIPE# For both directions, so that it does not end.
exec 6<>/proc/self/fd/6
starts=STARTS
trap 'echo "front $$ 15" >"$starts"' TERM
trap 'echo "front $$ 2" >"$starts"' INT
trap 'echo "front $$ 1" >"$starts"' HUP
echo "front $$ 0" >"$starts"
until read -r code <&6; do
    :
done
trap - TERM INT HUP
[ "$code" -ge 0 ] && exit "$code"
ulimit -c 0
kill "$code" $$
"""


@dataclass
class _Front:
    """A front that lives, and whose run has begun."""

    handle: int
    """A descriptor that refers to its process."""
    answer: int
    """The pipe from which it reads the answer."""
    solution: int = 0
    """The solution's process, once there is one. Its session has the same number."""
    has_ended: bool = False
    """Whether the run has."""


@dataclass(frozen=True)
class Ended:
    """A run that has ended by itself."""

    pid: int
    """The process that stood for it: that of the solution, or its launcher."""
    code: int
    peak_mb: int
    needs_mb: int
    exceeded: str


class Fronts:
    """The fronts of one TAP command, and the process that runs the solution for them.

    Args:
        scratch: A directory of the judge's own.
        starts: The FIFO on which fronts and launchers say that they begin.
        plan: The file with the plan of `launch.py` and `serve.py`.
        entered: The namespaces that the solution's processes enter.
        on_start: Called with the process id before anything else can wait for the process.
        trust: Called with the process id of each front: it outlives the command that started it, and is not the
            solution's then either.
        on_end: Called with each run that has ended by itself.
    """

    def __init__(
        self,
        scratch: Path,
        starts: Path,
        plan: Path,
        entered: tuple[int, ...],
        on_start: Callable[[int], None],
        trust: Callable[[int], None],
        on_end: Callable[[Ended], None],
    ) -> None:
        self._trust = trust
        self._on_end = on_end
        self._program = scratch / "solution"
        self._alive: dict[int, _Front] = {}
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # In our session: nothing of it is the solution's.
            self._server = subprocess.Popen(
                [sys.executable, "-I", "-S", str(SERVE), str(plan)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                pass_fds=entered,
            )
        on_start(self._server.pid)
        words = [sys.executable, "-I", "-S", str(LAUNCH), str(plan)]
        text = f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n'
        if _can_take_streams(self._server.pid) and _has_pipe():
            text = _SCRIPT.replace("PIPE", _PIPE).replace("STARTS", shlex.quote(str(starts)))
        self._program.write_text(text, encoding="utf-8")
        self._program.chmod(0o700)
        asyncio.get_running_loop().add_reader(self._channel, self._take_answer)

    @property
    def program(self) -> Path:
        """What the command starts."""
        return self._program

    def close(self) -> None:
        """Take no more, and let no more be started."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._channel)
        self._channel.close()
        self._server.kill()
        self._server.wait()
        for front in self._alive.values():
            loop.remove_reader(front.handle)
            os.close(front.handle)
            os.close(front.answer)

    def signalled(self, pid: int, number: int) -> None:
        """A front has got a signal, which is meant for the solution and all in its process group."""
        front = self._alive.get(pid)
        if front is not None and front.solution and not front.has_ended:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(front.solution, number)

    def begin(self, pid: int) -> int:
        """Start the run of a front that is there.

        Returns:
            the solution's process; 0 if there is none, because the front has gone.
        """
        try:
            handle = os.pidfd_open(pid)
        except OSError:
            # It was killed.
            return 0
        taken: list[int] = []
        try:
            # The interpreter and the script come first.
            arguments = _read(f"/proc/{pid}/cmdline").split(b"\0")[1:-1]
            if not arguments or arguments[0] != os.fsencode(self._program):
                raise ProcessLookupError
            taken.extend(_taken(handle, number) for number in (*_COPIES, _ANSWER))
            self._order(pid, [os.fsdecode(each) for each in arguments[1:]], taken[:-1])
        except OSError:
            os.close(handle)
            if len(taken) > len(_COPIES):
                os.close(taken.pop())
            return 0
        finally:
            for stream in taken[: len(_COPIES)]:
                os.close(stream)
        self._trust(pid)
        front = self._alive[pid] = _Front(handle, taken[-1])
        asyncio.get_running_loop().add_reader(handle, self._gone, pid)
        # A fork away. Nobody could end the run before we know what it is.
        while not front.solution and not front.has_ended and self._take_answer():
            continue
        return front.solution

    def _order(self, pid: int, arguments: list[str] | None, streams: list[int]) -> None:
        request = marshal.dumps((pid, arguments))
        socket.send_fds(self._channel, [request], streams) if streams else self._channel.send(request)

    def _gone(self, pid: int) -> None:
        """A front has ended: with its answer, or because it was killed, which the solution is meant by."""
        front = self._alive[pid]
        asyncio.get_running_loop().remove_reader(front.handle)
        if not front.has_ended:
            with suppress(OSError):
                self._order(pid, None, [])
        del self._alive[pid]
        os.close(front.handle)
        os.close(front.answer)

    def _take_answer(self) -> bool:
        """Take what the process has to say that runs the solution. Waits for it. Returns False if it has ended."""
        message = self._channel.recv(_ANSWER_BYTES)
        if not message:
            asyncio.get_running_loop().remove_reader(self._channel)
            return False
        what, *words = message.split()
        pid, *numbers = map(int, words)
        front = self._alive.get(pid)
        if front is None:
            # It was killed, and the run with it.
            return True
        if what == b"began":
            front.solution = numbers[0]
            return True
        front.has_ended = True
        code, peak_mb, needs_mb, is_flood = numbers
        if front.solution:
            self._on_end(Ended(front.solution, code, peak_mb, needs_mb, "output" if is_flood else ""))
        os.write(front.answer, b"%d\n" % code)
        return True


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()


def _can_take_streams(pid: int) -> bool:
    """Whether the kernel lets us have the descriptors of a process below us: tried with this one."""
    handle = os.pidfd_open(pid)
    try:
        os.close(_taken(handle, 0))
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


@cache
def _has_pipe() -> bool:
    """Whether the shell makes a pipe for a here-document; some make a file."""
    test = f"{_PIPE}[ -p /proc/self/fd/{_ANSWER} ]"
    return subprocess.run(["/bin/sh", "-c", test], check=False).returncode == 0


def _taken(handle: int, number: int) -> int:
    """A copy of a descriptor of another process.

    Raises:
        OSError: It is not there any more, or this is not allowed.
    """
    descriptor: int = _LIBRARY.syscall(_PIDFD_GETFD, handle, number, 0)
    if descriptor < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return descriptor
