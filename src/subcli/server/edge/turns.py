"""Whose request is next, and how much of the processor all requests together leave to the judge.

Whatever arrives on a connection is parsed in turn, one request or one read of at most 16 KiB at a time, and what sends
it waits without costing anything. So 200 clients that ask without a pause, or 500 requests in one packet, delay the
others by a turn and not by all of theirs. Start-time fair queueing (Goyal, Vin and Cheng, 1996) decides the order: each
client (a user or a network, `edge.clients`) has a virtual time that its turns move on, by what they cost. Who has asked
for little is first. A known client that was quiet meanwhile may be some turns behind the virtual time of all, so it is
served before those that ask without end. A new one begins a little later than it: otherwise that time would stand still
where every request comes from a new client, and the known ones would never be next.

A user who has logged in is one client, at however many addresses, and has a larger share than a stranger. One who
submits and watches would otherwise wait as long as each of 200 strangers who ask as often.

While this process judges, requests get a third of a processor: after some milliseconds of work they rest until three
times as much time has passed. A judge's processes give way to others (`judge/process/confine.py`), so they would wait
for a flood to end.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable, Hashable
from contextvars import copy_context
from dataclasses import dataclass
from typing import Final

TIMES_AS_LONG: Final = 3.0
"""While this process judges, what it does besides takes so many times as long as on one processor, rests included."""
_SLICE_S: Final = 0.003
"""Processor time that may be used at once. There is more when it has taken `TIMES_AS_LONG`,"""
_LONGEST_S: Final = 0.05
"""unless it is other work that takes the processor, such as sending events to many."""
_USUAL_TURN_S: Final = 0.001
_CREDIT: Final = 10.0
"""How many usual turns a quiet stranger may be behind the others,"""
_NEWCOMER: Final = 0.5
"""and how much of one a new stranger begins after them."""
_USERS_CREDIT: Final = 20.0
"""How far a user may be behind: before strangers who come back all at once, too."""
_USERS_SHARE: Final = 10.0
"""How many turns a user gets while a stranger gets one."""
_MANY_CLIENTS: Final = 4096
"""More are remembered only if that many have had turns lately."""


@dataclass(frozen=True, slots=True)
class User:
    """A client that has logged in."""

    key: str


class Turns:
    """The queue of all connections of a process.

    Args:
        is_judging: whether there is a judge to leave the processor to.
    """

    def __init__(self, is_judging: Callable[[], bool]) -> None:
        self._is_judging = is_judging
        self._waiting: list[tuple[float, int, Hashable, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._now = 0.0
        """The virtual time of all, in usual turns: when the latest turn was to begin."""
        self._next: dict[Hashable, float] = {}
        """The virtual time from which each client can have another turn."""
        self._remembered_clients = _MANY_CLIENTS
        self._is_serving = False
        self._served: Hashable | None = None
        self._turn_began_s = 0.0
        self._context = copy_context()
        self._begin_slice()

    def ask(self, client: Hashable, begin: Callable[[], None]) -> None:
        """Call `begin` when it is this client's turn; it must see for itself whether that is too late."""
        if isinstance(client, User):
            # Nobody can become a new user for each request.
            first = most_behind = self._now - _USERS_CREDIT
        else:
            first, most_behind = self._now + _NEWCOMER, self._now - _CREDIT
        start = max(most_behind, self._next.get(client, first))
        self._next[client] = start + 1 / _share(client)
        heapq.heappush(self._waiting, (start, next(self._numbers), client, begin))
        if not self._is_serving:
            self._is_serving = True
            # Not in the context of the request that happens to be the first.
            asyncio.get_running_loop().call_soon(self._serve, context=self._context)

    def _serve(self) -> None:
        """Give one turn, or rest. What is ready, and what this turn begins, comes before the next one."""
        self._charge()
        loop = asyncio.get_running_loop()
        if not self._waiting:
            self._is_serving = False
        elif (rest_s := self._owed_s()) > 0:
            loop.call_later(rest_s, self._serve)
        else:
            start, _, self._served, begin = heapq.heappop(self._waiting)
            self._now = max(self._now, start)
            self._turn_began_s = time.thread_time()
            try:
                begin()
            finally:
                loop.call_soon(self._serve)

    def _charge(self) -> None:
        """Count what the latest turn has cost, up to where it had to wait for something.

        If the client has asked for another one meanwhile, that delays the one after it.
        """
        if self._served is None:
            return
        took_s = time.thread_time() - self._turn_began_s
        self._own_s += took_s
        self._next[self._served] += took_s / _USUAL_TURN_S / _share(self._served)
        self._served = None
        if len(self._next) > self._remembered_clients:
            oldest = self._now - _USERS_CREDIT
            self._next = {client: at for client, at in self._next.items() if at > oldest}
            self._remembered_clients = max(_MANY_CLIENTS, 2 * len(self._next))

    def _owed_s(self) -> float:
        """For how long the processor is the judge's. Begins a new slice if it is not."""
        used_s = time.process_time() - self._used_before_s
        if used_s < _SLICE_S:
            return 0.0
        if self._is_judging():
            longest_s = max(_LONGEST_S, TIMES_AS_LONG * self._own_s)
            owed_s = min(TIMES_AS_LONG * used_s, longest_s) - (time.monotonic() - self._began)
            if owed_s > 0:
                return owed_s
        self._begin_slice()
        return 0.0

    def _begin_slice(self) -> None:
        self._began, self._used_before_s, self._own_s = time.monotonic(), time.process_time(), 0.0


def _share(client: Hashable) -> float:
    return _USERS_SHARE if isinstance(client, User) else 1.0
