"""The judgings of one process: many beside each other, or one alone.

A limit of time that passed while the machine had other things to do proves nothing. Such a submission is judged again
with nothing beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from subcli.judge import Job
from subcli.server.jobs.judging import Event, Judge


@dataclass(eq=False)
class _Stay:
    """One judging, and whether there has been another one beside it."""

    had_company: bool = False


class Room:
    """Where all judgings of a process take place, those of its self-tests included.

    Args:
        judge: yields the events of one judging, the last one `complete`; closing it ends its processes.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._present: set[_Stay] = set()
        self._loners = 0
        """Judgings that are alone or wait for that. Nothing else begins meanwhile, so that they need not wait long."""
        self._moved = asyncio.Event()
        """Set, and replaced, when something begins to be possible."""

    async def judge(self, job: Job) -> AsyncGenerator[Event, None]:
        """Judge a job beside others, or alone if it is to be; wait until that is possible.

        Whatever the judge saw, a time-out counts as one on a busy machine if there was company.
        """
        async with self._enter(alone=job.alone) as stay:
            events = self._judge(job)
            try:
                async for event in events:
                    under_load = stay.had_company and event.get("time_out")
                    yield {**event, "time_out": "contended"} if under_load else event
            finally:
                if isinstance(events, AsyncGenerator):
                    await events.aclose()

    @asynccontextmanager
    async def _enter(self, *, alone: bool) -> AsyncIterator[_Stay]:
        stay = _Stay()
        self._loners += alone
        try:
            while self._present if alone else self._loners:
                await self._moved.wait()
            self._present.add(stay)
            if len(self._present) > 1:
                for each in self._present:
                    each.had_company = True
            yield stay
        finally:
            self._loners -= alone
            self._present.discard(stay)
            self._moved.set()
            self._moved = asyncio.Event()
