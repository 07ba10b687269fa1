"""Telling watchers that something was appended: quick, and not to be relied on.

The log is the truth. A bus may lose, repeat and reorder what it is given; a reader (`subcli.server.log.feed`)
asks it only "what follows position N?", and "I cannot tell" is an answer: then the log is read. So there are
no queues to overflow: each submission that somebody watches has one *tail*, a bounded run of its latest
records that all its watchers share, and the *head*, the highest position known to exist. A watcher is no
more than its position. One that is slow costs nothing; when the tail has moved on, it reads the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from subcli.server.log.records import Record


class Subscription(Protocol):
    """One watcher's view of one submission's latest records."""

    def after(self, position: int) -> Sequence[Record] | None:
        """The records that follow `position` and end at the head; empty if there are none.

        None: they cannot be told from memory. The log has them.
        """

    async def changed(self, position: int) -> None:
        """Return when the head is beyond `position`, or the submission has ended."""


class Bus(Protocol):
    """From whoever appends to whoever watches."""

    def publish(self, submission_id: int, records: Sequence[Record]) -> None:
        """Say that these records, which follow each other, have been committed."""

    def hint(self, submission_id: int, head: int) -> None:
        """Say that the log is known to reach up to `head`."""

    def watched(self) -> list[int]:
        """The submissions that somebody watches here."""

    async def suspects(self, idle: float) -> list[int]:
        """Wait until something may have been lost; the watched submissions whose log is to be looked at.

        Args:
            idle: after so many seconds all that are watched, however sure the bus is.
        """

    async def run(self) -> None:
        """Carry, until cancelled, what has to travel."""

    def subscribe(self, submission_id: int) -> AbstractContextManager[Subscription]:
        """What is published from now on can be seen through it."""


class MemoryBus:
    """The bus within one process.

    Args:
        tail_records: how many records a tail keeps at most,
        tail_bytes: and how many bytes of frames.
    """

    def __init__(self, tail_records: int = 1024, tail_bytes: int = 1024 * 1024) -> None:
        self._channels: dict[int, Channel] = {}
        self._tail_records = tail_records
        self._tail_bytes = tail_bytes

    def publish(self, submission_id: int, records: Sequence[Record]) -> None:
        channel = self._channels.get(submission_id)
        if channel is not None:
            channel.extend(records)

    def hint(self, submission_id: int, head: int) -> None:
        channel = self._channels.get(submission_id)
        if channel is not None:
            channel.reach(head)

    def watched(self) -> list[int]:
        return list(self._channels)

    def is_watched(self, submission_id: int) -> bool:
        """Whether somebody watches it here."""
        return submission_id in self._channels

    async def suspects(self, idle: float) -> list[int]:
        await asyncio.sleep(idle)
        return self.watched()

    async def run(self) -> None:
        """Nothing has to travel."""

    @contextmanager
    def subscribe(self, submission_id: int) -> Iterator[Channel]:
        channel = self._channels.get(submission_id)
        if channel is None:
            channel = self._channels[submission_id] = Channel(self._tail_records, self._tail_bytes)
        channel.watchers += 1
        try:
            yield channel
        finally:
            channel.watchers -= 1
            if not channel.watchers:
                del self._channels[submission_id]


class Channel:
    """The tail and the head of one submission, shared by its watchers."""

    def __init__(self, tail_records: int, tail_bytes: int) -> None:
        self.watchers = 0
        self._most_records = tail_records
        self._most_bytes = tail_bytes
        self._tail: list[Record] = []
        self._bytes = 0
        self._head = 0
        self._ended = False
        self._waiting: set[asyncio.Future[None]] = set()

    def extend(self, records: Sequence[Record]) -> None:
        """Put what is new behind the tail; what does not join on replaces it."""
        for record in records:
            if self._tail and record.seq <= self._tail[-1].seq:
                continue
            if self._tail and record.seq > self._tail[-1].seq + 1:
                self._tail.clear()
                self._bytes = 0
            self._tail.append(record)
            self._bytes += len(record.frame)
            self._ended = self._ended or record.last
        self._trim()
        if self._tail:
            self._head = max(self._head, self._tail[-1].seq)
            self._wake()

    def _trim(self) -> None:
        surplus = max(0, len(self._tail) - self._most_records)
        self._bytes -= sum(len(record.frame) for record in self._tail[:surplus])
        while self._bytes > self._most_bytes and surplus < len(self._tail) - 1:
            self._bytes -= len(self._tail[surplus].frame)
            surplus += 1
        del self._tail[:surplus]

    def reach(self, head: int) -> None:
        """Note that the log goes up to `head`, and wake whoever waits."""
        if head > self._head:
            self._head = head
            self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def after(self, position: int) -> Sequence[Record] | None:
        if position >= self._head:
            return None if self._ended else ()
        if not self._tail or self._tail[-1].seq < self._head or self._tail[0].seq > position + 1:
            return None
        return self._tail[position + 1 - self._tail[0].seq :]

    async def changed(self, position: int) -> None:
        while position >= self._head and not self._ended:
            future = asyncio.get_running_loop().create_future()
            self._waiting.add(future)
            try:
                await future
            finally:
                self._waiting.discard(future)
