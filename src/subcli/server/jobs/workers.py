"""The workers of a process: find waiting submissions, claim them, have them judged.

A worker may die at any moment. When its lease has expired, any other process puts the submission back at the head of
the queue: it is judged again, in the same log, with `attempt` raised. So nothing here needs to be undone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import Final, Literal, ParamSpec, TypeVar

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from subcli.judge import Problem
from subcli.server.jobs.judging import Judge, Judging, JudgingContext
from subcli.server.jobs.queue import JobQueue, Ticket
from subcli.server.jobs.room import JudgingSlot
from subcli.server.jobs.service import Service, Standstill
from subcli.server.jobs.versions import Versions
from subcli.server.log.feed import Journal
from subcli.server.log.records import Claim, EndedError, Failure, StaleFenceError
from subcli.server.log.requeue import NO_LONGER_ABLE, STOPPED, TOO_LITTLE, Able
from subcli.server.log.store import Store
from subcli.server.observe.logs import log_context
from subcli.server.observe.metrics import Metrics
from subcli.server.observe.tasks import log_and_continue, log_failure
from subcli.server.settings import ServerLimits

P = ParamSpec("P")
T = TypeVar("T")

_log: Final = logging.getLogger(__name__)
_SWEEP_LIMIT: Final = 1000
"""How many waiting submissions a sweep looks at."""
_POSITIONS: Final = 100
"""How many waiting submissions learn in one transaction that their position has changed."""
_POSITIONS_INTERVAL_S: Final = 0.2
"""Where many submissions are claimed at once, not every step is published."""
_POSITIONS_CHECK_S: Final = 1.0
"""When other processes have moved the queue."""
_RETRY_DELAY_S: Final = 0.2
_SWEEP_INTERVAL_S: Final = 2.0
_KEEP_VERSIONS_S: Final = 3600.0
"""How long a version of a problem stays stored to which there is no submission: somebody may be storing it."""
_HANDED_BACK: Final = {"stopped": STOPPED, "unable": NO_LONGER_ABLE, "short": TOO_LITTLE}
"""What watchers are told, by the reason."""
_PACK_AFTER_LEAST_S: Final = 60.0
"""Until then, a process may ask for events that it has just appended."""
_LEISURE: Final = 4.0
"""Packing takes a fifth of one thread, at most."""
_IN_SERVICE: Final = "How many submissions this process judges at the same time; 0 while it takes none."


class Workers:
    """Tasks that judge, each one submission at a time.

    Args:
        problems: by slug, and other versions of them by `versioned`. They may change.
        service: judges; None if other processes do, and this one only takes care of the queue.
        metrics: counts what the workers did.
        versions: keeps the problems up to date; None if they never change.
        for_others: whether other processes use the same database; they are told that this one judges.
    """

    def __init__(
        self,
        store: Store,
        journal: Journal,
        queue: JobQueue,
        problems: Mapping[str, Problem],
        service: Service | None,
        limits: ServerLimits,
        metrics: Metrics,
        versions: Versions | None = None,
        *,
        for_others: bool = False,
    ) -> None:
        self._context = JudgingContext(store, journal, problems, limits)
        self._service = service
        self._versions = versions
        self._standstill = Standstill()
        self._store = store
        self._journal = journal
        self._queue = queue
        self._metrics = metrics
        self._lease_s = limits.lease_s
        self._keep_output_s = limits.output_keep_s
        self._pack_after_s = max(limits.pack_after_s, _PACK_AFTER_LEAST_S)
        self._presence_s = limits.presence_s if for_others else None
        self._cleanup_s = limits.cleanup_s
        self._attempts = limits.attempts
        self._name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._queue_moved = asyncio.Event()
        metrics.add_gauge("subcli_queue_length", "Submissions waiting for a worker.", store.leases.queue_length)
        if service is not None:
            metrics.add_gauge("subcli_workers_in_service", _IN_SERVICE, lambda: service.slots)

    async def run(self) -> None:
        """Judge until cancelled; then stop what is running and hand it back to be judged again."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sweep())
            group.create_task(self._update_positions())
            group.create_task(self._delete_output())
            if self._versions is not None:
                group.create_task(self._versions.run())
            group.create_task(self._pack_logs())
            if (service := self._service) is not None:
                group.create_task(service.run())
                if self._presence_s is not None:
                    group.create_task(self._tell_presence(service, self._presence_s))
                for _ in range(service.concurrency):
                    group.create_task(self._claim_and_judge(service))

    async def _sweep(self) -> None:
        """Take back what dead workers had, and enqueue what the store has and the queue lacks."""
        while True:
            with log_and_continue("looking for waiting submissions"):
                for submission_id, has_ended in (await self._journal.take_back(self._attempts)).items():
                    _log.warning("submission %s: its worker has vanished", submission_id)
                    self._metrics.interrupted("vanished")
                    if has_ended:
                        problem = await self._store.run(self._store.lookup.problem, submission_id)
                        self._metrics.ended(problem, "error")
                    self._queue.put(submission_id)
                if self._service is not None:
                    await self._enqueue_waiting(self._service)
            await self._queue.pause(min(self._lease_s / 3, _SWEEP_INTERVAL_S))

    async def _enqueue_waiting(self, service: Service) -> None:
        able = service.able()
        waiting = await self._claimable(able, _SWEEP_LIMIT)
        for submission_id in waiting:
            self._queue.put(submission_id)
        for submission_id in waiting[: service.concurrency]:
            self._queue.put_here(submission_id)
        if self._versions is not None and await self._versions.fetch_missing(partial(self._fetched, service)):
            # This worker does not know yet what it can judge.
            return
        await self._journal.tell_unable(service.lasting, _SWEEP_LIMIT)
        await self._tell_standstill(service.lasting, able, waiting[:1])

    async def _fetched(self, service: Service) -> None:
        """Enqueue what can be judged now."""
        for submission_id in await self._claimable(service.able(), _SWEEP_LIMIT):
            self._queue.put(submission_id)

    async def _tell_standstill(self, lasting: Able, able: Able, next_here: Sequence[int]) -> None:
        """Tell why they wait those whose turn it is, but that nobody takes.

        Others may still take what this worker cannot judge for the moment: an idle one would have done so by now, and
        one that is busy with what it claimed before may do so next.

        Args:
            lasting: what this worker can judge when it is well.
            able: what it can judge now.
            next_here: what it takes next.
        """
        blocked = _without(lasting, able)
        first = await self._claimable(blocked and lasting, limit=1)
        seconds = self._standstill.lasts(next(iter(first), None) if first != next_here else None)
        if not seconds or seconds < self._context.limits.standstill_s:
            return
        if await self._store.run(self._store.leases.others_hold, self._name, seconds):
            return
        # A page at each sweep: among so many there are that many that were not told, if there are any.
        told = self._standstill.told
        stuck = [each for each in await self._claimable(blocked, len(told) + _SWEEP_LIMIT) if each not in told]
        if stuck:
            await self._journal.tell_waiting(stuck)
            told.update(stuck)

    async def _claimable(self, able: Able, limit: int) -> Sequence[int]:
        return await self._store.run(self._store.leases.claimable, limit, self._name, able) if able else ()

    async def _claim_and_judge(self, service: Service) -> None:
        while True:
            with log_and_continue("taking a submission from the queue"):
                await service.wait_until_able()
                await service.room.wait_until_open()
                ticket = await self._queue.get()
                with service.room.place() as place:
                    await self._use_ticket(service, ticket, place)
                continue
            # The queue hands out again what was not claimed, or a sweep finds it.
            await asyncio.sleep(_RETRY_DELAY_S)

    async def _use_ticket(self, service: Service, ticket: Ticket, place: JudgingSlot | None) -> None:
        """Claim what is next, if this worker is still able to judge it at once, and judge it."""
        able = {} if place is None else service.able()
        claim = await self._claim(able) if able else None
        self._queue.settle(ticket)
        if not able or (claim is not None and claim.submission_id != ticket.submission_id):
            # Another worker may take it, or its turn is later.
            self._queue.put(ticket.submission_id)
        if claim is not None:
            await self._run_claim(service, claim, partial(service.room.judge, place=place))

    async def _claim(self, able: Able) -> Claim | None:
        """Claim the next submission; retry while the database is away, as taking the next one would not help."""
        deadline = time.monotonic() + self._lease_s
        while True:
            try:
                return await self._claim_next(able)
            except DBAPIError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(_RETRY_DELAY_S)

    async def _claim_next(self, able: Able) -> Claim | None:
        claiming = asyncio.ensure_future(
            self._store.run(self._store.leases.claim_next, self._name, able, self._lease_s)
        )
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            # The process is stopping, and the claim may be committed.
            await asyncio.wait([claiming])
            if claiming.exception() is None and (claim := claiming.result()) is not None:
                await self._hand_back(claim, "stopped")
            raise

    async def _hand_back(self, claim: Claim, reason: Literal["stopped", "unable", "short"]) -> None:
        """This worker cannot judge it, as when the process is stopping: it is judged next, by another one."""
        with suppress(SQLAlchemyError, StaleFenceError, EndedError):
            await self._journal.hand_back(claim, _HANDED_BACK[reason])
            _log.info("submission %s: handed back", claim.submission_id)
            self._metrics.interrupted(reason)
            self._queue.put(claim.submission_id)

    async def _run_claim(self, service: Service, claim: Claim, judge: Judge) -> None:
        """Judge in a separate task, which can be cancelled alone."""
        problem = self._context.problem(claim)
        if problem is None:
            # It was retired at this moment.
            await self._hand_back(claim, "unable")
            return
        with ExitStack() as stack:
            if self._versions is not None:
                stack.enter_context(self._versions.shelf.hold(problem.version))
            await self._judge(service, Judging(self._context, claim, problem, judge))

    async def _judge(self, service: Service, judging: Judging) -> None:
        claim = judging.claim
        with log_context(submission=claim.submission_id):
            task = asyncio.create_task(judging.run())
        started = time.monotonic()
        self._metrics.claimed(claim.waited_s)
        try:
            self._queue_moved.set()
            await asyncio.wait([task])
            judging_s = time.monotonic() - started
            self._metrics.judged(judging_s)
        finally:
            # This worker is being cancelled: the process is stopping, and the submission goes back.
            if not task.done():
                task.cancel()
                await asyncio.wait([task])
                await self._hand_back(claim, "stopped")
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            log_failure(_log, f"submission {claim.submission_id} will be judged again", error)
        elif (outcome := task.result()) is not None:
            await self._finish(service, judging.claim, outcome, judging_s)

    async def _finish(self, service: Service, claim: Claim, outcome: str | Failure, judging_s: float) -> None:
        if not isinstance(outcome, Failure):
            service.succeeded()
        elif not service.can_judge(claim.problem, claim.language, claim.problem_version):
            # What it needs has vanished, so this was no try.
            _log.warning("submission %s: %s; handed back", claim.submission_id, outcome.detail)
            await self._hand_back(claim, "unable")
            return
        elif outcome.is_shortage:
            # Nor was this, however often it happens.
            _log.warning("submission %s: %s; handed back", claim.submission_id, outcome.detail)
            service.fell_short(outcome.detail)
            await self._hand_back(claim, "short")
            return
        else:
            service.failed(claim.problem, outcome.detail)
            if not await self._fail(claim, outcome):
                return
            outcome = "error"
        self._metrics.ended(claim.problem, outcome)
        _log.info(
            "judged",
            extra={
                "submission": claim.submission_id,
                "user": claim.owner,
                "problem": claim.problem,
                "language": claim.language,
                "verdict": outcome,
                "attempt": claim.attempt,
                "waiting_s": round(claim.waited_s, 3),
                "judging_s": round(judging_s, 3),
                "worker": self._name,
            },
        )

    async def _fail(self, claim: Claim, failure: Failure) -> bool:
        """The judge failed: the submission is tried again, or ends if that was the last try.

        Returns:
            whether it has ended with the verdict `error`.
        """
        _log.warning("submission %s: %s", claim.submission_id, failure.detail, extra={"worker": self._name})
        self._metrics.judge_failed(claim.problem)
        limits = self._context.limits
        failing = asyncio.create_task(self._journal.fail(claim, failure, limits.tries, limits.retry_s))
        try:
            return await asyncio.shield(failing)
        except (StaleFenceError, EndedError):
            return False
        except asyncio.CancelledError:
            await asyncio.wait([failing])
            raise
        finally:
            self._queue.put(claim.submission_id)

    async def _delete_output(self) -> None:
        """Delete what submissions have printed, some time after their verdicts, and what nobody refers to."""
        while True:
            with log_and_continue("deleting old output"):
                await self._store.run(self._store.outputs.delete_old, self._keep_output_s)
            with log_and_continue("deleting unused versions of problems"):
                await self._store.run(self._store.packages.delete_unused, _KEEP_VERSIONS_S)
            await asyncio.sleep(self._cleanup_s)

    async def _pack_logs(self) -> None:
        """Pack the logs of what ended some time ago, and give back the space, in the time that others leave."""
        packer = self._store.packer
        while True:
            with log_and_continue("packing old logs"):
                while await self._at_leisure(packer.pack_some, self._pack_after_s):
                    pass
                while await self._at_leisure(packer.give_back_space):
                    pass
            await asyncio.sleep(self._cleanup_s)

    async def _at_leisure(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a method of the store, and leave it the longer alone, the longer that has taken."""
        began = time.monotonic()
        answer = await self._store.run(method, *args, **kwargs)
        await asyncio.sleep((time.monotonic() - began) * _LEISURE)
        return answer

    async def _tell_presence(self, service: Service, interval_s: float) -> None:
        """Tell other processes that this one judges, until it stops."""
        try:
            while True:
                with log_and_continue("telling others of this worker"):
                    await self._store.run(self._store.presence.tell, self._name, service.slots)
                await asyncio.sleep(interval_s)
        finally:
            with suppress(SQLAlchemyError):
                await asyncio.shield(self._store.run(self._store.presence.end, self._name))

    async def _update_positions(self) -> None:
        """Publish new queue positions when submissions have been claimed, here or elsewhere."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_POSITIONS_CHECK_S):
                    await self._queue_moved.wait()
            self._queue_moved.clear()
            with log_and_continue("updating queue positions"):
                try:
                    await self._journal.update_queue_positions(_POSITIONS)
                except SQLAlchemyError:
                    # The database is away, which is logged elsewhere. Try again.
                    self._queue_moved.set()
            await asyncio.sleep(_POSITIONS_INTERVAL_S)


def _without(able: Able, less: Able) -> Able:
    """The languages of each problem in one of these, but not in the other."""
    left = {slug: [name for name in names if name not in less.get(slug, ())] for slug, names in able.items()}
    return {slug: names for slug, names in left.items() if names}
