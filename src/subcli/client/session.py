"""Following one submission: carries out what :mod:`subcli.core.recovery` decides, and decides nothing itself.

The way of a frame: the socket yields a text, :meth:`subcli.core.watch.Watch.receive` turns it into news, the
caller gets the news one by one. Reconnecting and closing are yielded among them as
:class:`subcli.core.submission.Connection`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, Final, Protocol, TypeAlias

from subcli.client.auth import Authenticator
from subcli.client.bodies import ServerInfo
from subcli.client.http import RequestFailed
from subcli.client.transport import Disconnected
from subcli.core.backoff import MAX_ATTEMPTS, MAX_BAD_FRAMES
from subcli.core.catchup import events_from_log, is_over, missed
from subcli.core.inputs import (
    Action,
    CatchUp,
    CaughtUp,
    Connect,
    Ended,
    Finish,
    Input,
    Lost,
    Opened,
    Poll,
    Progressed,
    Quiet,
    Read,
    Refresh,
    RestFailed,
    Silent,
    Slept,
    Started,
    Stop,
    TooManyBadFrames,
)
from subcli.core.recovery import State, step
from subcli.core.submission import Connection
from subcli.core.watch import Received, Watch
from subcli.shared.protocol import CloseCode, Message

PING_S: Final = 30.0
"""Heartbeat interval (specification, "Server Configuration")."""

PONG_S: Final = 10.0
"""Silence after a ping that means dead (contract, section 7)."""

QUIET_S: Final = 10.0
"""Without an event for so long, a server without ``resume`` is asked over REST."""

LOST_EVENT_S: Final = 60.0
"""And so long one with ``resume``: it replays, but the last event of all may have got lost on its way to us."""

CLOCK_LOOK_S: Final = 5.0
SLEEP_GAP_S: Final = 5.0

NEVER: Final = float("inf")

INFO_WAIT_S: Final = 1.0
"""For so long an open socket waits to learn whether the server replays its log."""

LOOK_S: Final = 15.0
"""A look at REST takes no longer, however slowly its answer drips."""

Shown: TypeAlias = Message | Connection

_state_log = logging.getLogger("subcli.socket.state")
_frame_log = logging.getLogger("subcli.socket.frame")
_retry_log = logging.getLogger("subcli.retry")


class Rest(Protocol):
    """The calls that catching up needs (:class:`subcli.client.api.Api`); each raises :class:`RequestFailed`."""

    async def info(self) -> ServerInfo: ...
    async def submission(self, submission_id: int) -> dict[str, Any]: ...
    async def tests(self, submission_id: int) -> list[Any]: ...
    async def events(self, submission_id: int, after_seq: int) -> list[Any]: ...


class OpenSocket(Protocol):
    """An open WebSocket (:class:`subcli.client.transport.Socket`); its coroutines raise :class:`Disconnected`."""

    @property
    def last_byte_at(self) -> float: ...
    @property
    def has_arrived(self) -> bool: ...
    async def receive(self) -> str | bytes: ...
    async def send(self, text: str) -> None: ...
    async def ping(self) -> None: ...
    async def close(self) -> None: ...
    def abort(self) -> None: ...


Dial: TypeAlias = Callable[[int, int], Awaitable[OpenSocket]]
"""Opens the socket of a submission, given its id and the last ``seq`` seen; raises :class:`Disconnected`."""


class Session:
    """One submission, followed to its verdict.

    Args:
        watch: its state; views pull their snapshots from it.
        api: for what the socket does not bring.
        dial: opens the socket.
        authenticator: asked when the server refuses us.
        max_attempts: reconnects in a row without a new event.
        own_submit: we have just handed it in ourselves.
        describe: ask for problem and language, for a screen that shows them.
        wall: wall clock, seconds.
        chance: random numbers in [0, 1).
    """

    def __init__(
        self,
        watch: Watch,
        api: Rest,
        dial: Dial,
        authenticator: Authenticator,
        *,
        max_attempts: int = MAX_ATTEMPTS,
        own_submit: bool = False,
        describe: bool = False,
        wall: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.watch = watch
        self._api = api
        self._dial = dial
        self._authenticator = authenticator
        self._state = State(max_attempts=max_attempts)
        self._own_submit = own_submit
        self._describe = describe
        self._wall = wall
        self._chance = chance
        self._info: ServerInfo | None = None
        self._learning: asyncio.Task[None] | None = None
        self._socket: OpenSocket | None = None
        self._look_at = NEVER
        self._progressed = False
        self._faults = 0
        self._last_news_at = 0.0
        self._ping_at = 0.0
        self._pinged_at: float | None = None
        self._clocks_at = 0.0
        self._wall_at = 0.0

    async def events(self) -> AsyncGenerator[Shown, None]:
        """Everything new, in order, each once; ends after the verdict.

        Raises:
            SubcliError: no verdict can be had.
        """
        loop = asyncio.get_running_loop()
        describing = loop.create_task(self._learn_what_is_shown())
        input: Input | None = Started(self._own_submit)
        action: Action = Read()
        try:
            while True:
                if input is not None:
                    self._state, action = step(self._state, input, loop.time(), self._chance())
                    _retry_log.debug("#%s %r -> %r", self.watch.submission_id, input, action)
                news: Sequence[Message] = ()
                match action:
                    case Read():
                        news, input = await self._next()
                    case Connect():
                        self._drop()
                        yield self._note(_connecting(action))
                        input = await self._connect(action.delay_s)
                        if isinstance(input, Opened):
                            yield self._note(Connection("open"))
                    case CatchUp():
                        if self._state.opened_at is None:
                            self._drop()
                        news, input = await self._catch_up()
                    case Poll(delay_s, reason):
                        self._drop()
                        yield self._note(Connection("polling", delay_s=round(delay_s, 2), reason=reason or None))
                        await asyncio.sleep(delay_s)
                        news, input = await self._catch_up()
                    case Refresh():
                        self._drop()
                        input = await self._authenticator.refresh()
                    case Finish():
                        await self._close()
                        yield self._note(Connection("closed", code=CloseCode.NORMAL))
                        return
                    case Stop(error):
                        yield self._note(Connection("closed", reason=error.message))
                        raise error
                for event in news:
                    yield event
        finally:
            describing.cancel()
            if self._learning is not None:
                self._learning.cancel()
            self._drop()

    # -- actions ----------------------------------------------------------------------------------

    async def _connect(self, delay_s: float) -> Input:
        await asyncio.sleep(delay_s)
        learning = self._learn()
        _state_log.debug("#%s 0 CONNECTING after seq %s", self.watch.submission_id, self.watch.last_seq)
        try:
            self._socket = await self._dial(self.watch.submission_id, self.watch.last_seq)
        except Disconnected as gone:
            _state_log.debug("#%s 3 CLOSED %r", self.watch.submission_id, gone.input)
            return gone.input
        _state_log.debug("#%s 1 OPEN", self.watch.submission_id)
        await asyncio.wait({learning}, timeout=INFO_WAIT_S)
        self._progressed = False
        self._faults = 0
        now = asyncio.get_running_loop().time()
        self._look_at = now + INFO_WAIT_S if self._info is None else NEVER
        self._last_news_at = now
        self._ping_at = now + PING_S
        self._pinged_at = None
        self._look_at_clocks(now)
        return Opened(needs_catch_up=self._info is not None and not self._info.resume)

    async def _next(self) -> tuple[Sequence[Message], Input | None]:
        """The news of one frame, or of time passing; and what input, if it concerns the machine."""
        socket = self._socket
        assert socket is not None
        if self.watch.hole is not None:
            return await self._close_hole()
        try:
            frame = await self._receive(socket)
        except TimeoutError:
            return (), await self._time_passed(socket)
        except Disconnected as gone:
            _state_log.debug("#%s 3 CLOSED %r", self.watch.submission_id, gone.input)
            return (), gone.input
        if _frame_log.isEnabledFor(logging.DEBUG):
            _frame_log.debug("#%s < %s", self.watch.submission_id, frame)
        received = self.watch.receive(frame)
        if received.reply is not None:
            return (), await self._say(socket.send(received.reply))
        if received.fault is not None:
            self._faults += 1
            return (), TooManyBadFrames() if self._faults >= MAX_BAD_FRAMES else None
        self._faults = 0
        return received.events, self._after(received)

    async def _receive(self, socket: OpenSocket) -> str | bytes:
        """The next frame; raises TimeoutError when something else has to be done first."""
        if socket.has_arrived:
            # No timer for what needs no waiting: it would cost as much as the frame does.
            return await socket.receive()
        async with asyncio.timeout_at(self._wake_at()):
            return await socket.receive()

    def _after(self, received: Received) -> Input | None:
        if self.watch.verdict is not None:
            return Ended()
        if not received.progress:
            return None
        self._last_news_at = asyncio.get_running_loop().time()
        if self._progressed:
            return None
        self._progressed = True
        return Progressed()

    async def _close_hole(self) -> tuple[Sequence[Message], Input | None]:
        """Fetch what is missing before the events that came too early."""
        try:
            async with asyncio.timeout(LOOK_S):
                replays = (await self._api.info()).resume
                log = await self._api.events(self.watch.submission_id, self.watch.last_seq) if replays else ()
        except (RequestFailed, TimeoutError):
            return (), Lost("events are missing, and the log cannot be read", reached=True)
        received = self.watch.fill(events_from_log(log))
        if not replays:
            # The snapshot is all that is left to tell what was missed.
            self._look_at = asyncio.get_running_loop().time()
        return received.events, self._after(received)

    async def _catch_up(self) -> tuple[Sequence[Message], Input]:
        """What was missed, from the event log, else from snapshot and results."""
        try:
            async with asyncio.timeout(LOOK_S):
                snapshot, tests, log = await self._look()
        except RequestFailed as failed:
            return self._in_vain(failed.input)
        except TimeoutError:
            return self._in_vain(RestFailed(None, f"no answer within {LOOK_S:g} s"))
        self._look_at = NEVER
        received = self.watch.fill(missed(snapshot, tests, log))
        if self.watch.verdict is not None:
            return received.events, Ended()
        return received.events, CaughtUp(news=received.progress, ended=is_over(snapshot))

    def _in_vain(self, input: Input) -> tuple[Sequence[Message], Input]:
        """What was missed is still to be had, even where new events keep the silence from being noticed."""
        self._look_at = asyncio.get_running_loop().time() + QUIET_S
        return (), input

    async def _look(self) -> tuple[dict[str, Any], list[Any], list[Any] | None]:
        """Snapshot, results and log; the snapshot first, so that the others have all that it knows of."""
        submission_id = self.watch.submission_id
        self._info = await self._api.info()
        snapshot = await self._api.submission(submission_id)
        log = await self._api.events(submission_id, self.watch.last_seq) if self._info.resume else None
        tests = await self._tests(snapshot) if log is None or is_over(snapshot) else []
        return snapshot, tests, log

    async def _tests(self, snapshot: dict[str, Any]) -> list[Any]:
        """The results, which some servers put into the snapshot."""
        inside = snapshot.get("tests", snapshot.get("test_results"))
        if isinstance(inside, list):
            return inside
        try:
            return await self._api.tests(self.watch.submission_id)
        except RequestFailed as failed:
            if failed.status == 404:
                return []
            raise

    # -- what the server is -----------------------------------------------------------------------

    def _learn(self) -> asyncio.Task[None]:
        """Ask for the features, beside the handshake; again where that was in vain."""
        if self._learning is None or (self._learning.done() and self._info is None):
            self._learning = asyncio.create_task(self._learn_features())
        return self._learning

    async def _learn_features(self) -> None:
        try:
            self._info = await self._api.info()
        except RequestFailed:
            return

    async def _learn_what_is_shown(self) -> None:
        if self._describe:
            try:
                self.watch.describe(await self._api.submission(self.watch.submission_id))
            except RequestFailed:
                return

    # -- time -------------------------------------------------------------------------------------

    def _wake_at(self) -> float:
        """When something has to be done although no frame came."""
        at = min(self._clocks_at + CLOCK_LOOK_S, self._ping_at)
        if self._pinged_at is not None:
            at = min(at, self._pinged_at + PONG_S)
        return min(at, self._last_news_at + self._quiet_s(), self._look_at)

    def _quiet_s(self) -> float:
        return LOST_EVENT_S if self._info is not None and self._info.resume else QUIET_S

    async def _time_passed(self, socket: OpenSocket) -> Input | None:
        now = asyncio.get_running_loop().time()
        if abs(self._look_at_clocks(now)) > SLEEP_GAP_S:
            return Slept()
        if self._pinged_at is not None and socket.last_byte_at > self._pinged_at:
            self._pinged_at = None
        if self._pinged_at is not None and now >= self._pinged_at + PONG_S:
            return Silent()
        if now >= self._ping_at:
            self._pinged_at, self._ping_at = now, now + PING_S
            return await self._say(socket.ping())
        if now >= min(self._last_news_at + self._quiet_s(), self._look_at):
            self._last_news_at, self._look_at = now, NEVER
            return Quiet()
        return None

    def _look_at_clocks(self, now: float) -> float:
        """Seconds by which the wall clock ran ahead of the monotonic one since the last look."""
        wall = self._wall()
        gap = (wall - self._wall_at) - (now - self._clocks_at)
        self._wall_at, self._clocks_at = wall, now
        return gap

    # -- the socket -------------------------------------------------------------------------------

    async def _say(self, sending: Awaitable[None]) -> Input | None:
        """Send something, but not for ever: a server that takes nothing any more is as good as dead."""
        try:
            async with asyncio.timeout(PONG_S):
                await sending
        except TimeoutError:
            return Silent()
        except Disconnected as gone:
            return gone.input
        return None

    async def _close(self) -> None:
        if self._socket is not None:
            _state_log.debug("#%s 2 CLOSING", self.watch.submission_id)
            await self._socket.close()
            _state_log.debug("#%s 3 CLOSED", self.watch.submission_id)
            self._socket = None

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.abort()
            self._socket = None
            _state_log.debug("#%s 3 CLOSED by us", self.watch.submission_id)

    def _note(self, connection: Connection) -> Connection:
        self.watch.connection = connection
        return connection


def _connecting(action: Connect) -> Connection:
    if action == Connect():
        return Connection("connecting")
    return Connection(
        "reconnecting",
        attempt=action.attempt or None,
        delay_s=round(action.delay_s, 2),
        code=action.code,
        reason=action.reason or None,
    )
