"""The parts of a server process, made once: the backbone of every process, and the services of a gateway."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Engine

from subcli.server.jobs.queue import JobQueue, MemoryQueue
from subcli.server.log.bus import Bus, MemoryBus
from subcli.server.log.feed import Journal
from subcli.server.log.store import Store
from subcli.server.observe.tasks import end
from subcli.server.settings import ServerLimits

if TYPE_CHECKING:
    # A worker has a backbone only; it does not import what logins and sockets need.
    from redis.asyncio import Redis

    from subcli.judge import Problem
    from subcli.server.accounts.accounts import Accounts
    from subcli.server.accounts.identity import Identities
    from subcli.server.accounts.logins import Logins
    from subcli.server.accounts.tokens import TokenIssuer
    from subcli.server.jobs.judges import Judges
    from subcli.server.jobs.service import Service
    from subcli.server.jobs.versions import Versions
    from subcli.server.limits import Limiter, Rate
    from subcli.server.observe.disk import Disk
    from subcli.server.observe.metrics import Metrics
    from subcli.server.run.shutdown import Lifecycle

_log: Final = logging.getLogger(__name__)
_LONGEST_NAME: Final = 64
_OUTPUT_TAIL_BYTES: Final = 256 * 1024
"""How much of a submission's latest output is kept in memory for those who asked for it."""


class Backbone:
    """Store, journal and job queue of one process.

    Args:
        engine: from `open_database`; its connections are closed at the end.
        redis: joins this process to the others on the same database, and is closed at the end. None if it is the only
            process.
    """

    def __init__(self, engine: Engine, limits: ServerLimits, redis: Redis | None) -> None:
        self._redis = redis
        self._bus, self._output_bus, self.queue = _between_processes(limits, redis)
        self.store = Store(engine, time.time)
        self.journal = Journal(self.store, self._bus, limits.compare_s, self._output_bus)

    @asynccontextmanager
    async def running(
        self,
        working: Coroutine[Any, Any, None],
        *others: Coroutine[Any, Any, None],
        on_failure: Callable[[BaseException], object],
    ) -> AsyncIterator[asyncio.Task[None]]:
        """Exchange events and jobs with other processes, and run these coroutines as well.

        Args:
            working: is ended first, so that its last events and jobs are still sent.
            others: end after it.
            on_failure: called with what one of them raised. None of them should, so half of the process is dead then.

        Yields:
            the task of `working`.
        """
        comparing = (self.journal.compare_positions(), self.journal.compare_output())
        exchanging = (self.queue.run(), *comparing, self._bus.run(), self._output_bus.run())
        tasks = [asyncio.create_task(each) for each in (working, *others, *exchanging)]

        def check(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                _log.critical("a background task failed: %r", error, exc_info=error)
                on_failure(error)

        for task in tasks:
            task.add_done_callback(check)
        try:
            yield tasks[0]
        finally:
            tasks[0].cancel()
            await asyncio.wait([tasks[0]])
            for task in tasks[1:]:
                await end(task)
            if self._redis is not None:
                await self._redis.aclose()
            self.store.close()


def _between_processes(limits: ServerLimits, redis: Redis | None) -> tuple[Bus, Bus, JobQueue]:
    """The buses for events and for output, and the queue."""
    local = MemoryBus(limits.tail_records, limits.tail_bytes)
    of_output = MemoryBus(limits.tail_records, _OUTPUT_TAIL_BYTES)
    if redis is None:
        return local, of_output, MemoryQueue()
    from subcli.server.redis.bus import RedisBus
    from subcli.server.redis.queue import RedisQueue

    return RedisBus(redis, local), RedisBus(redis, of_output, "output"), RedisQueue(redis, limits.lease_s)


@dataclass(frozen=True)
class AuthServices:
    """The services that a server with logins has in addition to one in demo mode."""

    accounts: Accounts
    logins: Logins
    tokens: TokenIssuer


@dataclass(frozen=True)
class Services:
    """The services of one gateway.

    `auth` is None in demo mode, and `page_token` (`edge/page_token.py`) in every other. `submits`,
    `reads` and `watch_tokens` are how often one user may ask for that; `service` is None if other processes judge, and
    `judges` knows whether anybody does; `versions` is None if the problems never change; `disk` is where the database
    writes.
    """

    store: Store
    journal: Journal
    queue: JobQueue
    problems: Mapping[str, Problem]
    identities: Identities
    auth: AuthServices | None
    page_token: str | None
    limiter: Limiter
    submits: Rate
    reads: Rate
    watch_tokens: Rate
    redis: Redis | None
    metrics: Metrics
    lifecycle: Lifecycle
    service: Service | None
    versions: Versions | None
    judges: Judges
    disk: Disk

    def problem(self, name: str) -> Problem | None:
        """The problem with this slug or id."""
        return next((each for each in self.problems.values() if name in (each.slug, str(each.id))), None)

    async def slug(self, name: str) -> str | None:
        """The slug of the problem with this slug or id, if it is in service, or if there are submissions to it."""
        if (problem := self.problem(name)) is not None:
            return problem.slug
        # What no problem was ever called is not looked for: PostgreSQL takes no NUL, and `int` not many digits.
        if len(name) > _LONGEST_NAME or not name.isprintable():
            return None
        slug: str | None = name
        if name.isascii() and name.isdecimal():
            slug = await self.store.run(self.store.packages.slug, int(name)) if int(name) < 1 << 63 else None
        if slug is None or not await self.store.run(self.store.lookup.has_submissions, slug):
            return None
        return slug
