"""Limits across gateways, with a real Redis that is also killed, frozen and emptied."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from subcli.server.limits import FullError, Limiter, MemoryLimiter, Rate
from subcli.server.redis.connection import connect
from subcli.server.redis.limits import RedisLimiter
from tests.hang import HANG_S
from tests.server.gateway.test_gateway import closed, next_event
from tests.system.timing import scheduled_time

if TYPE_CHECKING:
    from tests.backends import RedisServer


@pytest.fixture
def url(redis_server: RedisServer) -> Iterator[str]:
    """A Redis that is running before and after the test, whatever the test does to it."""
    yield redis_server.fresh()
    redis_server.revive()


@pytest.fixture
async def redis(url: str) -> AsyncIterator[Redis]:
    """A client that looks at what the limiters keep."""
    client = connect(url, timeout_s=HANG_S)
    yield client
    await client.aclose()


@pytest.fixture
async def gateway(url: str) -> AsyncIterator[Callable[..., RedisLimiter]]:
    """Makes the limiter of one more gateway."""
    async with AsyncExitStack() as stack:

        def make(lease: float = 60.0) -> RedisLimiter:
            redis = connect(url)
            stack.push_async_callback(redis.aclose)
            return RedisLimiter(redis, MemoryLimiter(time.monotonic), lease)

        yield make


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, Redis does not count as away, in which case each gateway would count alone."""
    for timeout in ("limits._TIMEOUT_S", "connection.TIMEOUT_S"):
        monkeypatch.setattr(f"subcli.server.redis.{timeout}", 30.0)


async def taken(limiters: list[RedisLimiter], rate: Rate, key: str, times: int) -> int:
    """How many of `times` at once, over these gateways in turn, were let through."""
    statuses = await asyncio.gather(*(limiters[n % len(limiters)].take(rate, key) for n in range(times)))
    return sum(not status.retry_after for status in statuses)


async def hold(stack: AsyncExitStack, limiter: Limiter, key: str, most: int) -> bool:
    try:
        await stack.enter_async_context(limiter.slot(key, most))
    except FullError:
        return False
    return True


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + HANG_S
    while not await condition():
        assert time.monotonic() < deadline, "did not happen"
        await asyncio.sleep(0.02)


async def heard(limiter: RedisLimiter) -> bool:
    """Whether Redis has answered it."""
    await limiter.take(Rate("other", 1000, 1.0), "x")
    return limiter.availability.is_up


@pytest.mark.usefixtures("patient")
async def test_a_rate_applies_across_gateways(gateway: Callable[..., RedisLimiter]) -> None:
    """However many ask, and where: no more than the quota, then one by one; what is given back is available again."""
    gateways = [gateway() for _ in range(3)]
    rate = Rate("tries", 10, 600.0)
    assert await taken(gateways, rate, "ada", 60) == 10
    assert await taken(gateways, rate, "bob", 5) == 5
    refused = await gateways[1].take(rate, "ada")
    assert 50 < refused.retry_after <= 60
    assert refused.remaining == 0
    assert 590 < refused.reset <= 600
    await gateways[0].give_back(rate, "ada")
    assert await taken(gateways, rate, "ada", 6) == 1
    assert [(await gateways[2].take(Rate("few", 3, 9.0), "ada")).remaining for _ in range(3)] == [2, 1, 0]
    quick = Rate("quick", 1, 0.2)
    assert await taken(gateways, quick, "ada", 3) == 1
    status = await gateways[0].take(quick, "ada")
    await asyncio.sleep(status.retry_after + 0.01)
    assert await taken(gateways, quick, "ada", 1) == 1


@pytest.mark.usefixtures("patient")
async def test_a_crowd_does_not_count_as_redis_away(gateway: Callable[..., RedisLimiter]) -> None:
    """Commands that find all connections in use wait for one, and are counted across all gateways."""
    here, elsewhere = gateway(), gateway()
    rate = Rate("crowd", 400, 6000.0)
    assert await taken([here], rate, "ada", 300) == 300
    assert (await elsewhere.take(rate, "ada")).remaining == 99


async def test_what_redis_refuses_is_not_counted_here(
    gateway: Callable[..., RedisLimiter], redis_server: RedisServer
) -> None:
    """So when Redis goes away, a gateway whose requests were refused still has its own quota."""
    here, elsewhere = gateway(), gateway()
    rate = Rate("tries", 3, 600.0)
    assert await taken([elsewhere], rate, "ada", 3) == 3
    assert await taken([here], rate, "ada", 5) == 0
    redis_server.kill()
    assert await taken([here], rate, "ada", 5) == 3


async def test_keys_do_not_contain_what_was_typed(gateway: Callable[..., RedisLimiter], redis: Redis) -> None:
    """A password typed as a user name cannot be read in Redis, and all keys expire."""
    limiter = gateway()
    await limiter.take(Rate("logins", 3, 60.0), "correct horse \ud800")
    async with limiter.slot("7", 10):
        keys = await redis.keys("*")
        assert len(keys) == 2
        assert not [key for key in keys if b"horse" in key]
        assert all([0 < await redis.pttl(key) <= 60_000 for key in keys])
    assert len(await redis.keys("*")) == 1


@pytest.mark.usefixtures("patient")
async def test_slots_are_shared_across_gateways(gateway: Callable[..., RedisLimiter], redis: Redis) -> None:
    """Ten in total, however many are wanted at once and where; one that is released is free everywhere."""
    gateways = [gateway() for _ in range(2)]
    async with AsyncExitStack() as stack:
        got = await asyncio.gather(*(hold(stack, gateways[n % 2], "7", 10) for n in range(30)))
        assert sum(got) == 10
        async with AsyncExitStack() as other:
            assert await hold(other, gateways[0], "8", 10)
        for each in gateways:
            assert not await hold(stack, each, "7", 10)
    async with AsyncExitStack() as stack:
        assert all([await hold(stack, gateways[1], "7", 10) for _ in range(10)])
    for each in gateways:
        await each.renew()
    assert await redis.keys("*") == []


async def test_slots_of_a_dead_gateway_expire(gateway: Callable[..., RedisLimiter]) -> None:
    """After their lease; a live gateway keeps its own."""
    live, dead, third = gateway(2.0), gateway(2.0), gateway()
    renewing = asyncio.create_task(live.run())
    async with AsyncExitStack() as stack:
        assert all([await hold(stack, live, "7", 10) for _ in range(4)])
        begun = time.monotonic()
        # Held without ever being renewed or released, as by a process that was killed.
        holding = [dead.slot("7", 10) for _ in range(6)]
        for slot in holding:
            await slot.__aenter__()
        assert not await hold(stack, third, "7", 10)
        await until(lambda: hold(stack, third, "7", 10))
        assert time.monotonic() - begun > 1.0
        for _ in range(5):
            await until(lambda: hold(stack, third, "7", 10))
        assert not await hold(stack, third, "7", 10)
        for slot in holding:
            await slot.__aexit__(None, None, None)
    renewing.cancel()


async def test_a_slot_released_during_its_renewal(
    gateway: Callable[..., RedisLimiter], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket that closes just before the renewal reaches Redis does not hold its slot for another lease."""
    limiter, other = gateway(), gateway()
    stack = AsyncExitStack()
    assert await hold(stack, limiter, "7", 1)
    execute = Pipeline.execute

    async def late(pipeline: Pipeline, *args: Any, **options: Any) -> Any:
        await stack.aclose()
        return await execute(pipeline, *args, **options)

    monkeypatch.setattr(Pipeline, "execute", late)
    await limiter.renew()
    async with AsyncExitStack() as again:
        assert await hold(again, other, "7", 1)


async def test_a_renewal_restores_slots_that_redis_has_lost(gateway: Callable[..., RedisLimiter], redis: Redis) -> None:
    """And scripts that Redis no longer knows are sent again."""
    first, second = gateway(0.9), gateway(0.9)
    renewing = asyncio.create_task(first.run())
    async with AsyncExitStack() as stack:
        assert all([await hold(stack, first, "7", 10) for _ in range(10)])
        [key] = await redis.keys("*")
        await redis.flushall()
        await redis.script_flush()

        async def restored() -> bool:
            return bool(await redis.zcard(key) == 10)

        await until(restored)
        assert not await hold(stack, second, "7", 10)
    renewing.cancel()


@pytest.mark.parametrize("trouble", ["kill", "freeze"])
async def test_without_redis_each_gateway_counts_alone(
    gateway: Callable[..., RedisLimiter],
    redis_server: RedisServer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    trouble: str,
) -> None:
    """No request is refused or delayed for it, it is logged once, and later Redis counts for all again."""
    monkeypatch.setattr("subcli.server.redis.limits._PAUSE_S", 0.3)
    first, second = gateway(), gateway()
    rate = Rate("tries", 4, 600.0)
    assert await taken([first, second], rate, "ada", 2) == 2
    getattr(redis_server, trouble)()
    begun = scheduled_time()
    with caplog.at_level(logging.WARNING):
        async with AsyncExitStack() as stack:
            for each in (first, second):
                # What a gateway has counted itself still counts.
                assert await taken([each], rate, "ada", 10) == 3
                assert sum([await hold(stack, each, "7", 2) for _ in range(5)]) == 2
    assert scheduled_time() - begun < 8
    assert caplog.text.count("limits are per gateway") == 2
    redis_server.revive()
    await asyncio.sleep(0.35)
    with caplog.at_level(logging.WARNING):
        assert await taken([first, second], rate, "bob", 1) == 1
        for each in (first, second):
            await until(partial(heard, each))
        assert await taken([first, second], rate, "cid", 10) == 4
    assert caplog.text.count("limits apply across all gateways") == 2


@pytest.mark.thorough
@pytest.mark.usefixtures("patient")
async def test_ten_connections_over_two_gateways(start: Callable[..., Any], url: str) -> None:
    """The eleventh is refused wherever it comes; `/readyz` and `/metrics` report that Redis is up."""
    async with start(redis=url) as one, start(redis=url) as two:
        submission_id = await one.submit("wait")
        watchers = [await live.watch(submission_id) for live in (one, two) for _ in range(5)]
        for watcher in watchers:
            await next_event(watcher)
        for live in (one, two):
            assert await closed(await live.watch(submission_id)) == (4029, "retry_after=5")
            assert (await live.http.get("/readyz")).json()["redis"] == "up"
            assert "subcli_redis_up 1.0" in (await live.http.get("/metrics")).text
        await watchers[0].close()
        await two.until(lambda: one.services.metrics.connections == 4)
        assert await next_event(await two.watch(submission_id))


@pytest.mark.thorough
@pytest.mark.usefixtures("patient")
async def test_a_user_over_two_gateways(start: Callable[..., Any], url: str) -> None:
    """Submissions and login attempts are counted together."""
    options = {"auth": True, "submits": 3, "logins": 4, "rate_window_s": 600.0, "login_window_s": 600.0, "redis": url}
    async with start(**options) as one, start(**options) as two:
        await one.be("ada")
        two.http.headers.update(one.http.headers)
        body = {"problem": "echo", "language": "python", "source_code": "x"}
        answers = [await live.http.post("/api/submissions", json=body) for live in (one, two, one, two)]
        assert [answer.status_code for answer in answers] == [201, 201, 201, 429]
        # A device that has logged in has attempts of its own.
        one.http.cookies.clear()
        wrong = {"grant_type": "password", "username": "ada", "password": "wrong"}
        statuses = [(await live.grant(**wrong)).status_code for live in (one, two, one, two, one)]
        assert statuses == [401] * 4 + [429]
