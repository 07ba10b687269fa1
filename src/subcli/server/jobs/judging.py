"""One attempt at judging one submission: run the judge, append its events, keep the lease.

A judge that raises, stops without a verdict, or gives the verdict `error` has failed: that says nothing about the
submitted code (contract, section 1), and the submission is tried again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy.exc import SQLAlchemyError

from subcli.judge import Job, Problem
from subcli.server.log.bus import Subscription
from subcli.server.log.feed import Journal
from subcli.server.log.records import Append, Claim, EndedError, Failure, StaleFenceError
from subcli.server.log.store import Store
from subcli.server.settings import ServerLimits
from subcli.shared.protocol import TERMINAL_STATUSES, timestamp

Event: TypeAlias = Mapping[str, Any]
Judge: TypeAlias = Callable[[Job], AsyncIterator[Event]]

_log: Final = logging.getLogger(__name__)
_BUFFER_EVENTS: Final = 256
"""How many events a judge may be ahead of the database."""
_JUDGE_EXIT_TIMEOUT_S: Final = 10.0
"""How long a judge may take to end after its verdict."""
_RETRY_DELAY_S: Final = 0.2


class LostClaimError(Exception):
    """The submission has ended or belongs to another worker; stop judging it."""


@dataclass(frozen=True, slots=True)
class JudgingContext:
    """What every judging of a process needs. `problems` are by slug."""

    store: Store
    journal: Journal
    problems: Mapping[str, Problem]
    judge: Judge
    limits: ServerLimits


class Judging:
    """One attempt at one submission."""

    def __init__(self, context: JudgingContext, claim: Claim) -> None:
        self._store = context.store
        self._journal = context.journal
        self._limits = context.limits
        self._problem = context.problems[claim.problem]
        self._judge = context.judge
        self._claim = claim
        self._position = claim.last_seq

    async def run(self) -> str | Failure | None:
        """Judge until the verdict, or until the claim is lost.

        Returns:
            the verdict; how the judge failed, while the claim is still held; None if the claim was lost.

        Raises:
            SQLAlchemyError: the database was away for longer than the lease.
        """
        claim = self._claim
        renewing = asyncio.create_task(self._keep_lease(asyncio.current_task()))
        try:
            return await self._run_judge(renewing)
        except LostClaimError:
            _log.info("submission %s was taken from this worker", claim.submission_id)
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])
        return None

    async def _run_judge(self, renewing: asyncio.Task[None]) -> str | Failure:
        claim = self._claim
        job = Job(problem=self._problem, language=claim.language, files=claim.files, attempt=claim.attempt)
        events: asyncio.Queue[Event | Exception | None] = asyncio.Queue(_BUFFER_EVENTS)
        reading = asyncio.create_task(self._read_judge(job, events))
        try:
            outcome = await self._append_all(events)
            # The judge has sent its last event and may still be cleaning up; after a verdict no lease is needed.
            if isinstance(outcome, str):
                renewing.cancel()
            await asyncio.wait([reading], timeout=_JUDGE_EXIT_TIMEOUT_S)
        except (LostClaimError, SQLAlchemyError):
            raise
        except Exception as error:
            _log.exception("submission %s: an event could not be stored", claim.submission_id)
            outcome = Failure(f"The judge failed: {type(error).__name__}.")
        finally:
            reading.cancel()
            await asyncio.wait([reading])
        return outcome

    async def _read_judge(self, job: Job, queue: asyncio.Queue[Event | Exception | None]) -> None:
        """Put the judge's events into the queue as they come, followed by the exception that it raised or None."""
        events = self._judge(job)
        has_ended = False
        try:
            async for event in events:
                if not has_ended:
                    await queue.put(_stamped(event, self._claim))
                has_ended = has_ended or event["type"] == "complete"
            await queue.put(None)
        except Exception as error:
            _log.exception("submission %s: the judge failed", self._claim.submission_id)
            await queue.put(error)
        finally:
            if isinstance(events, AsyncGenerator):
                await events.aclose()

    async def _append_all(self, queue: asyncio.Queue[Event | Exception | None]) -> str | Failure:
        """Append the judge's events; those that are ready at once share a transaction.

        Returns:
            the verdict, or what went wrong with the judge.
        """
        batch: list[Event] = []
        while True:
            event = await queue.get()
            while isinstance(event, Mapping):
                batch.append(event)
                if queue.empty():
                    break
                event = queue.get_nowait()
            # A terminal status without its verdict would look like the end on another platform: commit both together.
            end = next((at for at, each in enumerate(batch) if _is_terminal(each)), len(batch))
            verdict = batch[-1]["final_status"] if batch and batch[-1]["type"] == "complete" else None
            if verdict == "error":
                end = min(end, len(batch) - 1)
            elif verdict is not None:
                end = len(batch)
            if end:
                await self._append(batch[:end])
            batch = batch[end:]
            if verdict is not None:
                return Failure(_reason(batch), batch) if batch else str(verdict)
            if isinstance(event, Exception):
                return Failure(f"The judge failed: {type(event).__name__}.")
            if event is None:
                return Failure("The judge stopped without a verdict.")

    async def _append(self, batch: list[Event]) -> None:
        """Append events; retry while the database is away, for as long as the lease may still be held."""
        deadline = time.monotonic() + self._limits.lease
        while True:
            try:
                claim = self._claim
                wanted = Append(claim.submission_id, batch, claim.fence, self._position, claim.epoch)
                records = await self._journal.append(wanted)
            except (EndedError, StaleFenceError):
                raise LostClaimError from None
            except SQLAlchemyError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(_RETRY_DELAY_S)
            else:
                self._position = records[-1].seq
                return

    async def _keep_lease(self, judging: asyncio.Task[Any] | None) -> None:
        """Renew the lease; stop judging when it is lost, at once if others have appended to the log."""
        with self._journal.subscribe(self._claim.submission_id) as subscription:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._limits.lease / 3):
                        await self._wait_for_foreign_event(subscription)
                try:
                    leases = self._store.leases
                    is_held = await self._store.run(leases.renew, self._claim, self._limits.lease)
                except SQLAlchemyError:
                    is_held = True
                if not is_held:
                    if judging is not None:
                        judging.cancel()
                    return
                await asyncio.sleep(_RETRY_DELAY_S)

    async def _wait_for_foreign_event(self, subscription: Subscription) -> None:
        """Wait until the log is longer than what this worker has written, as after a cancellation, or another one."""
        version = subscription.version
        while subscription.version == version and subscription.after(self._position) == ():
            await subscription.changed(self._position)
            # Our own events are published before _append notes their position.
            await asyncio.sleep(0)


def _stamped(event: Event, claim: Claim) -> Event:
    stamped = {**event, "timestamp": timestamp(time.time())}
    if event["type"] == "status_update":
        stamped["attempt"] = claim.attempt
    return stamped


def _reason(ending: list[Event]) -> str:
    """Why the judge gave the verdict `error`, a sentence; what it says at length is for its last try."""
    said = next((str(event["error"]) for event in ending if event["type"] == "error_analysis"), "")
    return f"The judge failed: {said.rstrip('.')}." if said else "The judge failed."


def _is_terminal(event: Event) -> bool:
    return event["type"] == "status_update" and event["status"] in TERMINAL_STATUSES
