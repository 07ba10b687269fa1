"""Ending tasks for certain."""

from __future__ import annotations

import asyncio
from typing import Any, Final

_AGAIN: Final = 1.0


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel these and wait until they have ended.

    One that goes on is cancelled again after a second: a library can take a cancellation for a timeout of its own, as
    redis-py does when closing a connection takes too long. So this is not for tasks that need longer to clear up.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN)
