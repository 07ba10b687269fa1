"""How often somebody may do something, and how many at once.

A rate is kept by the *generic cell rate algorithm* (ITU-T I.371): for each key one moment, the one at which
all would be forgotten. So it costs one number, is exact at every moment instead of at the turn of a minute,
and knows how long to wait. `quota` may come at once, and then one every `window / quota` seconds.

Counting goes through `Limiter`: here within one process, in `redis_limits` for all gateways together.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

_MOST_KEYS: Final = 100_000
"""Beyond these the ones that were quiet for longest are forgotten before their time."""
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Rate:
    """`quota` times at once, and again in every `window` seconds. `name` is what is limited, a word or two."""

    name: str
    quota: int
    window: float

    @property
    def interval(self) -> float:
        """Seconds after which another one may come, where the quota is used up."""
        return self.window / self.quota


@dataclass(frozen=True, slots=True)
class RateLimitStatus:
    """How somebody stands with a rate.

    Attributes:
        remaining: how many may come at once now.
        reset: seconds until all of the quota is there again.
        retry_after: seconds until the next one may come; 0.0 where this one has been let through and counted.
    """

    rate: Rate
    remaining: int
    reset: float
    retry_after: float

    def headers(self) -> Mapping[str, str]:
        """`RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10), and `Retry-After` (RFC
        9110) where it was refused.

        The draft's present form, and not the older `RateLimit-Limit`, `-Remaining` and `-Reset`: it names the
        policy, so that a second one can stand beside it, and is what will be the standard.
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
        """`retry_after` in whole seconds, as clients are told."""
        return math.ceil(self.retry_after)


class LimitedError(Exception):
    """Too often. Carries the `RateLimitStatus` and a sentence."""

    def __init__(self, standing: RateLimitStatus, detail: str) -> None:
        super().__init__(standing, detail)
        self.standing = standing
        self.detail = detail


class FullError(Exception):
    """No slot is free."""


class Limiter(Protocol):
    """Counts. Never fails: what cannot be counted is let through."""

    async def take(self, rate: Rate, key: str) -> RateLimitStatus:
        """Count one for this key, unless that is too often."""

    async def give_back(self, rate: Rate, key: str) -> None:
        """It does not count after all."""

    def slot(self, key: str, most: int) -> AbstractAsyncContextManager[None]:
        """Hold one of `most` slots.

        Raises:
            FullError: all are held.
        """

    async def run(self) -> None:
        """Do what has to be done from time to time, until cancelled."""


class MemoryLimiter:
    """Counts in this process.

    Args:
        clock: seconds from any beginning, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._forgotten_at: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._held: dict[str, int] = {}

    async def take(self, rate: Rate, key: str) -> RateLimitStatus:
        now = self._clock()
        before = max(now, self._forgotten_at.get((rate.name, key), now))
        after = before + rate.interval
        too_early = after - now - rate.window
        if too_early > _ROUNDING:
            return RateLimitStatus(rate, 0, before - now, too_early)
        self._keep((rate.name, key), after)
        return RateLimitStatus(rate, _left(rate, after - now), after - now, 0.0)

    async def give_back(self, rate: Rate, key: str) -> None:
        before = self._forgotten_at.get((rate.name, key))
        if before is not None:
            self._keep((rate.name, key), before - rate.interval)

    def _keep(self, key: tuple[str, str], moment: float) -> None:
        self._forgotten_at[key] = moment
        self._forgotten_at.move_to_end(key)
        oldest = next(iter(self._forgotten_at))
        if self._forgotten_at[oldest] <= self._clock() or len(self._forgotten_at) > _MOST_KEYS:
            del self._forgotten_at[oldest]

    async def run(self) -> None:
        """Nothing has to be done: what nobody asks for is forgotten when something else is counted."""
        await asyncio.Event().wait()

    @asynccontextmanager
    async def slot(self, key: str, most: int) -> AsyncIterator[None]:
        held = self._held.get(key, 0)
        if held >= most:
            raise FullError
        self._held[key] = held + 1
        try:
            yield
        finally:
            self._held[key] -= 1
            if not self._held[key]:
                del self._held[key]


def _left(rate: Rate, used: float) -> int:
    return max(0, math.floor((rate.window - used) / rate.interval + _ROUNDING))
