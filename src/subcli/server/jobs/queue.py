"""Which submissions wait for a worker. Only a hint: the right to judge one is claimed in the store."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Ticket:
    """A submission that somebody is to claim.

    Attributes:
        receipt: by which the queue knows it again, if it keeps it until it is settled.
    """

    submission_id: int
    receipt: bytes | None = None


class JobQueue(Protocol):
    """From those who hand in to those who judge. May forget or repeat; the workers look in the store too."""

    def put(self, submission_id: int) -> None:
        """Say that a submission waits. One that waits already does not wait twice."""

    async def get(self) -> Ticket:
        """The next one."""

    def settle(self, ticket: Ticket) -> None:
        """Say that nobody else needs to be given it: it was claimed, or there is nothing to judge."""

    async def pause(self, seconds: float) -> None:
        """Wait so long before looking in the store; less while the queue cannot be relied on."""

    async def run(self) -> None:
        """Carry, until cancelled, what has to travel."""


class MemoryQueue:
    """The queue within one process."""

    def __init__(self) -> None:
        self._waiting: set[int] = set()
        self._queue: asyncio.Queue[int] = asyncio.Queue()

    def put(self, submission_id: int) -> None:
        if submission_id not in self._waiting:
            self._waiting.add(submission_id)
            self._queue.put_nowait(submission_id)

    async def get(self) -> Ticket:
        submission_id = await self._queue.get()
        self._waiting.discard(submission_id)
        return Ticket(submission_id)

    def settle(self, ticket: Ticket) -> None:
        """It was forgotten when it was given out."""

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def run(self) -> None:
        """Nothing has to travel."""
