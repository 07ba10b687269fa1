"""Group commit: what several submissions append at the same moment is committed in one transaction.

One transaction is under way at a time. What arrives meanwhile waits and goes into the next one together. A few
transactions may follow each other at once; further ones keep a distance of milliseconds. So on a quiet server every
event is committed at once, and on a busy one the cost of a transaction, most of which is handing it to a thread and
back, is shared.
(DeWitt et al., "Implementation Techniques for Main Memory Database Systems", 1984, section 5.)
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.exc import InterfaceError, OperationalError

from subcli.server.log.appending import Records
from subcli.server.log.bus import Bus, MemoryBus
from subcli.server.log.records import Append, OutputRecord
from subcli.server.log.store import Store

_log: Final = logging.getLogger(__name__)
_GROUP_SIZE: Final = 100
"""Submissions in one transaction."""
_DISTANCE_S: Final = 0.005
"""Between the beginnings of two transactions,"""
_AT_ONCE: Final = 4
"""unless there were fewer than that many in as many distances."""


@dataclass(frozen=True, slots=True, eq=False)
class _Pending:
    """An append that has not been committed yet. Its caller waits for `answer`, or was cancelled and it is done."""

    wanted: Append
    answer: asyncio.Future[Records]

    def resolve(self, records: Records) -> None:
        if not self.answer.done():
            self.answer.set_result(records)

    def refuse(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class GroupCommit:
    """Appends to a store, several submissions in one transaction, and publishes what it has committed.

    It publishes itself, because the caller of an append may be cancelled while the transaction is under way; the
    watchers get the events all the same.

    Args:
        bus: for events.
        output_bus: for output.
    """

    def __init__(self, store: Store, bus: Bus, output_bus: Bus | None = None) -> None:
        self._store = store
        self._bus = bus
        self._output_bus = output_bus or MemoryBus()
        self._pending: list[_Pending] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_committing = False
        self._paced_until = 0.0

    async def append(self, wanted: Append) -> Records:
        """Commit events together with what else is pending, and publish them.

        Events whose caller is cancelled before their transaction has begun are not written.

        Raises what `Store.append` does.
        """
        answer: asyncio.Future[Records] = asyncio.get_running_loop().create_future()
        self._pending.append(_Pending(wanted, answer))
        if not self._is_committing:
            self._is_committing = True
            self._start(self._commit_all())
        return await answer

    async def _commit_all(self) -> None:
        try:
            while self._pending:
                await self._keep_distance()
                if group := self._next_group():
                    await self._commit(group)
        finally:
            self._is_committing = False

    async def _keep_distance(self) -> None:
        """Wait until the next transaction may begin: the algorithm of `subcli.server.limits`, with one key."""
        now = asyncio.get_running_loop().time()
        self._paced_until = max(now, self._paced_until) + _DISTANCE_S
        early_s = self._paced_until - now - _AT_ONCE * _DISTANCE_S
        if early_s > 0:
            await asyncio.sleep(early_s)

    def _next_group(self) -> list[_Pending]:
        """Take the first append of each submission; the others wait for the next transaction."""
        group: dict[int, _Pending] = {}
        later = []
        for each in self._pending:
            if each.answer.done():
                continue
            if each.wanted.submission_id in group or len(group) == _GROUP_SIZE:
                later.append(each)
            else:
                group[each.wanted.submission_id] = each
        self._pending = later
        return list(group.values())

    async def _commit(self, group: Sequence[_Pending]) -> None:
        try:
            outcomes = await self._store.run(self._store.append_all, [each.wanted for each in group])
        except (OperationalError, InterfaceError) as unavailable:
            # The database is away. Trying each append alone would only add their timeouts up.
            for each in group:
                each.refuse(unavailable)
            return
        except Exception:
            # The database rejects one of them; find out which one.
            outcomes = [None for _ in group]
        for each, outcome in zip(group, outcomes, strict=True):
            match outcome:
                case None:
                    self._start(self._commit_alone(each))
                case Exception():
                    each.refuse(outcome)
                case _:
                    self._publish(each, outcome)

    async def _commit_alone(self, each: _Pending) -> None:
        """Commit beside the groups: this append may have to wait for a lock."""
        try:
            records = await self._store.run(self._store.append, each.wanted)
        except Exception as error:
            each.refuse(error)
        else:
            self._publish(each, records)

    def _publish(self, each: _Pending, records: Records) -> None:
        output = [record for record in records if isinstance(record, OutputRecord)]
        events = [record for record in records if not isinstance(record, OutputRecord)] if output else records
        try:
            if output:
                self._output_bus.publish(each.wanted.submission_id, output)
            if events:
                self._bus.publish(each.wanted.submission_id, events)
        except Exception:
            # They are committed: refusing them now would have them appended twice. Watchers read them from the log.
            _log.exception("submission %s: events were committed but not published", each.wanted.submission_id)
        each.resolve(records)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
