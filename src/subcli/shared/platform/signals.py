"""Signals, by their names: systems lack some of them."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


def named(*names: str) -> tuple[signal.Signals, ...]:
    """Those of these signals that this system has."""
    return tuple(signal.Signals[name] for name in names if name in signal.Signals.__members__)


class Signals:
    """The signals of Linux and macOS.

    Attributes:
        ending: ask the program to end: Ctrl-C, ``kill``, a closed terminal.
        fatal: end the program as they would without a handler, once the terminal has been restored.
        stopping: Ctrl-Z.
    """

    ending = named("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    fatal = named("SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGXCPU")
    stopping = named("SIGTSTP")

    @staticmethod
    def reported(number: int) -> signal.Signals:
        """The signal that a program which was ended by ``number`` reports: a closed terminal counts as terminated."""
        return signal.SIGINT if number == signal.SIGINT else signal.SIGTERM

    @contextlib.contextmanager
    def heard(self, loop: AbstractEventLoop) -> Iterator[Hearing]:
        """In this context, signals can call functions of a running event loop."""
        yield Hearing(loop)


class Hearing:
    """Which signals call what in an event loop."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop

    def add(self, number: signal.Signals, callback: Callable[..., object], *arguments: Any) -> None:
        """Call ``callback`` in the loop when the signal arrives."""
        self._loop.add_signal_handler(number, callback, *arguments)

    def remove(self, number: signal.Signals) -> None:
        """Do not call it any more; the signal does what it does by default."""
        self._loop.remove_signal_handler(number)


class WindowsSignals(Signals):
    """The signals of Windows: SIGINT is Ctrl-C, SIGBREAK is Ctrl-Break or a closed console; there is no job control.

    There, event loops have no signal handlers, and a signal does not end the wait of a loop: a socket that the handler
    written in C writes to does. The same works on other systems.
    """

    ending = named("SIGINT", "SIGTERM", "SIGBREAK")
    fatal = ()
    stopping = ()

    @contextlib.contextmanager
    def heard(self, loop: AbstractEventLoop) -> Iterator[Hearing]:
        import socket

        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            theirs.setblocking(False)
            before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
            loop.add_reader(ours, _drain, ours)
            try:
                yield WokenHearing(loop)
            finally:
                loop.remove_reader(ours)
                signal.set_wakeup_fd(before)


class WokenHearing(Hearing):
    """As :class:`Hearing`, without the loop's own handlers."""

    def add(self, number: signal.Signals, callback: Callable[..., object], *arguments: Any) -> None:
        def handle(number: int, frame: FrameType | None) -> None:
            # The loop may be closing.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(callback, *arguments)

        signal.signal(number, handle)

    def remove(self, number: signal.Signals) -> None:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def _drain(woken: Any) -> None:
    with contextlib.suppress(BlockingIOError):
        while woken.recv(4096):
            pass
