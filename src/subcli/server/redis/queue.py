"""The job queue between processes: a stream in Redis with one consumer group for all workers.

One worker receives an entry (XREADGROUP), claims the submission whose turn it is in the store and then settles the
entry (XACK); from then on the lease in the store protects it. If a worker dies between the two, another takes the
pending entry over (XAUTOCLAIM). If it dies while judging, its lease expires, and a sweep takes the submission back in
the store and enqueues it again. So the stream holds only what is waiting, and losing it loses nothing but time. While
Redis is away, the workers judge what the sweeps find.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError, ResponseError

from subcli.server.jobs.queue import MemoryQueue, Ticket
from subcli.server.redis.availability import Availability
from subcli.server.redis.connection import namespace

if TYPE_CHECKING:
    from redis.asyncio import Redis

_GROUP: Final = "workers"
_FIELD: Final = b"submission"
_BLOCK_MS: Final = 500
"""How long one read waits for an entry; less than the client's timeout."""
_SWEEP_WHILE_AWAY_S: Final = 1.0
"""Between sweeps of the store while Redis is away."""
_RETRY_DELAY_S: Final = 0.5
_STALE_MS: Final = 3_600_000
"""A consumer that was idle for so long, and has no pending entry, is deleted."""
FLUSH_TIMEOUT_S: Final = 0.5
"""How long stopping may be delayed by what is still to be sent."""

# Both update the stream and the hash from submission to entry atomically. If an entry is gone nevertheless (its key was
# evicted), its submission can be enqueued again.
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
        takeover_s: seconds after which an unsettled entry is given to another worker.
    """

    def __init__(self, redis: Redis, takeover_s: float) -> None:
        self._redis = redis
        self._takeover_s = takeover_s
        self._stream = f"{namespace(redis)}jobs"
        self._keys = [self._stream, f"{self._stream}:entries"]
        self._consumer = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._enqueue = redis.register_script(_ENQUEUE)
        self._settle = redis.register_script(_SETTLE)
        self._outgoing: dict[int, None] = {}
        self._settled: deque[tuple[bytes, int]] = deque()
        self._filled = asyncio.Event()
        self.availability = Availability("jobs are looked for in the store meanwhile", "jobs come over Redis")
        # What this process found by itself, and what it could not send. Only in a process that takes jobs.
        self._local: MemoryQueue | None = None
        self._next_takeover = 0.0

    # -- putting -------------------------------------------------------------------------------------

    def put(self, submission_id: int) -> None:
        self._outgoing[submission_id] = None
        self._filled.set()

    def put_here(self, submission_id: int) -> None:
        if self._local is not None:
            self._local.put(submission_id)

    def settle(self, ticket: Ticket) -> None:
        if ticket.receipt is not None:
            self._settled.append((ticket.receipt, ticket.submission_id))
            self._filled.set()

    async def run(self) -> None:
        """Enqueue and settle entries until cancelled, and then briefly try to finish what is left."""
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
            self.availability.set_away(error)
            # Unsettled entries will be taken over, and whoever takes them finds them claimed.
            self._settled.clear()
            self._keep_here()
        else:
            self.availability.set_up()

    def _keep_here(self) -> None:
        """Redis is away: if this process takes jobs, it takes these itself; otherwise sweeps find them in the store."""
        if self._local is not None:
            for submission_id in self._outgoing:
                self._local.put(submission_id)
        self._outgoing.clear()

    # -- taking --------------------------------------------------------------------------------------

    async def get(self) -> Ticket:
        local = self._local = self._local or MemoryQueue()
        while True:
            with suppress(TimeoutError):
                # Without waiting, unless Redis is away: then there is nothing else to do.
                async with asyncio.timeout(_RETRY_DELAY_S if self.availability.is_away else 0):
                    return await local.get()
            try:
                ticket = await self._read_entry()
            except ResponseError as error:
                await self._make_group(error)
            except (RedisError, OSError) as error:
                self.availability.set_away(error)
            else:
                self.availability.set_up()
                if ticket is not None:
                    return ticket

    async def _read_entry(self) -> Ticket | None:
        """Read in a separate task, so that cancelling `get` does not wait for Redis."""
        reading = asyncio.create_task(self._take_over_or_read())
        try:
            await asyncio.wait([reading])
        except asyncio.CancelledError:
            reading.cancel()
            reading.add_done_callback(lambda task: task.cancelled() or task.exception())
            raise
        return reading.result()

    async def _take_over_or_read(self) -> Ticket | None:
        return await self._take_over() or await self._read()

    async def _read(self) -> Ticket | None:
        streams: Any = {self._stream: ">"}
        found: Any = await self._redis.xreadgroup(_GROUP, self._consumer, streams, count=1, block=_BLOCK_MS)
        return _ticket(found[0][1][0]) if found else None

    async def _take_over(self) -> Ticket | None:
        """Take over an entry that another worker has not settled, if it is time to look for one."""
        now = asyncio.get_running_loop().time()
        if now < self._next_takeover:
            return None
        idle_ms = round(self._takeover_s * 1000)
        found = await self._redis.xautoclaim(self._stream, _GROUP, self._consumer, idle_ms, count=1)
        if found[1]:
            return _ticket(found[1][0])
        self._next_takeover = now + self._takeover_s / 3
        await self._delete_stale_consumers()
        return None

    async def _delete_stale_consumers(self) -> None:
        for consumer in await self._redis.xinfo_consumers(self._stream, _GROUP):
            if consumer["idle"] > _STALE_MS and not consumer["pending"]:
                await self._redis.xgroup_delconsumer(self._stream, _GROUP, consumer["name"])

    async def _make_group(self, error: ResponseError) -> None:
        """Create the consumer group, on first use or after Redis has lost its data. Other errors: Redis is away."""
        try:
            if not str(error).startswith("NOGROUP"):
                raise error
            await self._redis.xgroup_create(self._stream, _GROUP, id="0", mkstream=True)
        except RedisError as failed:
            # BUSYGROUP: another worker has just created it.
            if not str(failed).startswith("BUSYGROUP"):
                self.availability.set_away(failed)

    async def pause(self, seconds: float) -> None:
        if self.availability.is_away:
            await asyncio.sleep(min(seconds, _SWEEP_WHILE_AWAY_S))
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.availability.wait_until_away()


def _ticket(entry: tuple[bytes, dict[bytes, bytes]]) -> Ticket:
    receipt, fields = entry
    return Ticket(int(fields[_FIELD]), receipt)
