"""Runs the solution for the fronts of a TAP command: `python -I -S serve.py PLAN`; see `supervise/fronts.py`.

The supervisor asks on stdin, a socket, for each run; PLAN is the file of `launch.py`, which does the same for one run
in a process of its own. Here no run has one: the solution is forked right away, and one loop passes on what all of
them write. So nothing here may wait for one of them.

An order is made by `marshal`: `(number, arguments)`, with the three streams of the run, or `(number, None)`, which ends
it, whatever it has left to say. The answers are lines: `began NUMBER PID`, and, once a run has ended by itself and all
that it wrote has been passed on, `ended NUMBER CODE PEAK_MB NEEDS_MB IS_FLOOD`.
"""

import _signal  # type: ignore[import-not-found]
import gc
import marshal
import os
import sys

sys.path.append(os.path.dirname(__file__))
import launch  # type: ignore[import-not-found]
import pump  # type: ignore[import-not-found]
import spawner  # type: ignore[import-not-found]

TYPE_CHECKING = False  # `typing` would cost two milliseconds
if TYPE_CHECKING:
    from typing import Any

_MEGABYTE = 1024 * 1024
_CANNOT_START = 126


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
        self._code: int | None = None
        self._peak_mb = 0
        self._is_flood = False
        pipes = [os.pipe(), os.pipe()]
        given = [streams[0], *(writing for _, writing in pipes)]
        try:
            self.pid = server.starter.start(arguments, given)
        except OSError:
            _close_all([*streams[1:], *(reading for reading, _ in pipes)])
            raise
        finally:
            _close_all(given)
        self._handle = os.pidfd_open(self.pid)
        server.loop.await_input(self._handle, self._reap)
        errors, output = (_target(plan, stream) for stream in (streams[2], streams[1]))
        bounded = (plan["output_bytes"], self._stop, self._look)
        kept = pump.Stream(server.loop, pipes[1][0], errors, *bounded, copy=f"{plan['runs']}.{self.pid}")
        self._streams = [pump.Stream(server.loop, pipes[0][0], output, *bounded, before=kept.keep), kept]

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
        self._server.loop.forget(self._handle)
        os.close(self._handle)
        status, peak_kb = self._server.starter.reap(self.pid)
        self._code = launch.exit_code(self._server.plan, status)
        self._peak_mb = peak_kb // 1024
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


class Server:
    """Carries out orders.

    Args:
        plan: How the solution is started, and what it may write.
    """

    def __init__(self, plan: "dict[str, Any]") -> None:
        self.plan = plan
        self.starter = spawner.Spawner(plan) if spawner.Spawner.fits(plan) else spawner.Forks(plan)
        self.loop = pump.Loop()
        channel = self._channel = spawner.Channel(os.dup(0))
        self._runs: dict[int, Run] = {}
        self.loop.await_input(channel.fileno(), self._take_order)

    def tell(self, answer: bytes) -> None:
        """Tell the supervisor."""
        self._channel.send(answer, [])

    def forget(self, number: int) -> None:
        """A run has ended, or is none any more."""
        self._runs.pop(number, None)

    def _take_order(self) -> None:
        message, streams = self._channel.receive()
        if not message:
            os._exit(0)
        number, arguments = marshal.loads(message)
        if arguments is None:
            if number in self._runs:
                self._runs[number].drop()
            return
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
    if plan["entered"]:
        # Or each fork would do so.
        import ctypes  # noqa: F401
    # A fork is not to collect, which would copy what it looks at.
    gc.freeze()
    server = Server(plan)
    while True:
        server.loop.turn()


if __name__ == "__main__":
    main()
