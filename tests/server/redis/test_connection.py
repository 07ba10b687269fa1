"""A client for Redis: which URLs are valid, and that every wait is bounded."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import redis

from subcli.server.redis.connection import connect, shown
from subcli.server.settings import ServeError
from tests.hang import HANG_S

if TYPE_CHECKING:
    from tests.backends import RedisServer


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "http://127.0.0.1:6379",
        "redis://",
        "redis://:hush@host:x/0",
        "redis://:hush@host:99999/0",
        "redis://:hush@host/zero",
        "redis://:hush@[::1/0",
        "redis://host/0?password=hush&no_such_option=1&db=hush",
    ],
)
def test_an_unusable_url_is_refused(url: str) -> None:
    """With one sentence and a hint, and no password in them."""
    with pytest.raises(ServeError) as error:
        connect(url)
    assert error.value.message.endswith(".")
    assert "redis://" in error.value.hint
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://127.0.0.1:6379/3", "redis://127.0.0.1:6379/3"),
        ("rediss://me:hush@host/0?password=hush", "rediss://***@host/0"),
        ("unix://:hush@/run/redis.sock?db=1", "unix://***@/run/redis.sock"),
    ],
)
def test_a_shown_url_has_no_password(url: str, expected: str) -> None:
    """It can still be recognised."""
    assert shown(url) == expected


async def test_the_pool_survives_a_restart_of_redis(redis_server: RedisServer) -> None:
    """After Redis was killed and is back, the next command works."""
    client = connect(redis_server.fresh())
    await client.set("key", 1)
    redis_server.kill()
    with pytest.raises(redis.RedisError):
        await client.get("key")
    redis_server.start()
    assert await client.get("key") is None
    await client.aclose()


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a listener that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


async def test_waiting_for_an_answer_is_bounded(silent: int) -> None:
    """A Redis that hangs is an error after a while."""
    client = connect(f"redis://127.0.0.1:{silent}/0")
    async with asyncio.timeout(HANG_S):
        with pytest.raises(redis.TimeoutError):
            await client.ping()
    await client.aclose()
