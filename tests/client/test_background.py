"""Calls that may hang do not delay the exit."""

from __future__ import annotations

import asyncio
import threading

import pytest

from subcli.client.background import run_in_daemon_thread


async def test_result_and_exception_are_passed_on() -> None:
    """What the call returns or raises reaches the caller."""
    assert await run_in_daemon_thread(int, "17", base=8) == 15
    with pytest.raises(ValueError, match="invalid literal"):
        await run_in_daemon_thread(int, "x")


def test_hanging_call_is_abandoned() -> None:
    """Neither a cancelled caller nor a closing loop waits for it, and its late answer does no harm."""
    begun, released, done = threading.Event(), threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        released.wait()
        done.set()

    async def cancelled() -> None:
        task = asyncio.create_task(run_in_daemon_thread(hang))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert not done.is_set()
    released.set()
    assert done.wait(30)
