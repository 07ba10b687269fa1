"""Many who ask cost no more than one."""

from __future__ import annotations

import asyncio

import pytest

from subcli.server.observe.fresh import Fresh


async def test_one_answer_for_all() -> None:
    """Together or one after the other, until it is too old."""
    asked: list[None] = []

    async def ask() -> int:
        asked.append(None)
        await asyncio.sleep(0)
        return len(asked)

    fresh = Fresh(ask, 3600.0)
    assert await asyncio.gather(*(fresh.get() for _ in range(5))) == [1] * 5
    assert await fresh.get() == 1
    stale = Fresh(ask, 0.0)
    assert [await stale.get(), await stale.get()] == [2, 3]


async def test_a_failure_is_not_kept() -> None:
    """The next one who wants to know asks again."""
    answers: list[Exception | int] = [OSError("gone"), 7]

    async def ask() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    fresh = Fresh(ask, 3600.0)
    with pytest.raises(OSError, match="gone"):
        await fresh.get()
    assert await fresh.get() == 7
