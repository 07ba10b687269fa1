"""Group commit: what several submissions append at the same moment is committed in one transaction.

One transaction is under way at a time; what comes meanwhile waits and goes into the next one together. So where little
happens every event is committed at once, and where much happens the price of a transaction is shared: the busier, the
cheaper. (DeWitt et al., "Implementation Techniques for Main Memory Database Systems", 1984, section 5.)
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy.exc import InterfaceError, OperationalError

from subcli.server.log.records import Append, Record
from subcli.server.log.store import Store

Records: TypeAlias = tuple[Record, ...]

_log: Final = logging.getLogger(__name__)
_TOGETHER: Final = 100
"""Submissions in one transaction."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    wanted: Append
    answer: asyncio.Future[Records]


class GroupCommit:
    """Appends to a store, many at once.

    Args:
        publish: told what has been committed for a submission, even if whoever appended it has gone; gives it back as
            it is to be handed on.
    """

    def __init__(self, store: Store, publish: Callable[[int, Sequence[Record]], Records]) -> None:
        self._store = store
        self._publish = publish
        self._waiting: list[_Waiting] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_committing = False

    async def append(self, wanted: Append) -> Records:
        """Commit events with whatever else is waiting. Raises what `Store.append` does."""
        answer: asyncio.Future[Records] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(wanted, answer))
        if not self._is_committing:
            self._is_committing = True
            self._start(self._commit_all())
        return await answer

    async def _commit_all(self) -> None:
        try:
            while group := self._next_group():
                await self._commit(group)
        finally:
            self._is_committing = False

    def _next_group(self) -> list[_Waiting]:
        """The first of each submission; the rest stays for the next transaction."""
        group: dict[int, _Waiting] = {}
        later = []
        for each in self._waiting:
            # Whoever appended it has been cancelled before it was begun.
            if each.answer.done():
                continue
            if each.wanted.submission_id in group or len(group) == _TOGETHER:
                later.append(each)
            else:
                group[each.wanted.submission_id] = each
        self._waiting = later
        return list(group.values())

    async def _commit(self, group: Sequence[_Waiting]) -> None:
        try:
            outcomes = await self._store.run(self._store.append_all, [each.wanted for each in group])
        except (OperationalError, InterfaceError) as away:
            for each in group:
                _refuse(each, away)
            return
        except Exception:
            # What the database will not take of one of them must not keep it from taking the others.
            outcomes = [None for _ in group]
        for each, outcome in zip(group, outcomes, strict=True):
            match outcome:
                case None:
                    self._start(self._commit_alone(each))
                case Exception():
                    _refuse(each, outcome)
                case _:
                    self._accept(each, outcome)

    async def _commit_alone(self, each: _Waiting) -> None:
        """Beside the groups: it may have to wait for whoever holds it."""
        try:
            records = await self._store.run(self._store.append, each.wanted)
        except Exception as error:
            _refuse(each, error)
        else:
            self._accept(each, records)

    def _accept(self, each: _Waiting, committed: Records) -> None:
        records = committed
        try:
            records = self._publish(each.wanted.submission_id, committed)
        except Exception:
            # Committed is committed; the watchers find it when they compare.
            _log.exception("submission %s: what was appended could not be told", each.wanted.submission_id)
        if not each.answer.done():
            each.answer.set_result(records)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _refuse(each: _Waiting, error: Exception) -> None:
    if not each.answer.done():
        each.answer.set_exception(error)
