"""The bus between processes: Redis Pub/Sub in front of each process's own fan-out.

Pub/Sub promises nothing: what is published while a connection is cut is gone, and nobody is told. So a
subscription is good only from its confirmation on, and every confirmation, the first and those after each
reconnect, makes the submission *suspect*: its position is compared with the log (`Journal.compare_positions`), and
whoever is behind reads the log from there. While Redis is away, or does not answer, every watched submission is
suspect about once a second. Nothing here waits for Redis, and nobody has to reconnect by hand.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import ConnectionError as RedisConnectionError

from subcli.server.log.bus import MemoryBus, Subscription
from subcli.server.log.records import Record
from subcli.server.observe.tasks import end
from subcli.server.redis.connection import listening, namespace
from subcli.server.redis.outbox import Outbox, decode

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub

_log: Final = logging.getLogger(__name__)
_POLL: Final = 0.75
"""Seconds between comparisons while Redis is away: a reader waits for an event less than 2 s."""
_SILENCE: Final = 0.5
"""After so many seconds without a message Redis is asked whether it is there; after as many more it is not."""
_PATIENCE: Final = 5.0
"""A connection on which nothing came for so long, though asked, is given up."""
_RECONNECT: Final = 0.25
_AT_ONCE: Final = 500
"""Channels in one command."""


class RedisBus:
    """The bus of one process among several.

    Args:
        redis: for publishing; listening takes a connection of its own to the same Redis.
        local: this process's own watchers.
    """

    def __init__(self, redis: Redis, local: MemoryBus) -> None:
        self._redis = redis
        self._local = local
        self._outbox = Outbox(redis)
        self._channels = f"{namespace(redis)}events:"
        self._is_live: bool | None = None
        self._compared = 0.0
        self._suspects: set[int] = set()
        # Something about suspects or liveness has changed.
        self._stirred = asyncio.Event()
        # Submissions that got their first watcher, or lost their last.
        self._changed: set[int] = set()
        self._changing = asyncio.Event()

    def publish(self, submission_id: int, records: Sequence[Record]) -> None:
        self._local.publish(submission_id, records)
        self._outbox.put(submission_id, records)

    def hint(self, submission_id: int, head: int) -> None:
        self._local.hint(submission_id, head)

    def watched(self) -> list[int]:
        return self._local.watched()

    @contextmanager
    def subscribe(self, submission_id: int) -> Iterator[Subscription]:
        try:
            with self._local.subscribe(submission_id) as subscription:
                self._change(submission_id)
                yield subscription
        finally:
            self._change(submission_id)

    def _change(self, submission_id: int) -> None:
        self._changed.add(submission_id)
        self._changing.set()

    async def suspects(self, idle: float) -> list[int]:
        clock = asyncio.get_running_loop().time
        while True:
            due = self._compared + (idle if self._is_live else _POLL)
            if clock() >= due:
                self._compared = clock()
                self._suspects.clear()
                return self.watched()
            if self._suspects:
                suspects, self._suspects = self._suspects, set()
                return list(suspects)
            self._stirred.clear()
            try:
                async with asyncio.timeout_at(due):
                    await self._stirred.wait()
            except TimeoutError:
                continue

    async def run(self) -> None:
        """Send and listen until cancelled, whatever becomes of Redis."""
        await _first_to_end(self._outbox.run(), self._listen())

    async def _listen(self) -> None:
        listener = listening(self._redis)
        try:
            while True:
                try:
                    async with listener.pubsub() as pubsub:
                        await self._hear(pubsub)
                except Exception as error:
                    self._set_live(False, error)
                await asyncio.sleep(_RECONNECT)
        finally:
            await listener.aclose()

    async def _hear(self, pubsub: PubSub) -> None:
        """Receive until the connection is lost. Raises why."""
        # Connects, and a connection with no subscription at all could not be asked anything.
        await pubsub.subscribe(self._channels)
        await _first_to_end(self._keep_subscribed(pubsub), self._receive(pubsub))

    async def _keep_subscribed(self, pubsub: PubSub) -> None:
        """Have Redis send what is watched, and nothing else."""
        self._changed.update(self._local.watched())
        subscribed: set[int] = set()
        while True:
            self._changing.clear()
            changed, self._changed = self._changed, set()
            watched = {each for each in changed if self._local.is_watched(each)}
            # Left and taken up again: what came in between was for nobody, and is in the log.
            for method, ids in (
                (pubsub.unsubscribe, sorted((changed - watched) & subscribed)),
                (pubsub.subscribe, sorted(watched - subscribed)),
            ):
                for start in range(0, len(ids), _AT_ONCE):
                    await method(*(f"{self._channels}{each}" for each in ids[start : start + _AT_ONCE]))
            subscribed = (subscribed - changed) | watched
            await self._changing.wait()

    async def _receive(self, pubsub: PubSub) -> None:
        clock = asyncio.get_running_loop().time
        heard = clock()
        while True:
            message = await pubsub.get_message(timeout=_SILENCE)
            if message is not None:
                heard = clock()
                self._set_live(True)
                self._take(message)
                continue
            silence = clock() - heard
            if silence > _PATIENCE:
                raise RedisConnectionError("no answer to a ping")
            if silence > 2 * _SILENCE:
                self._set_live(False, "no answer to a ping")
            await pubsub.ping()

    def _take(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind not in ("message", "subscribe"):
            return
        channel = message["channel"].decode()
        if channel == self._channels:
            return
        submission_id = int(channel.removeprefix(self._channels))
        if kind == "subscribe":
            self._suspect(submission_id)
            return
        try:
            said = decode(message["data"])
        except ValueError:
            _log.warning("a message of submission %s could not be read; its log is", submission_id)
            self._suspect(submission_id)
            return
        if isinstance(said, int):
            self._local.hint(submission_id, said)
        else:
            self._local.publish(submission_id, said)

    def _suspect(self, submission_id: int) -> None:
        self._suspects.add(submission_id)
        self._stirred.set()

    def _set_live(self, is_live: bool, why: object = None) -> None:
        before, self._is_live = self._is_live, is_live
        if is_live == before:
            return
        self._stirred.set()
        if not is_live:
            _log.warning("Redis does not answer, events are read from the log: %r", why)
        elif before is False:
            _log.warning("events come over Redis again")


async def _first_to_end(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run these until one of them ends, or we are cancelled; then end the others. Raises what it raised."""
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(*tasks)
    done.pop().result()
