"""What the trial tells on stderr while it runs, and what ends it if nothing happens any more."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Final

_TELL_S: Final = 10.0
_LOOK_S: Final = 0.25
_STALLED_S: Final = 300.0


class StalledError(Exception):
    """Nothing has happened for minutes. Says what the trial was waiting for."""


class Progress:
    """Tells how far the trial is.

    Attributes:
        took: how long each finished part took, in seconds.

    Args:
        state: what to tell.
        work: what changes as long as something is done.
    """

    def __init__(self, state: Callable[[], str], work: Callable[[], object]) -> None:
        self.took: list[tuple[str, float]] = []
        self._state = state
        self._work = work
        self._began = self._part_began = time.monotonic()
        self._part = "start"
        self._left = ""

    def begin(self, part: str) -> None:
        """Go on to another part."""
        now = time.monotonic()
        self.took.append((self._part, now - self._part_began))
        self._part, self._part_began = part, now
        self._say()

    def end(self) -> None:
        """Note how long the last part took."""
        self.begin("end")

    async def tell(self) -> None:
        """Tell every few seconds.

        Raises:
            StalledError: nothing has changed for minutes.
        """
        seen: object = None
        since = time.monotonic()
        while True:
            await asyncio.sleep(_TELL_S)
            self._say()
            done = (self._part, self._left, self._work())
            if done != seen:
                seen, since = done, time.monotonic()
            elif time.monotonic() - since > _STALLED_S:
                raise StalledError(f"nothing has been done for {_STALLED_S:.0f} s: {self._line()}")

    async def until_none(self, what: str, left: Callable[[], int]) -> None:
        """Wait until nothing is left.

        Args:
            what: is left.
            left: how much; it may block.
        """
        while count := await asyncio.to_thread(left):
            self._left = f"; {count:,} {what}"
            await asyncio.sleep(_LOOK_S)
        self._left = ""

    def _line(self) -> str:
        return f"{self._part}: {self._state()}{self._left}"

    def _say(self) -> None:
        print(f"{time.monotonic() - self._began:6.0f} s  {self._line()}", file=sys.stderr, flush=True)
