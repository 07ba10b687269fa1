"""Rounds of a trial: submit and watch a lot, kill something in the middle, and check that everybody gets a verdict.

A round submits 50 submissions through two gateways and watches each of them four times, with the library's own client,
through both. After a number of events drawn from the seed, one gateway, one worker, Redis or PostgreSQL is killed with
SIGKILL and restarted at once. The client does what it would do at a terminal: reconnect, resume, repeat a request with
its key. Then every watcher's events are compared with the log in the database.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from dataclasses import dataclass, field
from pathlib import Path

from subcli.client.client import Client
from subcli.client.connection import connect
from subcli.core.errors import SubcliError
from subcli.core.submission import Connection
from subcli.core.watch import Watch
from subcli.server.log.database import open_database
from subcli.server.log.store import Store
from subcli.settings.config import load
from subcli.workspace.source import Source
from tests.backends import Backend

from .processes import Cluster, Node

KINDS = ("gateway", "worker", "redis", "postgres")
SUBMISSIONS = 50
WATCHERS = 4
"""Per submission."""
# Generous, for a busy machine; a round takes some seconds.
TIMEOUT_S = 120.0


@dataclass
class Round:
    """The course of one round."""

    kind: str
    seed: int
    acknowledged: list[int] = field(default_factory=list)
    seen: list[tuple[int, list[int]]] = field(default_factory=list)
    """For each watcher, its submission and the seqs that it saw."""
    events: int = 0
    reconnects: int = 0
    again: int = 0
    """How often a command was repeated because nothing answered."""
    killed_at: int | None = None
    progress: asyncio.Event = field(default_factory=asyncio.Event)
    seconds: float = 0.0

    def line(self) -> str:
        attempts = f"{self.reconnects} reconnects, {self.again} first contacts repeated"
        return (
            f"{self.kind} killed after {self.killed_at} events: {len(self.acknowledged)} submissions, "
            f"{len(self.seen)} watchers, {self.events} events, {attempts}, {self.seconds:.1f} s"
        )


class Trial:
    """Rounds on one cluster."""

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self._cluster = cluster
        self._directory = directory
        engine = open_database(cluster.database)
        self._store = Store(engine, time.time)

    def close(self) -> None:
        self._store.close()

    async def round(self, kind: str, seed: int) -> Round:
        """Run one round. Raises AssertionError if a promise was broken."""
        course = Round(kind, seed)
        rng = random.Random(seed)
        started = time.monotonic()
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(self._client(url)) for url in self._cluster.gateways]
            try:
                async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as group:
                    group.create_task(self._kill(course, rng))
                    for number in range(SUBMISSIONS):
                        group.create_task(self._submit_and_watch(course, clients, number))
            except TimeoutError:
                missing = SUBMISSIONS * WATCHERS - len(course.seen)
                raise AssertionError(f"{missing} watchers have no verdict; {course.line()}") from None
        course.seconds = time.monotonic() - started
        await self._check(course)
        return course

    def _client(self, url: str) -> AbstractAsyncContextManager[Client]:
        return connect(load({"server": url}, {}, self._directory, None))

    async def _submit_and_watch(self, course: Round, clients: list[Client], number: int) -> None:
        source = Source({"solution.py": f"print({number})"}, single=True)
        submission_id = await self._submit(course, clients[number % 2], source)
        course.acknowledged.append(submission_id)
        async with asyncio.TaskGroup() as group:
            for watcher in range(WATCHERS):
                group.create_task(self._watch(course, clients[watcher % 2], submission_id))

    async def _submit(self, course: Round, client: Client, source: Source) -> int:
        while True:
            try:
                answer = await client.submit(source, problem="leader-election", language="python")
                return int(answer["submission_id"])
            except SubcliError:
                # Nothing was acknowledged.
                course.again += 1
                await asyncio.sleep(0.1)

    async def _watch(self, course: Round, client: Client, submission_id: int) -> None:
        seqs: list[int] = []
        while True:
            session = client.session(Watch(submission_id), own_submit=True)
            try:
                async with aclosing(session.events()) as events:
                    async for event in events:
                        if isinstance(event, Connection):
                            course.reconnects += event.state == "reconnecting"
                            continue
                        seqs.append(int(event.raw["seq"]))
                        course.events += 1
                        course.progress.set()
            except SubcliError:
                # Nothing answered at the first contact, so the client does not retry (contract, section 7).
                if seqs:
                    raise
                course.again += 1
                await asyncio.sleep(0.1)
            else:
                course.seen.append((submission_id, seqs))
                return

    async def _kill(self, course: Round, rng: random.Random) -> None:
        """Kill after enough events, and restart."""
        victim = self._victim(course.kind, rng)
        moment = rng.randrange(SUBMISSIONS * WATCHERS * 10)
        while course.events < moment:
            course.progress.clear()
            await course.progress.wait()
        course.killed_at = course.events
        await asyncio.to_thread(victim.kill)
        await asyncio.to_thread(victim.start)

    def _victim(self, kind: str, rng: random.Random) -> Node | Backend:
        cluster = self._cluster
        if kind == "gateway":
            return rng.choice(list(cluster.gateways.values()))
        if kind == "worker":
            return rng.choice(cluster.workers)
        return cluster.redis if kind == "redis" else cluster.postgres

    async def _check(self, course: Round) -> None:
        assert len(set(course.acknowledged)) == SUBMISSIONS
        assert len(course.seen) == SUBMISSIONS * WATCHERS
        for submission_id in course.acknowledged:
            page = await self._store.run(self._store.lookup.page, submission_id, 0, 10_000)
            log = [each.seq for each in page.records]
            assert page.ended, f"submission {submission_id} has no verdict"
            assert log == list(range(1, len(log) + 1)), f"submission {submission_id}: the log is {log}"
            assert '"final_status":"passed"' in page.records[-1].text
            for watched, seen in course.seen:
                if watched == submission_id:
                    assert seen == log, f"submission {submission_id}: the log is {log}, a watcher saw {seen}"
