"""Answers that may be a little old, so that many who ask cost no more than one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Fresh(Generic[T]):
    """Asks once, however many want to know, and again when the answer is too old.

    Args:
        ask: finds the answer. If it raises, those who wait for it get the exception, and the next one asks again.
        fresh_s: how old an answer may be.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]], fresh_s: float) -> None:
        self._ask = ask
        self._fresh_s = fresh_s
        self._asking: asyncio.Task[T] | None = None
        self._asked_at = 0.0

    async def get(self) -> T:
        """Return the answer."""
        if self._asking is None or (self._asking.done() and self._is_old(self._asking)):
            self._asking = asyncio.create_task(self._ask_now())
        return await asyncio.shield(self._asking)

    def _is_old(self, asked: asyncio.Task[T]) -> bool:
        failed = asked.cancelled() or asked.exception() is not None
        return failed or time.monotonic() - self._asked_at >= self._fresh_s

    async def _ask_now(self) -> T:
        answer = await self._ask()
        self._asked_at = time.monotonic()
        return answer
