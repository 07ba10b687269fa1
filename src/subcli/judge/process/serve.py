"""Runs the solution for the fronts of a TAP command: `python -I -S serve.py PLAN`; see `supervise/fronts.py`.

The supervisor asks on stdin, a socket, for each run; PLAN is the file of `launch.py`, which does the same for one run
in a process of its own. Here no run has one: the solution is forked right away, and one loop passes on what all of
them write. So nothing here may wait for one of them.

An order is made by `marshal`: `(number, arguments)`, with the three streams of the run, or `(number, None)`, which ends
it, whatever it has left to say. The answers are lines: `began NUMBER PID`, and, once a run has ended by itself and all
that it wrote has been passed on, `ended NUMBER CODE PEAK_MB NEEDS_MB IS_FLOOD`.
"""

import _signal  # type: ignore[import-not-found]
import _socket
import fcntl
import gc
import marshal
import os
import select
import sys
import termios

sys.path.append(os.path.dirname(__file__))
import launch  # type: ignore[import-not-found]

TYPE_CHECKING = False  # `typing` would cost two milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_CHUNK = 64 * 1024
_REQUEST_BYTES = 4 * 1024 * 1024
_STREAMS = 3
_INT_BYTES = 4
_MEGABYTE = 1024 * 1024
_CANNOT_START = 126
_FORMAT, _PIPE, _DEVICE, _SOCKET = 0o170000, 0o010000, 0o020000, 0o140000
"""Of a file's mode. The module `stat` takes long to import."""


class Loop:
    """Calls what waits for descriptors."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._called: "dict[int, Callable[[], None]]" = {}

    def await_input(self, descriptor: int, called: "Callable[[], None]") -> None:
        """Call this whenever there is something to read, or nothing more will come."""
        self._poll.register(descriptor, select.POLLIN)
        self._called[descriptor] = called

    def await_room(self, descriptor: int, called: "Callable[[], None]") -> None:
        """Call this whenever something can be written, or nobody reads any more."""
        self._poll.register(descriptor, select.POLLOUT)
        self._called[descriptor] = called

    def forget(self, descriptor: int) -> None:
        """Call nothing for this descriptor."""
        if self._called.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def turn(self) -> None:
        """Wait for the next descriptors."""
        for descriptor, _ in self._poll.poll():
            called = self._called.get(descriptor)
            if called is not None:
                called()


class Stream:
    """Passes on what the solution writes to one stream, and keeps a copy if there is a file for it.

    Args:
        loop: What waits.
        source: Where to read.
        target: Where to write.
        limit: How many bytes the solution may write.
        copy: The name of the file for the copy, which is made once there is something; empty if there is none.
        on_excess: Called when the solution has written more.
        on_change: Called when something has been passed on.
        before: Called before something is passed on.
    """

    def __init__(
        self,
        loop: Loop,
        source: int,
        target: int,
        limit: int,
        copy: str,
        on_excess: "Callable[[], None]",
        on_change: "Callable[[], None]",
        before: "Callable[[], None] | None" = None,
    ) -> None:
        self._loop = loop
        self._source = source
        self._target = target
        self._limit = limit
        self._copy = copy
        self._on_excess = on_excess
        self._on_change = on_change
        self._before = before
        self._total = 0
        self._unsent = b""
        self._is_done = False
        kind = os.fstat(target).st_mode & _FORMAT
        self._socket = _socket.socket(fileno=os.dup(target)) if kind == _SOCKET else None
        if kind in (_PIPE, _DEVICE):
            self._target = _not_waiting(target)
        os.set_blocking(source, False)
        loop.await_input(source, self._pass_on)

    def keep(self) -> None:
        """Keep what the solution has written so far."""
        while not self._is_done and self._total <= self._limit and self._read():
            continue
        if not self._is_done and self._unsent:
            self._await_room()

    @property
    def is_empty(self) -> bool:
        """Whether everything that the solution wrote has been passed on."""
        return self._is_done or (not self._unsent and self._waiting() == 0)

    def close(self) -> None:
        """Pass on nothing more."""
        self._finish()
        if self._source >= 0:
            os.close(self._source)
        os.close(self._target)
        if self._socket is not None:
            self._socket.close()

    def _finish(self) -> None:
        self._is_done = True
        self._loop.forget(self._source)
        self._loop.forget(self._target)

    def _read(self) -> bool:
        """Read what is there. Returns whether that was something."""
        try:
            data = os.read(self._source, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            if not self._unsent:
                self._finish()
            return False
        self._total += len(data)
        if self._copy:
            descriptor = os.open(self._copy, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.write(descriptor, data)
            os.close(descriptor)
        self._unsent += data
        return True

    def _pass_on(self) -> None:
        if not self._unsent and not self._read():
            self._on_change()
            return
        if self._before is not None:
            self._before()
        try:
            count = self._write()
        except BlockingIOError:
            count = 0
        except OSError:
            # The test command closed the pipe: a confined solution gets SIGPIPE, as it would without a launcher.
            self._finish()
            os.close(self._source)
            self._source = -1
            self._on_change()
            return
        self._unsent = self._unsent[count:]
        if self._total > self._limit:
            # It stays open: what is being killed for writing too much is not to fail for anything else.
            self._finish()
            self._on_excess()
        elif self._unsent:
            self._await_room()
        else:
            self._loop.forget(self._target)
            self._loop.await_input(self._source, self._pass_on)
        self._on_change()

    def _await_room(self) -> None:
        self._loop.forget(self._source)
        self._loop.await_room(self._target, self._pass_on)

    def _write(self) -> int:
        if self._socket is not None:
            return int(self._socket.send(self._unsent, _socket.MSG_DONTWAIT))
        return os.write(self._target, self._unsent)

    def _waiting(self) -> int:
        return int.from_bytes(fcntl.ioctl(self._source, termios.FIONREAD, bytes(_INT_BYTES)), sys.byteorder)


def _not_waiting(target: int) -> int:
    """The same pipe or device, opened again, so that writing to it never waits. Closes `target` if that is possible.

    A flag on `target` itself would be one of all who share it.
    """
    try:
        again = os.open(f"/proc/self/fd/{target}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        # Nobody reads the pipe any more; or this is not allowed.
        return target
    os.close(target)
    return again


class Run:
    """One run of the solution.

    Args:
        server: What runs it.
        number: What the supervisor calls it.
        arguments: Those of the solution.
        streams: Its stdin, and where its output goes. They are closed here.

    Raises:
        OSError: There can be no further process.
    """

    def __init__(self, server: "Server", number: int, arguments: "list[str]", streams: "list[int]") -> None:
        plan = server.plan
        self._server = server
        self._number = number
        self._code: "int | None" = None
        self._peak_mb = 0
        self._is_flood = False
        pipes = [os.pipe(), os.pipe()]
        try:
            self.pid = os.fork()
        except OSError:
            _close_all([*streams, *(end for pipe in pipes for end in pipe)])
            raise
        if self.pid == 0:
            _become_solution(plan, arguments, streams[0], pipes)
        _close_all([streams[0], *(writing for _, writing in pipes)])
        targets = [_target(plan, stream) for stream in streams[1:]]
        self._handle = os.pidfd_open(self.pid)
        server.loop.await_input(self._handle, self._reap)
        bounded = (self._stop, self._look)
        limit = plan["output_bytes"]
        errors = Stream(server.loop, pipes[1][0], targets[1], limit, f"{plan['runs']}.{self.pid}", *bounded)
        output = Stream(server.loop, pipes[0][0], targets[0], limit, "", *bounded, errors.keep)
        self._streams = [output, errors]

    def drop(self) -> None:
        """End it. Nobody wants to know how."""
        self._streams[1].keep()
        self._close()
        if self._code is None:
            try:  # noqa: SIM105 -- importing contextlib takes longer than all the rest here
                os.kill(self.pid, _signal.SIGKILL)
            except ProcessLookupError:
                pass

    def _stop(self) -> None:
        self._is_flood = True
        launch.kill_group(self.pid)

    def _reap(self) -> None:
        pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        if pid == 0:
            # It is another descriptor that was ready, which had the same number.
            return
        self._server.loop.forget(self._handle)
        os.close(self._handle)
        self._code = launch.exit_code(self._server.plan, status)
        self._peak_mb = usage.ru_maxrss // 1024
        self._look()

    def _look(self) -> None:
        """Tell the end, once there is nothing left to pass on."""
        if self._code is None or not self._streams or not all(stream.is_empty for stream in self._streams):
            return
        self._close()
        code = self._code
        # Only who was killed may have needed more memory than there was.
        needs_mb = launch.needed_at_start(self._server.plan) // _MEGABYTE if code < 0 else 0
        self._server.tell(b"ended %d %d %d %d %d" % (self._number, code, self._peak_mb, needs_mb, self._is_flood))

    def _close(self) -> None:
        for stream in self._streams:
            stream.close()
        self._streams = []
        self._server.forget(self._number)


def _close_all(descriptors: "list[int]") -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _target(plan: "dict[str, Any]", stream: int) -> int:
    """Where a stream of the solution goes. Never the pipe for results, where it would be read as results."""
    kept = int(launch.stream_for(plan, stream))
    if kept != stream:
        os.close(stream)
    return kept


def _become_solution(
    plan: "dict[str, Any]", arguments: "list[str]", given: int, pipes: "list[tuple[int, int]]"
) -> None:
    try:
        os.setsid()
        for number, descriptor in enumerate((given, pipes[0][1], pipes[1][1])):
            os.dup2(descriptor, number)
        launch.execute(plan, arguments)
    finally:
        os._exit(1)


class Server:
    """Carries out orders.

    Args:
        plan: How the solution is started, and what it may write.
        channel: Where the orders come from.
    """

    def __init__(self, plan: "dict[str, Any]", channel: _socket.socket) -> None:
        self.plan = plan
        self.loop = Loop()
        self._channel = channel
        self._runs: "dict[int, Run]" = {}
        self.loop.await_input(channel.fileno(), self._take_order)

    def tell(self, answer: bytes) -> None:
        """Tell the supervisor."""
        self._channel.send(answer)

    def forget(self, number: int) -> None:
        """A run has ended, or is none any more."""
        self._runs.pop(number, None)

    def _take_order(self) -> None:
        message, parts, _, _ = self._channel.recvmsg(_REQUEST_BYTES, _socket.CMSG_LEN(_STREAMS * _INT_BYTES))
        if not message:
            os._exit(0)
        number, arguments = marshal.loads(message)
        if arguments is None:
            if number in self._runs:
                self._runs[number].drop()
            return
        streams = [int.from_bytes(parts[0][2][at : at + _INT_BYTES], sys.byteorder) for at in (0, 4, 8)]
        try:
            run = Run(self, number, arguments, streams)
        except OSError:
            self.tell(b"ended %d %d 0 0 0" % (number, _CANNOT_START))
        else:
            self._runs[number] = run
            self.tell(b"began %d %d" % (number, run.pid))


def main() -> None:
    """Run what is asked for, until nobody asks any more."""
    with open(sys.argv[1], "rb") as file:
        plan = marshal.load(file)
    # A fork is not to collect, which would copy what it looks at.
    gc.freeze()
    server = Server(plan, _socket.socket(fileno=os.dup(0)))
    while True:
        server.loop.turn()


if __name__ == "__main__":
    main()
