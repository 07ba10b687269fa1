"""Counting for all gateways together, in Redis.

Each count is one script, so that nothing comes between looking and counting, and takes the time from Redis, so
that the gateways' clocks do not matter. A slot is held with a *lease* that the gateway renews: what a dead
gateway held is free when its leases have run out. A renewal also tells a Redis that has lost everything.

Every gateway counts for itself as well. While Redis does not answer, that is what holds: the limits are then
each gateway's own, and nobody is turned away for it. Redis is asked again after a pause, so that one that
hangs costs a moment now and then and not a moment for each request.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import blake2b
from typing import Any, Final

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from subcli.server.limits import FullError, MemoryLimiter, Rate, RateLimitStatus
from subcli.server.redis.connection import namespace

_log: Final = logging.getLogger(__name__)
_PATIENCE: Final = 0.5
"""Seconds to wait for an answer,"""
_PAUSE: Final = 2.0
"""and for so many more not to ask again."""
_RENEWED_AT_ONCE: Final = 50

_NOW: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
"""
# KEYS: the rate's. ARGV: interval and window in microseconds. Gives whether it was counted, the moment at which all
# is forgotten as microseconds from now, and how many microseconds too early it is.
_TAKE: Final = f"""{_NOW}
local interval, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local before = math.max(now, tonumber(redis.call('GET', KEYS[1]) or now))
local after = before + interval
if after - now > window then
  return {{0, before - now, after - now - window}}
end
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
return {{1, after - now, 0}}
"""
# KEYS: the rate's. ARGV: interval in microseconds.
_GIVE_BACK: Final = f"""{_NOW}
local before = tonumber(redis.call('GET', KEYS[1]) or now)
local after = before - tonumber(ARGV[1])
if after > now then
  redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
else
  redis.call('DEL', KEYS[1])
end
"""
# KEYS: the slots'. ARGV: how many there are, the lease in microseconds, who wants one. A script whose answer was lost
# may come twice.
_HOLD: Final = f"""{_NOW}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) and not redis.call('ZSCORE', KEYS[1], ARGV[3]) then
  return 0
end
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[3])
redis.call('PEXPIRE', KEYS[1], math.ceil(ARGV[2] / 1000))
return 1
"""
# KEYS: the slots'. ARGV: the lease in microseconds, and everybody here who holds one.
_RENEW: Final = f"""{_NOW}
for number = 2, #ARGV do
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[1]), ARGV[number])
end
redis.call('PEXPIRE', KEYS[1], math.ceil(ARGV[1] / 1000))
"""
_LET_GO: Final = "redis.call('ZREM', KEYS[1], ARGV[1])"


class RedisLimiter:
    """Counts in Redis, and in this process.

    Args:
        redis: a client; whoever made it closes it.
        local: what holds where Redis does not answer.
        lease: seconds after which a dead gateway's slots are free.
    """

    def __init__(self, redis: Redis, local: MemoryLimiter, lease: float) -> None:
        self._redis = redis
        self._local = local
        self._lease = lease
        self._keys = namespace(redis)
        self._name = secrets.token_hex(6)
        self._numbers = itertools.count()
        self._held: dict[str, set[str]] = {}
        self._ask_again = 0.0
        self._is_away = False
        self._take = redis.register_script(_TAKE)
        self._give_back = redis.register_script(_GIVE_BACK)
        self._hold = redis.register_script(_HOLD)
        self._renew = redis.register_script(_RENEW)
        self._let_go = redis.register_script(_LET_GO)

    async def run(self) -> None:
        """Renew the leases until cancelled."""
        while True:
            await asyncio.sleep(self._lease / 3)
            for keys in _chunks(list(self._held), _RENEWED_AT_ONCE):
                await self._renew_all(keys)

    async def _renew_all(self, keys: Sequence[str]) -> None:
        renewed = {key: set(holders) for key in keys if (holders := self._held.get(key))}
        try:
            async with asyncio.timeout(_PATIENCE), self._redis.pipeline(transaction=False) as pipeline:
                for key, holders in renewed.items():
                    await self._renew(keys=[key], args=[_micro(self._lease), *holders], client=pipeline)
                await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as error:
            self._went_away(error)
        # Who let go meanwhile, on another connection, may have been the quicker one, and holds it again.
        for key, holders in renewed.items():
            for holder in holders - self._held.get(key, set()):
                await self._ask(self._let_go, key, holder)

    async def take(self, rate: Rate, key: str) -> RateLimitStatus:
        mine = await self._local.take(rate, key)
        if mine.retry_after:
            return mine
        answer = await self._ask(self._take, self._key(rate.name, key), _micro(rate.interval), _micro(rate.window))
        if answer is None:
            return mine
        counted, reset, too_early = answer
        if not counted:
            await self._local.give_back(rate, key)
            return RateLimitStatus(rate, 0, reset / 1e6, too_early / 1e6)
        return RateLimitStatus(rate, max(0, int((rate.window - reset / 1e6) / rate.interval + 1e-6)), reset / 1e6, 0.0)

    async def give_back(self, rate: Rate, key: str) -> None:
        await self._local.give_back(rate, key)
        await self._ask(self._give_back, self._key(rate.name, key), _micro(rate.interval))

    @asynccontextmanager
    async def slot(self, key: str, limit: int) -> AsyncIterator[None]:
        async with self._local.slot(key, limit):
            slots = self._key("slots", key)
            holder = f"{self._name}:{next(self._numbers)}"
            held = self._held.setdefault(slots, set())
            held.add(holder)
            try:
                if await self._ask(self._hold, slots, limit, _micro(self._lease), holder) == 0:
                    raise FullError
                yield
            finally:
                held.discard(holder)
                if not held and self._held.get(slots) is held:
                    del self._held[slots]
                await self._ask(self._let_go, slots, holder)

    async def _ask(self, script: AsyncScript, key: str, *arguments: Any) -> Any:
        """The script's answer; None where Redis does not answer."""
        if time.monotonic() < self._ask_again:
            return None
        try:
            async with asyncio.timeout(_PATIENCE):
                answer = await script(keys=[key], args=arguments)
        except (RedisError, OSError, TimeoutError) as error:
            self._went_away(error)
            return None
        if self._is_away:
            self._is_away = False
            _log.warning("Redis answers again; limits hold across all gateways")
        return answer

    def _went_away(self, error: Exception) -> None:
        self._ask_again = time.monotonic() + _PAUSE
        if not self._is_away:
            self._is_away = True
            _log.warning("Redis does not answer; limits are each gateway's own meanwhile: %r", error)

    def _key(self, kind: str, key: str) -> str:
        # Hashed, for a key may be what somebody typed as a user's name, of any length.
        return f"{self._keys}{kind}:{blake2b(key.encode('utf-8', 'surrogatepass'), digest_size=12).hexdigest()}"


def _micro(seconds: float) -> int:
    return round(seconds * 1e6)


def _chunks(keys: Sequence[str], size: int) -> list[Sequence[str]]:
    return [keys[start : start + size] for start in range(0, len(keys), size)]
