"""Publishing over Redis without ever waiting for it.

One message a batch, on one channel a submission: a line with the first position and the moment of its commit, then
the events of the batch, one a line, as they lie in the log. While Redis is away nothing is kept but each submission's
*head*, the position of its latest event; it is sent when Redis is back, and whoever is behind it reads the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from subcli.server.log.records import Record, record
from subcli.server.redis.connection import namespace

if TYPE_CHECKING:
    from redis.asyncio import Redis

_log: Final = logging.getLogger(__name__)
_MOST_BYTES: Final = 8 * 1024 * 1024
"""Of events that wait to be sent; beyond, heads have to do."""
_MESSAGE_BYTES: Final = 256 * 1024
_RETRY: Final = 0.25
FLUSH_TIMEOUT_S: Final = 0.5
"""Seconds that the end may be held up by what is still to be sent."""
_COMPLETE: Final = "complete"
_LIVE: Final = "live"


def encode(records: Sequence[Record]) -> Iterator[bytes]:
    """Messages with these records; those in one message follow each other, for it says only where the first belongs."""
    start = size = 0
    for number, each in enumerate(records):
        # Two commits of one process may be told the later one first.
        follows = number == start or each.seq == records[number - 1].seq + 1
        if size and (size + len(each.frame) > _MESSAGE_BYTES or not follows):
            yield _message(records[start:number])
            start, size = number, 0
        size += len(each.frame)
    yield _message(records[start:])


def _message(records: Sequence[Record]) -> bytes:
    head = f"{records[0].seq} {_COMPLETE if records[-1].last else _LIVE} {records[0].committed or 0.0:.6f}"
    return "\n".join([head, *(each.text for each in records)]).encode()


def encode_head(head: int) -> bytes:
    """A message that says how far the log goes."""
    return str(head).encode()


def decode(message: bytes) -> int | tuple[Record, ...]:
    """The records of a message, or the head that it says.

    Raises:
        ValueError: it is none of ours.
    """
    first_line, *texts = message.decode().split("\n")
    if not texts:
        return int(first_line)
    number, state, moment = first_line.split(" ")
    committed = float(moment) or None
    last = len(texts) - 1 if state == _COMPLETE else len(texts)
    return tuple(
        record(seq, text, last=place == last, committed=committed)
        for place, (seq, text) in enumerate(enumerate(texts, int(number)))
    )


class Outbox:
    """What is to be published, in order, and who sends it."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._channels = f"{namespace(redis)}events:"
        self._records: dict[int, list[Record]] = {}
        self._heads: dict[int, int] = {}
        self._bytes = 0
        self._filled = asyncio.Event()
        self._is_away = False

    def put(self, submission_id: int, records: Sequence[Record]) -> None:
        """Send these soon, if Redis is there."""
        if not records:
            return
        if self._is_away or self._bytes > _MOST_BYTES:
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
        """Send until cancelled; then what is still there, for a moment."""
        try:
            while True:
                await self._filled.wait()
                await self._send()
                if self._is_away:
                    await asyncio.sleep(_RETRY)
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_TIMEOUT_S):
                    await self._send()

    async def _send(self) -> None:
        """One round. What fails leaves its heads behind."""
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
            if not self._is_away:
                _log.warning("Redis does not take what is published, the log has it: %r", error)
            self._is_away = True
        else:
            if self._is_away:
                _log.warning("Redis takes what is published again")
            self._is_away = False

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
