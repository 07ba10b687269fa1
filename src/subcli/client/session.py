"""Following one submission: carries out what :mod:`subcli.core.recovery` decides, and decides nothing itself.

The path of a frame: the socket yields what has arrived, :meth:`subcli.core.watch.Watch.receive_all` turns it into new
events, and the caller gets these in batches. Reconnecting and closing are yielded among them as
:class:`subcli.core.submission.Connection`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Final, Protocol, TypeAlias

from subcli.client.api import ServerInfo
from subcli.client.auth import Authenticator
from subcli.client.exchange import RequestFailed
from subcli.client.heartbeat import PONG_TIMEOUT_S, QUIET_S, Heartbeat
from subcli.client.missed import Rest, fetch_hole, fetch_missed
from subcli.client.transport import Disconnected
from subcli.core.backoff import MAX_ATTEMPTS, MAX_BAD_FRAMES
from subcli.core.catchup import events_from_log, is_over, missed, with_output
from subcli.core.errors import name_submission
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
    Read,
    Refresh,
    Reopening,
    Replaced,
    Silent,
    Started,
    Stop,
    TooManyBadFrames,
)
from subcli.core.recovery import step
from subcli.core.recovery.state import State
from subcli.core.submission import Connection
from subcli.core.watch import Received, Watch
from subcli.shared.messages import Message, Raw, StatusUpdate
from subcli.shared.protocol import TERMINAL_STATUSES, CloseCode

INFO_TIMEOUT_S: Final = 1.0
"""How long an open socket waits to learn whether the server replays its log."""

UNDECIDED_S: Final = 30.0
"""How long a submission may be over without a verdict (contract, section 6)."""

UNDECIDED_POLL_S: Final = 2.0

VERDICT_DELAY_S: Final = 0.1
"""How long a terminal status may be ahead of the message with the verdict, where a server sends one."""

Shown: TypeAlias = Message | Connection

_state_log = logging.getLogger("subcli.socket.state")
_frame_log = logging.getLogger("subcli.socket.frame")
_retry_log = logging.getLogger("subcli.retry")


class OpenSocket(Protocol):
    """An open WebSocket (:class:`subcli.client.transport.Socket`); its coroutines raise :class:`Disconnected`."""

    @property
    def last_byte_at(self) -> float: ...
    async def receive(self) -> Sequence[str | bytes]: ...
    async def send(self, text: str) -> None: ...
    async def ping(self) -> None: ...
    async def close(self) -> None: ...
    def abort(self) -> None: ...


Dial: TypeAlias = Callable[[int, int, str | None, int | None], Awaitable[OpenSocket]]
"""Opens the socket of a submission, given its id, the last ``seq`` seen, the log's epoch if it is known, and the number
of the last piece of output if output is wanted; raises :class:`Disconnected`."""


class Session:
    """One submission, followed to its verdict.

    Args:
        watch: its state; views pull their snapshots from it.
        api: for events that the socket misses.
        dial: opens the socket.
        authenticator: asked when the server refuses us.
        max_attempts: reconnects in a row without a new event.
        own_submit: we have just submitted it ourselves.
        describe: request problem and language, for a screen that shows them.
        output: ask for what the build and the tests print; :meth:`ask_for_output` does it later.
        wall: the wall clock, in seconds.
        random: random numbers in [0, 1).
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
        output: bool = False,
        wall: Callable[[], float] = time.time,
        random: Callable[[], float] = random.random,
    ) -> None:
        self.watch = watch
        self._api = api
        self._dial = dial
        self._authenticator = authenticator
        self._state = State(max_attempts=max_attempts)
        self._own_submit = own_submit
        self._describe = describe
        self._wants_output = output
        self._is_reopening = False
        self._waiting: asyncio.Timeout | None = None
        self._wall = wall
        self._random = random
        self._info: ServerInfo | None = None
        self._asking_info: asyncio.Task[None] | None = None
        self._socket: OpenSocket | None = None
        self._arrived: deque[str | bytes] = deque()
        self._reply: str | None = None
        self._dialled_with = self._refused = authenticator.token()
        self._heartbeat = Heartbeat(0.0, 0.0)
        self._progressed = False
        self._has_caught_up = False
        self._bad_frames = 0
        self._undecided_since: float | None = None

    async def events(self) -> AsyncGenerator[Shown, None]:
        """What :meth:`batches` yields, one by one.

        Raises:
            SubcliError: no verdict can be had.
        """
        async with contextlib.aclosing(self.batches()) as batches:
            async for batch in batches:
                for event in batch:
                    yield event

    async def batches(self) -> AsyncGenerator[Sequence[Shown], None]:
        """Everything new, in order and each event once, as many at a time as there are; ends after the verdict.

        Raises:
            SubcliError: no verdict can be had.
        """
        describing = asyncio.create_task(self._describe_submission())
        input: Input | None = Started(self._own_submit)
        action: Action = Read()
        try:
            while True:
                if input is not None:
                    self._state, action = step(self._state, input, _now(), self._random())
                    _retry_log.debug("#%s %r -> %r", self.watch.submission_id, input, action)
                new: Sequence[Message] = ()
                match action:
                    case Read():
                        new, input = await self._read()
                    case Connect():
                        self._abort()
                        yield (self._note(connecting(action)),)
                        input = await self._connect(action.delay_s)
                        if isinstance(input, Opened):
                            yield (self._note(Connection("open")),)
                    case CatchUp():
                        if self._state.opened_at is None:
                            self._abort()
                        new, input = await self._catch_up()
                    case Poll(delay_s, reason):
                        self._abort()
                        yield (self._note(Connection("polling", delay_s=round(delay_s, 2), reason=reason or None)),)
                        await asyncio.sleep(delay_s)
                        new, input = await self._catch_up()
                    case Refresh():
                        self._abort()
                        input = await self._authenticator.refresh(self._refused)
                    case Finish():
                        await self._close()
                        yield (self._note(Connection("closed", code=CloseCode.NORMAL)),)
                        return
                    case Stop(error):
                        yield (self._note(Connection("closed", reason=error.message)),)
                        raise name_submission(error, self.watch.submission_id)
                if new:
                    yield new
        finally:
            describing.cancel()
            if self._asking_info is not None:
                self._asking_info.cancel()
            self._abort()

    def _note(self, connection: Connection) -> Connection:
        self.watch.connection = connection
        return connection

    # -- connecting -------------------------------------------------------------------------------

    def ask_for_output(self) -> None:
        """Ask for what the build and the tests print from now on, and for what is kept of it.

        An open socket is replaced by one that asks.
        """
        if self._wants_output:
            return
        self._wants_output = True
        self._is_reopening = self._socket is not None
        if self._waiting is not None:
            with contextlib.suppress(RuntimeError):  # it has just expired by itself
                self._waiting.reschedule(_now())

    @property
    def _output_after(self) -> int | None:
        """The last piece of output, if output is wanted."""
        return self.watch.last_output if self._wants_output else None

    async def _connect(self, delay_s: float) -> Input:
        await asyncio.sleep(delay_s)
        self._is_reopening = False
        asking_info = self._ask_info()
        _state_log.debug("#%s 0 CONNECTING after seq %s", self.watch.submission_id, self.watch.last_seq)
        self._dialled_with = self._authenticator.token()
        try:
            self._socket = await self._dial(
                self.watch.submission_id, self.watch.last_seq, self.watch.epoch, self._output_after
            )
        except Disconnected as disconnected:
            return self._disconnected(disconnected)
        _state_log.debug("#%s 1 OPEN", self.watch.submission_id)
        self._arrived.clear()
        self._reply = None
        await asyncio.wait({asking_info}, timeout=INFO_TIMEOUT_S)
        self._progressed = False
        self._bad_frames = 0
        self._heartbeat = Heartbeat(_now(), self._wall())
        if self._info is None:
            self._heartbeat.schedule_catch_up(_now() + INFO_TIMEOUT_S)
        # A watch that starts in the middle of a log misses the event with its name; the snapshot has it.
        nameless = self.watch.epoch is None and self.watch.last_seq > 0 and not self._has_caught_up
        return Opened(needs_catch_up=nameless or (self._info is not None and not self._info.resume))

    def _disconnected(self, disconnected: Disconnected) -> Input:
        _state_log.debug("#%s 3 CLOSED %r", self.watch.submission_id, disconnected.input)
        self._refused = self._dialled_with
        return disconnected.input

    def _ask_info(self) -> asyncio.Task[None]:
        """Ask for the server's features during the handshake, unless they are known."""
        if self._asking_info is None or (self._asking_info.done() and self._info is None):
            self._asking_info = asyncio.create_task(self._fetch_info())
        return self._asking_info

    async def _fetch_info(self) -> None:
        try:
            self._info = await self._api.info()
        except RequestFailed:
            return

    async def _describe_submission(self) -> None:
        if self._describe:
            try:
                snapshot = await self._api.submission(self.watch.submission_id, self.watch.epoch)
                self._recognize(snapshot.get("epoch"))
                self.watch.describe(snapshot)
            except RequestFailed:
                return

    # -- reading ----------------------------------------------------------------------------------

    async def _read(self) -> tuple[Sequence[Message], Input | None]:
        """The new events in what has arrived, and the machine's next input, if any."""
        socket = self._socket
        assert socket is not None
        if self._is_reopening:
            return (), Reopening()
        if self._reply is not None:
            reply, self._reply = self._reply, None
            return (), await self._send(socket.send(reply))
        if self.watch.hole is not None:
            return await self._fill_hole()
        if not self._arrived:
            try:
                async with asyncio.timeout_at(self._heartbeat.wake_at(resumes=self._resumes)) as self._waiting:
                    self._arrived.extend(await socket.receive())
            except TimeoutError:
                return (), None if self._is_reopening else await self._time_passed(socket)
            except Disconnected as disconnected:
                return (), self._disconnected(disconnected)
            finally:
                self._waiting = None
            if _frame_log.isEnabledFor(logging.DEBUG):
                for frame in self._arrived:
                    _frame_log.debug("#%s < %s", self.watch.submission_id, frame)
        arrived = len(self._arrived)
        received = self.watch.receive_all(self._arrived)
        if received.fault is None or arrived - len(self._arrived) > 1:
            self._bad_frames = 0
        if received.fault is not None:
            self._bad_frames += 1
            if self._bad_frames >= MAX_BAD_FRAMES:
                return received.events, TooManyBadFrames()
        self._reply = received.reply
        if not self._resumes and self.watch.verdict is None and any(map(_is_terminal, received.events)):
            # Such servers may never send the verdict; the snapshot has it (contract, section 6).
            self._heartbeat.schedule_catch_up(_now() + VERDICT_DELAY_S)
        return received.events, self._progress(received)

    @property
    def _resumes(self) -> bool:
        return self._info is not None and self._info.resume

    async def _time_passed(self, socket: OpenSocket) -> Input | None:
        """Do what is due although no frame arrived."""
        due = self._heartbeat.due(_now(), self._wall(), socket.last_byte_at, resumes=self._resumes)
        return await self._send(socket.ping()) if due == "ping" else due

    async def _send(self, sending: Awaitable[None]) -> Input | None:
        """Await ``sending``, with a limit: a server that no longer reads is as good as dead."""
        try:
            async with asyncio.timeout(PONG_TIMEOUT_S):
                await sending
        except TimeoutError:
            return Silent()
        except Disconnected as disconnected:
            return self._disconnected(disconnected)
        return None

    def _progress(self, received: Received) -> Input | None:
        """The machine's input for new events: the verdict, or the first event since the socket opened."""
        if self.watch.verdict is not None:
            return Ended()
        if self.watch.replaced:
            return Replaced()
        if not received.progress:
            return None
        self._heartbeat.event_arrived(_now())
        if self._progressed:
            return None
        self._progressed = True
        return Progressed()

    # -- catching up ------------------------------------------------------------------------------

    def _recognize(self, epoch: object, last_seq: object = None) -> None:
        """Tell the watch which log REST describes (:meth:`subcli.core.watch.Watch.recognize`).

        If the log had no name until now, held events may belong to another log; if not, this log has them.
        """
        was_named = self.watch.epoch is not None
        self.watch.recognize(epoch, last_seq)
        if not was_named and self.watch.epoch is not None:
            self._arrived.clear()

    async def _fill_hole(self) -> tuple[Sequence[Message], Input | None]:
        """Fetch what is missing before the events that came too early."""
        try:
            found = await fetch_hole(
                self._api, self.watch.submission_id, self.watch.last_seq, self._output_after, self.watch.epoch
            )
        except RequestFailed:
            # The replay of the next connection closes the hole as well (contract, section 7).
            self.watch.drop_held()
            return (), Lost("events are missing, and the log cannot be read", reached=True)
        log, output = (None, []) if found is None else found
        if log is not None:
            self._recognize(log.epoch, log.last_seq)
        events = events_from_log(() if log is None else log.events)
        received = self.watch.fill(with_output(events, events_from_log(output)))
        if log is None:
            # Only the snapshot can still tell what was missed.
            self._heartbeat.schedule_catch_up(_now())
        return received.events, self._progress(received)

    async def _catch_up(self) -> tuple[Sequence[Message], Input]:
        """What was missed, from the event log, else from snapshot and results."""
        asked_with = self._authenticator.token()
        try:
            fetched = await fetch_missed(
                self._api, self.watch.submission_id, self.watch.last_seq, self._output_after, self.watch.epoch
            )
        except RequestFailed as failed:
            # It is still missing, and new events would keep the silence from being noticed: ask again soon.
            self._heartbeat.schedule_catch_up(_now() + QUIET_S)
            self._refused = asked_with
            return (), failed.input
        self._info = fetched.info
        self._has_caught_up = True
        snapshot, log = fetched.snapshot, fetched.log
        self._recognize(snapshot.get("epoch"), None if log is None else snapshot.get("last_seq"))
        if log is not None:
            self._recognize(log.epoch, log.last_seq)
        events = missed(snapshot, fetched.tests, None if log is None else log.events)
        received = self.watch.fill(with_output(events, events_from_log(fetched.output)))
        if self.watch.verdict is not None:
            return received.events, Ended()
        if self.watch.replaced:
            return received.events, Replaced()
        return received.events, CaughtUp(news=received.progress, ended=self._ended_undecided(snapshot))

    def _ended_undecided(self, snapshot: Raw) -> bool:
        """Whether the submission has been over without a verdict for so long that none will come.

        Until then, ask again soon: results may be written after the status.
        """
        if not is_over(snapshot):
            self._undecided_since = None
            return False
        self._undecided_since = self._undecided_since or _now()
        self._heartbeat.schedule_catch_up(_now() + UNDECIDED_POLL_S)
        return _now() - self._undecided_since >= UNDECIDED_S

    # -- closing ----------------------------------------------------------------------------------

    async def _close(self) -> None:
        if self._socket is not None:
            _state_log.debug("#%s 2 CLOSING", self.watch.submission_id)
            await self._socket.close()
            _state_log.debug("#%s 3 CLOSED", self.watch.submission_id)
            self._socket = None

    def _abort(self) -> None:
        if self._socket is not None:
            self._socket.abort()
            self._socket = None
            _state_log.debug("#%s 3 CLOSED by us", self.watch.submission_id)


def _now() -> float:
    """Monotonic seconds, by the event loop's clock."""
    return asyncio.get_running_loop().time()


def _is_terminal(event: Message) -> bool:
    return isinstance(event, StatusUpdate) and event.status in TERMINAL_STATUSES


def connecting(action: Connect) -> Connection:
    if action == Connect():
        return Connection("connecting")
    return Connection(
        "reconnecting",
        attempt=action.attempt or None,
        delay_s=round(action.delay_s, 2),
        code=action.code,
        reason=action.reason or None,
    )
