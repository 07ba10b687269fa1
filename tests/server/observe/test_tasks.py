"""Cancelling tasks reliably."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from subcli.server.observe.tasks import end
from tests.hang import HANG_S


async def test_task_that_swallows_cancellation_is_ended() -> None:
    """A task whose library swallows the cancellation is cancelled again."""
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            swallowed += 1
        await asyncio.sleep(3600)

    async def quick() -> None:
        with suppress(ValueError):
            await asyncio.sleep(3600)

    tasks = [asyncio.create_task(each) for each in (stubborn(), quick())]
    await asyncio.sleep(0)
    async with asyncio.timeout(HANG_S):
        await end(*tasks)
    assert swallowed == 1
    assert all(task.cancelled() for task in tasks)
