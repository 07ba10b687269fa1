"""Schedules the hashing of passwords: a few at a time, with a bounded queue, fair between networks.

Hashing is slow on purpose, so a few clients could keep it busy. Each network has its own queue, and the networks are
served in turn: a crowd at one address delays everybody else by only one hash. When there is no more room, the longest
queue loses its latest entry. While this process judges, hashing takes at most a third of a processor: users who wait
for a verdict have already logged in.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from subcli.server.edge.turns import TIMES_AS_LONG

_T = TypeVar("_T")
_MAX_RETRY_AFTER_S: Final = 60


class BusyError(Exception):
    """Too many logins wait. `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


class HashingTurns:
    """Grants turns, and runs functions that hash.

    Args:
        threads: how many turns there are at a time. Each hash takes one processor and the memory of `PasswordCost`.
        places: how many may wait.
        is_judging: whether there is a judge to leave the processor to.
    """

    def __init__(self, threads: int, places: int, is_judging: Callable[[], bool] = lambda: False) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._threads = threads
        self._free = threads
        self._places = places
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._is_judging = is_judging
        self._rest_s = 0.0
        self._hash_s = 0.1

    def close(self) -> None:
        """Wait for running hashes, then stop the threads."""
        self._executor.shutdown()

    @property
    def length(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiting.values()))

    @property
    def _stretch(self) -> float:
        """How many times as long as a hash a turn takes, with the rest after it."""
        return TIMES_AS_LONG * self._threads if self._is_judging() else 1.0

    @asynccontextmanager
    async def turn(self, network: str) -> AsyncIterator[None]:
        """Wait for a turn, and hold it while the context is open.

        Raises:
            BusyError: too many wait already.
        """
        await self._wait(network)
        try:
            yield
        finally:
            rest_s, self._rest_s = self._rest_s, 0.0
            if rest_s:
                asyncio.get_running_loop().call_later(rest_s, self._pass_on)
            else:
                self._pass_on()

    async def run(self, function: Callable[..., _T], *arguments: object) -> _T:
        """Call a function that hashes, in a thread. Only call this in your turn."""
        started = time.monotonic()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)
        finally:
            took_s = time.monotonic() - started
            self._rest_s += took_s * (self._stretch - 1)
            self._hash_s += (took_s - self._hash_s) / 8

    async def _wait(self, network: str) -> None:
        if self._free:
            self._free -= 1
            return
        if self.length >= self._places:
            self._make_room(network)
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(network, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled() and place.exception() is None:
                self._pass_on()
            else:
                self._leave(network, place)
            raise

    def _make_room(self, network: str) -> None:
        longest = max(self._waiting, key=lambda each: len(self._waiting[each]), default=network)
        own = len(self._waiting.get(network, ()))
        wait_s = self.length * self._hash_s * self._stretch / self._threads
        busy = BusyError(min(_MAX_RETRY_AFTER_S, math.ceil(wait_s) or 1))
        if longest not in self._waiting or len(self._waiting[longest]) <= own + 1:
            raise busy
        place = self._waiting[longest][-1]
        self._leave(longest, place)
        place.set_exception(busy)

    def _leave(self, network: str, place: asyncio.Future[None]) -> None:
        queue = self._waiting.get(network)
        if queue is not None and place in queue:
            queue.remove(place)
            if not queue:
                del self._waiting[network]

    def _pass_on(self) -> None:
        """Give the turn to the first of the next network, which then goes to the end."""
        while self._waiting:
            network, queue = next(iter(self._waiting.items()))
            place = queue.popleft()
            if queue:
                self._waiting.move_to_end(network)
            else:
                del self._waiting[network]
            if not place.done():
                place.set_result(None)
                return
        self._free += 1
