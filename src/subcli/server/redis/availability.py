"""Whether Redis answers, as one of its users has last seen it."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

_log: Final = logging.getLogger(__name__)


class Availability:
    """Remembers whether Redis answers, and logs each change once.

    Nothing is known at first: then Redis is neither up nor away, and finding it up is not logged.

    Args:
        when_away: what is logged, with the error, when Redis stops answering.
        when_back: what is logged when it answers again.
    """

    def __init__(self, when_away: str, when_back: str) -> None:
        self._when_away = when_away
        self._when_back = when_back
        self._is_up = False
        self._away = asyncio.Event()

    @property
    def is_up(self) -> bool:
        """Whether Redis answered the last time."""
        return self._is_up

    @property
    def is_away(self) -> bool:
        """Whether Redis failed to answer the last time."""
        return self._away.is_set()

    def set_up(self) -> bool:
        """Redis has answered. Returns whether that is news."""
        is_news = not self._is_up
        if self.is_away:
            _log.warning("Redis answers again: %s", self._when_back)
        self._is_up = True
        self._away.clear()
        return is_news

    def set_away(self, reason: object) -> bool:
        """Redis has not answered, for this reason. Returns whether that is news."""
        is_news = not self.is_away
        if is_news:
            _log.warning("Redis does not answer (%r): %s", reason, self._when_away)
        self._is_up = False
        self._away.set()
        return is_news

    async def wait_until_away(self) -> None:
        """Return as soon as Redis is away."""
        await self._away.wait()
