"""Events between processes over a real Redis that is cut off, killed, frozen and fed invalid messages."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from subcli.server.log.bus import MemoryBus
from subcli.server.log.feed import compare_once
from subcli.server.log.records import Record, record
from subcli.server.observe.tasks import end
from subcli.server.redis.bus import COMPARE_WHILE_AWAY_S, SILENCE_S, RedisBus
from subcli.server.redis.connection import connect, namespace
from subcli.server.redis.outbox import Outbox, decode, encode, encode_head
from tests.hang import HANG_S
from tests.server.log.log import Log, follow

if TYPE_CHECKING:
    from tests.backends import RedisServer

SUBMISSION = 42


class Node:
    """The bus of one process, and the task that compares its positions."""

    def __init__(self, redis: Redis, bus: RedisBus, log: Log) -> None:
        self.redis = redis
        self.bus = bus
        self.log = log

    async def compare(self) -> None:
        while True:
            await compare_once(self.bus, await self.bus.suspects(3600), self.log.ends)

    async def watch(self, seen: list[Record], after: int = 0) -> list[int]:
        """Follow to the end and return the positions seen."""
        async for batch in follow(self.bus, self.log.read, SUBMISSION, after):
            seen += batch
        return [each.seq for each in seen]


@pytest.fixture
def url(redis_server: RedisServer) -> Iterator[str]:
    """A Redis that is running before and after the test, whatever the test does to it."""
    yield redis_server.fresh()
    redis_server.revive()


@pytest.fixture
async def node(url: str) -> AsyncIterator[Callable[[Log], Any]]:
    """Makes the bus of one more process."""
    async with AsyncExitStack() as stack:

        @asynccontextmanager
        async def running(log: Log) -> AsyncIterator[Node]:
            redis = connect(url)
            made = Node(redis, RedisBus(redis, MemoryBus()), log)
            tasks = [asyncio.create_task(made.bus.run()), asyncio.create_task(made.compare())]
            yield made
            await end(*tasks)
            await redis.aclose()

        async def make(log: Log) -> Node:
            return await stack.enter_async_context(running(log))

        yield make


async def until(condition: Callable[[], object], seconds: float = HANG_S) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        await asyncio.sleep(0.005)


async def subscribers(redis: Redis, channel: str) -> int:
    try:
        return int((await redis.pubsub_numsub(channel))[0][1])
    except RedisError:
        return 0


async def subscribed(node: Node) -> None:
    """Wait until the submission's channel has a subscriber."""
    channel = f"{namespace(node.redis)}events:{SUBMISSION}"
    deadline = time.monotonic() + HANG_S
    while not await subscribers(node.redis, channel):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def test_from_one_process_to_the_watchers_of_another(node: Callable[[Log], Any]) -> None:
    """All watchers get the same bytes, without reading the log again.

    On a busy machine the log may be read once more, when the bus was silent for too long; but not five times in a row.
    """
    again = []
    for _ in range(5):
        log = Log(50, random.Random(0))
        gateway, worker = await node(log), await node(log)
        first: list[Record] = []
        second: list[Record] = []
        watching = [asyncio.create_task(gateway.watch(seen)) for seen in (first, second)]
        await subscribed(gateway)
        await until(partial(lambda log: log.reads >= 2, log))
        reads = log.reads
        while not log.ended:
            worker.bus.publish(SUBMISSION, log.commit(3))
            await asyncio.sleep(0)
        assert [await each for each in watching] == [list(range(1, 51))] * 2
        assert all(one is other for one, other in zip(first, second, strict=True))
        again.append(log.reads - reads)
        if not again[-1]:
            return
    raise AssertionError(f"the log was read again {again} times")


async def test_a_channel_is_left_with_its_last_watcher(node: Callable[[Log], Any]) -> None:
    """Redis sends a process what is watched there and nothing else."""
    log = Log(2, random.Random(0))
    gateway = await node(log)
    with gateway.bus.subscribe(SUBMISSION):
        await subscribed(gateway)
        with gateway.bus.subscribe(SUBMISSION):
            pass
        await asyncio.sleep(0.05)
        await subscribed(gateway)
    channel = f"{namespace(gateway.redis)}events:{SUBMISSION}"
    deadline = time.monotonic() + HANG_S
    while await subscribers(gateway.redis, channel):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def test_an_event_committed_before_the_subscription_is_confirmed(node: Callable[[Log], Any]) -> None:
    """It is found, though nothing follows it."""
    for _ in range(20):
        log = Log(2, random.Random(0))
        gateway, worker = await node(log), await node(log)
        log.commit(1)
        stream = follow(gateway.bus, log.read, SUBMISSION, 0)
        assert [each.seq for each in await anext(stream)] == [1]
        worker.bus.publish(SUBMISSION, log.commit(1))
        async with asyncio.timeout(HANG_S):
            assert [each.seq for each in await anext(stream)] == [2]
        await stream.aclose()


@pytest.mark.thorough(measured=True)
@pytest.mark.parametrize("harm", ["kill", "freeze"])
async def test_without_redis_the_log_is_followed(
    node: Callable[[Log], Any], redis_server: RedisServer, harm: str
) -> None:
    """While Redis is dead or hangs, an event is there within 2 s; when it is back, without reading the log.

    Two seconds are the time until a silent Redis counts as away, and one comparison of positions after that.
    """
    assert 2 * SILENCE_S + COMPARE_WHILE_AWAY_S < 2
    log = Log(40, random.Random(0))
    gateway, worker = await node(log), await node(log)
    seen: list[Record] = []
    watching = asyncio.create_task(gateway.watch(seen))
    await subscribed(gateway)
    getattr(redis_server, harm)()
    for bus in (gateway.bus, worker.bus):
        await until(partial(lambda bus: bus.availability.is_away, bus))
    for _ in range(3):
        comparisons = log.comparisons
        worker.bus.publish(SUBMISSION, log.commit(1))
        await until(lambda: len(seen) == len(log.records))
        # Each node compares: one comparison of the gateway may have begun before the event.
        assert log.comparisons - comparisons <= 4
    redis_server.revive()
    await subscribed(gateway)
    deadline = time.monotonic() + HANG_S
    while True:
        reads = log.reads
        await asyncio.sleep(0.05)
        worker.bus.publish(SUBMISSION, log.commit(1))
        await until(lambda: len(seen) == len(log.records))
        if log.reads == reads or log.ended:
            break
        assert time.monotonic() < deadline
    assert not log.ended, "it never came over Redis again"
    worker.bus.publish(SUBMISSION, log.commit(40))
    assert await watching == list(range(1, 41))


async def test_invalid_messages_on_the_channel(node: Callable[[Log], Any]) -> None:
    """They make the reader read the log, and have no other effect."""
    log = Log(3, random.Random(0))
    gateway = await node(log)
    seen: list[Record] = []
    watching = asyncio.create_task(gateway.watch(seen))
    await subscribed(gateway)
    channel = f"{namespace(gateway.redis)}events:{SUBMISSION}"
    for nonsense in (b"", b"\xff\xfe", b"x y z\n{}", b"1\n{}\n{}", b"3 live\n{}", b"3 live later\n{}"):
        await gateway.redis.publish(channel, nonsense)
    log.commit(2)
    await gateway.redis.publish(channel, b"what")
    await until(lambda: len(seen) == 2)
    log.commit(1)
    await gateway.redis.publish(channel, encode_head(3))
    assert await watching == [1, 2, 3]


def test_messages_decode_to_what_was_encoded() -> None:
    """Long batches are split; the last record ends the stream."""
    records = [record(seq, f'{{"n":"{"ü" * 50_000}"}}', last=seq == 9, committed=1.5) for seq in range(4, 10)]
    messages = list(encode(records))
    assert 1 < len(messages) < len(records)
    contents = [decode(message) for message in messages]
    decoded = [each for batch in contents if isinstance(batch, tuple) for each in batch]
    assert decoded == records
    assert all(each.committed == 1.5 for each in decoded)
    assert {each.epoch for each in decoded} == {None}
    named = [record(1, "old", last=False, epoch="a"), record(2, "new", last=False, epoch="b")]
    parts = [decode(message) for message in encode(named)]
    assert [[(each.text, each.epoch) for each in part] for part in parts if isinstance(part, tuple)] == [
        [("old", "a")],
        [("new", "b")],
    ]
    assert decode(encode_head(17)) == 17


async def test_batches_published_out_of_order(node: Callable[[Log], Any]) -> None:
    """Two threads may publish the later one of two commits first: each event keeps its position."""
    log = Log(4, random.Random(0))
    gateway, worker = await node(log), await node(log)
    seen: list[Record] = []
    watching = asyncio.create_task(gateway.watch(seen))
    await subscribed(gateway)
    await until(lambda: log.reads)
    first, second = log.commit(1), log.commit(1)
    for batch in (second, first):
        worker.bus.publish(SUBMISSION, batch)
    await until(lambda: len(seen) >= 2)
    third = log.commit(2)
    worker.bus.publish(SUBMISSION, third)
    assert await watching == [1, 2, 3, 4]
    assert [each.text for each in seen] == [each.text for each in (*first, *second, *third)]


@pytest.fixture
async def outbox(url: str) -> AsyncIterator[Outbox]:
    redis = connect(url)
    yield Outbox(redis)
    await redis.aclose()


@asynccontextmanager
async def sending(outbox: Outbox) -> AsyncIterator[None]:
    task = asyncio.create_task(outbox.run())
    yield
    await end(task)


async def first_message(url: str, redis_server: RedisServer, outbox: Outbox) -> int | tuple[Record, ...]:
    """What the outbox sends first when Redis is back."""
    redis_server.revive()
    redis = connect(url)
    async with redis.pubsub() as listener, asyncio.timeout(HANG_S):
        await listener.subscribe(f"{namespace(redis)}events:{SUBMISSION}")
        async with sending(outbox):
            while (message := await listener.get_message(True, timeout=1)) is None:
                pass
    await redis.aclose()
    return decode(message["data"])


async def test_a_head_never_goes_back(url: str, redis_server: RedisServer, outbox: Outbox) -> None:
    """While Redis is away the latest event of a submission counts, in whatever order the events were published."""
    redis_server.kill()
    log = Log(4, random.Random(0))
    first, second, third, fourth = (log.commit(1) for _ in range(4))
    async with sending(outbox):
        outbox.put(SUBMISSION, second)
        outbox.put(SUBMISSION, first)
        await until(lambda: outbox.availability.is_away)
        outbox.put(SUBMISSION, fourth)
        outbox.put(SUBMISSION, third)
    assert await first_message(url, redis_server, outbox) == 4


async def test_a_send_that_fails_does_not_bring_an_older_head_back(
    url: str, redis_server: RedisServer, outbox: Outbox
) -> None:
    """Events are published while it waits for a Redis that hangs."""
    redis_server.freeze()
    log = Log(2, random.Random(0))
    async with sending(outbox):
        outbox.put(SUBMISSION, log.commit(1))
        await until(lambda: outbox.availability.is_away)
        # The next send has begun by then, and waits for its timeout.
        await asyncio.sleep(0.5)
        outbox.put(SUBMISSION, log.commit(1))
    assert await first_message(url, redis_server, outbox) == 2


async def test_nothing_piles_up_while_redis_is_away(url: str, redis_server: RedisServer, outbox: Outbox) -> None:
    """What cannot be sent costs one number per submission, which is all that is sent when Redis is back."""
    redis_server.kill()
    log = Log(5000, random.Random(0))
    async with sending(outbox):
        while not log.ended:
            outbox.put(SUBMISSION, log.commit(10))
            await asyncio.sleep(0)
        await until(lambda: outbox.availability.is_away)
    assert await first_message(url, redis_server, outbox) == 5000


async def test_too_much_to_send_becomes_a_head(
    url: str, redis_server: RedisServer, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Redis that is too slow does not fill the memory: readers get the rest from the log."""
    monkeypatch.setattr("subcli.server.redis.outbox._MAX_BYTES", 50)
    log = Log(20, random.Random(0))
    outbox.put(SUBMISSION, log.commit(10))
    outbox.put(SUBMISSION, log.commit(2))
    assert await first_message(url, redis_server, outbox) == 12


async def test_the_last_events_of_a_process_are_published(url: str, outbox: Outbox) -> None:
    """It is cancelled before it could send them."""
    redis = connect(url)
    async with redis.pubsub() as listener, asyncio.timeout(HANG_S):
        await listener.subscribe(f"{namespace(redis)}events:{SUBMISSION}")
        async with sending(outbox):
            await asyncio.sleep(0)
            outbox.put(SUBMISSION, Log(1, random.Random(0)).commit(1))
        while (message := await listener.get_message(True, timeout=1)) is None:
            pass
    await redis.aclose()
    published = decode(message["data"])
    assert isinstance(published, tuple)
    assert [each.seq for each in published] == [1]


async def naive(url: str, count: list[int], ready: asyncio.Event) -> None:
    """What redis-py does by itself: subscribe once, and listen."""
    async with connect(url) as redis, redis.pubsub() as listener:
        await listener.subscribe(f"{namespace(redis)}events:{SUBMISSION}")
        ready.set()
        while True:
            try:
                message = await listener.get_message(True, timeout=1)
            except RedisError:
                continue
            if message is not None:
                content = decode(message["data"])
                count += [each.seq for each in content] if isinstance(content, tuple) else []


@pytest.mark.thorough
async def test_connections_cut_again_and_again(node: Callable[[Log], Any], url: str) -> None:
    """Of 2,000 events none is lost and none comes twice, while every Pub/Sub connection is cut every few of them.

    A naive subscriber on the same channel loses some, and no exception says so; else the trial would prove nothing.
    """
    log = Log(2000, random.Random(7))
    rng = random.Random(8)
    gateway, worker = await node(log), await node(log)
    plain: list[int] = []
    ready = asyncio.Event()
    listening = asyncio.create_task(naive(url, plain, ready))
    await ready.wait()
    watching = [asyncio.create_task(gateway.watch([])) for _ in range(5)]
    await subscribed(gateway)
    cuts = 0
    while not log.ended:
        worker.bus.publish(SUBMISSION, log.commit(1))
        await asyncio.sleep(0.001)
        if rng.random() < 0.03:
            cuts += await gateway.redis.client_kill_filter(_type="pubsub")
    async with asyncio.timeout(HANG_S):
        assert [await each for each in watching] == [list(range(1, 2001))] * 5
    lost = 2000 - len(set(plain))
    print(f"{cuts} connections cut: a naive subscriber lost {lost} of 2,000 events, ours none")
    assert lost > 0
    listening.cancel()
    await asyncio.wait([listening])
