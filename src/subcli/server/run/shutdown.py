"""Going down well: what a process does between a signal and its end.

It takes no new connection, is not ready, hands its jobs back, and closes its sockets with 1012 one after the
other, so that ten thousand watchers do not come back to the other gateways in one instant. The first signal
asks for that and bounds it; the second ends the process at once. Ending at once loses nothing either: what is
acknowledged is in the database, and leases run out.
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
_TICK: Final = 0.01


class Closable(Protocol):
    """A connection that can be asked to end."""

    def shutdown(self) -> None:
        """Say goodbye, without waiting."""


class Lifecycle:
    """Whether this process still serves, and what is to be done as soon as it does not."""

    def __init__(self) -> None:
        self.is_stopping = False
        self._then: list[Callable[[], object]] = []

    def when_stopping(self, call: Callable[[], object]) -> None:
        """Call this when the process begins to go down; at once if it has begun."""
        if self.is_stopping:
            call()
        else:
            self._then.append(call)

    def stop(self) -> None:
        """Begin to go down. Has an effect once."""
        self.is_stopping = True
        then, self._then = self._then, []
        for call in then:
            call()


async def close_gradually(connections: Sequence[Closable], limits: ServerLimits) -> None:
    """Ask each connection to end, evenly over as long as their number deserves, at most `limits.closing`."""
    if not connections:
        return
    loop = asyncio.get_running_loop()
    begun = loop.time()
    gap = min(1 / limits.closing_rate, limits.closing / len(connections))
    closed = 0
    while True:
        # All that are due: what each one's end costs must not make the last ones late.
        due = min(len(connections), int((loop.time() - begun) / gap) + 1)
        for connection in connections[closed:due]:
            connection.shutdown()
        closed = due
        if closed == len(connections):
            return
        await asyncio.sleep(max(_TICK, begun + closed * gap - loop.time()))


class Signals:
    """What SIGTERM and SIGINT do: the first asks to stop, the second, or a deadline, ends the process.

    Args:
        stop: asks to stop.
        deadline: seconds that stopping may take.
        end: ends the process with this code, at once; another one is for tests.
    """

    def __init__(self, stop: Callable[[], None], deadline: float, end: Callable[[int], object] = os._exit) -> None:
        self._stop = stop
        self._deadline = deadline
        self._end = end
        self._timer: threading.Timer | None = None

    def handle(self, number: int, _frame: FrameType | None = None) -> None:
        """A signal has come."""
        if self._timer is not None:
            self._end(128 + number)
            return
        # A thread, for what hangs may be the event loop, or a database's driver on its way out.
        self._timer = threading.Timer(self._deadline, self._overdue, (number,))
        self._timer.daemon = True
        self._timer.start()
        self._stop()

    def _overdue(self, number: int) -> None:
        _log.warning("did not end within %g s of %s; ending now", self._deadline, signal.Signals(number).name)
        self._end(128 + number)

    def cancel(self) -> None:
        """The process has ended in time, or goes on as another."""
        if self._timer is not None:
            self._timer.cancel()
