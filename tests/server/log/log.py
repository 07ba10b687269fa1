"""A submission's log in memory, for tests that read and follow one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence

from subcli.server.log.bus import Bus, Subscription
from subcli.server.log.feed import Reader
from subcli.server.log.records import EventPage, LogEnd, Record, record


class Log:
    """A log in memory. Reading it takes a random number of turns of the event loop.

    Attributes:
        epoch: its name, as a real one has it.
    """

    def __init__(self, length: int, turns: random.Random, epoch: str | None = None) -> None:
        self.epoch = epoch
        self.records: list[Record] = []
        self.length = length
        self.reads = 0
        self.comparisons = 0
        self._turns = turns

    def commit(self, count: int) -> Sequence[Record]:
        start = len(self.records)
        for seq in range(start + 1, min(start + count, self.length) + 1):
            self.records.append(self.make(seq))
        return self.records[start:]

    def make(self, seq: int) -> Record:
        return record(seq, f"event {seq} of {self.epoch}", last=seq == self.length, epoch=self.epoch)

    @property
    def ended(self) -> bool:
        return len(self.records) == self.length

    async def read(self, after: int, limit: int, epoch: str | None = None) -> EventPage:
        self.reads += 1
        ended, found, last_seq, name = self.ended, self.records[after:], len(self.records), self.epoch
        for _ in range(self._turns.randrange(4)):
            await asyncio.sleep(0)
        return EventPage(tuple(found[:limit]), len(found) > limit, ended, last_seq, name)

    async def ends(self, ids: Collection[int]) -> Mapping[int, LogEnd]:
        self.comparisons += 1
        return dict.fromkeys(ids, LogEnd(len(self.records), self.epoch))


class _Parked:
    """Takes what it is handed, whenever it feels like it."""

    def __init__(self, takes: Callable[[], bool]) -> None:
        self._takes = takes
        self.told = asyncio.Event()
        self.taken: list[Sequence[Record]] = []

    def take(self, records: Sequence[Record], frames: bytes) -> bool:
        assert frames == b"".join(each.frame for each in records)
        if not self._takes():
            return False
        self.taken.append(records)
        self.told.set()
        return True

    def wake(self) -> None:
        self.told.set()


async def follow(
    bus: Bus,
    read: Callable[[int, int, str | None], Awaitable[EventPage]],
    submission_id: int,
    after: int,
    epoch: str | None = None,
    page_size: int = 500,
    takes: Callable[[], bool] = lambda: True,
) -> AsyncGenerator[Sequence[Record], None]:
    """Yield the events after a position, in batches, until `complete`.

    Args:
        takes: whether to take what the bus hands out at that moment.
    """
    with bus.subscribe(submission_id) as subscription:
        reader = Reader(subscription, read, after, epoch, page_size)
        while not reader.ended:
            if batch := await reader.next():
                yield batch
                continue
            parked = _Parked(takes)
            if not reader.ended and reader.park(parked):
                try:
                    await parked.told.wait()
                finally:
                    subscription.leave(parked)
                for batch in parked.taken:
                    reader.took(batch)
                    yield batch


async def beyond(subscription: Subscription, position: int) -> None:
    """Wait until there is more than this position."""
    parked = _Parked(lambda: False)
    if subscription.park(position, parked):
        await parked.told.wait()
