"""Whether Redis answers: noticed at once, logged once."""

from __future__ import annotations

import asyncio
import logging

import pytest

from subcli.server.redis.availability import Availability
from tests.hang import HANG_S


@pytest.fixture
def availability() -> Availability:
    return Availability("reading the log", "publishing")


def test_nothing_is_known_at_first(availability: Availability, caplog: pytest.LogCaptureFixture) -> None:
    """Redis is neither up nor away, and finding it up is news but not worth a warning."""
    assert not availability.is_up
    assert not availability.is_away
    assert availability.set_up()
    assert availability.is_up
    assert not availability.set_up()
    assert caplog.text == ""


def test_each_change_is_logged_once(availability: Availability, caplog: pytest.LogCaptureFixture) -> None:
    """However often Redis fails to answer: one warning with the reason, one when it is back, and again next time."""
    for _ in range(2):
        caplog.clear()
        assert availability.set_away(TimeoutError("slow"))
        assert not availability.set_away(TimeoutError("slower"))
        assert availability.is_away
        assert not availability.is_up
        assert availability.set_up()
        assert not availability.set_up()
        assert not availability.is_away
        assert [(each.levelno, each.getMessage()) for each in caplog.records] == [
            (logging.WARNING, "Redis does not answer (TimeoutError('slow')): reading the log"),
            (logging.WARNING, "Redis answers again: publishing"),
        ]


async def test_waiting_ends_when_redis_goes_away(availability: Availability) -> None:
    """Not before, and not again after Redis is back."""
    waiting = asyncio.create_task(availability.wait_until_away())
    availability.set_up()
    await asyncio.sleep(0)
    assert not waiting.done()
    availability.set_away("gone")
    async with asyncio.timeout(HANG_S):
        await waiting
    availability.set_up()
    waiting = asyncio.create_task(availability.wait_until_away())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
