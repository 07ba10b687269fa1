"""Request bodies that the routes read themselves."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from starlette.requests import Request

from subcli.server.api.bodies import LargeBodies
from tests.hang import HANG_S


def request(length: int | None) -> Request:
    headers = [] if length is None else [(b"content-length", str(length).encode())]
    return Request({"type": "http", "headers": headers})


@pytest.mark.parametrize("length", [2_000_000, None], ids=["long", "unknown"])
async def test_large_bodies_of_a_user_wait(length: int | None) -> None:
    """At the fifth; small ones do not, and neither do those of another user."""
    bodies = LargeBodies()
    async with AsyncExitStack() as stack:
        for _ in range(4):
            await stack.enter_async_context(bodies.place(request(length), 1))
        await stack.enter_async_context(bodies.place(request(1000), 1))
        await stack.enter_async_context(bodies.place(request(length), 2))
        fifth = asyncio.ensure_future(stack.enter_async_context(bodies.place(request(length), 1)))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not fifth.done()
        fifth.cancel()
    async with asyncio.timeout(HANG_S), bodies.place(request(length), 1):
        pass
