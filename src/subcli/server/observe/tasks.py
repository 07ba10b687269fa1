"""Tasks that go on whatever happens, and cancelling tasks reliably."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy.exc import InterfaceError, OperationalError

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
    except Exception as error:
        log_failure(_log, f"{what} failed; trying again later", error)


def log_failure(log: logging.Logger, message: str, error: BaseException) -> None:
    """Log an exception that ends what was under way, but not the process.

    With its traceback, unless the database is locked or away: that is nothing that can be found in our code.
    """
    if isinstance(error, OperationalError | InterfaceError):
        log.error("%s: %s", message, error.orig)
    else:
        log.error("%s", message, exc_info=error)
