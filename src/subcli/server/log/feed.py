"""Following a submission: every event after a position, once, in order, to the end.

A reader subscribes, *then* reads the log, *then* follows; so what is committed between the two is in one of
them. It keeps nothing but its position, and takes from the bus only what joins on to it. A hole, a tail that
has moved on, a bus that lost messages: all the same, the log is read. What a bus loses at the end of a
stream, where no later message shows the hole, is found by comparing positions from time to time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Final

from subcli.server.log.bus import Bus, Subscription
from subcli.server.log.commits import GroupCommit
from subcli.server.log.records import Append, EventPage, Record
from subcli.server.log.store import Store

_log: Final = logging.getLogger(__name__)
_PAGE: Final = 500
_LOG_AWAY: Final = 0.5
"""Seconds before positions are asked for again."""
_LOG_BEHIND: Final = 0.05
"""Seconds to wait before a log that has less than the bus said is read again."""


class Journal:
    """A store and its bus: what is appended is committed first and told second.

    Args:
        compare: seconds between comparisons of a watched stream's position with the log.
    """

    def __init__(self, store: Store, bus: Bus, compare: float = 30.0) -> None:
        self._store = store
        self._bus = bus
        self._compare = compare
        self._commits = GroupCommit(store, self._publish)

    async def append(self, wanted: Append) -> tuple[Record, ...]:
        """Commit events, together with those that others append now, and tell the watchers.

        Raises what `Store.append` does.
        """
        return await self._commits.append(wanted)

    async def cancel(self, submission_id: int, owner_id: int) -> tuple[Record, ...]:
        """Commit the verdict `cancelled` and tell the watchers. Raises what `Store.cancel` raises."""
        return self._publish(submission_id, await self._store.run(self._store.cancel, submission_id, owner_id))

    async def update_queue_positions(self, most: int) -> None:
        """Tell the first `most` of those who wait where they stand now. Raises SQLAlchemyError."""
        for submission_id, records in (await self._store.run(self._store.update_queue_positions, most)).items():
            self._publish(submission_id, records)

    def _publish(self, submission_id: int, committed: Sequence[Record]) -> tuple[Record, ...]:
        now = time.time()
        records = tuple(replace(record, committed=now) for record in committed)
        self._bus.publish(submission_id, records)
        return records

    def subscribe(self, submission_id: int) -> AbstractContextManager[Subscription]:
        """What the bus knows of a submission's log, for one who writes it and wants to know who else does."""
        return self._bus.subscribe(submission_id)

    def follow(self, submission_id: int, after: int) -> AsyncGenerator[Sequence[Record], None]:
        """The events after position `after`, in batches; ends behind `complete`.

        Raises:
            UnknownSubmissionError: no such submission.
        """

        async def read(position: int, limit: int) -> EventPage:
            return await self._store.run(self._store.page, submission_id, position, limit)

        return follow(self._bus, read, submission_id, after)

    async def compare_positions(self) -> None:
        """Tell the bus, for ever, how far the logs go of which it may have lost something."""
        while True:
            await compare_once(self._bus, await self._bus.suspects(self._compare), self._positions)

    async def _positions(self, ids: Collection[int]) -> Mapping[int, int]:
        return await self._store.run(self._store.positions, ids)


async def compare_once(
    bus: Bus, suspects: Collection[int], positions: Callable[[Collection[int]], Awaitable[Mapping[int, int]]]
) -> None:
    """Tell the bus how far the logs of these submissions go; while the log is away, wait for it."""
    is_away = False
    while suspects:
        try:
            for submission_id, head in (await positions(suspects)).items():
                bus.hint(submission_id, head)
        except Exception:
            if not is_away:
                _log.warning("positions could not be compared; trying again", exc_info=True)
            is_away = True
            await asyncio.sleep(_LOG_AWAY)
            # What is asked next is asked of all: new suspects may have come meanwhile.
            suspects = bus.watched()
        else:
            return


async def follow(
    bus: Bus,
    read: Callable[[int, int], Awaitable[EventPage]],
    submission_id: int,
    after: int,
    page: int = _PAGE,
) -> AsyncGenerator[Sequence[Record], None]:
    """The events after position `after`, in batches; ends behind `complete`.

    Args:
        bus: quick, may lose anything.
        read: the log after a position, at most so many records.
        page: how many records are read at once.
    """
    with bus.subscribe(submission_id) as subscription:
        position = after
        behind = True
        while True:
            batch = None if behind else subscription.after(position)
            if batch is None:
                read_from_log = await read(position, page)
                batch, behind = read_from_log.records, read_from_log.more
                over = read_from_log.ended and not behind
                if not batch and not over:
                    await _wait_for_log(subscription.after(position) is None)
            else:
                over = bool(batch) and batch[-1].last
                if not batch:
                    await subscription.changed(position)
            if batch:
                position = batch[-1].seq
                yield batch
            if over:
                return


async def _wait_for_log(bus_is_ahead: bool) -> None:
    # A copy of the log may lag behind the bus; reading it without a pause would be a busy loop.
    if bus_is_ahead:
        await asyncio.sleep(_LOG_BEHIND)
