"""Notifying watchers of appended events: fast and unreliable.

The log is the source of truth. A bus may lose, repeat and reorder what it is given. A reader
(`subcli.server.log.feed`) only asks "what follows position N?", and if the answer is "unknown" it reads the log. So
there are no queues to overflow: each watched submission has one *tail*, a bounded run of its latest records that all
its watchers share, and a *head*, the highest position known to exist. A watcher is nothing but its position. A slow one
costs nothing; when the tail has moved on, it reads the log.

Who has everything is *parked*: it gets what is published next at once, in the call that publishes it, as the bytes that
all of them send. That takes neither a task nor a timer for each watcher and event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Final, Protocol

from subcli.server.log.records import LogEnd, Record

ARRIVALS: Final = 0
"""On the bus, the stream of new submissions, beside those of the submissions themselves, whose ids begin at 1. Its
positions are their ids, and the text of each record is the id of the owner."""

RUNS: Final = -1
"""The stream of submissions that are judged again, whose positions are the numbers of their runs."""

MAX_RELAYED_BYTES: Final = 64 * 1024
"""If more is published at once, those that are parked ask for it."""


class Relay(Protocol):
    """Who is parked, and is told what comes next."""

    def take(self, records: Sequence[Record], frames: bytes) -> bool:
        """Take the records that follow, which together are these frames, and stay parked.

        False: it cannot, and is woken instead.
        """

    def wake(self) -> None:
        """Ask the subscription again. It is no longer parked."""


class Subscription(Protocol):
    """One watcher's view of one submission's latest records.

    Attributes:
        version: raised when the records that follow may belong to another log than those before, because a backup was
            restored. A watcher that notices asks the log which of them it follows, and tells the subscription.
    """

    version: int

    def after(self, position: int) -> Sequence[Record] | None:
        """Return the records from `position` to the head.

        None: the tail does not have all of them. The log does.
        """

    def park(self, position: int, relay: Relay) -> bool:
        """Have `relay` told when the head is beyond `position`, the submission has ended, or the version changes.

        Returns:
            whether it is parked. False: it has something to ask for already.
        """

    def leave(self, relay: Relay) -> None:
        """Tell it no more, if it is parked."""

    def settle(self, epoch: str | None) -> None:
        """Take note of the name that the log has at this moment."""


class Bus(Protocol):
    """Carries events from writers to watchers."""

    def publish(self, submission_id: int, records: Sequence[Record]) -> None:
        """Announce consecutive records that have been committed."""

    def hint(self, submission_id: int, head: int) -> None:
        """Announce that the log reaches at least to `head`."""

    def compare(self, submission_id: int, least: int, end: LogEnd) -> None:
        """Announce where the log ends. It cannot end before `least`, unless a backup was restored."""

    def head(self, submission_id: int) -> int:
        """Return the highest position known to exist in this process."""

    def watched(self) -> list[int]:
        """Return the submissions that are watched in this process."""

    async def suspects(self, idle_s: float) -> list[int]:
        """Wait until messages may have been lost.

        Args:
            idle_s: after so many seconds all watched submissions are suspect, even if the bus works.

        Returns:
            the watched submissions whose position must be compared with the log.
        """

    async def run(self) -> None:
        """Exchange messages with other processes until cancelled."""

    def subscribe(self, submission_id: int) -> AbstractContextManager[Subscription]:
        """Watch a submission: the subscription sees what is published from now on."""


class MemoryBus:
    """The bus within one process.

    Args:
        tail_records: the most records that a tail keeps.
        tail_bytes: the most bytes of frames that it keeps.
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

    def head(self, submission_id: int) -> int:
        channel = self._channels.get(submission_id)
        return 0 if channel is None else channel.head

    def compare(self, submission_id: int, least: int, end: LogEnd) -> None:
        channel = self._channels.get(submission_id)
        if channel is not None:
            channel.settle(end.epoch)
            if end.last_seq < least:
                channel.start_over()
            channel.reach(end.last_seq)

    def watched(self) -> list[int]:
        return list(self._channels)

    def is_watched(self, submission_id: int) -> bool:
        """Whether a submission is watched in this process."""
        return submission_id in self._channels

    async def suspects(self, idle_s: float) -> list[int]:
        await asyncio.sleep(idle_s)
        return self.watched()

    async def run(self) -> None:
        """There are no other processes."""

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
        self.version = 0
        self.head = 0
        self._epoch: str | None = None
        self._max_records = tail_records
        self._max_bytes = tail_bytes
        self._tail: list[Record] = []
        self._bytes = 0
        self._ended = False
        self._parked: dict[Relay, int] = {}

    def extend(self, records: Sequence[Record]) -> None:
        """Append new records to the tail; records that do not continue it replace it."""
        for record in records:
            if self._contradicts(record):
                self.start_over()
            self._epoch = record.epoch or self._epoch
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
            self.head = max(self.head, self._tail[-1].seq)
            self._tell()

    def _contradicts(self, record: Record) -> bool:
        """Whether this record cannot be of the same log as the tail."""
        if record.epoch != self._epoch:
            return record.epoch is not None and self._epoch is not None
        if not self._tail or not self._tail[0].seq <= record.seq <= self._tail[-1].seq:
            return False
        return self._tail[record.seq - self._tail[0].seq].text != record.text

    def start_over(self) -> None:
        """Forget everything, and have every watcher ask the log."""
        self._tail.clear()
        self._bytes = self.head = 0
        self._epoch = None
        self._ended = False
        self.version += 1
        self._wake_all()

    def settle(self, epoch: str | None) -> None:
        if epoch != self._epoch and self._epoch is not None:
            # What was announced last belonged to another log.
            self.start_over()
        self._epoch = epoch

    def _trim(self) -> None:
        surplus = max(0, len(self._tail) - self._max_records)
        self._bytes -= sum(len(record.frame) for record in self._tail[:surplus])
        while self._bytes > self._max_bytes and surplus < len(self._tail) - 1:
            self._bytes -= len(self._tail[surplus].frame)
            surplus += 1
        del self._tail[:surplus]

    def reach(self, head: int) -> None:
        """Note that the log reaches to `head`, and tell the watchers."""
        if head > self.head:
            self.head = head
            self._tell()

    def _tell(self) -> None:
        """Hand what is new to those that are parked."""
        batches: dict[int, tuple[Sequence[Record], bytes] | None] = {}
        for relay, position in list(self._parked.items()):
            if position >= self.head and not self._ended:
                continue
            if position not in batches:
                batches[position] = self._relayed(position)
            batch = batches[position]
            if batch is not None and relay.take(*batch):
                if relay in self._parked:
                    self._parked[relay] = self.head
            elif self._parked.pop(relay, None) is not None:
                relay.wake()

    def _relayed(self, position: int) -> tuple[Sequence[Record], bytes] | None:
        """What follows `position` and its bytes, if the tail has all of it and it is not too much at once."""
        records = self.after(position)
        if not records or sum(len(record.frame) for record in records) > MAX_RELAYED_BYTES:
            return None
        return records, records[0].frame if len(records) == 1 else b"".join(record.frame for record in records)

    def _wake_all(self) -> None:
        parked, self._parked = self._parked, {}
        for relay in parked:
            relay.wake()

    def after(self, position: int) -> Sequence[Record] | None:
        if position >= self.head:
            return None if self._ended else ()
        if not self._tail or self._tail[-1].seq < self.head or self._tail[0].seq > position + 1:
            return None
        return self._tail[position + 1 - self._tail[0].seq :]

    def park(self, position: int, relay: Relay) -> bool:
        if position < self.head or self._ended:
            return False
        self._parked[relay] = position
        return True

    def leave(self, relay: Relay) -> None:
        self._parked.pop(relay, None)
