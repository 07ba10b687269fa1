"""Limits across all gateways, counted in Redis.

Each count is one script, so that checking and counting are atomic, and uses Redis's time, so that the gateways' clocks
do not matter. A slot is held with a *lease* that the gateway renews; the slots of a dead gateway are free when its
leases have expired. A renewal also restores the slots in a Redis that has lost its data.

Every gateway counts in memory as well. While Redis does not answer, those counts apply: limits are then per gateway,
and no request is refused because of it. Redis is asked again after a pause, so a Redis that hangs delays a request now
and then, but not every request.
"""

from __future__ import annotations

import asyncio
import itertools
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
from subcli.server.redis.availability import Availability
from subcli.server.redis.connection import namespace

_TIMEOUT_S: Final = 0.5
"""How long to wait for an answer."""
_PAUSE_S: Final = 2.0
"""How long Redis is not asked again after that."""
_RENEWALS_PER_COMMAND: Final = 50

_NOW: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
"""
# KEYS: the rate's. ARGV: interval and window in microseconds. Returns whether it was counted, and in microseconds after
# how long the whole quota is available again and how much too early this was.
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
# KEYS: the slots'. ARGV: how many there are, the lease in microseconds, the holder. The script may be sent twice, if
# its answer was lost.
_HOLD: Final = f"""{_NOW}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) and not redis.call('ZSCORE', KEYS[1], ARGV[3]) then
  return 0
end
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[3])
redis.call('PEXPIRE', KEYS[1], math.ceil(ARGV[2] / 1000))
return 1
"""
# KEYS: the slots'. ARGV: the lease in microseconds, then this gateway's holders.
_RENEW: Final = f"""{_NOW}
for number = 2, #ARGV do
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[1]), ARGV[number])
end
redis.call('PEXPIRE', KEYS[1], math.ceil(ARGV[1] / 1000))
"""
_RELEASE: Final = "redis.call('ZREM', KEYS[1], ARGV[1])"


class RedisLimiter:
    """Counts in Redis and in this process.

    Args:
        redis: a client, which the caller closes.
        local: the limits that apply while Redis does not answer.
        lease_s: seconds after which a dead gateway's slots are free.
    """

    def __init__(self, redis: Redis, local: MemoryLimiter, lease_s: float) -> None:
        self._redis = redis
        self._local = local
        self._lease_s = lease_s
        self._keys = namespace(redis)
        self._name = secrets.token_hex(6)
        self._numbers = itertools.count()
        self._held: dict[str, set[str]] = {}
        self._paused_until = 0.0
        self.availability = Availability("limits are per gateway meanwhile", "limits apply across all gateways")
        self._take = redis.register_script(_TAKE)
        self._give_back = redis.register_script(_GIVE_BACK)
        self._hold = redis.register_script(_HOLD)
        self._renew = redis.register_script(_RENEW)
        self._release = redis.register_script(_RELEASE)

    async def run(self) -> None:
        """Renew the leases until cancelled."""
        while True:
            await asyncio.sleep(self._lease_s / 3)
            await self.renew()

    async def renew(self) -> None:
        """Renew the leases of all slots that this gateway holds."""
        for keys in _chunks(list(self._held), _RENEWALS_PER_COMMAND):
            await self._renew_some(keys)

    async def _renew_some(self, keys: Sequence[str]) -> None:
        renewed = {key: set(holders) for key in keys if (holders := self._held.get(key))}
        try:
            async with asyncio.timeout(_TIMEOUT_S), self._redis.pipeline(transaction=False) as pipeline:
                for key, holders in renewed.items():
                    await self._renew(keys=[key], args=[_microseconds(self._lease_s), *holders], client=pipeline)
                await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as error:
            self._set_away(error)
        # A slot that was released meanwhile, on another connection, may have been renewed after that: release it again.
        for key, holders in renewed.items():
            for holder in holders - self._held.get(key, set()):
                await self._run(self._release, key, holder)

    async def take(self, rate: Rate, key: str) -> RateLimitStatus:
        own = await self._local.take(rate, key)
        if own.retry_after:
            return own
        answer = await self._run(
            self._take, self._key(rate.name, key), _microseconds(rate.interval), _microseconds(rate.window)
        )
        if answer is None:
            return own
        counted, reset, too_early = answer
        if not counted:
            await self._local.give_back(rate, key)
            return RateLimitStatus(rate, 0, reset / 1e6, too_early / 1e6)
        return RateLimitStatus(rate, max(0, int((rate.window - reset / 1e6) / rate.interval + 1e-6)), reset / 1e6, 0.0)

    async def give_back(self, rate: Rate, key: str) -> None:
        await self._local.give_back(rate, key)
        await self._run(self._give_back, self._key(rate.name, key), _microseconds(rate.interval))

    @asynccontextmanager
    async def slot(self, key: str, limit: int) -> AsyncIterator[None]:
        async with self._local.slot(key, limit):
            slots = self._key("slots", key)
            holder = f"{self._name}:{next(self._numbers)}"
            held = self._held.setdefault(slots, set())
            held.add(holder)
            try:
                if await self._run(self._hold, slots, limit, _microseconds(self._lease_s), holder) == 0:
                    raise FullError
                yield
            finally:
                held.discard(holder)
                if not held and self._held.get(slots) is held:
                    del self._held[slots]
                await self._run(self._release, slots, holder)

    async def _run(self, script: AsyncScript, key: str, *arguments: Any) -> Any:
        """Run a script. None if Redis does not answer."""
        if time.monotonic() < self._paused_until:
            return None
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                answer = await script(keys=[key], args=arguments)
        except (RedisError, OSError, TimeoutError) as error:
            self._set_away(error)
            return None
        self.availability.set_up()
        return answer

    def _set_away(self, error: Exception) -> None:
        self._paused_until = time.monotonic() + _PAUSE_S
        self.availability.set_away(error)

    def _key(self, kind: str, key: str) -> str:
        # Hashed, because a key may be what somebody typed as a user name, of any length.
        return f"{self._keys}{kind}:{blake2b(key.encode('utf-8', 'surrogatepass'), digest_size=12).hexdigest()}"


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)


def _chunks(keys: Sequence[str], size: int) -> list[Sequence[str]]:
    return [keys[start : start + size] for start in range(0, len(keys), size)]
