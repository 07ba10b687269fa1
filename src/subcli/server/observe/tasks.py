"""Cancelling tasks reliably."""

from __future__ import annotations

import asyncio
from typing import Any, Final

_RETRY_S: Final = 1.0


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they have ended.

    A task that keeps running is cancelled again every second, because a library may mistake the cancellation for a
    timeout of its own; redis-py does so when closing a connection takes too long. So do not use this for tasks that
    take longer to clean up.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_RETRY_S)
