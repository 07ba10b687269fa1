"""What asyncio's queue and event do for a connection, in a tenth of their memory: they are most of an idle one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class Inbox:
    """The ASGI messages that have arrived on a connection. One task at most waits for them.

    Attributes:
        when_filled: called whenever one arrives that nobody waits for.
    """

    __slots__ = ("_messages", "_waiting", "when_filled")

    def __init__(self) -> None:
        self.when_filled: Callable[[], object] | None = None
        self._messages: list[Any] = []
        self._waiting: asyncio.Future[None] | None = None

    def put_nowait(self, message: Any) -> None:
        """Add a message."""
        self._messages.append(message)
        if self._waiting is not None:
            _open(self._waiting)
        elif self.when_filled is not None:
            self.when_filled()

    def empty(self) -> bool:
        """Whether there is none."""
        return not self._messages

    async def get(self) -> Any:
        """Wait for the next message, and remove it."""
        while not self._messages:
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        return self._messages.pop(0)


class Room:
    """Whether there is room in a send buffer. Several tasks may wait for it."""

    __slots__ = ("_is_set", "_waiting")

    def __init__(self) -> None:
        self._is_set = True
        self._waiting: list[asyncio.Future[None]] = []

    def is_set(self) -> bool:
        """Whether there is."""
        return self._is_set

    def set(self) -> None:
        """There is."""
        self._is_set = True
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            _open(each)

    def clear(self) -> None:
        """There is none."""
        self._is_set = False

    async def wait(self) -> None:
        """Wait until there is."""
        while not self._is_set:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            await waiting


def _open(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
