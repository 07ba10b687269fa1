"""The turns in which passwords are hashed, each held until the test lets it go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from subcli.server.accounts import hashing
from subcli.server.accounts.hashing import BusyError, HashingTurns


@pytest.fixture
def turns() -> Iterator[HashingTurns]:
    turns = HashingTurns(threads=1, places=6)
    yield turns
    turns.close()


class Crowd:
    """Clients that wait for their turn, and say when they had it."""

    def __init__(self, turns: HashingTurns) -> None:
        self.turns = turns
        self.served: list[str] = []
        self.refused: list[str] = []
        self.retry_after: list[int] = []
        self.gate = asyncio.Event()

    async def come(self, name: str) -> asyncio.Task[None]:
        """The first letter of the name is the network."""
        task = asyncio.create_task(self._wait(name))
        for _ in range(3):
            await asyncio.sleep(0)
        return task

    async def _wait(self, name: str) -> None:
        try:
            async with self.turns.turn(name[0]):
                await self.gate.wait()
                self.served.append(name)
        except BusyError as busy:
            self.refused.append(name)
            self.retry_after.append(busy.retry_after)


async def test_networks_are_served_in_turn(turns: HashingTurns) -> None:
    """Within a network, whoever came first."""
    crowd = Crowd(turns)
    tasks = [await crowd.come(name) for name in ("a1", "a2", "a3", "a4", "b1", "b2", "c1")]
    assert turns.length == 6
    crowd.gate.set()
    await asyncio.gather(*tasks)
    assert crowd.served == ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]
    assert (turns.length, crowd.refused) == (0, [])


async def test_full_queue_takes_a_place_from_the_longest(turns: HashingTurns) -> None:
    """So a crowd cannot keep others out; who is of the crowd, or of another as large, is refused at once."""
    crowd = Crowd(turns)
    tasks = [await crowd.come(f"a{number}") for number in range(8)]
    assert crowd.refused == ["a7"]
    tasks += [await crowd.come(f"b{number}") for number in range(4)]
    assert crowd.refused == ["a7", "a6", "a5", "a4", "b3"]
    assert min(crowd.retry_after) >= 1
    assert turns.length == 6
    crowd.gate.set()
    await asyncio.gather(*tasks)
    assert crowd.served == ["a0", "a1", "b0", "a2", "b1", "a3", "b2"]


async def test_clients_that_leave_give_their_place_back(turns: HashingTurns) -> None:
    """While they wait, and at the moment when it is their turn."""
    crowd = Crowd(turns)
    first, second, third, fourth = [await crowd.come(name) for name in ("a1", "a2", "b1", "c1")]
    second.cancel()
    await asyncio.wait([second])
    assert turns.length == 2
    first.cancel()
    await asyncio.sleep(0)
    third.cancel()
    crowd.gate.set()
    await asyncio.wait([first, third, fourth])
    assert crowd.served == ["c1"]
    again = await crowd.come("d1")
    await again
    assert crowd.served == ["c1", "d1"]
    assert turns.length == 0


async def test_hashing_runs_in_a_thread(turns: HashingTurns) -> None:
    """What it returns and raises comes back."""
    assert await turns.run(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await turns.run(divmod, 1, 0)


async def test_hashing_rests_while_this_process_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    """After each hash until six times as much time has passed, with two threads: a third of one processor."""
    now = 0.0
    monkeypatch.setattr(hashing, "time", SimpleNamespace(monotonic=lambda: now))

    def work() -> None:
        nonlocal now
        now += 0.1

    loop = asyncio.get_running_loop()
    rests: list[float] = []

    def later(delay: float, callback: Callable[[], None]) -> Any:
        rests.append(delay)
        return loop.call_soon(callback)

    monkeypatch.setattr(loop, "call_later", later)
    is_judging = True
    turns = HashingTurns(2, 6, lambda: is_judging)
    for _ in range(3):
        async with turns.turn("a"):
            await turns.run(work)
        async with turns.turn("b"):
            pass
        is_judging = False
    turns.close()
    assert rests == pytest.approx([0.5])


@pytest.mark.parametrize(
    ("is_judging", "places", "retry_after"), [(False, 45, 3), (True, 45, 14), (True, 250, 60), (False, 0, 1)]
)
async def test_refused_are_told_of_the_rests(*, is_judging: bool, places: int, retry_after: int) -> None:
    """45 wait for two threads, at 0.1 s for each hash. While this process judges, it takes six times as long.

    Nobody is sent away for more than a minute, nor for less than a second.
    """
    turns = HashingTurns(2, places, lambda: is_judging)
    crowd = Crowd(turns)
    tasks = [await crowd.come(f"a{number}") for number in range(places + 3)]
    assert crowd.retry_after == [retry_after]
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    turns.close()


async def test_refused_are_told_how_long_hashes_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow machine longer: a few hashes are enough to know."""
    now = 0.0
    monkeypatch.setattr(hashing, "time", SimpleNamespace(monotonic=lambda: now))

    def work() -> None:
        nonlocal now
        now += 0.9

    turns = HashingTurns(1, 10)
    async with turns.turn("a"):
        await turns.run(work)
    crowd = Crowd(turns)
    tasks = [await crowd.come(f"a{number}") for number in range(12)]
    # 0.1 s were expected, and an eighth of the difference is believed.
    assert crowd.retry_after == [2]
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    turns.close()
