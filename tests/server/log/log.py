"""A submission's log in memory, for tests that read and follow one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection, Mapping, Sequence

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

    async def read(self, after: int, limit: int) -> EventPage:
        self.reads += 1
        ended, found, last_seq, epoch = self.ended, self.records[after:], len(self.records), self.epoch
        for _ in range(self._turns.randrange(4)):
            await asyncio.sleep(0)
        return EventPage(tuple(found[:limit]), len(found) > limit, ended, last_seq, epoch)

    async def ends(self, ids: Collection[int]) -> Mapping[int, LogEnd]:
        self.comparisons += 1
        return dict.fromkeys(ids, LogEnd(len(self.records), self.epoch))
