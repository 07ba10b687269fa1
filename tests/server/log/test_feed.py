"""Following a log through a bus that loses, repeats and reorders: no hole, no repeat."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from subcli.server.log.bus import MemoryBus
from subcli.server.log.feed import compare_once
from subcli.server.log.records import EventPage, Record, ReplacedError
from tests.hang import HANG_S
from tests.server.log.log import Log, follow

SUBMISSION = 42


async def one_interleaving(seed: int) -> None:
    rng = random.Random(seed)
    log = Log(rng.randrange(1, 40), rng)
    bus = MemoryBus(tail_records=rng.choice((1, 3, 1000)), tail_bytes=rng.choice((30, 10_000)))
    loses = rng.choice((0, 0, 0.3, 1))

    async def turns(most: int) -> None:
        for _ in range(rng.randrange(most)):
            await asyncio.sleep(0)

    async def publish() -> None:
        late: list[Sequence[Record]] = []
        while not log.ended:
            late.append(log.commit(rng.choice((1, 1, 2, 7))))
            await turns(4)
            if rng.random() < 0.2:
                continue
            rng.shuffle(late)
            for batch in late:
                for _ in range(rng.choice((1, 1, 2))):
                    if rng.random() >= loses:
                        bus.publish(SUBMISSION, batch)
            late.clear()

    async def watch() -> list[int]:
        seen: list[int] = []
        position = start = rng.randrange(min(3, len(log.records) + 1))
        while True:
            await turns(20)
            stream = follow(
                bus,
                log.read,
                SUBMISSION,
                position,
                page_size=rng.choice((1, 5, 500)),
                takes=rng.choice((lambda: False, lambda: rng.random() < 0.5, lambda: True)),
            )
            async for batch in stream:
                seen += [item.seq for item in batch]
                position = seen[-1]
                await turns(5)
                if rng.random() < 0.2:
                    break
            else:
                assert seen == list(range(start + 1, log.length + 1))
                return seen
            await stream.aclose()

    async def compare() -> None:
        while True:
            await turns(10)
            await asyncio.sleep(0)
            await compare_once(bus, bus.watched(), log.ends)

    comparing = asyncio.create_task(compare())
    async with asyncio.timeout(HANG_S):
        await asyncio.gather(publish(), *(watch() for _ in range(rng.randrange(1, 5))))
    comparing.cancel()
    assert not bus.watched()


@pytest.mark.parametrize("block", range(4))
async def test_a_thousand_interleavings(block: int) -> None:
    """1,000 seeded mixes of publish, subscribe, disconnect and resume on a lossy bus: no hole, no repeat."""
    for seed in range(block * 250, block * 250 + 250):
        try:
            await one_interleaving(seed)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise


@pytest.mark.parametrize("how", ["compared with the log", "contradicted by a new event"])
async def test_a_log_that_is_shorter_than_what_was_sent(how: str) -> None:
    """The backup has this submission's beginning only. A reader beyond it ends, whichever event comes next."""
    bus, log = MemoryBus(), Log(9, random.Random(0), "a")
    log.commit(4)
    beyond, within = follow(bus, log.read, SUBMISSION, 0), follow(bus, log.read, SUBMISSION, 0)
    await anext(beyond)
    await anext(within)
    bus.publish(SUBMISSION, log.commit(2))
    assert [item.seq for item in await anext(beyond)] == [5, 6]
    waiting = asyncio.create_task(anext(beyond))
    await asyncio.sleep(0.01)
    del log.records[4:]
    if how == "compared with the log":
        await compare_once(bus, bus.watched(), log.ends)
    else:
        log.length = 5
        bus.publish(SUBMISSION, [replace(each, text="judged again") for each in log.commit(1)])
    async with asyncio.timeout(HANG_S):
        with pytest.raises(ReplacedError):
            await waiting
    if how == "compared with the log":
        # The other one has seen nothing that is gone.
        bus.publish(SUBMISSION, log.commit(1))
        assert [item.seq for item in await anext(within)] == [5]
    await within.aclose()


async def test_a_late_message_of_the_old_log() -> None:
    """It disturbs nobody who follows the new one: no event is taken from it, and the log is seldom read."""
    bus, old, new = MemoryBus(), Log(9, random.Random(0), "old"), Log(9, random.Random(0), "new")
    new.commit(2)
    stream = follow(bus, new.read, SUBMISSION, 0)
    seen = list(await anext(stream))
    waiting = asyncio.create_task(anext(stream))
    await asyncio.sleep(0.01)
    bus.publish(SUBMISSION, old.commit(6)[2:])
    await asyncio.sleep(0.2)
    assert new.reads < 5
    bus.publish(SUBMISSION, new.commit(1))
    async with asyncio.timeout(HANG_S):
        seen += await waiting
    assert [(item.seq, item.epoch) for item in seen] == [(1, "new"), (2, "new"), (3, "new")]
    await stream.aclose()


async def test_a_live_reader_reads_the_log_once() -> None:
    """On a bus that loses nothing, the log is read only when the reader starts."""
    bus, log = MemoryBus(), Log(100, random.Random(0))
    seen: list[int] = []

    async def watch() -> None:
        async for batch in follow(bus, log.read, SUBMISSION, 0):
            seen.extend(item.seq for item in batch)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0.01)
    assert bus.watched()
    while not log.ended:
        await asyncio.sleep(0)
        bus.publish(SUBMISSION, log.commit(3))
    await watching
    assert seen == list(range(1, 101))
    assert log.reads == 1


async def test_a_slow_reader_costs_no_memory() -> None:
    """Events that a watcher has not taken are not kept for it: the tail stays bounded, the log has the rest."""
    bus, log = MemoryBus(tail_records=10), Log(1000, random.Random(0))
    stream = follow(bus, log.read, SUBMISSION, 0)
    bus.publish(SUBMISSION, log.commit(1))
    first = await anext(stream)
    while not log.ended:
        bus.publish(SUBMISSION, log.commit(1))
    with bus.subscribe(SUBMISSION) as channel:
        assert channel.after(989) is None
        kept = channel.after(990)
        assert kept is not None
        assert len(kept) == 10
    rest = [item.seq async for batch in stream for item in batch]
    assert [item.seq for item in first] + rest == list(range(1, 1001))


@pytest.mark.parametrize("committed", [1, 3], ids=["before the verdict", "after the verdict"])
async def test_a_position_beyond_the_end(committed: int) -> None:
    """No log that this reader can have followed reaches so far: it does not wait."""
    bus, log = MemoryBus(), Log(3, random.Random(0))
    log.commit(committed)
    with pytest.raises(ReplacedError):
        await anext(follow(bus, log.read, SUBMISSION, committed + 1))
    assert not bus.watched()


@pytest.mark.parametrize(("epoch", "is_right"), [("a", True), (None, True), ("b", False)])
async def test_a_reader_that_names_its_log(epoch: str | None, is_right: bool) -> None:
    """It gets the events of that log or none; one that names none gets those of the present log."""
    bus, log = MemoryBus(), Log(3, random.Random(0), "a")
    log.commit(3)
    stream = follow(bus, log.read, SUBMISSION, 1, epoch)
    if is_right:
        assert [item.seq for item in await anext(stream)] == [2, 3]
    else:
        with pytest.raises(ReplacedError):
            await anext(stream)


async def one_restore(seed: int) -> None:
    """Play a restored backup under readers: the id is another submission's from then on."""
    rng = random.Random(seed)
    old, new = Log(rng.randrange(2, 12), rng, "old"), Log(rng.randrange(2, 12), rng, "new")
    bus = MemoryBus(tail_records=rng.choice((1, 3, 1000)))
    loses = rng.choice((0, 0.3, 1))
    now = old
    late: list[Sequence[Record]] = [old.commit(rng.randrange(1, old.length + 1))]

    async def turns(most: int) -> None:
        for _ in range(rng.randrange(most)):
            await asyncio.sleep(0)

    def publish(records: Sequence[Record]) -> None:
        late.append(records)
        if rng.random() >= loses:
            bus.publish(SUBMISSION, records)
        if rng.random() < 0.2:
            # What another process still had to send, be it of the old log.
            bus.publish(SUBMISSION, rng.choice(late))
            bus.hint(SUBMISSION, rng.randrange(8))

    async def read(after: int, limit: int, epoch: str | None) -> EventPage:
        return await now.read(after, limit, epoch)

    async def watch(epoch: str | None) -> None:
        seen: list[Record] = []
        try:
            async for batch in follow(bus, read, SUBMISSION, 0, epoch, rng.choice((1, 500))):
                seen += batch
                await turns(4)
        except ReplacedError:
            assert now is new
            assert all(item.epoch == "old" for item in seen), "two logs mixed"
        else:
            assert seen in (old.records, new.records), "two logs mixed"
            assert epoch in (None, seen[0].epoch), "another log than asked for"
        assert [item.seq for item in seen] == list(range(1, len(seen) + 1))

    async def compare() -> None:
        while True:
            await turns(10)
            await asyncio.sleep(0)
            await compare_once(bus, bus.watched(), lambda ids: now.ends(ids))

    comparing = asyncio.create_task(compare())
    watching = [asyncio.create_task(watch(rng.choice((None, "old")))) for _ in range(rng.randrange(1, 4))]
    for _ in range(rng.randrange(6)):
        publish(old.commit(1))
        await turns(6)
    now = new
    new.commit(rng.randrange(1, new.length + 1))
    watching += [asyncio.create_task(watch(rng.choice((None, "new", "old")))) for _ in range(2)]
    while not new.ended:
        publish(new.commit(1))
        await turns(6)
    async with asyncio.timeout(HANG_S):
        await asyncio.gather(*watching)
    comparing.cancel()


@pytest.mark.parametrize("block", range(4))
async def test_two_logs_are_never_mixed(block: int) -> None:
    """In 1,000 seeded restores under readers: each sees one log or a part of one, and ends."""
    for seed in range(block * 250, block * 250 + 250):
        try:
            await one_restore(seed)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise


async def test_a_message_lost_at_the_end_is_found() -> None:
    """No later message reveals the hole, but comparing positions with the log does."""
    bus, log = MemoryBus(), Log(2, random.Random(0))
    log.commit(1)
    stream = follow(bus, log.read, SUBMISSION, 0)
    await anext(stream)
    waiting = asyncio.create_task(anext(stream))
    await asyncio.sleep(0.01)
    log.commit(1)
    assert not waiting.done()
    await compare_once(bus, bus.watched(), log.ends)
    async with asyncio.timeout(HANG_S):
        assert [item.seq for item in await waiting] == [2]
    await stream.aclose()


async def test_a_log_that_lags_behind_the_bus() -> None:
    """A bus that is ahead of the log (a lagging replica) does not make a reader spin, and loses nothing."""
    bus, log = MemoryBus(tail_records=1), Log(5, random.Random(0))
    stream = follow(bus, log.read, SUBMISSION, 0)
    ahead = Log(5, random.Random(0)).commit(5)
    waiting = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    bus.publish(SUBMISSION, ahead)
    await asyncio.sleep(0.2)
    assert log.reads < 10
    log.commit(5)
    assert [item.seq for item in await waiting] == [1, 2, 3, 4, 5]
    await stream.aclose()
