"""The job queue between processes over a real Redis: each job goes to one worker, and none is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import Redis

from subcli.server.jobs.queue import Ticket
from subcli.server.redis.connection import connect, namespace
from subcli.server.redis.queue import RedisQueue
from tests.hang import HANG_S
from tests.system.timing import scheduled_time

if TYPE_CHECKING:
    from tests.backends import RedisServer


@pytest.fixture
def url(redis_server: RedisServer) -> Iterator[str]:
    yield redis_server.fresh()
    redis_server.revive()


@pytest.fixture
async def redis(url: str) -> AsyncIterator[Redis]:
    client = connect(url)
    yield client
    # A read that was abandoned ends by itself a moment later, and with it its connection.
    await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()} or {asyncio.create_task(asyncio.sleep(0))})
    await client.aclose()


@pytest.fixture
async def queue(redis: Redis) -> AsyncIterator[Callable[..., RedisQueue]]:
    """Makes the queue of one more process."""
    running: list[asyncio.Task[None]] = []

    def make(takeover_s: float = 3600) -> RedisQueue:
        made = RedisQueue(redis, takeover_s)
        running.append(asyncio.create_task(made.run()))
        return made

    yield make
    for task in running:
        task.cancel()
    await asyncio.wait(running)


async def taken(queue: RedisQueue) -> Ticket:
    async with asyncio.timeout(HANG_S):
        return await queue.get()


async def waiting(redis: Redis) -> int:
    return int(await redis.xlen(f"{namespace(redis)}jobs"))


async def until_waiting(redis: Redis, number: int) -> None:
    deadline = time.monotonic() + HANG_S
    while await waiting(redis) != number:
        assert time.monotonic() < deadline, f"{await waiting(redis)} wait, not {number}"
        await asyncio.sleep(0.005)


async def nothing_more(queue: RedisQueue) -> None:
    """Nothing is given out, though the stream has been read once."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.8):
            await queue.get()


async def test_each_submission_goes_to_one_worker(queue: Callable[..., RedisQueue], redis: Redis) -> None:
    """Oldest first, each one once; settled entries are gone."""
    gateway, one, other = queue(), queue(), queue()
    for submission_id in range(1, 21):
        gateway.put(submission_id)
    await until_waiting(redis, 20)
    first, second = await taken(one), await taken(other)
    assert (first.submission_id, second.submission_id) == (1, 2)
    rest = [await taken(each) for each in (one, other) * 9]
    assert sorted(ticket.submission_id for ticket in rest) == list(range(3, 21))
    for ticket in (first, second, *rest):
        one.settle(ticket)
    await until_waiting(redis, 0)
    assert await redis.hlen(f"{namespace(redis)}jobs:entries") == 0


async def test_a_waiting_submission_is_not_enqueued_twice(queue: Callable[..., RedisQueue], redis: Redis) -> None:
    """Enqueued by a gateway and by several sweeps, while it waits or is being claimed, it is one entry."""
    gateway, one, other = queue(), queue(), queue()
    for each in (gateway, one, other):
        each.put(7)
        each.put(7)
    await until_waiting(redis, 1)
    ticket = await taken(one)
    other.put(7)
    other.put(8)
    await until_waiting(redis, 2)
    one.settle(ticket)
    await until_waiting(redis, 1)
    other.put(7)
    await until_waiting(redis, 2)
    assert [(await taken(other)).submission_id for _ in range(2)] == [8, 7]


async def test_an_unsettled_entry_is_taken_over(queue: Callable[..., RedisQueue], redis: Redis) -> None:
    """By another worker; the dead worker's late settling does no harm."""
    gateway, dead, living = queue(), queue(), queue(takeover_s=0.3)
    gateway.put(7)
    lost = await taken(dead)
    again = await taken(living)
    assert again.submission_id == 7
    living.settle(again)
    await until_waiting(redis, 0)
    gateway.put(7)
    await until_waiting(redis, 1)
    dead.settle(lost)
    dead.put(8)
    await until_waiting(redis, 2)
    gateway.put(7)
    gateway.put(9)
    await until_waiting(redis, 3)
    assert [(await taken(living)).submission_id for _ in range(3)] == [7, 8, 9]


async def test_the_queue_recovers_after_redis_lost_its_data(
    queue: Callable[..., RedisQueue], redis: Redis, redis_server: RedisServer
) -> None:
    """The consumer group too; what a sweep enqueues is given out."""
    gateway, worker = queue(), queue()
    gateway.put(7)
    assert (await taken(worker)).submission_id == 7
    waits = asyncio.create_task(worker.get())
    await redis.flushdb()
    worker.put(7)
    async with asyncio.timeout(HANG_S):
        assert (await waits).submission_id == 7


@pytest.mark.thorough(measured=True)
@pytest.mark.parametrize("harm", ["kill", "freeze"])
async def test_without_redis_workers_judge_what_sweeps_find(
    queue: Callable[..., RedisQueue], redis_server: RedisServer, harm: str
) -> None:
    """Enqueuing does not wait, sweeps come sooner, and what they find is given out locally."""
    gateway, worker = queue(), queue()
    await nothing_more(worker)
    getattr(redis_server, harm)()
    waits = asyncio.create_task(worker.get())
    started = scheduled_time()
    gateway.put(7)
    assert scheduled_time() - started < 0.5
    pausing = time.monotonic()
    await worker.pause(3600)
    await worker.pause(3600)
    print(f"two sweeps after {time.monotonic() - pausing:.2f} s")
    worker.put(8)
    async with asyncio.timeout(HANG_S):
        assert (await waits).submission_id == 8
    redis_server.revive()
    gateway.put(9)
    async with asyncio.timeout(HANG_S):
        while (await worker.get()).submission_id != 9:
            gateway.put(9)


async def test_a_stopping_process_enqueues_what_it_hands_back(redis: Redis) -> None:
    """It is cancelled before it could send it."""
    stopping = RedisQueue(redis, takeover_s=3600)
    running = asyncio.create_task(stopping.run())
    await asyncio.sleep(0)
    stopping.put(7)
    running.cancel()
    await asyncio.wait([running])
    assert await waiting(redis) == 1


async def test_an_evicted_entry_can_be_enqueued_again(queue: Callable[..., RedisQueue], redis: Redis) -> None:
    """The stream is gone and the hash that knows its entries is not."""
    gateway = queue()
    gateway.put(7)
    await until_waiting(redis, 1)
    await redis.delete(f"{namespace(redis)}jobs")
    gateway.put(7)
    await until_waiting(redis, 1)


async def test_stopping_with_nothing_to_send_does_not_log_that_redis_is_back(
    url: str, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing was sent, so nothing is known."""
    client = connect(url)
    gone = RedisQueue(client, takeover_s=3600)
    redis_server.kill()
    running = asyncio.create_task(gone.run())
    gone.put(7)
    await asyncio.wait_for(gone.pause(3600), HANG_S)
    running.cancel()
    await asyncio.wait([running])
    await client.aclose()
    logged = [record.getMessage() for record in caplog.records if record.name == "subcli.server.redis.availability"]
    assert len(logged) == 1, logged
    assert "Redis does not answer" in logged[0]


async def test_stale_consumers_are_deleted(
    queue: Callable[..., RedisQueue], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The consumer of a process that is gone is removed from the group, unless it has a pending entry."""
    monkeypatch.setattr("subcli.server.redis.queue._STALE_MS", 100)
    gateway, idle, holding = queue(), queue(), queue()
    await nothing_more(idle)
    gateway.put(7)
    await taken(holding)
    await asyncio.sleep(0.2)
    await nothing_more(queue(takeover_s=10))
    consumers: Any = await redis.xinfo_consumers(f"{namespace(redis)}jobs", "workers")
    assert [each["pending"] for each in consumers] in ([1], [1, 0], [0, 1])
