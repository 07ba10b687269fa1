"""That submissions are waiting for a worker. Only a hint: which one is next is decided, and claimed, in the store."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Ticket:
    """A submission that waits, so that there is something to claim.

    Attributes:
        receipt: identifies the entry to a queue that keeps it until it is settled.
    """

    submission_id: int
    receipt: bytes | None = None


class JobQueue(Protocol):
    """From gateways to workers. It may forget or repeat submissions; the workers look in the store too."""

    def put(self, submission_id: int) -> None:
        """Enqueue a submission, unless it is in the queue already."""

    def put_here(self, submission_id: int) -> None:
        """Enqueue a submission that this very process could judge, without other processes."""

    async def get(self) -> Ticket:
        """Wait for the next submission and take it."""

    def settle(self, ticket: Ticket) -> None:
        """Remove a taken submission for good: it was claimed, or there is nothing to judge."""

    async def pause(self, seconds: float) -> None:
        """Wait before the next look in the store; shorter while the queue is unavailable."""

    async def run(self) -> None:
        """Exchange messages with other processes until cancelled."""


class MemoryQueue:
    """The queue within one process."""

    def __init__(self) -> None:
        self._waiting: set[int] = set()
        self._queue: asyncio.Queue[int] = asyncio.Queue()

    def put(self, submission_id: int) -> None:
        if submission_id not in self._waiting:
            self._waiting.add(submission_id)
            self._queue.put_nowait(submission_id)

    def put_here(self, submission_id: int) -> None:
        self.put(submission_id)

    async def get(self) -> Ticket:
        submission_id = await self._queue.get()
        self._waiting.discard(submission_id)
        return Ticket(submission_id)

    def settle(self, ticket: Ticket) -> None:
        """`get` has removed it already."""

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def run(self) -> None:
        """There are no other processes."""
