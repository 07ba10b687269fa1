"""What watchers cost, counted: tasks, bytes and encodings. `make bench` measures what that takes."""

from __future__ import annotations

import asyncio
import gc
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from subcli.server.log.records import encode_within
from tests.hang import HANG_S
from tests.server.conftest import result, update
from tests.server.gateway.test_gateway import raw_watcher

MOST_BYTES = 14 * 1024
"""Of Python's memory; with what the allocator loses, a process grows by 16 KB."""


@contextmanager
def counted_tasks() -> Iterator[list[str]]:
    """The tasks that are created meanwhile."""
    loop = asyncio.get_running_loop()
    created: list[str] = []

    def create(loop: asyncio.AbstractEventLoop, work: Any, context: Any = None, **more: Any) -> asyncio.Future[Any]:
        created.append(getattr(work, "__qualname__", str(work)))
        return asyncio.Task(work, loop=loop, context=context, **more)

    loop.set_task_factory(create)
    try:
        yield created
    finally:
        loop.set_task_factory(None)


async def watching(live: Any, stack: ExitStack, submission_id: int, count: int) -> list[socket.socket]:
    """Sockets without a library, so without tasks of their own, once all of them have the first event."""
    sockets = [stack.enter_context(await asyncio.to_thread(raw_watcher, live.url, submission_id)) for _ in range(count)]
    for each in sockets:
        each.setblocking(False)
        await received(each, b'"seq":1')
    await live.until(lambda: not live.server.server_state.tasks)
    return sockets


async def received(watcher: socket.socket, text: bytes) -> None:
    found = b""
    async with asyncio.timeout(HANG_S):
        while text not in found.replace(b" ", b""):
            found += await asyncio.get_running_loop().sock_recv(watcher, 65_536)


@pytest.mark.thorough
@pytest.mark.unmeasured  # what coverage notes would count as the watcher's
async def test_idle_watcher_costs_little_memory_and_no_task(start: Callable[..., Any]) -> None:
    """The connection, its position and a place in the wheel are all that is left of it."""
    with ExitStack() as stack:
        async with start(connections=1000) as live:
            submission_id = await live.submit("wait")
            await watching(live, stack, submission_id, 10)
            tasks = len(asyncio.all_tasks())
            tracemalloc.start()
            stack.callback(tracemalloc.stop)
            grown = []
            for _ in range(2):
                gc.collect()
                before, _ = tracemalloc.get_traced_memory()
                await watching(live, stack, submission_id, 100)
                gc.collect()
                after, _ = tracemalloc.get_traced_memory()
                grown.append(after - before)
            # Other parts of the server remember something now and then.
            assert min(grown) / 100 < MOST_BYTES
            assert len(asyncio.all_tasks()) <= tasks


async def test_an_event_is_encoded_once_and_begins_no_task_for_a_watcher(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many watch: what reaches the others is a write for each."""
    encoded: list[object] = []

    def counting(event: Any) -> str:
        encoded.append(event)
        return encode_within(event)

    monkeypatch.setattr("subcli.server.log.changes.encode_within", counting)
    with ExitStack() as stack:
        async with start(connections=1000) as live:
            submission_id = await live.submit("wait")
            await live.until(lambda: live.judge.running == 1)
            created_with = {}
            for count in (1, 49):
                live.judge.events.put_nowait(update("testing"))
                sockets = await watching(live, stack, submission_id, count)
                encoded.clear()
                with counted_tasks() as created:
                    live.judge.events.put_nowait(result(f"with {count} more"))
                    for each in sockets:
                        await received(each, f"with{count}more".encode())
                created_with[count] = [name for name in created if "Watcher" in name]
                assert len(encoded) == 1
            assert created_with == {1: [], 49: []}
