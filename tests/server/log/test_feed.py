"""Following a log through a bus that loses, repeats and reorders: no hole, no repeat."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from subcli.server.log.bus import MemoryBus
from subcli.server.log.feed import compare_once, follow
from subcli.server.log.records import Record
from tests.server.log.log import Log

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
        position = start = rng.randrange(3)
        while True:
            await turns(20)
            stream = follow(bus, log.read, SUBMISSION, position, page_size=rng.choice((1, 5, 500)))
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
            await compare_once(bus, bus.watched(), log.positions)

    comparing = asyncio.create_task(compare())
    async with asyncio.timeout(20):
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


async def test_a_position_beyond_the_end() -> None:
    """A reader whose position is beyond `complete` does not wait, before the end or after it."""
    bus, log = MemoryBus(), Log(3, random.Random(0))
    log.commit(1)

    async def watch() -> list[Sequence[Record]]:
        return [batch async for batch in follow(bus, log.read, SUBMISSION, 99)]

    early = asyncio.create_task(watch())
    await asyncio.sleep(0.01)
    bus.publish(SUBMISSION, log.commit(2))
    async with asyncio.timeout(2):
        assert await early == []
        assert await watch() == []


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
    await compare_once(bus, bus.watched(), log.positions)
    async with asyncio.timeout(2):
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
