"""Judging what waits: claim, judge, append, until the verdict.

A worker may die at any moment, and another takes over when the lease has run out: the submission is judged
again, in the same log, with `attempt` raised. So nothing here needs to be undone. A judge that raises, or
stops without a verdict, gets the verdict `error` (contract, section 1): no submission is left waiting.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeAlias

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from subcli.judge import Job, Problem
from subcli.server.jobs.queue import JobQueue
from subcli.server.log.bus import Subscription
from subcli.server.log.feed import Journal
from subcli.server.log.records import Append, Claim, EndedError, StaleFenceError
from subcli.server.log.store import Store
from subcli.server.observe.logs import log_context
from subcli.server.settings import Limits
from subcli.shared.protocol import TERMINAL_STATUSES, timestamp

Events: TypeAlias = Mapping[str, Any]
Judge: TypeAlias = Callable[[Job], AsyncIterator[Events]]

_log: Final = logging.getLogger(__name__)
_BUFFER: Final = 256
"""Events that a judge may be ahead of the database."""
_SWEPT: Final = 1000
"""How many of those that wait a sweep looks at."""
_TOLD: Final = 10
"""How many of those who wait are told when their position changes."""
_TELL_EVERY: Final = 0.2
"""Seconds; where many are taken at once, nobody is told each step."""
_CLEARING_UP: Final = 10.0
"""Seconds that a judge may take to end after its verdict."""
_RETRY_DELAY: Final = 0.2
_AGAIN: Final = "Judged again from the start: the worker that had this submission went away."


class LostClaimError(Exception):
    """The submission has ended or is another's; stop judging it."""


class Workers:
    """Some tasks that judge, each one submission at a time.

    Args:
        problems: by slug.
        judge: yields the events of one judging, the last one `complete`; closing it ends its processes.
        concurrency: how many submissions are judged at the same time.
        judged: told the seconds that each judging took.
    """

    def __init__(
        self,
        store: Store,
        journal: Journal,
        queue: JobQueue,
        problems: Mapping[str, Problem],
        judge: Judge,
        concurrency: int,
        limits: Limits,
        judged: Callable[[float], object],
    ) -> None:
        self._judged = judged
        self._store = store
        self._journal = journal
        self._queue = queue
        self._problems = problems
        self._judge = judge
        self._concurrency = concurrency
        self._limits = limits
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._taken = asyncio.Event()

    async def run(self) -> None:
        """Judge until cancelled; then end what runs and give it back, to be judged again."""
        if not self._concurrency:
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sweep())
            group.create_task(self._tell_positions())
            for _ in range(self._concurrency):
                group.create_task(self._take_and_judge())

    async def _sweep(self) -> None:
        """Queue what the store has and the queue does not: after a restart, or a worker's death."""
        while True:
            with _log_and_continue("looking for what waits"):
                for submission_id in await self._store.run(self._store.claimable, _SWEPT):
                    self._queue.put(submission_id)
            await self._queue.pause(self._limits.lease / 3)

    async def _take_and_judge(self) -> None:
        while True:
            with _log_and_continue("taking what waits"):
                ticket = await self._queue.get()
                claim = await self._claim(ticket.submission_id)
                self._queue.settle(ticket)
                if claim is not None:
                    await self._run_claim(claim)
                continue
            # What was not claimed is given out again, or found by a sweep.
            await asyncio.sleep(_RETRY_DELAY)

    async def _claim(self, submission_id: int) -> Claim | None:
        """The right to judge it, patiently while the database is away: taking the next one would not help."""
        deadline = time.monotonic() + self._limits.lease
        while True:
            try:
                return await self._store.run(self._store.claim, submission_id, self._name, self._limits.lease)
            except DBAPIError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(_RETRY_DELAY)

    async def _run_claim(self, claim: Claim) -> None:
        """Judge in a task of its own, so that it can be stopped alone."""
        with log_context(submission=claim.submission_id):
            task = asyncio.create_task(_Judging(self, claim).run())
        started = time.monotonic()
        try:
            self._taken.set()
            await asyncio.wait([task])
            self._judged(time.monotonic() - started)
        finally:
            # We ourselves are cancelled: the server stops, and the submission goes back.
            if not task.done():
                task.cancel()
                await asyncio.wait([task])
                with suppress(SQLAlchemyError):
                    await self._store.run(self._store.release, claim)
                self._queue.put(claim.submission_id)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("submission %s: %r; to be judged again", claim.submission_id, error, exc_info=error)

    async def _tell_positions(self) -> None:
        """Tell those who wait next that they have moved up, whenever some have been taken."""
        while True:
            await self._taken.wait()
            self._taken.clear()
            with _log_and_continue("telling who has moved up"):
                try:
                    await self._journal.update_queue_positions(_TOLD)
                except SQLAlchemyError:
                    # The database is away, as others say; it is told when it is back.
                    self._taken.set()
            await asyncio.sleep(_TELL_EVERY)


@contextmanager
def _log_and_continue(what: str) -> Iterator[None]:
    """A database that is away for a while, or a fault of ours, must not end the workers."""
    try:
        yield
    except Exception:
        _log.exception("%s: failed; trying again later", what)


class _Judging:
    """One attempt at one submission."""

    def __init__(self, workers: Workers, claim: Claim) -> None:
        self._store = workers._store
        self._journal = workers._journal
        self._limits = workers._limits
        self._problem = workers._problems.get(claim.problem)
        self._judge = workers._judge
        self._claim = claim
        self._position = claim.last_seq

    async def run(self) -> None:
        claim = self._claim
        self._renewing = asyncio.create_task(self._keep_lease(asyncio.current_task()))
        try:
            if claim.attempt > 1:
                await self._append([_stamped({"type": "status_update", "status": "pending", "detail": _AGAIN}, claim)])
            problem = self._problem
            if problem is None or claim.language not in problem.languages:
                await self._give_up(f"{claim.problem} in {claim.language} is no longer on this server.")
            elif claim.attempt > self._limits.attempts:
                await self._give_up(f"Its judging did not come to an end {claim.attempt - 1} times.")
            else:
                await self._run_judge(problem)
        except LostClaimError:
            _log.info("submission %s was taken from this worker", claim.submission_id)
        finally:
            self._renewing.cancel()
            await asyncio.wait([self._renewing])

    async def _run_judge(self, problem: Problem) -> None:
        claim = self._claim
        job = Job(problem=problem, language=claim.language, files=claim.files, attempt=claim.attempt)
        ready: asyncio.Queue[Events | Exception | None] = asyncio.Queue(_BUFFER)
        reading = asyncio.create_task(self._read_judge(job, ready))
        try:
            fault = await self._append_all(ready)
            # The judge has said its last word, and may still be clearing up: nothing to hold any more.
            self._renewing.cancel()
            await asyncio.wait([reading], timeout=_CLEARING_UP)
        except (LostClaimError, SQLAlchemyError):
            raise
        except Exception as error:
            _log.exception("submission %s: an event could not be kept", claim.submission_id)
            fault = f"The judge failed: {type(error).__name__}."
        finally:
            reading.cancel()
            await asyncio.wait([reading])
        if fault is not None:
            await self._give_up(fault)

    async def _read_judge(self, job: Job, ready: asyncio.Queue[Events | Exception | None]) -> None:
        """Put the judge's events into the queue as they come, behind them what it raised, or None."""
        events = self._judge(job)
        ended = False
        try:
            async for event in events:
                if not ended:
                    await ready.put(_stamped(event, self._claim))
                ended = ended or event["type"] == "complete"
            await ready.put(None)
        except Exception as error:
            _log.exception("submission %s: the judge failed", self._claim.submission_id)
            await ready.put(error)
        finally:
            if isinstance(events, AsyncGenerator):
                await events.aclose()

    async def _append_all(self, ready: asyncio.Queue[Events | Exception | None]) -> str | None:
        """Append what the judge says, all that is ready at once in one transaction. Returns its fault."""
        batch: list[Events] = []
        while True:
            event = await ready.get()
            while isinstance(event, Mapping):
                batch.append(event)
                if ready.empty():
                    break
                event = ready.get_nowait()
            # A terminal status without its verdict would look like another platform's end: both at once.
            held = batch[-1:] if batch and _is_terminal(batch[-1]) else []
            ripe = batch[: len(batch) - len(held)]
            if ripe:
                await self._append(ripe)
                if ripe[-1]["type"] == "complete":
                    return None
            batch = held
            if isinstance(event, Exception):
                return f"The judge failed: {type(event).__name__}."
            if event is None:
                return "The judge stopped without a verdict."

    async def _give_up(self, detail: str) -> None:
        """The verdict `error`: the submission's code is not to blame."""
        summary = await self._store.run(self._store.summary_so_far, self._claim.submission_id)
        failed = {"type": "status_update", "status": "failed", "detail": detail}
        complete = {"type": "complete", "final_status": "error", "summary": summary}
        await self._append([_stamped(failed, self._claim), _stamped(complete, self._claim)])

    async def _append(self, batch: list[Events]) -> None:
        """Append, patiently while the database is away and the lease may still be ours."""
        deadline = time.monotonic() + self._limits.lease
        while True:
            try:
                claim = self._claim
                wanted = Append(claim.submission_id, batch, claim.fence, self._position)
                records = await self._journal.append(wanted)
            except (EndedError, StaleFenceError):
                raise LostClaimError from None
            except SQLAlchemyError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(_RETRY_DELAY)
            else:
                self._position = records[-1].seq
                return

    async def _keep_lease(self, judging: asyncio.Task[Any] | None) -> None:
        """Renew the lease; stop judging when it is lost, at once where others have written in the log."""
        with self._journal.subscribe(self._claim.submission_id) as log:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._limits.lease / 3):
                        await self._written_by_others(log)
                try:
                    held = await self._store.run(self._store.renew, self._claim, self._limits.lease)
                except SQLAlchemyError:
                    held = True
                if not held:
                    if judging is not None:
                        judging.cancel()
                    return
                await asyncio.sleep(_RETRY_DELAY)

    async def _written_by_others(self, log: Subscription) -> None:
        """Return when the log reaches beyond what we have written, as by a cancelling."""
        while (beyond := log.after(self._position)) is not None and not beyond:
            await log.changed(self._position)
            # What we write ourselves is told before its position is noted.
            await asyncio.sleep(0)


def _stamped(event: Events, claim: Claim) -> Events:
    stamped = {**event, "timestamp": timestamp(time.time())}
    if event["type"] == "status_update":
        stamped["attempt"] = claim.attempt
    return stamped


def _is_terminal(event: Events) -> bool:
    return event["type"] == "status_update" and event["status"] in TERMINAL_STATUSES
