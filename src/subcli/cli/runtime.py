"""Run a coroutine as a command: signals and a closed pipe become exceptions, and it ends quickly.

:func:`run` is for every command that waits for something; :func:`stoppable` adds Ctrl-Z and ``fg`` for screens and
prompts, which must return the terminal to the shell.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType
from typing import Any, NamedTuple, TextIO, TypeVar
from weakref import WeakKeyDictionary

from subcli.cli.outlet import GRACE_S
from subcli.cli.streams import Streams
from subcli.client.background import run_in_daemon_thread
from subcli.core.errors import InterruptedByUser
from subcli.output.view import View
from subcli.shared.platform import Platform

T = TypeVar("T")


class _Stop(NamedTuple):
    """Who has the terminal: a function that returns it, and one that then stops the process."""

    leave: Callable[[], None]
    stop: Callable[[signal.Signals], None]


class Interrupts:
    """What ended a command from outside, if anything did. Its coroutine may check this when it is cancelled.

    Attributes:
        received: the signal.
        failure: the error on stdout, such as a reader that went away.
        view: has the terminal, and returns it however the program ends.
    """

    def __init__(self, task: asyncio.Task[Any] | None = None) -> None:
        self.received: signal.Signals | None = None
        self.failure: OSError | None = None
        self.view: View | None = None
        self._task = task

    def error(self, hint: str = "") -> InterruptedByUser:
        """The exception for the signal. A closed terminal counts as terminated."""
        if self.received == signal.SIGINT:
            return InterruptedByUser("Interrupted.", hint=hint, signal_number=signal.SIGINT)
        return InterruptedByUser("Terminated.", hint=hint, signal_number=signal.SIGTERM)

    def fail(self, failure: OSError) -> None:
        """Cancel the command: its output can no longer be written."""
        if self.failure is None and self.received is None:
            self.failure = failure
            if self._task is not None:
                self._task.cancel()

    def interrupt(self, number: signal.Signals) -> None:
        """Cancel the command: a signal arrived."""
        self.received = number
        if self._task is not None:
            self._task.cancel()


def run(main: Callable[[Interrupts], Coroutine[Any, Any, T]], streams: Streams, *, hint: str = "") -> T:
    """Run ``main`` to its end.

    A signal cancels it once; a second one ends the program immediately, after restoring the terminal.

    Args:
        main: the command.
        streams: whose stdout is watched for a reader that leaves.
        hint: for the exception, unless ``main`` handles its cancellation.

    Raises:
        InterruptedByUser: Ctrl-C, SIGTERM, or a closed terminal.
        OSError: The output can no longer be written.
    """

    async def guarded() -> T:
        interrupts = Interrupts(asyncio.current_task())
        loop = asyncio.get_running_loop()

        def fail(failure: OSError) -> None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(interrupts.fail, failure)

        with (
            _signals(interrupts, streams),
            _reader_of_stdout(interrupts, streams),
            streams.unblocked(fail),
        ):
            try:
                return await main(interrupts)
            except asyncio.CancelledError:
                if interrupts.failure is not None:
                    raise interrupts.failure from None
                if interrupts.received is None:
                    raise
                raise interrupts.error(hint) from None

    with asyncio.Runner(loop_factory=lambda: _Loop(streams.platform)) as runner:
        return runner.run(guarded())


class _Loop(asyncio.SelectorEventLoop):
    """Resolves names in a daemon thread: a resolver that hangs must not delay the exit.

    Args:
        platform: has its clock and what it waits with.
    """

    def __init__(self, platform: Platform) -> None:
        # Before the loop asks for the time.
        self.time = platform.clock  # type: ignore[method-assign]
        super().__init__(platform.selector())

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Ignore the unhandled exceptions of websockets when a proxy's connection ends, which we report ourselves."""
        if not isinstance(context.get("exception"), EOFError):
            super().default_exception_handler(context)

    async def getaddrinfo(self, *args: Any, **options: Any) -> Any:
        return await run_in_daemon_thread(socket.getaddrinfo, *args, **options)


@contextlib.contextmanager
def _signals(interrupts: Interrupts, streams: Streams) -> Iterator[None]:
    """Handle signals, except those that our parent process ignores (``nohup``, ``&``)."""
    loop = asyncio.get_running_loop()
    known = streams.platform.signals
    before = {each: signal.getsignal(each) for each in (*known.ending, *known.fatal)}
    heard = [each for each in known.ending if before[each] is not signal.SIG_IGN]
    fatal = [each for each in known.fatal if before[each] is signal.SIG_DFL]

    def leave_terminal() -> None:
        leaving = [stop.leave for stop in _stops.get(loop, ())]
        if interrupts.view is not None:
            leaving.append(interrupts.view.suspend)
        for leave in leaving:
            # Whatever was interrupted, perhaps the view itself, the program ends here.
            with contextlib.suppress(Exception):
                leave()
                streams.settle(GRACE_S)

    def end_at_once(number: int, frame: FrameType | None) -> None:
        leave_terminal()
        os._exit(128 + known.reported(number))

    def die(number: int, frame: FrameType | None) -> None:
        leave_terminal()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    with known.heard(loop) as hearing:

        def interrupt(number: signal.Signals) -> None:
            for each in heard:
                hearing.remove(each)
                signal.signal(each, end_at_once)
            interrupts.interrupt(number)

        for each in heard:
            hearing.add(each, interrupt, each)
        for each in fatal:
            signal.signal(each, die)
        try:
            yield
        finally:
            for each in heard:
                hearing.remove(each)
            for each in (*heard, *fatal):
                signal.signal(each, before[each])


@contextlib.contextmanager
def _reader_of_stdout(interrupts: Interrupts, streams: Streams) -> Iterator[None]:
    """If stdout is a pipe, notice at once that its reader has left, not only at the next write.

    The writing end of a pipe never has data to read: the selector reports it only when the reader is gone.
    """
    loop = asyncio.get_running_loop()
    descriptor = _pipe_of(streams.stdout, streams.platform)

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


def _pipe_of(stream: TextIO, platform: Platform) -> int | None:
    try:
        descriptor = stream.fileno()
        return descriptor if platform.descriptors.tells_of_reader(descriptor) else None
    except (OSError, ValueError, AttributeError):
        return None


_stops: WeakKeyDictionary[asyncio.AbstractEventLoop, list[_Stop]] = WeakKeyDictionary()
"""Who has the terminal in each event loop; the last one counts."""


@contextlib.contextmanager
def stoppable(leave: Callable[[], None], take: Callable[[], None], streams: Streams) -> Iterator[None]:
    """In this context, SIGTSTP gives the terminal back to the shell before the process stops.

    Where several contexts overlap, the latest alone has the terminal. A SIGTSTP that our parent ignores stays ignored.

    Args:
        leave: restores the terminal. take: continues where ``leave`` stopped. streams: flushed before the process
        stops.
    """
    loop = asyncio.get_running_loop()
    stops = _stops.setdefault(loop, [])
    stopping = [each for each in streams.platform.signals.stopping if signal.getsignal(each) is not signal.SIG_IGN]

    def stop(number: signal.Signals) -> None:
        leave()
        streams.settle(GRACE_S)
        # Not SIGSTOP: the kernel ignores SIGTSTP where no shell could resume us (ssh -t HOST subcli …).
        loop.remove_signal_handler(number)
        signal.raise_signal(number)
        loop.add_signal_handler(number, stop, number)
        take()

    stops.append(mine := _Stop(leave, stop))
    for each in stopping:
        loop.add_signal_handler(each, stop, each)
    try:
        yield
    finally:
        stops.remove(mine)
        for each in stopping:
            if stops:
                loop.add_signal_handler(each, stops[-1].stop, each)
            else:
                loop.remove_signal_handler(each)
