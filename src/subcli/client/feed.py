"""Following many submissions over one socket: carries out what :mod:`subcli.core.recovery` decides.

The machine is that of a single socket; what it asks for means something else here:

- to catch up is to ask REST for the latest submissions: that tells whether REST answers and accepts us. What was missed
  comes with the next connection, whose positions say where each submission is. Only on an open socket that is silent
  for a minute, the logs of those that the answer shows to be ahead are read.
- to give up the socket is to follow each submission alone from where it is, a few at a time, which may mean polling.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, Final, Protocol, TypeAlias

from subcli.client.api import EventLog
from subcli.client.auth import Authenticator
from subcli.client.exchange import RequestFailed
from subcli.client.link import Link, now
from subcli.client.missed import CATCH_UP_TIMEOUT_S
from subcli.client.session import OpenSocket, connecting
from subcli.client.singly import FollowAlone, Followed, follow_singly
from subcli.core.backoff import MAX_ATTEMPTS, MAX_BAD_FRAMES
from subcli.core.catchup import events_from_log, with_output
from subcli.core.errors import NotFoundError
from subcli.core.feed import Feed, Heard, Item
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
    RestFailed,
    Silent,
    Started,
    Stop,
    TooManyBadFrames,
)
from subcli.core.recovery import step
from subcli.core.recovery.state import State
from subcli.core.submission import Connection
from subcli.shared.messages import Raw

Shown: TypeAlias = Item | Followed | Connection
"""What happened: to one submission, or to the connection that they share."""

Dial: TypeAlias = Callable[[str | None], Awaitable[OpenSocket]]
"""Opens the socket of the feed, given its cursor if there is one; raises :class:`Disconnected`."""

_retry_log: Final = logging.getLogger("subcli.retry")


class FeedRest(Protocol):
    """The calls that a feed needs; each raises :class:`RequestFailed`."""

    async def latest(self) -> Sequence[Raw]:
        """The latest submissions that match, as the server lists them, with an integer ``submission_id``."""
        ...

    async def events(self, submission_id: int, after_seq: int, epoch: str | None = None) -> EventLog:
        """The whole log of one of them after ``after_seq``."""
        ...

    async def output(self, submission_id: int, output_after: int, epoch: str | None = None) -> Sequence[Any]:
        """What one of them printed after piece ``output_after``."""
        ...


class FeedSession:
    """The submissions of a feed, followed until all have ended.

    Args:
        feed: their state.
        rest: for what the socket misses.
        dial: opens the socket; ``None`` if the server has no feed.
        authenticator: asked when the server refuses us.
        alone: makes the session that follows one submission over a socket of its own.
        max_attempts: reconnects in a row without a new event.
        offers_output: whether the server's feeds have what builds and tests print.
        wall: the wall clock, in seconds.
        random: random numbers in [0, 1).
    """

    def __init__(
        self,
        feed: Feed,
        rest: FeedRest,
        dial: Dial | None,
        authenticator: Authenticator,
        alone: FollowAlone,
        *,
        max_attempts: int = MAX_ATTEMPTS,
        offers_output: bool = False,
        wall: Callable[[], float] = time.time,
        random: Callable[[], float] = random.random,
    ) -> None:
        self.feed = feed
        self._rest = rest
        self._dial = dial
        self._authenticator = authenticator
        self._alone = alone
        self._offers_output = offers_output
        self._state = State(max_attempts=max_attempts)
        self._link = Link("feed", authenticator, wall)
        self._random = random
        self._reply: str | None = None
        self._refused = authenticator.token()
        self._progressed = False
        self._bad_frames = 0

    async def batches(self) -> AsyncGenerator[Sequence[Shown], None]:
        """Everything new, in order and each event once, as many at a time as there are; ends when all have ended.

        Raises:
            SubcliError: the feed cannot be followed, or there is nothing to follow.
        """
        input: Input | None = Started()
        action: Action = Read()
        try:
            while True:
                if input is not None:
                    self._state, action = step(self._state, input, now(), self._random())
                    _retry_log.debug("feed %r -> %r", input, action)
                if self._dial is None and isinstance(action, Connect):
                    # The machine asks REST, repeats what fails, and ends with the errors that it has for a socket.
                    action = Poll(action.delay_s, "the server has no feed")
                new: Sequence[Item] = ()
                match action:
                    case Read():
                        new, input = await self._read()
                    case Connect():
                        self._abort()
                        yield (connecting(action),)
                        input = await self._connect(action.delay_s)
                        if isinstance(input, Opened):
                            yield (Connection("open"),)
                    case CatchUp():
                        if self._state.opened_at is None:
                            self._abort()
                        new, input = await self._catch_up()
                    case Poll(delay_s, reason):
                        self._abort()
                        yield (Connection("polling", delay_s=round(delay_s, 2), reason=reason or None),)
                        await asyncio.sleep(delay_s)
                        new, input = await self._catch_up(adopting=True)
                        if isinstance(input, CaughtUp):
                            yield new
                            break
                    case Refresh():
                        self._abort()
                        input = await self._authenticator.refresh(self._refused)
                    case Finish():
                        await self._link.close()
                        break
                    case Stop(error):
                        yield (Connection("closed", reason=error.message),)
                        raise error
                if new:
                    yield new
            if not self.feed.joined:
                raise nothing_runs()
            # Given up: what is left is followed without the feed, and nothing joins any more.
            left = list(self.feed.watches.values())
            async with aclosing(follow_singly(left, self._alone)) as batches:
                async for batch in batches:
                    yield batch
        finally:
            self._abort()

    def ask_for_output(self) -> bool:
        """Ask for what builds and tests print from now on, and for what is kept of it.

        Returns:
            whether the server tells it.
        """
        if self._offers_output and not self.feed.output:
            self.feed.output = True
            self._link.reopen()
        return self.feed.output

    def _abort(self) -> None:
        self.feed.disconnected()
        self._link.abort()

    async def _connect(self, delay_s: float) -> Input:
        dial = self._dial
        assert dial is not None
        await asyncio.sleep(delay_s)
        self._reply = None
        self._progressed = False
        self._bad_frames = 0
        input = await self._link.open(lambda: dial(self.feed.cursor))
        self._refused = self._link.refused
        if isinstance(input, Opened):
            # If it is closed already, what has arrived before comes first, and then why.
            failed = await self._link.send(self.feed.positions())
            return failed if isinstance(failed, Silent) else input
        return input

    # -- reading ----------------------------------------------------------------------------------

    async def _read(self) -> tuple[Sequence[Item], Input | None]:
        """What is new in what has arrived, and the machine's next input, if any."""
        if self._reply is not None:
            reply, self._reply = self._reply, None
            return (), await self._link.send((reply,))
        if self.feed.holes:
            return await self._fill_hole(min(self.feed.holes))
        input = await self._link.receive()
        arrived = len(self._link.arrived)
        if not arrived:
            return (), input
        heard = self.feed.receive_all(self._link.arrived)
        if heard.fault is None or arrived - len(self._link.arrived) > 1:
            self._bad_frames = 0
        if heard.fault is not None:
            self._bad_frames += 1
            if self._bad_frames >= MAX_BAD_FRAMES:
                return heard.items, TooManyBadFrames()
        self._reply = heard.reply
        return heard.items, self._progress(heard)

    def _progress(self, heard: Heard) -> Input | None:
        """The machine's input: the end, or the first news since the socket opened."""
        if self.feed.is_over:
            return Ended()
        if not heard.progress:
            return None
        self._link.event_arrived()
        if self._progressed:
            return None
        self._progressed = True
        return Progressed()

    # -- catching up ------------------------------------------------------------------------------

    async def _fill_hole(self, submission_id: int) -> tuple[Sequence[Item], Input | None]:
        """Fetch what is missing before the events that came too early."""
        try:
            async with asyncio.timeout(CATCH_UP_TIMEOUT_S):
                heard = await self._fill(submission_id)
        except (RequestFailed, TimeoutError):
            # The positions of the next connection close the hole as well (contract, section 7).
            return (), Lost("events are missing, and the log cannot be read", reached=True)
        return heard.items, self._progress(heard)

    async def _fill(self, submission_id: int) -> Heard:
        """Read what follows in the log of a submission."""
        watch = self.feed.watches[submission_id]
        log = await self._rest.events(submission_id, watch.last_seq, watch.epoch)
        events = events_from_log(log.events)
        if self.feed.output:
            # After the log: whatever comes before one of its events is there by then.
            pieces = await self._rest.output(submission_id, watch.last_output, watch.epoch)
            events = with_output(events, events_from_log(pieces))
        return self.feed.fill(submission_id, events, log.epoch, log.last_seq)

    async def _catch_up(self, *, adopting: bool = False) -> tuple[Sequence[Item], Input]:
        """Ask REST whether it answers, and on an open socket whether anything was lost on the way.

        Args:
            adopting: let join what runs, because no feed will announce it.
        """
        asked_with = self._authenticator.token()
        items: list[Item] = []
        try:
            async with asyncio.timeout(CATCH_UP_TIMEOUT_S):
                rows = await self._rest.latest()
                if adopting:
                    items += self.feed.adopt(rows)
                elif self._state.opened_at is not None:
                    for submission_id in self.feed.behind(rows):
                        items += (await self._fill(submission_id)).items
        except TimeoutError:
            return items, RestFailed(None, f"no answer within {CATCH_UP_TIMEOUT_S:g} s")
        except RequestFailed as failed:
            self._refused = asked_with
            return items, failed.input
        if self.feed.is_over:
            return items, Ended()
        return items, CaughtUp(news=bool(items))


def nothing_runs() -> NotFoundError:
    """The error if there is nothing to follow."""
    return NotFoundError(
        "No submission is being judged.", hint="`subcli list` shows what was judged; `subcli watch ID` shows how."
    )
