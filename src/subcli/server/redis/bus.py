"""The bus between processes: Redis Pub/Sub in front of each process's own fan-out.

Pub/Sub guarantees nothing: what is published while a connection is cut is lost silently. So a subscription counts only
from its confirmation on, and every confirmation, the first and the one after each reconnect, makes the submission
*suspect*: its position is compared with the log (`Journal.compare_positions`), and readers that are behind continue
from the log. While Redis does not answer, every watched submission is suspect about once a second. Nothing here waits
for Redis, and reconnecting is automatic.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import ConnectionError as RedisConnectionError

from subcli.server.log.bus import MemoryBus, Subscription
from subcli.server.log.records import LogEnd, Record
from subcli.server.observe.tasks import end
from subcli.server.redis.availability import Availability
from subcli.server.redis.connection import listening, namespace
from subcli.server.redis.outbox import Outbox, decode

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub

_log: Final = logging.getLogger(__name__)
COMPARE_WHILE_AWAY_S: Final = 0.75
"""Between comparisons while Redis is away: a reader waits less than 2 s for an event."""
SILENCE_S: Final = 0.5
"""After so long without a message Redis is pinged; after as long again it counts as away."""
_CONNECTION_TIMEOUT_S: Final = 5.0
"""A connection on which nothing arrived for so long, in spite of pings, is closed."""
_RECONNECT_DELAY_S: Final = 0.25
_CHANNELS_PER_COMMAND: Final = 500


class RedisBus:
    """The bus of one process among several.

    Args:
        redis: for publishing; subscriptions use a separate connection to the same Redis.
        local: the bus of this process's own watchers.
        what: what it carries, `events` or `output`; part of the channels' names.
    """

    def __init__(self, redis: Redis, local: MemoryBus, what: str = "events") -> None:
        self._redis = redis
        self._local = local
        self._outbox = Outbox(redis, what)
        self._channels = f"{namespace(redis)}{what}:"
        self.availability = Availability(f"{what}: read from the log meanwhile", f"{what}: coming over Redis")
        self._compared_at = 0.0
        self._suspects: set[int] = set()
        # There are suspects, or Redis went away or came back.
        self._suspects_changed = asyncio.Event()
        # Submissions that got their first watcher, or lost their last.
        self._changed: set[int] = set()
        self._watchers_changed = asyncio.Event()

    def publish(self, submission_id: int, records: Sequence[Record]) -> None:
        self._local.publish(submission_id, records)
        self._outbox.put(submission_id, records)

    def hint(self, submission_id: int, head: int) -> None:
        self._local.hint(submission_id, head)

    def head(self, submission_id: int) -> int:
        return self._local.head(submission_id)

    def compare(self, submission_id: int, least: int, end: LogEnd) -> None:
        self._local.compare(submission_id, least, end)

    def watched(self) -> list[int]:
        return self._local.watched()

    @contextmanager
    def subscribe(self, submission_id: int) -> Iterator[Subscription]:
        try:
            with self._local.subscribe(submission_id) as subscription:
                self._note_watchers(submission_id)
                yield subscription
        finally:
            self._note_watchers(submission_id)

    def _note_watchers(self, submission_id: int) -> None:
        self._changed.add(submission_id)
        self._watchers_changed.set()

    async def suspects(self, idle_s: float) -> list[int]:
        clock = asyncio.get_running_loop().time
        while True:
            due = self._compared_at + (idle_s if self.availability.is_up else COMPARE_WHILE_AWAY_S)
            if clock() >= due:
                self._compared_at = clock()
                self._suspects.clear()
                return self.watched()
            if self._suspects:
                suspects, self._suspects = self._suspects, set()
                return list(suspects)
            self._suspects_changed.clear()
            try:
                async with asyncio.timeout_at(due):
                    await self._suspects_changed.wait()
            except TimeoutError:
                continue

    async def run(self) -> None:
        """Publish and listen until cancelled, whether Redis is there or not."""
        await _first_to_end(self._outbox.run(), self._listen())

    async def _listen(self) -> None:
        listener = listening(self._redis)
        try:
            while True:
                try:
                    async with listener.pubsub() as pubsub:
                        await self._listen_once(pubsub)
                except Exception as error:
                    self._set_away(error)
                await asyncio.sleep(_RECONNECT_DELAY_S)
        finally:
            await listener.aclose()

    async def _listen_once(self, pubsub: PubSub) -> None:
        """Receive until the connection is lost. Raises the reason."""
        # This connects. A Pub/Sub connection without any subscription could not be pinged.
        await pubsub.subscribe(self._channels)
        await _first_to_end(self._keep_subscribed(pubsub), self._receive(pubsub))

    async def _keep_subscribed(self, pubsub: PubSub) -> None:
        """Subscribe to what is watched, and to nothing else."""
        self._changed.update(self._local.watched())
        subscribed: set[int] = set()
        while True:
            self._watchers_changed.clear()
            changed, self._changed = self._changed, set()
            watched = {each for each in changed if self._local.is_watched(each)}
            # One that was left and is watched again stays subscribed: its new watcher reads the log first.
            for method, ids in (
                (pubsub.unsubscribe, sorted((changed - watched) & subscribed)),
                (pubsub.subscribe, sorted(watched - subscribed)),
            ):
                for start in range(0, len(ids), _CHANNELS_PER_COMMAND):
                    await method(*(f"{self._channels}{each}" for each in ids[start : start + _CHANNELS_PER_COMMAND]))
            subscribed = (subscribed - changed) | watched
            await self._watchers_changed.wait()

    async def _receive(self, pubsub: PubSub) -> None:
        clock = asyncio.get_running_loop().time
        last_heard = clock()
        while True:
            message = await pubsub.get_message(timeout=SILENCE_S)
            if message is not None:
                last_heard = clock()
                if self.availability.set_up():
                    self._suspects_changed.set()
                self._handle(message)
                continue
            silence_s = clock() - last_heard
            if silence_s > _CONNECTION_TIMEOUT_S:
                raise RedisConnectionError("no answer to a ping")
            if silence_s > 2 * SILENCE_S:
                self._set_away("no answer to a ping")
            await pubsub.ping()

    def _handle(self, message: dict[str, Any]) -> None:
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
            content = decode(message["data"])
        except ValueError:
            _log.warning("submission %s: a message could not be decoded; reading the log instead", submission_id)
            self._suspect(submission_id)
            return
        if isinstance(content, int):
            self._local.hint(submission_id, content)
        else:
            self._local.publish(submission_id, content)

    def _suspect(self, submission_id: int) -> None:
        self._suspects.add(submission_id)
        self._suspects_changed.set()

    def _set_away(self, reason: object) -> None:
        if self.availability.set_away(reason):
            self._suspects_changed.set()


async def _first_to_end(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run these until one of them ends, or the caller is cancelled; then end the others. Raises what it raised."""
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(*tasks)
    done.pop().result()
