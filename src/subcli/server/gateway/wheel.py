"""One timer for all watchers, instead of several for each: heartbeats, silence and expiry are looked at in passing."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

_TICK_S: Final = 0.25
"""How late something may be looked at."""


class Timed(Protocol):
    """What is to be looked at.

    Attributes:
        tick: when, as the wheel counts; the wheel's own.
    """

    tick: int

    def look(self, now: float) -> float:
        """Do what is due at `now`. Returns when to look again. Both are times of the event loop, in seconds."""


class Wheel:
    """Looks at each of its entries when it is due, or a tick later."""

    def __init__(self) -> None:
        self._due: dict[int, set[Timed]] = {}
        self._tick = 0
        self._is_turning = False

    def add(self, entry: Timed, at: float) -> None:
        """Look at `entry` at this time of the event loop. It must not be in the wheel."""
        if not self._is_turning:
            self._is_turning = True
            self._tick = int(asyncio.get_running_loop().time() / _TICK_S)
            self._turn_later()
        entry.tick = max(int(at / _TICK_S), self._tick) + 1
        self._due.setdefault(entry.tick, set()).add(entry)

    def discard(self, entry: Timed) -> None:
        """Do not look at `entry` any more."""
        due = self._due.get(entry.tick)
        if due is not None:
            due.discard(entry)

    def _turn_later(self) -> None:
        asyncio.get_running_loop().call_at((self._tick + 1) * _TICK_S, self._turn)

    def _turn(self) -> None:
        now = asyncio.get_running_loop().time()
        while (self._tick + 1) * _TICK_S <= now:
            self._tick += 1
            for entry in self._due.pop(self._tick, ()):
                at = entry.look(now)
                self.add(entry, at)
        self._is_turning = bool(self._due)
        if self._is_turning:
            self._turn_later()
