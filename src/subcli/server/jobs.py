"""Which submissions wait for a worker. Only a hint: the right to judge one is claimed in the store."""

from __future__ import annotations

import asyncio
from typing import Protocol


class JobQueue(Protocol):
    """From those who hand in to those who judge. May forget or repeat; the workers look in the store too."""

    def put(self, submission_id: int) -> None:
        """Say that a submission waits."""

    async def get(self) -> int:
        """The next one."""


class MemoryQueue:
    """The queue within one process. One that waits already is not put a second time."""

    def __init__(self) -> None:
        self._waiting: set[int] = set()
        self._queue: asyncio.Queue[int] = asyncio.Queue()

    def put(self, submission_id: int) -> None:
        if submission_id not in self._waiting:
            self._waiting.add(submission_id)
            self._queue.put_nowait(submission_id)

    async def get(self) -> int:
        submission_id = await self._queue.get()
        self._waiting.discard(submission_id)
        return submission_id
