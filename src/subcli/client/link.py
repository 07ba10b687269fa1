"""One socket with its clocks: what arrives, what is due, and what ended it, as inputs of the recovery machine.

For :mod:`subcli.client.feed`; :mod:`subcli.client.session`, which also follows servers that replay nothing, has its
own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from subcli.client.auth import Authenticator
from subcli.client.heartbeat import PONG_TIMEOUT_S, Heartbeat
from subcli.client.session import OpenSocket
from subcli.client.transport import Disconnected
from subcli.core.inputs import Input, Opened, Reopening, Silent
from subcli.shared.secret import Secret

_state_log: Final = logging.getLogger("subcli.socket.state")
_frame_log: Final = logging.getLogger("subcli.socket.frame")


class Link:
    """A socket that is opened again and again.

    Attributes:
        arrived: frames that have arrived.
        refused: the token with which the last connection was made, or refused.

    Args:
        name: for the log.
        authenticator: supplies the token.
        wall: the wall clock, in seconds.
    """

    def __init__(self, name: str, authenticator: Authenticator, wall: Callable[[], float] = time.time) -> None:
        self.arrived: deque[str | bytes] = deque()
        self._name = name
        self._authenticator = authenticator
        self._wall = wall
        self._socket: OpenSocket | None = None
        self._heartbeat = Heartbeat(0.0, 0.0)
        self._is_reopening = False
        self._waiting: asyncio.Timeout | None = None
        self.refused: Secret | None = authenticator.token()

    async def open(self, dial: Callable[[], Awaitable[OpenSocket]]) -> Input:
        """Connect: ``Opened``, or why not."""
        self._is_reopening = False
        _state_log.debug("%s 0 CONNECTING", self._name)
        self.refused = self._authenticator.token()
        try:
            self._socket = await dial()
        except Disconnected as disconnected:
            return self._closed(disconnected)
        _state_log.debug("%s 1 OPEN", self._name)
        self.arrived.clear()
        self._heartbeat = Heartbeat(now(), self._wall())
        return Opened(needs_catch_up=False)

    async def receive(self) -> Input | None:
        """Wait until frames have arrived, or something else is due; what that is, is the machine's next input."""
        socket = self._socket
        assert socket is not None
        if self._is_reopening:
            return Reopening()
        if self.arrived:
            return None
        try:
            async with asyncio.timeout_at(self._heartbeat.wake_at(resumes=True)) as self._waiting:
                self.arrived.extend(await socket.receive())
        except TimeoutError:
            if self._is_reopening:
                return Reopening()
            due = self._heartbeat.due(now(), self._wall(), socket.last_byte_at, resumes=True)
            return await self._in_time(socket.ping()) if due == "ping" else due
        except Disconnected as disconnected:
            return self._closed(disconnected)
        finally:
            self._waiting = None
        if _frame_log.isEnabledFor(logging.DEBUG):
            for frame in self.arrived:
                _frame_log.debug("%s < %s", self._name, frame)
        return None

    def reopen(self) -> None:
        """Have the socket replaced by another one, if there is one: it is to be asked for something else."""
        self._is_reopening = self._socket is not None
        if self._waiting is not None:
            with contextlib.suppress(RuntimeError):  # it has just expired by itself
                self._waiting.reschedule(now())

    def event_arrived(self) -> None:
        """Note that a new event arrived."""
        self._heartbeat.event_arrived(now())

    async def send(self, texts: Iterable[str]) -> Input | None:
        """Send these texts; why that failed, if it did."""
        socket = self._socket
        assert socket is not None
        for text in texts:
            _frame_log.debug("%s > %s", self._name, text)
            failed = await self._in_time(socket.send(text))
            if failed is not None:
                return failed
        return None

    async def close(self) -> None:
        """Close with 1000."""
        if self._socket is not None:
            await self._socket.close()
            self._socket = None
            _state_log.debug("%s 3 CLOSED", self._name)

    def abort(self) -> None:
        """Drop the connection, if there is one."""
        if self._socket is not None:
            self._socket.abort()
            self._socket = None
            _state_log.debug("%s 3 CLOSED by us", self._name)

    async def _in_time(self, sending: Awaitable[None]) -> Input | None:
        """Await ``sending``, with a limit: a server that no longer reads is as good as dead."""
        try:
            async with asyncio.timeout(PONG_TIMEOUT_S):
                await sending
        except TimeoutError:
            return Silent()
        except Disconnected as disconnected:
            return self._closed(disconnected)
        return None

    def _closed(self, disconnected: Disconnected) -> Input:
        _state_log.debug("%s 3 CLOSED %r", self._name, disconnected.input)
        return disconnected.input


def now() -> float:
    """Monotonic seconds, by the event loop's clock."""
    return asyncio.get_running_loop().time()
