"""A client that watches a submission, from its admission to the close of its socket.

While nothing happens it has neither a task nor a timer: it is parked at its submission's channel, which hands it the
bytes of each event, and the gateway's one wheel looks at it from time to time. A task of its own begins only when it
has to wait: to read the log, for room in the send buffer, or to answer what its client says.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from contextvars import copy_context
from typing import Any, Final, Protocol

from subcli.server.gateway.socket import DisconnectedError, ServerSocket
from subcli.server.gateway.wheel import Wheel
from subcli.server.log.bus import Relay
from subcli.server.log.records import Record, ReplacedError, UnknownSubmissionError
from subcli.server.observe.metrics import Metrics
from subcli.server.observe.tasks import log_failure
from subcli.server.settings import ServerLimits
from subcli.shared.protocol import PING, PONG, CloseCode

_log: Final = logging.getLogger(__name__)


class RefusedError(Exception):
    """The socket must be closed with `code` and `reason`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Source(Protocol):
    """What a watcher sends: the events of a submission (:class:`subcli.server.log.feed.Reader`), or of many.

    Attributes:
        ended: whether everything has been read that there will be.
    """

    @property
    def ended(self) -> bool: ...
    async def next(self) -> Sequence[Record]: ...
    def park(self, relay: Relay) -> bool: ...
    def leave(self, relay: Relay) -> None: ...
    def took(self, records: Sequence[Record]) -> None: ...


class Watcher:
    """Sends a submission's events to one client, and answers its pings.

    Args:
        reader: what is sent.
        wheel: the gateway's.
        expires_s: seconds until the client's token expires; None if it does not.
        hear: is told what the client says beside pings, and may raise `RefusedError`.
    """

    __slots__ = (
        *("_context", "_expires_at", "_hear", "_heard_at", "_held", "_is_ended", "_limits", "_listening", "_metrics"),
        *("_ping_at", "_reader", "_sending", "_socket", "_wheel", "tick"),
    )

    def __init__(
        self,
        socket: ServerSocket,
        reader: Source,
        wheel: Wheel,
        limits: ServerLimits,
        metrics: Metrics,
        expires_s: float | None,
        hear: Callable[[str | bytes], None] | None = None,
    ) -> None:
        now = asyncio.get_running_loop().time()
        self._socket = socket
        self._reader = reader
        self._wheel = wheel
        self._limits = limits
        self._metrics = metrics
        # What is logged later names the request as well.
        self._context = copy_context()
        self._heard_at = now
        self._ping_at = now + limits.heartbeat_s
        self._hear = hear
        self._expires_at = float("inf") if expires_s is None else now + expires_s
        self._is_ended = False
        self._sending: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None
        self.tick = 0

    def start(self, held: AsyncExitStack) -> None:
        """Send what there is, and from now on what comes.

        Args:
            held: what the watcher holds until it ends, such as its slot and its subscription.
        """
        self._held = held
        self._wheel.add(self, self._due())
        self.wake()
        self._socket.when_filled(self._listen_now)

    def end(self, code: int | None, reason: str = "") -> None:
        """Close the socket, soon, and let go of everything. None: the client is gone. Only the first call counts."""
        if not self._is_ended:
            self._is_ended = True
            self._wheel.discard(self)
            self._reader.leave(self)
            self._begin(self._finish(code, reason))

    def session_ended(self) -> None:
        """The client has logged out."""
        self.end(CloseCode.UNAUTHORIZED, "session ended")

    # -- sending -------------------------------------------------------------------------------------

    def take(self, records: Sequence[Record], frames: bytes) -> bool:
        if self._is_ended or not self._socket.send_now(frames):
            return False
        self._reader.took(records)
        self._metrics.sent(records)
        if self._reader.ended:
            self.end(CloseCode.NORMAL)
        return True

    def wake(self) -> None:
        if not self._is_ended:
            self._sending = self._begin(self._or_end(self._send()))

    async def _send(self) -> None:
        """Send all that can be read, until the reader can be parked or there is no more.

        Raises:
            RefusedError: the socket must be closed with a code other than 1000.
            DisconnectedError: the client is gone.
        """
        try:
            while not self._reader.ended:
                if batch := await self._reader.next():
                    await self._in_time(self._socket.send_records(batch))
                    self._metrics.sent(batch)
                elif not self._reader.ended and self._reader.park(self):
                    return
        except ReplacedError:
            raise RefusedError(CloseCode.LOG_REPLACED, "the records of this submission were replaced") from None
        except UnknownSubmissionError:
            raise RefusedError(CloseCode.NOT_FOUND, "submission not found") from None
        self.end(CloseCode.NORMAL)

    # -- listening -----------------------------------------------------------------------------------

    def _listen_now(self) -> None:
        if self._listening is None and not self._is_ended:
            self._listening = self._begin(self._or_end(self._listen()))

    async def _listen(self) -> None:
        """Answer the pings that have arrived, and hand on what else there is. Raises as `_send` does."""
        while self._socket.has_arrived():
            message = await self._socket.receive()
            self._heard_at = asyncio.get_running_loop().time()
            if _is_ping(message):
                await self._in_time(self._socket.send_text(PONG))
            elif self._hear is not None:
                self._hear(message)
            # Neither call above suspends while there is data to read and room to write. Give other clients a turn.
            await asyncio.sleep(0)
        self._listening = None

    # -- time ----------------------------------------------------------------------------------------

    def look(self, now: float) -> float:
        if now >= self._expires_at:
            self.end(CloseCode.UNAUTHORIZED, "token expired")
        elif now >= self._heard_at + self._limits.idle_s:
            self.end(CloseCode.GOING_AWAY, f"no message for {self._limits.idle_s:g} s")
        elif now >= self._ping_at:
            self._ping_at = now + self._limits.heartbeat_s
            self._socket.ping()
        return self._due()

    def _due(self) -> float:
        return min(self._ping_at, self._expires_at, self._heard_at + self._limits.idle_s)

    async def _in_time(self, sending: Awaitable[None]) -> None:
        """Wait until there is room in the send buffer, but not for ever.

        Raises:
            RefusedError: the client reads too slowly.
        """
        try:
            async with asyncio.timeout(self._limits.send_s):
                await sending
        except TimeoutError:
            raise RefusedError(CloseCode.TRY_AGAIN_LATER, "reading too slowly") from None

    # -- ending --------------------------------------------------------------------------------------

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._socket.begin(work, self._context)

    async def _or_end(self, work: Awaitable[None]) -> None:
        """Do some work; end as it says if it fails.

        Every exception is caught: it would end this task, and the socket would stay open without anybody behind it.
        """
        try:
            await work
        except RefusedError as refused:
            self.end(refused.code, refused.reason)
        except DisconnectedError:
            self.end(None)
        except Exception as error:
            log_failure(_log, "socket failed, closing with 1011", error)
            self.end(CloseCode.INTERNAL_ERROR, "internal error")

    async def _finish(self, code: int | None, reason: str) -> None:
        try:
            running = [task for task in (self._sending, self._listening) if task is not None and not task.done()]
            for task in running:
                task.cancel()
            if running:
                await asyncio.wait(running)
            await self._held.aclose()
            if code is not None:
                if code != CloseCode.NORMAL:
                    self._metrics.refused(code)
                with suppress(DisconnectedError):
                    await self._socket.close_in_time(code, reason, self._limits.send_s)
        finally:
            self._metrics.connections -= 1
            self._socket.finished()


def _is_ping(message: str | bytes) -> bool:
    """Whether it is a ping, bare or as JSON (contract, section 6)."""
    if message == PING:
        return True
    if not isinstance(message, str) or '"ping"' not in message:
        return False
    try:
        parsed = json.loads(message)
    except (ValueError, RecursionError):
        return False
    return isinstance(parsed, dict) and parsed.get("type") == PING
