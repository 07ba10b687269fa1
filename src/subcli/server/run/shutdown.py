"""Graceful shutdown: what a process does between a signal and its end.

It accepts no new connections, reports that it is not ready, hands its jobs back, and closes its sockets with
1012 gradually, so that ten thousand watchers do not reconnect to the other gateways at the same moment. The
first signal starts the shutdown and a deadline; a second one ends the process at once. That loses nothing
either: whatever was acknowledged is in the database, and leases expire.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Final, Protocol

from subcli.server.settings import ServerLimits

_log: Final = logging.getLogger(__name__)
_MIN_SLEEP_S: Final = 0.01


class Closable(Protocol):
    """A connection that can be asked to close."""

    def shutdown(self) -> None:
        """Start closing, without waiting."""


class Lifecycle:
    """Whether this process is shutting down, and callbacks for when it starts to.

    Attributes:
        failure: what one of its background tasks has raised; None if none has.
    """

    def __init__(self) -> None:
        self.is_stopping = False
        self.failure: BaseException | None = None
        self._callbacks: list[Callable[[], object]] = []
        self._end: Callable[[], object] = self.stop

    def when_failed(self, end: Callable[[], object]) -> None:
        """Call `end` when a background task has failed, to shut the process down."""
        self._end = end

    def fail(self, error: BaseException) -> None:
        """Note that a background task has failed: end, so that a supervisor starts this process again."""
        # What fails while the process is ending is logged, and changes nothing.
        if not self.is_stopping:
            self.failure = self.failure or error
            self._end()

    def when_stopping(self, callback: Callable[[], object]) -> None:
        """Call `callback` when the shutdown starts, or now if it already has."""
        if self.is_stopping:
            callback()
        else:
            self._callbacks.append(callback)

    def stop(self) -> None:
        """Start the shutdown. Further calls have no effect."""
        self.is_stopping = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()


async def close_gradually(connections: Sequence[Closable], limits: ServerLimits) -> None:
    """Close connections one by one, evenly spaced.

    Args:
        connections: closed in this order.
        limits: `closing_per_s` connections, or more if that would take longer than `closing_s`.
    """
    if not connections:
        return
    loop = asyncio.get_running_loop()
    started = loop.time()
    gap_s = min(1 / limits.closing_per_s, limits.closing_s / len(connections))
    closed = 0
    while True:
        # Close all that are due, so that the time spent closing does not delay the last ones.
        due = min(len(connections), int((loop.time() - started) / gap_s) + 1)
        for connection in connections[closed:due]:
            connection.shutdown()
        closed = due
        if closed == len(connections):
            return
        await asyncio.sleep(max(_MIN_SLEEP_S, started + closed * gap_s - loop.time()))


class Signals:
    """Handles SIGTERM and SIGINT: the first starts the shutdown, a second one or the deadline ends the process.

    Args:
        stop: starts the shutdown.
        deadline: how long the shutdown may take, in seconds.
        end: ends the process at once with this exit code; tests pass another function.
    """

    def __init__(self, stop: Callable[[], None], deadline: float, end: Callable[[int], object] = os._exit) -> None:
        self._stop = stop
        self._deadline = deadline
        self._end = end
        self._timer: threading.Timer | None = None

    def handle(self, number: int, _frame: FrameType | None = None) -> None:
        """Handle a signal."""
        if self._timer is not None:
            self._end(128 + number)
        else:
            self.begin(number)

    def begin(self, number: int) -> None:
        """Start the shutdown as this signal does, unless it has begun."""
        if self._timer is not None:
            return
        # A thread, because the event loop or a database driver may be what hangs.
        self._timer = threading.Timer(self._deadline, self._overdue, (number,))
        self._timer.daemon = True
        self._timer.start()
        self._stop()

    def _overdue(self, number: int) -> None:
        _log.warning("shutdown took longer than %g s after %s; ending now", self._deadline, signal.Signals(number).name)
        self._end(128 + number)

    def cancel(self) -> None:
        """Cancel the deadline, because the shutdown is complete."""
        if self._timer is not None:
            self._timer.cancel()
