"""Publishing over Redis without waiting for it, and the format of the messages.

Each submission has a channel, each batch is a message: a line with the first position, the time of its commit and the
log's epoch, then the events, one per line, as they are in the log. While Redis is away only each submission's *head* is
kept, the position of its latest event. It is sent when Redis is back, and readers that are behind it read the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from subcli.server.log.records import Record, record
from subcli.server.redis.availability import Availability
from subcli.server.redis.connection import namespace

if TYPE_CHECKING:
    from redis.asyncio import Redis

_MAX_BYTES: Final = 8 * 1024 * 1024
"""Events that wait to be sent; if there are more, only the heads are kept."""
_MESSAGE_BYTES: Final = 256 * 1024
_RETRY_DELAY_S: Final = 0.25
FLUSH_TIMEOUT_S: Final = 0.5
"""How long stopping may be delayed by what is still to be sent."""
_COMPLETE: Final = "complete"
_LIVE: Final = "live"


def encode(records: Sequence[Record]) -> Iterator[bytes]:
    """Encode records as messages. A message holds consecutive records of one log."""
    start = size = 0
    for number, each in enumerate(records):
        # A process may publish the later one of two commits first, and the events of two logs after each other.
        before = records[number - 1]
        follows = number == start or (each.seq == before.seq + 1 and each.epoch == before.epoch)
        if size and (size + len(each.frame) > _MESSAGE_BYTES or not follows):
            yield _message(records[start:number])
            start, size = number, 0
        size += len(each.frame)
    yield _message(records[start:])


def _message(records: Sequence[Record]) -> bytes:
    first = records[0]
    head = f"{first.seq} {_COMPLETE if records[-1].last else _LIVE} {first.committed or 0.0:.6f}"
    if first.epoch is not None:
        head += f" {first.epoch}"
    return "\n".join([head, *(each.text for each in records)]).encode()


def encode_head(head: int) -> bytes:
    """Encode a message that says how far the log reaches."""
    return str(head).encode()


def decode(message: bytes) -> int | tuple[Record, ...]:
    """Return the records of a message, or the head that it contains.

    Raises:
        ValueError: it is not a valid message.
    """
    first_line, *texts = message.decode().split("\n")
    if not texts:
        return int(first_line)
    # An older process sends no epoch, and reads the log where it finds one.
    first_seq, state, time, *epochs = first_line.split(" ")
    committed = float(time) or None
    epoch = epochs[0] if epochs else None
    last = len(texts) - 1 if state == _COMPLETE else len(texts)
    return tuple(
        record(seq, text, last=index == last, committed=committed, epoch=epoch)
        for index, (seq, text) in enumerate(enumerate(texts, int(first_seq)))
    )


class Outbox:
    """Keeps what is to be published, in order, and sends it.

    Args:
        what: what the records are, `events` or `output`; part of the channels' names.
    """

    def __init__(self, redis: Redis, what: str = "events") -> None:
        self._redis = redis
        self._channels = f"{namespace(redis)}{what}:"
        self._records: dict[int, list[Record]] = {}
        self._heads: dict[int, int] = {}
        self._bytes = 0
        self._filled = asyncio.Event()
        self.availability = Availability(f"{what}: read from the log meanwhile", f"{what}: published over Redis")

    def put(self, submission_id: int, records: Sequence[Record]) -> None:
        """Publish these soon, or when Redis is back."""
        if not records:
            return
        if self.availability.is_away or self._bytes > _MAX_BYTES:
            self._keep_heads()
            self._raise_head(submission_id, records)
        else:
            self._records.setdefault(submission_id, []).extend(records)
            self._bytes += sum(len(each.frame) for each in records)
        self._filled.set()

    def _keep_heads(self) -> None:
        for submission_id, records in self._records.items():
            self._raise_head(submission_id, records)
        self._records.clear()
        self._bytes = 0

    def _raise_head(self, submission_id: int, records: Iterable[Record]) -> None:
        self._heads[submission_id] = max(self._heads.get(submission_id, 0), *(each.seq for each in records))

    async def run(self) -> None:
        """Send until cancelled, and then briefly try to send what is left."""
        try:
            while True:
                await self._filled.wait()
                await self._send()
                if self.availability.is_away:
                    await asyncio.sleep(_RETRY_DELAY_S)
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_TIMEOUT_S):
                    await self._send()

    async def _send(self) -> None:
        """Send everything once. If that fails, keep the heads."""
        self._filled.clear()
        heads, self._heads = self._heads, {}
        records, self._records, self._bytes = self._records, {}, 0
        if not heads and not records:
            return
        try:
            await self._publish(heads, records)
        except BaseException as error:
            self._put_back(heads, records)
            if not isinstance(error, Exception):
                raise
            self.availability.set_away(error)
        else:
            self.availability.set_up()

    async def _publish(self, heads: Mapping[int, int], records: Mapping[int, Sequence[Record]]) -> None:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for submission_id, head in heads.items():
                pipeline.publish(f"{self._channels}{submission_id}", encode_head(head))
            for submission_id, batch in records.items():
                for message in encode(batch):
                    pipeline.publish(f"{self._channels}{submission_id}", message)
            await pipeline.execute()

    def _put_back(self, heads: Mapping[int, int], records: Mapping[int, Sequence[Record]]) -> None:
        self._keep_heads()
        for submission_id, head in heads.items():
            self._heads[submission_id] = max(head, self._heads.get(submission_id, 0))
        for submission_id, batch in records.items():
            self._raise_head(submission_id, batch)
        self._filled.set()
