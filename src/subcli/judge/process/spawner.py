"""Starts solutions for `serve.py` from a process that has their limits itself.

A fork of an interpreter copies its page tables, and then each page that it touches while it sets limits. posix_spawn(3)
copies nothing, but can set no limits. So `Spawner` forks one process, which takes the limits on, once and for all, and
then spawns whatever it is asked for. What else a plan may want for each program, such as a sandbox, only a fork can do.
"""

import _signal  # type: ignore[import-not-found]
import _socket
import marshal
import os
import sys

sys.path.append(os.path.dirname(__file__))
import confine  # type: ignore[import-not-found]
import launch  # type: ignore[import-not-found]

TYPE_CHECKING = False  # `typing` would cost two milliseconds
if TYPE_CHECKING:
    from typing import Any

REQUEST_BYTES = 4 * 1024 * 1024
STREAMS = 3
_INT_BYTES = 4
_DEFAULT = (_signal.SIGPIPE, _signal.SIGXFSZ)
"""Signals that Python ignores, and programs expect to find as the system has them."""


class Channel:
    """One end of a socket for messages with descriptors.

    Args:
        descriptor: The socket.
    """

    def __init__(self, descriptor: int) -> None:
        self._socket = _socket.socket(fileno=descriptor)
        # Once: so large a buffer is mapped and unmapped each time.
        self._buffer = bytearray(REQUEST_BYTES)

    def fileno(self) -> int:
        """Its descriptor."""
        return int(self._socket.fileno())

    def receive(self) -> "tuple[bytes, list[int]]":
        """The next message, and what came with it. Empty at the end."""
        count, parts, _, _ = self._socket.recvmsg_into(
            [self._buffer], _socket.CMSG_LEN(STREAMS * _INT_BYTES), _socket.MSG_CMSG_CLOEXEC
        )
        passed = b"".join(data for _, _, data in parts)
        ends = range(0, len(passed), _INT_BYTES)
        return bytes(self._buffer[:count]), [int.from_bytes(passed[at : at + _INT_BYTES], sys.byteorder) for at in ends]

    def send(self, message: bytes, descriptors: "list[int]") -> None:
        """Send a message."""
        passed = b"".join(each.to_bytes(_INT_BYTES, sys.byteorder) for each in descriptors)
        parts = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, passed)] if descriptors else []
        self._socket.sendmsg([message], parts)


class Forks:
    """Starts solutions as forks of this process, and reaps them.

    Args:
        plan: How they are started.
    """

    def __init__(self, plan: "dict[str, Any]") -> None:
        self._plan = plan

    def start(self, arguments: "list[str]", streams: "list[int]") -> int:
        """Start the solution. Returns its process.

        Raises:
            OSError: There can be no further process.
        """
        pid = os.fork()
        if pid == 0:
            try:
                os.setsid()
                for number, stream in enumerate(streams):
                    os.dup2(stream, number)
                launch.execute(self._plan, arguments)
            finally:
                os._exit(1)
        return pid

    def reap(self, pid: int) -> "tuple[int, int]":
        """The status of a process that has ended, and the most memory that it had, in KB."""
        _, status, usage = os.wait4(pid, 0)
        return status, usage.ru_maxrss


class Spawner(Forks):
    """Starts solutions from a process that has their limits, and reaps them.

    Args:
        plan: How they are started, for which `fits` must hold.
    """

    def __init__(self, plan: "dict[str, Any]") -> None:
        super().__init__(plan)
        self._forked: set[int] = set()
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            try:
                ours.close()
                _spawn(Channel(theirs.detach()), plan)
            finally:
                os._exit(1)
        theirs.close()
        self._channel = Channel(ours.detach())

    @staticmethod
    def fits(plan: "dict[str, Any]") -> bool:
        """Whether everything that a plan wants for a program can be had by the process that spawns it."""
        count = len(plan["confining"])
        is_confined = not plan["layers"] and plan["prefix"][:count] == plan["confining"]
        return is_confined and bool(confine.can_bound(plan["prefix"][count:]))

    def start(self, arguments: "list[str]", streams: "list[int]") -> int:
        pid = int(self._asked((arguments,), streams)[0])
        if pid:
            return pid
        # A fork says why, in the name of the solution, and ends with the right code.
        pid = super().start(arguments, streams)
        self._forked.add(pid)
        return pid

    def reap(self, pid: int) -> "tuple[int, int]":
        if pid in self._forked:
            self._forked.remove(pid)
            return super().reap(pid)
        status, peak_kb = self._asked((pid,), [])
        return status, peak_kb

    def _asked(self, order: "tuple[list[str]] | tuple[int]", descriptors: "list[int]") -> "tuple[int, ...]":
        self._channel.send(marshal.dumps(order), descriptors)
        message, _ = self._channel.receive()
        if not message:
            raise SystemExit("the process that starts solutions has ended")
        answer: tuple[int, ...] = marshal.loads(message)
        return answer


def _spawn(channel: Channel, plan: "dict[str, Any]") -> None:
    """Carry out orders: to start the solution with arguments, or to reap a process. Does not return."""
    confine.bound(plan["prefix"][len(plan["confining"]) :])
    os.chdir(plan["directory"])
    # This is where posix_spawnp(3) looks.
    os.environ["PATH"] = plan["environment"].get("PATH", os.defpath)
    living: set[int] = set()
    while True:
        message, streams = channel.receive()
        if not message:
            for pid in living:
                os.kill(pid, _signal.SIGKILL)
            os._exit(0)
        (order,) = marshal.loads(message)
        if isinstance(order, int):
            _, status, usage = os.wait4(order, 0)
            living.discard(order)
            answer: tuple[int, ...] = status, usage.ru_maxrss
        else:
            answer = (_spawned([*plan["command"], *order], streams, plan["environment"]),)
            living.update(answer)
            living.discard(0)
        channel.send(marshal.dumps(answer), [])


def _spawned(command: "list[str]", streams: "list[int]", environment: "dict[str, str]") -> int:
    """Start a program with these streams, which are closed here. Returns its process; 0 if it cannot be started."""
    actions = [(os.POSIX_SPAWN_DUP2, stream, number) for number, stream in enumerate(streams)]
    try:
        return os.posix_spawnp(command[0], command, environment, file_actions=actions, setsid=True, setsigdef=_DEFAULT)
    except (OSError, ValueError):
        return 0
    finally:
        for stream in streams:
            os.close(stream)
