"""The judgings of one process: many at the same time, or a single one alone.

A time-out proves nothing while the machine has other things to do. Such a submission is judged again with nothing
beside it: no other judging begins until it has ended, and no other submission is claimed, because a worker of another
process could judge it meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from subcli.judge import Job
from subcli.server.jobs.judging import Event, Judge


@dataclass(eq=False)
class JudgingSlot:
    """A place in a room, for one judging at a time.

    Attributes:
        had_company: whether there was another judging beside this one.
    """

    is_judging: bool = False
    had_company: bool = False


class Room:
    """Where all judgings of a process take place, those of its self-tests included.

    Args:
        judge: yields the events of one judging, the last one `complete`; closing it ends its processes.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._taken: set[JudgingSlot] = set()
        self._alone = 0
        """Judgings that are alone or wait for that. Nothing else begins meanwhile, so that they need not wait long."""
        self._changed = asyncio.Event()
        """Set, and replaced, when something that had to wait may be possible."""

    @property
    def is_judging(self) -> bool:
        """Whether anything is judged now."""
        return any(place.is_judging for place in self._taken)

    async def wait_until_open(self) -> None:
        """Wait while a job is judged alone, or is about to be."""
        while self._alone:
            await self._changed.wait()

    @contextmanager
    def place(self) -> Iterator[JudgingSlot | None]:
        """Keep a place, so that what is claimed now can be judged at once. None while a job is judged alone."""
        if self._alone:
            yield None
            return
        place = JudgingSlot()
        self._taken.add(place)
        try:
            yield place
        finally:
            self._leave(place)

    async def judge(self, job: Job, place: JudgingSlot | None = None) -> AsyncGenerator[Event, None]:
        """Judge a job beside others, or alone if it is to be.

        Whatever the judge saw, a time-out counts as one on a busy machine if there was company.

        Args:
            place: one that was kept for this job; None to wait for one.
        """
        async with self._judging(place or JudgingSlot(), alone=job.alone) as here:
            events = self._judge(job)
            try:
                async for event in events:
                    under_load = here.had_company and event.get("time_out")
                    yield {**event, "time_out": "contended"} if under_load else event
            finally:
                if isinstance(events, AsyncGenerator):
                    await events.aclose()

    @asynccontextmanager
    async def _judging(self, place: JudgingSlot, *, alone: bool) -> AsyncIterator[JudgingSlot]:
        is_kept = place in self._taken and not alone
        if alone and place in self._taken:
            # Otherwise two that want to be alone would wait for each other.
            self._leave(place)
        self._alone += alone
        try:
            while not is_kept and (self._taken if alone else self._alone):
                await self._changed.wait()
            self._taken.add(place)
            place.is_judging, place.had_company = True, False
            judging = [each for each in self._taken if each.is_judging]
            if len(judging) > 1:
                for each in judging:
                    each.had_company = True
            yield place
        finally:
            place.is_judging = False
            self._alone -= alone
            if not is_kept:
                self._leave(place)

    def _leave(self, place: JudgingSlot) -> None:
        self._taken.discard(place)
        self._changed.set()
        self._changed = asyncio.Event()
