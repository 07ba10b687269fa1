"""Tasks that go on, and cancelling tasks reliably."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import suppress

import pytest
from sqlalchemy.exc import OperationalError

from subcli.server.observe.tasks import end, log_and_continue
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


def test_failure_of_a_task_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """With the traceback of a bug. A database that is locked or away is a sentence: that is nobody's bug."""
    for error in (ValueError("a bug"), OperationalError("SQL", None, sqlite3.OperationalError("database is locked"))):
        with log_and_continue("sweeping"):
            raise error
    assert [(each.getMessage(), bool(each.exc_info)) for each in caplog.records] == [
        ("sweeping failed; trying again later", True),
        ("sweeping failed; trying again later: database is locked", False),
    ]
