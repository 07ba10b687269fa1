"""The job queue of several processes: a stream in Redis with one consumer group for all workers.

An entry is given to one worker (XREADGROUP), who claims the submission in the store and then settles the entry (XACK):
from there on the store's lease stands for it. A worker that dies between the two leaves the entry pending, and another
takes it over (XAUTOCLAIM). One that dies while judging leaves a lease that runs out; then the sweep finds the
submission in the store and puts it in again. So the stream holds what waits and nothing else, and losing it loses
nothing but time. While Redis is away the workers live on what the sweeps find.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError, ResponseError

from subcli.server.jobs.queue import MemoryQueue, Ticket
from subcli.server.redis.connection import namespace

if TYPE_CHECKING:
    from redis.asyncio import Redis

_log: Final = logging.getLogger(__name__)
_GROUP: Final = "workers"
_FIELD: Final = b"submission"
_BLOCK_MS: Final = 500
"""How long one look into the stream waits; less than a client waits for an answer."""
_SWEEP: Final = 1.0
"""Seconds between looks into the store while Redis is away."""
_RETRY: Final = 0.5
_STALE_MS: Final = 3_600_000
"""A consumer that has not been heard of for so long, and holds nothing, is taken off the list."""
FLUSH_TIMEOUT_S: Final = 0.5

# Both keep the hash from submission to entry in step with the stream, in one step each; an entry that is gone all the
# same (its key was evicted) does not keep its submission out for ever.
_ENQUEUE: Final = """
local entry = redis.call('HGET', KEYS[2], ARGV[1])
if entry and #redis.call('XRANGE', KEYS[1], entry, entry) > 0 then return 0 end
entry = redis.call('XADD', KEYS[1], '*', 'submission', ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], entry)
return 1
"""
_SETTLE: Final = """
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
if redis.call('HGET', KEYS[2], ARGV[3]) == ARGV[2] then redis.call('HDEL', KEYS[2], ARGV[3]) end
return 1
"""


class RedisQueue:
    """The queue between processes.

    Args:
        takeover: seconds after which an entry that was given out and not settled is given to another worker.
    """

    def __init__(self, redis: Redis, takeover: float) -> None:
        self._redis = redis
        self._takeover = takeover
        self._stream = f"{namespace(redis)}jobs"
        self._keys = [self._stream, f"{self._stream}:entries"]
        self._consumer = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._enqueue = redis.register_script(_ENQUEUE)
        self._settle = redis.register_script(_SETTLE)
        self._outgoing: dict[int, None] = {}
        self._settled: deque[tuple[bytes, int]] = deque()
        self._filled = asyncio.Event()
        self._lost = asyncio.Event()
        # Only where jobs are taken: what the sweep finds while Redis is away.
        self._local: MemoryQueue | None = None
        self._next_takeover = 0.0

    # -- putting -------------------------------------------------------------------------------------

    def put(self, submission_id: int) -> None:
        self._outgoing[submission_id] = None
        self._filled.set()

    def settle(self, ticket: Ticket) -> None:
        if ticket.receipt is not None:
            self._settled.append((ticket.receipt, ticket.submission_id))
            self._filled.set()

    async def run(self) -> None:
        """Put in what waits, and take out what is settled, until cancelled; then what is still there, for a moment."""
        try:
            while True:
                await self._filled.wait()
                await self._send()
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_TIMEOUT_S):
                    await self._send()

    async def _send(self) -> None:
        self._filled.clear()
        if not self._settled and not self._outgoing:
            return
        try:
            while self._settled:
                receipt, submission_id = self._settled[0]
                await self._settle(keys=self._keys, args=[_GROUP, receipt, submission_id])
                self._settled.popleft()
            while self._outgoing:
                submission_id = next(iter(self._outgoing))
                await self._enqueue(keys=self._keys, args=[submission_id])
                self._outgoing.pop(submission_id, None)
        except (RedisError, OSError) as error:
            self._set_lost(error)
            # What stays unsettled is given out again some time, and found to be claimed.
            self._settled.clear()
            self._keep_here()
        else:
            self._set_found()

    def _keep_here(self) -> None:
        """Redis is away: whoever judges here takes them; elsewhere the workers find them in the store."""
        if self._local is not None:
            for submission_id in self._outgoing:
                self._local.put(submission_id)
        self._outgoing.clear()

    # -- taking --------------------------------------------------------------------------------------

    async def get(self) -> Ticket:
        local = self._local = self._local or MemoryQueue()
        while True:
            with suppress(TimeoutError):
                # At once, unless Redis is away: then there is nothing better to do.
                async with asyncio.timeout(_RETRY if self._lost.is_set() else 0):
                    return await local.get()
            try:
                ticket = await self._look()
            except ResponseError as error:
                await self._make_group(error)
            except (RedisError, OSError) as error:
                self._set_lost(error)
            else:
                self._set_found()
                if ticket is not None:
                    return ticket

    async def _look(self) -> Ticket | None:
        """One look into the stream, in a task of its own: its end is not to wait for Redis's."""
        looking = asyncio.create_task(self._take_over_or_read())
        try:
            await asyncio.wait([looking])
        except asyncio.CancelledError:
            looking.cancel()
            looking.add_done_callback(lambda task: task.cancelled() or task.exception())
            raise
        return looking.result()

    async def _take_over_or_read(self) -> Ticket | None:
        return await self._take_over() or await self._read()

    async def _read(self) -> Ticket | None:
        streams: Any = {self._stream: ">"}
        found: Any = await self._redis.xreadgroup(_GROUP, self._consumer, streams, count=1, block=_BLOCK_MS)
        return _ticket(found[0][1][0]) if found else None

    async def _take_over(self) -> Ticket | None:
        """What another worker was given and did not settle, if it is time to look."""
        now = asyncio.get_running_loop().time()
        if now < self._next_takeover:
            return None
        idle_ms = round(self._takeover * 1000)
        found = await self._redis.xautoclaim(self._stream, _GROUP, self._consumer, idle_ms, count=1)
        if found[1]:
            return _ticket(found[1][0])
        self._next_takeover = now + self._takeover / 3
        await self._forget_the_dead()
        return None

    async def _forget_the_dead(self) -> None:
        for consumer in await self._redis.xinfo_consumers(self._stream, _GROUP):
            if consumer["idle"] > _STALE_MS and not consumer["pending"]:
                await self._redis.xgroup_delconsumer(self._stream, _GROUP, consumer["name"])

    async def _make_group(self, error: ResponseError) -> None:
        """The first use, or Redis has lost its memory. Anything else is Redis's trouble, and is waited for."""
        try:
            if not str(error).startswith("NOGROUP"):
                raise error
            await self._redis.xgroup_create(self._stream, _GROUP, id="0", mkstream=True)
        except RedisError as failed:
            # Another worker was quicker.
            if not str(failed).startswith("BUSYGROUP"):
                self._set_lost(failed)

    # -- Redis away ----------------------------------------------------------------------------------

    async def pause(self, seconds: float) -> None:
        if self._lost.is_set():
            await asyncio.sleep(min(seconds, _SWEEP))
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._lost.wait()

    def _set_lost(self, error: Exception) -> None:
        if not self._lost.is_set():
            self._lost.set()
            _log.warning("Redis does not answer, jobs are looked for in the store: %r", error)

    def _set_found(self) -> None:
        if self._lost.is_set():
            self._lost.clear()
            _log.warning("jobs come over Redis again")


def _ticket(entry: tuple[bytes, dict[bytes, bytes]]) -> Ticket:
    receipt, fields = entry
    return Ticket(int(fields[_FIELD]), receipt)
