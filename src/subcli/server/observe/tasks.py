"""Tasks that go on whatever happens, and cancelling tasks reliably."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

_log: Final = logging.getLogger(__name__)
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


@contextmanager
def log_and_continue(what: str) -> Iterator[None]:
    """Log an exception: neither a database that is away nor a bug must end a background task."""
    try:
        yield
    except Exception:
        _log.exception("%s failed; trying again later", what)
