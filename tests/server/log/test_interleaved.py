"""Following a log and what is printed as one: in the order in which they were written, whatever the buses do."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from subcli.server.log.bus import MemoryBus
from subcli.server.log.feed import Reader, compare_once
from subcli.server.log.interleaved import InterleavedReader
from subcli.server.log.records import EventPage, LogEnd, Record, ReplacedError, record
from tests.hang import HANG_S

SUBMISSION = 42
EPOCH = "first"


@dataclass
class Database:
    """A log and its output in memory, written together. Reading takes a random number of turns of the event loop."""

    rng: random.Random
    length: int
    records: list[Record] = field(default_factory=list)
    pieces: list[Record] = field(default_factory=list)
    written: list[tuple[str, int]] = field(default_factory=list)
    deleted: int = 0

    def commit(self) -> tuple[Sequence[Record], Sequence[Record]]:
        """Write a batch: some pieces, some events. Returns what is to be published."""
        events, pieces = len(self.records), len(self.pieces)
        for _ in range(self.rng.choice((1, 1, 2, 5))):
            if self.ended:
                break
            for _ in range(self.rng.choice((0, 0, 1, 3))):
                number, after = len(self.pieces) + 1, len(self.records)
                text = json.dumps({"output_seq": number, "after_seq": after, "text": "x"})
                self.pieces.append(record(number, text, last=False, epoch=EPOCH))
                self.written.append(("piece", number))
            if self.rng.random() < 0.7:
                seq = len(self.records) + 1
                self.records.append(record(seq, f"event {seq}", last=seq == self.length, epoch=EPOCH))
                self.written.append(("event", seq))
        return self.records[events:], self.pieces[pieces:]

    @property
    def ended(self) -> bool:
        return len(self.records) >= self.length

    async def events(self, after: int, limit: int, epoch: str | None) -> EventPage:
        return await self._page(self.records, after, limit)

    async def output(self, after: int, limit: int, epoch: str | None) -> EventPage:
        return await self._page(self.pieces, after, limit, self.deleted)

    async def _page(self, records: Sequence[Record], after: int, limit: int, deleted: int = 0) -> EventPage:
        found, ended, last = [each for each in records[after:] if each.seq > deleted], self.ended, len(records)
        for _ in range(self.rng.randrange(4)):
            await asyncio.sleep(0)
        return EventPage(tuple(found[:limit]), len(found) > limit, ended, last, EPOCH)


class Parked:
    """A watcher that waits."""

    def __init__(self) -> None:
        self.told = asyncio.Event()

    def take(self, records: Sequence[Record], frames: bytes) -> bool:
        raise AssertionError("nothing is handed out: it may have to wait for the other kind")

    def wake(self) -> None:
        assert not self.told.is_set(), "woken twice"
        self.told.set()


async def follow(
    database: Database, buses: tuple[MemoryBus, MemoryBus], seen: list[Record], start: tuple[int, int]
) -> None:
    """Read to the end, as a watcher of a gateway does."""
    rng = database.rng
    with buses[0].subscribe(SUBMISSION) as events, buses[1].subscribe(SUBMISSION) as output:
        page = rng.choice((1, 3, 500))
        reader = InterleavedReader(
            Reader(events, database.events, start[0], EPOCH, page),
            Reader(output, database.output, start[1], EPOCH, rng.choice((1, 2, 500))),
        )
        while not reader.ended:
            if batch := await reader.next():
                seen += batch
                continue
            parked = Parked()
            if not reader.ended and reader.park(parked):
                if rng.random() < 0.1:
                    reader.leave(parked)
                    continue
                await parked.told.wait()


async def one_interleaving(seed: int) -> None:
    rng = random.Random(seed)
    database = Database(rng, rng.randrange(1, 25))
    buses = tuple(MemoryBus(tail_records=rng.choice((1, 3, 1000))) for _ in range(2))
    for _ in range(rng.choice((0, 0, 3))):
        database.commit()
    start = rng.randrange(len(database.records) + 1), rng.randrange(len(database.pieces) + 1)
    seen: list[Record] = []
    following = asyncio.create_task(follow(database, (buses[0], buses[1]), seen, start))
    loses = rng.choice((0, 0, 0.3, 1))
    late: list[tuple[int, Sequence[Record]]] = []
    while not database.ended:
        late += enumerate(database.commit())
        for _ in range(rng.randrange(4)):
            await asyncio.sleep(0)
        if rng.random() < 0.3:
            continue
        if rng.random() < 0.5:
            rng.shuffle(late)
        for which, batch in late:
            if batch and rng.random() >= loses:
                buses[which].publish(SUBMISSION, batch)
        late.clear()
        if rng.random() < 0.2:
            await compare(database, (buses[0], buses[1]))
    for which, batch in late:
        if batch:
            buses[which].publish(SUBMISSION, batch)
    await compare(database, (buses[0], buses[1]))
    async with asyncio.timeout(HANG_S):
        await following
    told = [("piece" if each.text.startswith("{") else "event", each.seq) for each in seen]
    wanted = [each for each in database.written if each[1] > start[each[0] == "piece"]]
    if start[0] <= min((json.loads(each.text)["after_seq"] for each in database.pieces[start[1] :]), default=99):
        assert told == wanted, f"seed {seed}"
    # Who has seen later events than output gets the output that is missing at once.
    assert sorted(told) == sorted(wanted), f"seed {seed}"
    if start[0] < database.length:
        assert told[-1] == ("event", database.length)


async def compare(database: Database, buses: tuple[MemoryBus, MemoryBus]) -> None:
    for bus, records in zip(buses, (database.records, database.pieces), strict=True):

        async def ends(_: object, records: Sequence[Record] = records) -> dict[int, LogEnd]:
            return {SUBMISSION: LogEnd(len(records), EPOCH)}

        await compare_once(bus, [SUBMISSION], ends)


@pytest.mark.thorough
@pytest.mark.parametrize("first", range(0, 4000, 1000))
async def test_both_are_read_in_the_order_in_which_they_were_written(first: int) -> None:
    """Each event and each piece once, whatever is lost, late or out of order; `complete` last."""
    for seed in range(first, first + 1000):
        await one_interleaving(seed)


async def test_deleted_output_is_passed_over() -> None:
    """Late watchers get the log without it."""
    rng = random.Random(1)
    database = Database(rng, 10)
    while not database.ended:
        database.commit()
    database.deleted = len(database.pieces)
    seen: list[Record] = []
    await follow(database, (MemoryBus(), MemoryBus()), seen, (0, 0))
    assert [each.seq for each in seen] == list(range(1, 11))


@pytest.mark.parametrize("start", [(99, 0), (0, 99)])
async def test_a_position_beyond_the_end_is_another_log(start: tuple[int, int]) -> None:
    """Of either kind: a backup was restored."""
    database = Database(random.Random(1), 5)
    while not database.ended:
        database.commit()
    with pytest.raises(ReplacedError):
        await follow(database, (MemoryBus(), MemoryBus()), [], start)


async def test_a_page_of_each_is_held_at_most() -> None:
    """However much there is: a watcher that reads slowly costs no more."""
    database = Database(random.Random(1), 3000)
    while not database.ended:
        database.commit()
    buses = MemoryBus(), MemoryBus()
    with buses[0].subscribe(SUBMISSION) as events, buses[1].subscribe(SUBMISSION) as output:
        reader = InterleavedReader(
            Reader(events, database.events, 0, EPOCH, 50), Reader(output, database.output, 0, EPOCH, 20)
        )
        while not reader.ended:
            assert len(await reader.next()) <= 70
            assert len(reader._held_events) <= 50
            assert len(reader._held_output) <= 20
