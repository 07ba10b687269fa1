"""Many judgings beside each other, or one alone; who had company while a limit of time passed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from subcli.judge import Job, Problem
from subcli.server.jobs.judging import Event
from subcli.server.jobs.room import JudgingSlot, Room


class Judgings:
    """A judge whose judgings the test ends, in a room."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._ends: dict[str, asyncio.Event] = {}
        self.room = Room(self._judge)
        self.running: list[str] = []

    async def _judge(self, job: Job) -> AsyncIterator[Event]:
        name = job.files["name"]
        self.running.append(name)
        try:
            await self._ends[name].wait()
            yield {"type": "complete", "time_out": "undisturbed"}
        finally:
            self.running.remove(name)

    def begin(self, name: str, *, alone: bool = False, place: JudgingSlot | None = None) -> asyncio.Task[object]:
        """Ask for a judging. Its result is what it says of its time."""
        self._ends[name] = asyncio.Event()
        job = Job(self._problem, "python", {"name": name}, alone=alone)

        async def last() -> object:
            return [event async for event in self.room.judge(job, place)][-1]["time_out"]

        return asyncio.create_task(last())

    def end(self, name: str) -> None:
        self._ends[name].set()

    async def settled(self) -> list[str]:
        """Which are running, after all that can happen has happened."""
        for _ in range(20):
            await asyncio.sleep(0)
        return sorted(self.running)


@pytest.fixture
def judgings(problem: Problem) -> Judgings:
    return Judgings(problem)


async def test_company_counts_from_either_side(judgings: Judgings) -> None:
    """The one that was there, and the one that came; not one that came after they left."""
    first, second = judgings.begin("first"), judgings.begin("second")
    assert await judgings.settled() == ["first", "second"]
    judgings.end("second")
    await judgings.settled()
    judgings.end("first")
    assert [await first, await second] == ["contended", "contended"]
    third = judgings.begin("third")
    judgings.end("third")
    assert await third == "undisturbed"


async def test_alone_means_alone(judgings: Judgings) -> None:
    """It waits for those that are there; those that come later wait for it, another loner included."""
    judgings.begin("before")
    await judgings.settled()
    loner, other = judgings.begin("loner", alone=True), judgings.begin("other", alone=True)
    after = judgings.begin("after")
    assert await judgings.settled() == ["before"]
    for left, then in (("before", ["loner"]), ("loner", ["other"]), ("other", ["after"])):
        judgings.end(left)
        assert await judgings.settled() == then
    judgings.end("after")
    assert [await loner, await other, await after] == ["undisturbed"] * 3


@pytest.mark.parametrize("is_running", [True, False], ids=["running", "waiting"])
async def test_a_cancelled_loner_makes_room(judgings: Judgings, is_running: bool) -> None:
    """As when the submission is cancelled, or the process stops."""
    if not is_running:
        judgings.begin("before")
    loner = judgings.begin("loner", alone=True)
    await judgings.settled()
    after = judgings.begin("after")
    assert "after" not in await judgings.settled()
    loner.cancel()
    assert "after" in await judgings.settled()
    judgings.end("after")
    assert await after == ("undisturbed" if is_running else "contended")


async def test_a_kept_place_is_there_when_it_is_needed(judgings: Judgings) -> None:
    """Who wants to be alone waits for it; nobody can keep another one meanwhile. An empty place is no company."""
    with judgings.room.place() as place:
        loner = judgings.begin("loner", alone=True)
        assert await judgings.settled() == []
        with judgings.room.place() as other:
            assert other is None
        claimed = judgings.begin("claimed", place=place)
        assert await judgings.settled() == ["claimed"]
        judgings.end("claimed")
        assert await judgings.settled() == []
    assert await judgings.settled() == ["loner"]
    opened = asyncio.create_task(judgings.room.wait_until_open())
    await judgings.settled()
    assert not opened.done()
    judgings.end("loner")
    await opened
    with judgings.room.place():
        beside = judgings.begin("beside")
        await judgings.settled()
        judgings.end("beside")
        assert [await each for each in (loner, claimed, beside)] == ["undisturbed"] * 3


async def test_two_with_places_that_are_to_be_judged_alone(judgings: Judgings) -> None:
    """Neither waits for the other's place."""
    with judgings.room.place() as one, judgings.room.place() as two:
        first = judgings.begin("first", alone=True, place=one)
        second = judgings.begin("second", alone=True, place=two)
        [now] = await judgings.settled()
        judgings.end(now)
        [then] = await judgings.settled()
        assert {now, then} == {"first", "second"}
        judgings.end(then)
        assert [await first, await second] == ["undisturbed"] * 2
