"""One attempt at judging one submission: run the judge, append its events, keep the lease.

A judge that raises, stops without a verdict, or gives the verdict `error` has failed: that says nothing about the
submitted code (contract, section 1), and the submission is tried again. Neither does a limit of time that passed while
the machine had other things to do: the submission is judged again at once, alone, and then the verdict counts.
"""

from __future__ import annotations

import asyncio
import logging
import shlex
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from sqlalchemy.exc import SQLAlchemyError

from subcli.judge import Job, OutputLimits, Problem
from subcli.judge.events import CONTENDED, RUN_TRACE, packed_of
from subcli.judge.local import can_replay
from subcli.judge.problem import versioned
from subcli.judge.process.shortage import is_shortage
from subcli.server.log.bus import Subscription
from subcli.server.log.comparison import JUDGED
from subcli.server.log.feed import Journal
from subcli.server.log.records import Append, Claim, EndedError, Failure, OutputRecord, Record, StaleFenceError
from subcli.server.log.store import Store
from subcli.server.settings import ServerLimits
from subcli.shared.encoding import timestamp
from subcli.shared.protocol import OUTPUT, TERMINAL_STATUSES

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
    """What every judging of a process needs. `problems` are by slug, and other versions of them by `versioned`."""

    store: Store
    journal: Journal
    problems: Mapping[str, Problem]
    limits: ServerLimits

    def problem(self, claim: Claim) -> Problem | None:
        """The problem by whose version a submission is judged; None if it is not here."""
        current = self.problems.get(claim.problem)
        if current is not None and claim.problem_version in (None, current.version):
            return current
        return self.problems.get(versioned(claim.problem, claim.problem_version))


class Judging:
    """One attempt at one submission, or two of which the second one is alone.

    Attributes:
        claim: with the number of the attempt that is under way, or was the last.
    """

    def __init__(self, context: JudgingContext, claim: Claim, problem: Problem, judge: Judge) -> None:
        self._store = context.store
        self._journal = context.journal
        self._limits = context.limits
        self._problem = problem
        self._judge = judge
        self.claim = claim
        self._position = claim.last_seq
        self._output_position = claim.output_seq
        self._output_left = self._limits.output_bytes - claim.output_bytes
        """How many bytes of output may still be stored."""
        self._under_way = 0
        """How many events of ours are being appended after that position."""
        self._foreign = asyncio.Event()
        """The log is longer than what this worker has written."""

    async def run(self) -> str | Failure | None:
        """Judge until the verdict, or until the claim is lost.

        Returns:
            the verdict; how the judge failed, while the claim is still held; None if the claim was lost.

        Raises:
            SQLAlchemyError: the database was away for longer than the lease.
        """
        renewing = asyncio.create_task(self._keep_lease(asyncio.current_task()))
        try:
            outcome = await self._run_judge(renewing)
            if outcome is None:
                await self._begin_again()
                outcome = await self._run_judge(renewing, alone=True)
            return outcome
        except LostClaimError:
            _log.info("submission %s was taken from this worker", self.claim.submission_id)
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])
        return None

    async def _begin_again(self) -> None:
        claim = self.claim = replace(self.claim, attempt=self.claim.attempt + 1)
        _log.info("submission %s: a time-out on a busy machine; judged again alone", claim.submission_id)
        again = {"type": "status_update", "status": "pending", "attempt": claim.attempt, "detail": CONTENDED}
        await self._append([again])

    async def _run_judge(self, renewing: asyncio.Task[None], *, alone: bool = False) -> str | Failure | None:
        """Judge once.

        Returns:
            the verdict; how the judge failed; None if the submission is to be judged again alone.
        """
        claim = self.claim
        left = self._output_left
        output = OutputLimits(left, self._limits.output_per_s) if left > 0 else None
        traced = self._limits.keeps_traces
        job = Job(self._problem, claim.language, claim.files, claim.attempt, alone, output, traced=traced)
        events: asyncio.Queue[Event | Exception | None] = asyncio.Queue(_BUFFER_EVENTS)
        reading = asyncio.create_task(self._read_judge(job, events))
        try:
            outcome: str | Failure | None = await self._append_all(events, is_final=alone)
            # The judge has sent its last event and may still be cleaning up; after a verdict no lease is needed.
            if isinstance(outcome, str):
                renewing.cancel()
            await asyncio.wait([reading], timeout=_JUDGE_EXIT_TIMEOUT_S)
        except (LostClaimError, SQLAlchemyError):
            raise
        except Exception as error:
            _log.exception("submission %s: an event could not be stored", claim.submission_id)
            outcome = Failure(f"The judge failed: {type(error).__name__}.", is_shortage=is_shortage(error))
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
                if event["type"] == RUN_TRACE:
                    await self._keep_trace(event)
                elif not has_ended:
                    await queue.put(self._at_home(_stamped(event, job.attempt)))
                has_ended = has_ended or event["type"] == "complete"
            await queue.put(None)
        except Exception as error:
            _log.exception("submission %s: the judge failed", self.claim.submission_id)
            await queue.put(error)
        finally:
            if isinstance(events, AsyncGenerator):
                await events.aclose()

    async def _keep_trace(self, event: Event) -> None:
        """Store the trace of a failed test before its result is told. It is worth less than the verdict: no retry."""
        try:
            await self._store.run(self._store.run_traces.put, self.claim, str(event["test_id"]), packed_of(event))
        except (EndedError, StaleFenceError):
            # The next append says so.
            pass
        except SQLAlchemyError as error:
            _log.warning("submission %s: a trace could not be stored: %s", self.claim.submission_id, error)

    def _at_home(self, event: Event) -> Event:
        """A result with the command that replays it on the user's machine, if the problem's author allows that."""
        if not event.get("has_trace") or not can_replay(self._problem):
            return event
        test_id, name = str(event["test_id"]), str(event["test_name"])
        # Tests with parameters may share a name.
        which = test_id if test_id.endswith("]") else name
        return {**event, "rerun": f"subcli test --replay {shlex.quote(f'{self.claim.submission_id}:{which}')}"}

    async def _append_all(
        self, queue: asyncio.Queue[Event | Exception | None], *, is_final: bool
    ) -> str | Failure | None:
        """Append the judge's events; those that are ready at once share a transaction.

        Args:
            is_final: whether the verdict counts even if the submission ran out of time on a busy machine.

        Returns:
            the verdict; what went wrong with the judge; None if the verdict does not count.
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
            verdict, is_doubtful, lacked_something = None, False, False
            if batch and batch[-1]["type"] == "complete":
                batch[-1], time_out, lacked_something = _stored(batch[-1])
                verdict = batch[-1]["final_status"]
                is_doubtful = time_out == "contended" and verdict not in ("passed", "error") and not is_final
            if verdict == "error" or is_doubtful:
                end = min(end, len(batch) - 1)
            elif verdict is not None:
                end = len(batch)
            if end and end == len(batch) and verdict in JUDGED:
                batch[-1] = await self._compared(batch)
            if end:
                await self._append(batch[:end])
            batch = batch[end:]
            if is_doubtful:
                return None
            if verdict is not None:
                return Failure(_reason(batch), batch, lacked_something) if batch else str(verdict)
            if isinstance(event, Exception):
                return Failure(f"The judge failed: {type(event).__name__}.", is_shortage=is_shortage(event))
            if event is None:
                return Failure("The judge stopped without a verdict.")

    async def _compared(self, batch: Sequence[Event]) -> Event:
        """The last event, `complete`, with what the owner's previous submission to the problem is compared to."""
        lookup = self._store.lookup
        try:
            compared = await self._store.run(lookup.comparison, self.claim.submission_id, batch)
        except SQLAlchemyError:
            # The verdict matters more.
            compared = None
        return batch[-1] if compared is None else {**batch[-1], "compared_to": compared}

    async def _append(self, batch: list[Event]) -> None:
        """Append events; retry while the database is away, for as long as the lease may still be held."""
        deadline = time.monotonic() + self._limits.lease_s
        while True:
            try:
                claim = self.claim
                wanted = Append(
                    *(claim.submission_id, batch, claim.fence, self._position, claim.epoch, self._output_position)
                )
                self._under_way = sum(event["type"] != OUTPUT for event in batch)
                records = await self._journal.append(wanted)
            except (EndedError, StaleFenceError):
                raise LostClaimError from None
            except SQLAlchemyError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(_RETRY_DELAY_S)
            else:
                self._note_position(records)
                return
            finally:
                self._under_way = 0

    def _note_position(self, records: Sequence[Record]) -> None:
        for record in records:
            if isinstance(record, OutputRecord):
                self._output_position = record.seq
                self._output_left -= len(record.text)
            else:
                self._position = record.seq

    async def _keep_lease(self, judging: asyncio.Task[Any] | None) -> None:
        """Renew the lease; stop judging when it is lost, at once if others have appended to the log."""
        with self._journal.subscribe(self.claim.submission_id) as subscription:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._limits.lease_s / 3):
                        await self._wait_for_foreign_event(subscription)
                try:
                    leases = self._store.leases
                    is_held = await self._store.run(leases.renew, self.claim, self._limits.lease_s)
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
            self._foreign.clear()
            try:
                if subscription.park(self._position, self):
                    await self._foreign.wait()
            finally:
                subscription.leave(self)
            # What was told may have been ours: it is published before _append notes its position.
            await asyncio.sleep(0)

    def take(self, records: Sequence[Record], frames: bytes) -> bool:
        """Take our own events. If they are somebody else's in their place, _append learns that itself."""
        return records[-1].seq <= self._position + self._under_way

    def wake(self) -> None:
        """Somebody else has written."""
        self._foreign.set()


def _stamped(event: Event, attempt: int) -> Event:
    stamped = {**event, "timestamp": timestamp(time.time())}
    if event["type"] == "status_update":
        stamped["attempt"] = attempt
    return stamped


def _stored(ending: Event) -> tuple[Event, object, bool]:
    """A verdict as it is stored, and what the judge says to us alone: of a time-out, and of a shortage."""
    stored = {key: value for key, value in ending.items() if key not in ("time_out", "shortage")}
    return stored, ending.get("time_out"), ending.get("shortage") is True


def _reason(ending: list[Event]) -> str:
    """Why the judge gave the verdict `error`, a sentence; what it says at length is for its last try."""
    said = next((str(event["error"]) for event in ending if event["type"] == "error_analysis"), "")
    return f"The judge failed: {said.rstrip('.')}." if said else "The judge failed."


def _is_terminal(event: Event) -> bool:
    return event["type"] == "status_update" and event["status"] in TERMINAL_STATUSES
