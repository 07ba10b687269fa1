"""Following a submission: every event after a position, once, in order, to the end.

A reader subscribes, *then* reads the log, *then* follows the bus, so an event that is committed in between is in one of
the two. It keeps nothing but its position and takes from the bus only events that continue it. Whether there is a hole,
the tail has moved on, or the bus has lost messages: the reader goes back to the log. A message that is lost at the end
of a stream, where no later one reveals the hole, is found by comparing positions from time to time.

After a restored backup the same id may be another submission, or its log may be shorter. So a reader compares the name
of the log, its epoch, and its end whenever it reads the log, and it reads the log when the bus announces anything that
does not fit. A log that is not the reader's ends its reading; two are never mixed. If the submission is being judged
again, the log that its readers followed is complete and was kept: they read the rest of it from there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from types import MappingProxyType
from typing import Final

from subcli.server.log.appending import Records
from subcli.server.log.bus import ARRIVALS, RUNS, Bus, MemoryBus, Relay, Subscription
from subcli.server.log.commits import GroupCommit
from subcli.server.log.records import Append, Claim, EventPage, Failure, LogEnd, Record, ReplacedError, record
from subcli.server.log.requeue import Able
from subcli.server.log.runs import Begun
from subcli.server.log.store import Store

_log: Final = logging.getLogger(__name__)
_PAGE_SIZE: Final = 500
_RETRY_DELAY_S: Final = 0.5
"""Before positions are compared again with a log that could not be read."""
_GONE: Final = LogEnd(0, None)
_LOG_BEHIND_DELAY_S: Final = 0.05
"""Before a log that has less than the bus announced is read again."""


class Journal:
    """A store and its bus: events are committed first and published second.

    Args:
        compare_s: seconds between comparisons of a watched stream's position with the log.
        output_bus: carries what builds and tests print. Default: one for this process alone.
    """

    def __init__(self, store: Store, bus: Bus, compare_s: float = 30.0, output_bus: Bus | None = None) -> None:
        self._store = store
        self._bus = bus
        self._output_bus = output_bus or MemoryBus()
        self._compare_s = compare_s
        self._commits = GroupCommit(store, bus, self._output_bus)

    async def append(self, wanted: Append) -> Records:
        """Commit events, together with what others append now, and publish them.

        Raises what `Store.append` does.
        """
        return await self._commits.append(wanted)

    async def cancel(self, submission_id: int, owner_id: int) -> None:
        """Commit the verdict `cancelled` and publish it. Raises what `Store.cancel` does."""
        records = await self._store.run(self._store.cancel, submission_id, owner_id)
        self._bus.publish(submission_id, records)

    async def judge_again(
        self, ids: Sequence[int], key: str, versions: Mapping[str, str | None] = MappingProxyType({})
    ) -> Begun:
        """Begin new runs of submissions and publish their first events. See `Runs.begin`."""
        begun = await self._store.run(self._store.runs.begin, ids, key, versions)
        for submission_id, records in begun.records.items():
            self._bus.publish(submission_id, records)
        for number, owner_id in begun.announcements:
            self.began_again(number, owner_id)
        return begun

    def began_again(self, number: int, owner_id: int) -> None:
        """Publish that a user's submission is judged again, for feeds.

        Args:
            number: of the run.
        """
        self._bus.publish(RUNS, (record(number, str(owner_id), last=False),))

    async def hand_back(self, claim: Claim, detail: str) -> None:
        """Put a submission back at the head of the queue and publish why.

        Raises what `Interruptions.hand_back` does.
        """
        records = await self._store.run(self._store.interruptions.hand_back, claim, detail)
        self._bus.publish(claim.submission_id, records)

    async def fail(self, claim: Claim, failure: Failure, tries: int, retry_s: float) -> bool:
        """Put a submission back, or end it, because the judge failed. See `Interruptions.fail`.

        Returns:
            whether it has ended now.
        """
        records = await self._store.run(self._store.interruptions.fail, claim, failure, tries, retry_s)
        self._bus.publish(claim.submission_id, records)
        return records[-1].last

    async def take_back(self, attempts: int) -> Mapping[int, bool]:
        """Put the submissions whose worker has vanished back into the queue and publish that.

        See `Interruptions.take_back`.

        Returns:
            the submissions, and whether each has ended now.

        Raises:
            SQLAlchemyError: the database does not answer.
        """
        appended = await self._store.run(self._store.interruptions.take_back, attempts)
        for submission_id, records in appended.items():
            self._bus.publish(submission_id, records)
        return {submission_id: records[-1].last for submission_id, records in appended.items()}

    async def tell_unable(self, able: Able, limit: int) -> None:
        """Publish what `WaitingSubmissions.tell_unable` appends.

        Raises:
            SQLAlchemyError: the database does not answer.
        """
        appended = await self._store.run(self._store.waiting.tell_unable, able, limit)
        for submission_id, records in appended.items():
            self._bus.publish(submission_id, records)

    async def tell_waiting(self, ids: Sequence[int]) -> None:
        """Publish what `WaitingSubmissions.tell_waiting` appends.

        Raises:
            SQLAlchemyError: the database does not answer.
        """
        appended = await self._store.run(self._store.waiting.tell_waiting, ids)
        for submission_id, records in appended.items():
            self._bus.publish(submission_id, records)

    async def update_queue_positions(self, limit: int) -> None:
        """Publish what `WaitingSubmissions.update_queue_positions` appends, at most `limit` in a transaction.

        Raises:
            SQLAlchemyError: the database does not answer.
        """
        while True:
            appended = await self._store.run(self._store.waiting.update_queue_positions, limit)
            for submission_id, records in appended.items():
                self._bus.publish(submission_id, records)
            if len(appended) < limit:
                return

    def arrived(self, submission_id: int, owner_id: int) -> None:
        """Publish that a user has made a submission, for feeds."""
        self._bus.publish(ARRIVALS, (record(submission_id, str(owner_id), last=False),))

    def arrivals(self) -> AbstractContextManager[Subscription]:
        """Subscribe to new submissions."""
        return self._bus.subscribe(ARRIVALS)

    def latest_arrival(self) -> int:
        """The highest id known to subscribers of new submissions."""
        return self._bus.head(ARRIVALS)

    def runs(self) -> AbstractContextManager[Subscription]:
        """Subscribe to submissions that are judged again."""
        return self._bus.subscribe(RUNS)

    def latest_run(self) -> int:
        """The highest number of a run known to subscribers of these."""
        return self._bus.head(RUNS)

    def subscribe(self, submission_id: int) -> AbstractContextManager[Subscription]:
        """Subscribe to a submission on the bus, as its writer does to learn who else writes."""
        return self._bus.subscribe(submission_id)

    def reader(self, subscription: Subscription, submission_id: int, after: int, epoch: str | None = None) -> Reader:
        """A reader of the events after position `after`, which has subscribed to them."""
        return Reader(subscription, partial(self._page, submission_id), after, epoch)

    async def _page(self, submission_id: int, position: int, limit: int, epoch: str | None) -> EventPage:
        return await self._store.run(self._store.lookup.page, submission_id, position, limit, epoch)

    def subscribe_to_output(self, submission_id: int) -> AbstractContextManager[Subscription]:
        """Subscribe to what the build and the tests of a submission print."""
        return self._output_bus.subscribe(submission_id)

    def output_reader(
        self, subscription: Subscription, submission_id: int, after: int, epoch: str | None = None
    ) -> Reader:
        """A reader of the pieces of output after number `after`, which has subscribed to them."""
        return Reader(subscription, partial(self._output_page, submission_id), after, epoch)

    async def _output_page(self, submission_id: int, number: int, limit: int, epoch: str | None) -> EventPage:
        return await self._store.run(self._store.outputs.page, submission_id, number, limit, epoch)

    async def compare_positions(self) -> None:
        """Until cancelled, tell the bus how far the logs reach for which it may have lost messages."""
        while True:
            await compare_once(self._bus, await self._bus.suspects(self._compare_s), self._ends)

    async def compare_output(self) -> None:
        """Do the same for output."""
        while True:
            await compare_once(self._output_bus, await self._output_bus.suspects(self._compare_s), self._output_ends)

    async def _ends(self, ids: Collection[int]) -> Mapping[int, LogEnd]:
        ends = await self._store.run(self._store.lookup.ends, ids)
        if ARRIVALS in ids:
            ends[ARRIVALS] = LogEnd(await self._store.run(self._store.matching.newest), None)
        if RUNS in ids:
            ends[RUNS] = LogEnd(await self._store.run(self._store.matching.newest_run), None)
        return ends

    async def _output_ends(self, ids: Collection[int]) -> Mapping[int, LogEnd]:
        return await self._store.run(self._store.outputs.ends, ids)


async def compare_once(
    bus: Bus, suspects: Collection[int], ends: Callable[[Collection[int]], Awaitable[Mapping[int, LogEnd]]]
) -> None:
    """Tell the bus where the logs of these submissions end; retry while the log cannot be read."""
    is_first_failure = True
    while suspects:
        # Only what is committed is announced, so a log that is read afterwards cannot be shorter.
        announced = {submission_id: bus.head(submission_id) for submission_id in suspects}
        try:
            found = await ends(suspects)
            for submission_id, least in announced.items():
                bus.compare(submission_id, least, found.get(submission_id, _GONE))
        except Exception:
            if is_first_failure:
                _log.warning("positions could not be compared with the log; retrying", exc_info=True)
            is_first_failure = False
            await asyncio.sleep(_RETRY_DELAY_S)
            # There may be new suspects meanwhile, so all watched submissions are compared next.
            suspects = bus.watched()
        else:
            return


class Reader:
    """Reads the events after a position, once, in order, until `complete`.

    Attributes:
        position: what it has read up to.
        ended: whether it has read everything that there will be.

    Args:
        subscription: to the submission on the bus, which may lose anything. Made before the log is read.
        read: returns the log after a position, at most so many records, given the name of the log that is followed.
        epoch: the name of the log that the reader follows; None: that of the log as it is now.
        page_size: how many records are read at once.
    """

    __slots__ = ("_epoch", "_is_behind", "_page_size", "_read", "_subscription", "_version", "ended", "position")

    def __init__(
        self,
        subscription: Subscription,
        read: Callable[[int, int, str | None], Awaitable[EventPage]],
        after: int,
        epoch: str | None = None,
        page_size: int = _PAGE_SIZE,
    ) -> None:
        self.position = after
        self.ended = False
        self._subscription = subscription
        self._read = read
        self._epoch = epoch
        self._page_size = page_size
        self._is_behind = True
        self._version = subscription.version

    async def next(self) -> Sequence[Record]:
        """Return some of the events that follow; none if there are none at the moment.

        Raises:
            UnknownSubmissionError: there is no such submission.
            ReplacedError: the log has another name, or ends before the reader's position.
        """
        is_behind = self._is_behind or self._version != self._subscription.version
        batch = None if is_behind else self._subscription.after(self.position)
        if batch is None:
            return await self._read_log()
        if batch:
            self.took(batch)
        return batch

    @property
    def needs_log(self) -> bool:
        """Whether what follows can only be read from the log."""
        is_behind = self._is_behind or self._version != self._subscription.version
        return is_behind or self._subscription.after(self.position) is None

    async def _read_log(self) -> Sequence[Record]:
        self._version = self._subscription.version
        page = await self._read(self.position, self._page_size, self._epoch)
        if self.position > page.last_seq or (self._epoch is not None and self._epoch != page.epoch):
            raise ReplacedError
        self._epoch = page.epoch
        if not page.is_kept:
            self._subscription.settle(page.epoch)
        self._is_behind = page.more
        self.ended = page.ended and not page.more
        if page.records:
            self.position = page.records[-1].seq
        elif not self.ended and self._subscription.after(self.position) is None:
            # A replica of the log may lag behind the bus; reading it without a pause would be a busy loop.
            await asyncio.sleep(_LOG_BEHIND_DELAY_S)
        return page.records

    @property
    def is_behind(self) -> bool:
        """Whether there is more to read in the log."""
        return self._is_behind

    def reread(self) -> None:
        """Read the log next, whatever the bus has told."""
        self._is_behind = True

    def took(self, records: Sequence[Record]) -> None:
        """Note what was handed to the one that this reader has parked."""
        self.position = records[-1].seq
        self.ended = records[-1].last

    def park(self, relay: Relay) -> bool:
        """Have `relay` told what comes next. False: there is something to read already."""
        is_behind = self._is_behind or self._version != self._subscription.version
        return not is_behind and self._subscription.park(self.position, relay)

    def leave(self, relay: Relay) -> None:
        """Tell it no more, if it is parked."""
        self._subscription.leave(relay)
