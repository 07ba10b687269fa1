"""Rate limits and slots: the algorithm, and what users see of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from subcli.server import limits
from subcli.server.limits import FullError, MemoryLimiter, Rate, RateLimitStatus
from tests.server.clock import Clock
from tests.server.gateway.test_gateway import closed, next_event


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> MemoryLimiter:
    return MemoryLimiter(clock)


async def test_burst_then_one_per_interval(limiter: MemoryLimiter, clock: Clock) -> None:
    """The full quota is allowed at once, the next one after an interval, and all of it after the window."""
    rate = Rate("tries", 3, 60.0)
    assert [(await limiter.take(rate, "ada")).remaining for _ in range(3)] == [2, 1, 0]
    refused = await limiter.take(rate, "ada")
    assert (refused.remaining, refused.retry_after, refused.reset) == (0, 20.0, 60.0)
    assert (await limiter.take(rate, "bob")).retry_after == 0
    assert (await limiter.take(Rate("other", 3, 60.0), "ada")).remaining == 2
    clock.now += 19.9
    assert (await limiter.take(rate, "ada")).retry_after == pytest.approx(0.1)
    clock.now += 0.1
    assert (await limiter.take(rate, "ada")).retry_after == 0
    assert (await limiter.take(rate, "ada")).retry_after == pytest.approx(20)
    clock.now += 60
    assert (await limiter.take(rate, "ada")).remaining == 2


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 20), st.floats(0.5, 600), st.lists(st.floats(0, 30), max_size=80))
def test_rate_is_never_exceeded(quota: int, window: float, pauses: list[float]) -> None:
    """In any period at most the quota plus one per interval; a client that waits as told is allowed."""

    async def play() -> None:
        clock = Clock()
        limiter = MemoryLimiter(clock)
        rate = Rate("tries", quota, window)
        let_through: list[float] = []
        for pause in pauses:
            clock.now += pause
            status = await limiter.take(rate, "k")
            if status.retry_after:
                clock.now += status.retry_after
                status = await limiter.take(rate, "k")
            assert status.retry_after == 0
            assert 0 <= status.remaining < quota
            assert 0 < status.reset <= window + 1e-6
            let_through.append(clock.now)
        for first, begun in enumerate(let_through):
            for last, now in enumerate(let_through[first:], first):
                assert last - first + 1 <= quota + (now - begun) / rate.interval + 1e-6

    asyncio.run(play())


async def test_give_back_undoes_take(limiter: MemoryLimiter) -> None:
    """A request that is given back is allowed again; giving back without taking has no effect."""
    rate = Rate("tries", 2, 60.0)
    await limiter.give_back(rate, "ada")
    for _ in range(5):
        assert (await limiter.take(rate, "ada")).retry_after == 0
        await limiter.give_back(rate, "ada")
    assert [(await limiter.take(rate, "ada")).retry_after == 0 for _ in range(3)] == [True, True, False]


async def test_stored_keys_are_bounded(limiter: MemoryLimiter, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are dropped once their quota is full again, or if there are too many."""
    rate = Rate("tries", 1, 10.0)
    for number in range(50):
        await limiter.take(rate, f"{number}")
    clock.now += 11
    for number in range(50, 100):
        await limiter.take(rate, f"{number}")
    assert len(limiter) <= 51
    monkeypatch.setattr(limits, "_MAX_KEYS", 60)
    for number in range(100, 200):
        await limiter.take(rate, f"{number}")
    assert len(limiter) <= 60
    assert (await limiter.take(rate, "199")).retry_after > 0


@pytest.mark.parametrize(("retry_after", "seconds"), [(0.01, 1), (1.0, 1), (1.001, 2), (19.5, 20)])
def test_waits_are_rounded_up(retry_after: float, seconds: int) -> None:
    """A client that waits as long as it is told is never too early."""
    status = RateLimitStatus(Rate("tries", 3, 59.5), 0, 40.2, retry_after)
    assert status.seconds_to_wait == seconds
    assert status.headers() == {
        "RateLimit-Policy": '"tries";q=3;w=60',
        "RateLimit": '"tries";r=0;t=41',
        "Retry-After": str(seconds),
    }
    allowed = RateLimitStatus(Rate("tries", 3, 59.5), 2, 0.0, 0.0)
    assert "Retry-After" not in allowed.headers()


async def test_slots(limiter: MemoryLimiter) -> None:
    """Only so many at once; a released slot is free again, even after an exception."""
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(limiter.slot("7", 3))
        with pytest.raises(FullError):
            await stack.enter_async_context(limiter.slot("7", 3))
        await stack.enter_async_context(limiter.slot("8", 3))
    with pytest.raises(RuntimeError):
        async with limiter.slot("7", 1):
            raise RuntimeError
    async with limiter.slot("7", 1):
        pass
    assert len(limiter) == 0


async def test_submitting_too_often(start: Callable[..., Any]) -> None:
    """429 with `Retry-After` and a sentence; every response says what is left. Other users are not affected."""
    async with start(auth=True, submits=3, rate_window_s=30.0) as live:
        await live.be("ada")
        body = {"problem": "echo", "language": "python", "source_code": "x"}
        answers = [await live.http.post("/api/submissions", json=body) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [201, 201, 201, 429]
        policies = {answer.headers["ratelimit-policy"] for answer in answers}
        assert policies == {'"submits";q=3;w=30'}
        left = [answer.headers["ratelimit"].partition(";t=")[0] for answer in answers]
        assert left == ['"submits";r=2', '"submits";r=1', '"submits";r=0', '"submits";r=0']
        seconds = int(answers[-1].headers["retry-after"])
        assert 1 <= seconds <= 10
        assert answers[-1].json() == {
            "detail": f"Too many submissions; try again in {seconds} s.",
            "retry_after": seconds,
        }
        assert (await live.http.get("/api/submissions")).status_code == 200
        await live.be("bob")
        assert (await live.http.post("/api/submissions", json=body)).status_code == 201


READS = ["", "/{id}", "/{id}/tests", "/{id}/events"]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("limit", "policy", "method", "paths"),
    [
        ("reads", "reads", "GET", READS),
        ("watch_tokens", "watch-tokens", "POST", ["/{id}/watch-token"] * 4),
        # What is not found counts as well.
        ("reads", "reads", "GET", ["/999"] * 4),
    ],
)
async def test_asking_too_often(
    start: Callable[..., Any], limit: str, policy: str, method: str, paths: Sequence[str]
) -> None:
    """429 with `Retry-After` and the policy, whichever of them it is. Other users are not affected."""
    async with start(auth=True, rate_window_s=60.0, **{limit: 3}) as live:
        await live.be("ada")
        submission_id = await live.submit("wait")
        asked = [f"/api/submissions{path.format(id=submission_id)}" for path in paths]
        answers = [await live.http.request(method, path) for path in asked]
        assert 429 not in {answer.status_code for answer in answers[:3]}
        assert answers[3].status_code == 429
        assert 1 <= int(answers[3].headers["retry-after"]) <= 20
        assert answers[3].headers["ratelimit-policy"] == f'"{policy}";q=3;w=60'
        await live.be("bob")
        assert (await live.http.request(method, asked[0])).status_code != 429


@pytest.mark.thorough
async def test_connecting_too_often(start: Callable[..., Any]) -> None:
    """4029 with `retry_after=`, across submissions. Other users are not affected."""
    async with start(auth=True, connects=3, rate_window_s=60.0) as live:
        granted = await live.be("ada")
        headers = {"additional_headers": {"Authorization": f"Bearer {granted['access_token']}"}}
        for number in range(3):
            assert await next_event(await live.watch(await live.submit(), **headers)), number
        code, reason = await closed(await live.watch(await live.submit(), **headers))
        assert code == 4029
        assert 1 <= int(str(reason).removeprefix("retry_after=")) <= 20
        granted = await live.be("bob")
        headers = {"additional_headers": {"Authorization": f"Bearer {granted['access_token']}"}}
        assert await next_event(await live.watch(await live.submit(), **headers))


async def test_demo_mode_has_no_user_limits(start: Callable[..., Any]) -> None:
    """Demo mode has no limits per user."""
    async with start(connects=1, submits=1, reads=1) as live:
        ids = [await live.submit("wait") for _ in range(3)]
        for submission_id in ids:
            assert await next_event(await live.watch(submission_id))
