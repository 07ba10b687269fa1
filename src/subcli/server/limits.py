"""Rate limits and concurrency limits.

Rates use the *generic cell rate algorithm* (ITU-T I.371), which stores one number per key: the time at which
the full quota is available again. It is exact at every moment, not only at the turn of a minute, and knows
how long to wait. A burst of `quota` is allowed, then one every `window / quota` seconds.

`MemoryLimiter` counts within this process, `redis.limits.RedisLimiter` across all gateways.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

_MAX_KEYS: Final = 100_000
"""Beyond this, the least recently used keys are dropped early."""
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Rate:
    """A burst of `quota`, refilled over `window` seconds.

    Attributes:
        name: what is limited; also the policy's name in the `RateLimit` header.
    """

    name: str
    quota: int
    window: float

    @property
    def interval(self) -> float:
        """Seconds between two requests once the quota is used up."""
        return self.window / self.quota


@dataclass(frozen=True, slots=True)
class RateLimitStatus:
    """The state of one key after a request.

    Attributes:
        remaining: how many more requests are allowed right now.
        reset: seconds until the full quota is available again.
        retry_after: seconds until the next request is allowed; 0.0 if this one was allowed and counted.
    """

    rate: Rate
    remaining: int
    reset: float
    retry_after: float

    def headers(self) -> Mapping[str, str]:
        """`RateLimit`, `RateLimit-Policy` and, if the request was refused, `Retry-After`.

        `RateLimit` follows draft-ietf-httpapi-ratelimit-headers-10 rather than the older `RateLimit-Limit`,
        `-Remaining` and `-Reset`: it names the policy, so there can be several. `Retry-After` is RFC 9110.
        """
        rate = self.rate
        headers = {
            "RateLimit-Policy": f'"{rate.name}";q={rate.quota};w={math.ceil(rate.window)}',
            "RateLimit": f'"{rate.name}";r={self.remaining};t={math.ceil(self.reset)}',
        }
        if self.retry_after:
            headers["Retry-After"] = str(self.seconds_to_wait)
        return headers

    @property
    def seconds_to_wait(self) -> int:
        """`retry_after` rounded up to whole seconds, as sent to clients."""
        return math.ceil(self.retry_after)


class LimitedError(Exception):
    """A rate limit was exceeded. Carries the `RateLimitStatus` and a sentence."""

    def __init__(self, status: RateLimitStatus, detail: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail


class FullError(Exception):
    """All slots are taken."""


class Limiter(Protocol):
    """Counts requests and slots. Never fails: what cannot be counted is allowed."""

    async def take(self, rate: Rate, key: str) -> RateLimitStatus:
        """Count a request under this key, unless that exceeds the rate."""

    async def give_back(self, rate: Rate, key: str) -> None:
        """Undo one `take`."""

    def slot(self, key: str, limit: int) -> AbstractAsyncContextManager[None]:
        """Hold one of `limit` slots while the context is open.

        Raises:
            FullError: all slots are taken.
        """

    async def run(self) -> None:
        """Do periodic work until cancelled."""


class MemoryLimiter:
    """Counts within this process.

    Args:
        clock: monotonic time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._full_at: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._held: dict[str, int] = {}

    def __len__(self) -> int:
        """How many keys are stored."""
        return len(self._full_at) + len(self._held)

    async def take(self, rate: Rate, key: str) -> RateLimitStatus:
        now = self._clock()
        before = max(now, self._full_at.get((rate.name, key), now))
        after = before + rate.interval
        too_early = after - now - rate.window
        if too_early > _ROUNDING:
            return RateLimitStatus(rate, 0, before - now, too_early)
        self._store((rate.name, key), after)
        return RateLimitStatus(rate, _remaining(rate, after - now), after - now, 0.0)

    async def give_back(self, rate: Rate, key: str) -> None:
        before = self._full_at.get((rate.name, key))
        if before is not None:
            self._store((rate.name, key), before - rate.interval)

    def _store(self, key: tuple[str, str], full_at: float) -> None:
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        oldest = next(iter(self._full_at))
        if self._full_at[oldest] <= self._clock() or len(self._full_at) > _MAX_KEYS:
            del self._full_at[oldest]

    async def run(self) -> None:
        """Wait. Expired keys are dropped whenever another key is counted."""
        await asyncio.Event().wait()

    @asynccontextmanager
    async def slot(self, key: str, limit: int) -> AsyncIterator[None]:
        held = self._held.get(key, 0)
        if held >= limit:
            raise FullError
        self._held[key] = held + 1
        try:
            yield
        finally:
            self._held[key] -= 1
            if not self._held[key]:
                del self._held[key]


def _remaining(rate: Rate, used_s: float) -> int:
    return max(0, math.floor((rate.window - used_s) / rate.interval + _ROUNDING))
