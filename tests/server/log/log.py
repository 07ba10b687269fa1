"""A submission's log in memory, for tests that read and follow one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection, Mapping, Sequence

from subcli.server.log.records import EventPage, Record, record


class Log:
    """A log in memory. Reading it takes a random number of turns of the event loop."""

    def __init__(self, length: int, turns: random.Random) -> None:
        self.records: list[Record] = []
        self.length = length
        self.reads = 0
        self.comparisons = 0
        self._turns = turns

    def commit(self, count: int) -> Sequence[Record]:
        start = len(self.records)
        for seq in range(start + 1, min(start + count, self.length) + 1):
            self.records.append(record(seq, f"event {seq}", last=seq == self.length))
        return self.records[start:]

    @property
    def ended(self) -> bool:
        return len(self.records) == self.length

    async def read(self, after: int, limit: int) -> EventPage:
        self.reads += 1
        ended, found = self.ended, self.records[after:]
        for _ in range(self._turns.randrange(4)):
            await asyncio.sleep(0)
        return EventPage(tuple(found[:limit]), more=len(found) > limit, ended=ended)

    async def positions(self, ids: Collection[int]) -> Mapping[int, int]:
        self.comparisons += 1
        return dict.fromkeys(ids, len(self.records))
