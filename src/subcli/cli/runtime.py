"""Run a coroutine as a command: signals and a reader that went away become exceptions, and the end is quick.

:func:`run` is for every command that waits for something; :func:`stoppable` adds Ctrl-Z and ``fg`` where there is a
screen that must leave the terminal to the shell.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import stat
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TextIO, TypeVar

from subcli.cli.streams import Streams
from subcli.client.background import run_in_daemon_thread
from subcli.core.errors import InterruptedByUser
from subcli.output.view import View

T = TypeVar("T")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """What ended a command from outside, if anything did; its coroutine may look when it is cancelled.

    Attributes:
        received: the signal.
        failure: what went wrong beside the coroutine: stdout that nobody reads any more.
    """

    def __init__(self, task: asyncio.Task[Any] | None = None) -> None:
        self.received: signal.Signals | None = None
        self.failure: OSError | None = None
        self._task = task

    def error(self, hint: str = "") -> InterruptedByUser:
        """The exception for the signal. A terminal that was closed counts as terminated."""
        if self.received == signal.SIGINT:
            return InterruptedByUser("Interrupted.", hint=hint, signal_number=signal.SIGINT)
        return InterruptedByUser("Terminated.", hint=hint, signal_number=signal.SIGTERM)

    def fail(self, failure: OSError) -> None:
        """End the command: its output can no longer be written."""
        if self.failure is None and self.received is None:
            self.failure = failure
            if self._task is not None:
                self._task.cancel()

    def interrupt(self, number: signal.Signals) -> None:
        """End the command: a signal came."""
        self.received = number
        if self._task is not None:
            self._task.cancel()


def run(main: Callable[[Interrupts], Coroutine[Any, Any, T]], streams: Streams, *, hint: str = "") -> T:
    """Run ``main`` to its end.

    A signal cancels it once; a second one kills, as if we had no handler.

    Args:
        main: the command.
        streams: whose stdout is watched for a reader that went away.
        hint: for the exception, where ``main`` does not end by itself when it is cancelled.

    Raises:
        InterruptedByUser: Ctrl-C, SIGTERM, or the terminal was closed.
        OSError: the output cannot be written any more.
    """

    async def guarded() -> T:
        interrupts = Interrupts(asyncio.current_task())
        with _signals(interrupts), _reader_of_stdout(interrupts, streams.stdout):
            try:
                return await main(interrupts)
            except asyncio.CancelledError:
                if interrupts.failure is not None:
                    raise interrupts.failure from None
                if interrupts.received is None:
                    raise
                raise interrupts.error(hint) from None

    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(guarded())


class _Loop(asyncio.SelectorEventLoop):
    """Looks names up in a thread that nobody waits for: a resolver that hangs must not hold up the end."""

    async def getaddrinfo(self, *args: Any, **options: Any) -> Any:
        return await run_in_daemon_thread(socket.getaddrinfo, *args, **options)


@contextlib.contextmanager
def _signals(interrupts: Interrupts) -> Iterator[None]:
    """Signals interrupt, save those that whoever started us wants ignored (``nohup``, ``&``)."""
    loop = asyncio.get_running_loop()
    heard = [each for each in _SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]

    def remove_handlers() -> None:
        for each in heard:
            loop.remove_signal_handler(each)

    def interrupt(number: signal.Signals) -> None:
        remove_handlers()
        interrupts.interrupt(number)

    for each in heard:
        loop.add_signal_handler(each, interrupt, each)
    try:
        yield
    finally:
        remove_handlers()


@contextlib.contextmanager
def _reader_of_stdout(interrupts: Interrupts, stdout: TextIO) -> Iterator[None]:
    """Where stdout is a pipe, notice at once that its reader went away, not only when there is more to write.

    The writing end of a pipe never becomes readable: whatever the selector says of it is that.
    """
    loop = asyncio.get_running_loop()
    descriptor = _pipe_of(stdout)

    def gone() -> None:
        if descriptor is not None:
            loop.remove_reader(descriptor)
        interrupts.fail(BrokenPipeError())

    if descriptor is not None:
        loop.add_reader(descriptor, gone)
    try:
        yield
    finally:
        if descriptor is not None:
            loop.remove_reader(descriptor)


def _pipe_of(stream: TextIO) -> int | None:
    try:
        descriptor = stream.fileno()
        return descriptor if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else None
    except (OSError, ValueError, AttributeError):
        return None


@contextlib.contextmanager
def stoppable(view: View) -> Iterator[None]:
    """While this holds, SIGTSTP gives the terminal back before the process stops."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        view.suspend()
        # Not SIGSTOP: where no shell could wake us (ssh HOST -t subcli …), the kernel leaves this one out.
        loop.remove_signal_handler(signal.SIGTSTP)
        signal.raise_signal(signal.SIGTSTP)
        loop.add_signal_handler(signal.SIGTSTP, stop)
        view.resume()

    loop.add_signal_handler(signal.SIGTSTP, stop)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTSTP)
