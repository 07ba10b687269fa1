"""Blocking calls in threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from subcli.server.log.threads import Threads
from tests.hang import HANG_S


@pytest.fixture
def threads() -> Iterator[Threads]:
    threads = Threads(2, "test")
    yield threads
    threads.close()


class Held:
    """A call that says when it has begun, and ends when it may."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.begun, self.gate, self.ended = asyncio.Event(), threading.Event(), threading.Event()

    def __call__(self) -> str:
        self._loop.call_soon_threadsafe(self.begun.set)
        self.gate.wait(HANG_S)
        self.ended.set()
        return threading.current_thread().name


async def test_result_and_error_of_a_call(threads: Threads) -> None:
    """They come back to the caller, and a thread outlives an error."""
    for _ in range(2):
        assert await threads.run(lambda: 7) == 7
        with pytest.raises(ValueError, match="seven"):
            await threads.run(lambda: int("seven"))


async def test_threads_begin_as_they_are_needed(threads: Threads) -> None:
    """At the same time there are as many as allowed; the rest waits."""
    assert await threads.run(lambda: threading.current_thread().name) == "test_0"
    held = [Held() for _ in range(3)]
    calls = [asyncio.create_task(threads.run(each)) for each in held]
    await held[0].begun.wait()
    await held[1].begun.wait()
    held[0].gate.set()
    await held[2].begun.wait()
    for each in held:
        each.gate.set()
    assert set(await asyncio.gather(*calls)) == {"test_0", "test_1"}


async def test_cancelled_call(threads: Threads) -> None:
    """What has begun is completed; what has not is never done."""
    held, done = [Held() for _ in range(2)], []
    running = [asyncio.create_task(threads.run(each)) for each in held]
    await asyncio.gather(*[each.begun.wait() for each in held])
    waiting = asyncio.create_task(threads.run(lambda: done.append(1)))
    await asyncio.sleep(0)
    for task in (*running, waiting):
        task.cancel()
    await asyncio.wait([*running, waiting])
    assert all(task.cancelled() for task in (*running, waiting))
    for each in held:
        each.gate.set()
    await threads.run(lambda: None)
    assert await threads.run(lambda: all(each.ended.wait(HANG_S) for each in held))
    assert done == []


async def test_close_waits_for_all_calls() -> None:
    """Also for those that have not begun; then there are no more."""
    threads = Threads(1, "test")
    done: list[int] = []

    def noting(number: int) -> Callable[[], None]:
        return lambda: done.append(number)

    held = Held()
    calls = [asyncio.create_task(threads.run(call)) for call in (held, noting(1), noting(2))]
    await held.begun.wait()
    held.gate.set()
    threads.close()
    assert done == [1, 2]
    await asyncio.gather(*calls)
    with pytest.raises(RuntimeError):
        await threads.run(lambda: None)


def test_a_call_that_outlives_its_loop(threads: Threads) -> None:
    """Nobody is there to be answered; the thread goes on."""
    gate = threading.Event()

    async def leave() -> None:
        asyncio.create_task(threads.run(lambda: gate.wait(HANG_S)))  # noqa: RUF006
        await asyncio.sleep(0)

    asyncio.run(leave())
    gate.set()
    assert asyncio.run(threads.run(lambda: 7)) == 7
