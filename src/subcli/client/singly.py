"""Following many submissions over a socket each, a few at a time: where a server has no feed, or it cannot be reached.

A submission that has to wait for its turn misses nothing: its socket, or REST, begins where its watch is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Final, NamedTuple, Protocol, TypeAlias

from subcli.client.session import Shown
from subcli.core.errors import SubcliError
from subcli.core.feed import Item, Left
from subcli.core.watch import Watch

AT_ONCE: Final = 50
"""How many sockets are open at a time."""


class Followed(NamedTuple):
    """What the session of one submission yields: its events, and changes of its own connection."""

    watch: Watch
    events: Sequence[Shown]


class Alone(Protocol):
    """A submission followed over a socket of its own (:class:`subcli.client.session.Session`)."""

    def batches(self) -> AsyncGenerator[Sequence[Shown], None]: ...


FollowAlone: TypeAlias = Callable[[Watch], Alone]
"""Makes the session that follows a submission over a socket of its own."""


async def follow_singly(
    watches: Sequence[Watch], alone: FollowAlone
) -> AsyncGenerator[Sequence[Followed | Item], None]:
    """Follow these submissions until each has left, at most :data:`AT_ONCE` at a time."""
    # Bounded: who does not take what has arrived does not get more.
    told: asyncio.Queue[Followed | Item] = asyncio.Queue(AT_ONCE)
    turns = asyncio.Semaphore(AT_ONCE)

    async def follow(watch: Watch) -> None:
        error: SubcliError | None = None
        async with turns:
            try:
                async with aclosing(alone(watch).batches()) as batches:
                    async for batch in batches:
                        await told.put(Followed(watch, batch))
            except SubcliError as ended:
                error = ended
            await told.put(Left(watch, error))

    tasks = [asyncio.create_task(follow(watch)) for watch in watches]
    left = 0
    try:
        while left < len(tasks):
            item = await told.get()
            left += isinstance(item, Left)
            yield (item,)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
