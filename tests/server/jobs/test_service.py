"""Whether a worker takes submissions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from subcli.judge import Job, Problem
from subcli.server.jobs.ability import Ability
from subcli.server.jobs.judging import Event
from subcli.server.jobs.room import Room
from subcli.server.jobs.service import Service, Standstill
from tests.hang import HANG_S


async def never(job: Job) -> AsyncIterator[Event]:
    """A judge that is not called."""
    raise AssertionError(job)
    yield {}


class Bench:
    """A service whose pauses and self-tests the test ends."""

    def __init__(self, problem: Problem) -> None:
        self.pauses: list[float] = []
        self.slept: asyncio.Queue[None] = asyncio.Queue()
        self.results: asyncio.Queue[str | Exception] = asyncio.Queue()
        self.service = Service(Room(never), Ability({"echo": problem}), 2, self._test, 1.0, self._sleep)

    async def _test(self) -> str:
        result = await self.results.get()
        if isinstance(result, Exception):
            raise result
        return result

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await self.slept.get()

    def fail_twice(self, other: str = "sum") -> None:
        for problem in ("echo", other):
            self.service.failed(problem, "The judge failed: OSError.")

    async def self_test(self, result: str | Exception) -> None:
        """Let a pause end, and a self-test with this result; wait for what it changes."""
        pauses, was_out = len(self.pauses), bool(self.service.reason)
        self.slept.put_nowait(None)
        self.results.put_nowait(result)
        async with asyncio.timeout(HANG_S):
            while len(self.pauses) == pauses and bool(self.service.reason) == was_out:  # noqa: ASYNC110
                await asyncio.sleep(0)


@asynccontextmanager
async def running(problem: Problem) -> AsyncIterator[Bench]:
    bench = Bench(problem)
    task = asyncio.create_task(bench.service.run())
    yield bench
    task.cancel()
    await asyncio.wait([task])


async def test_two_failures_in_a_row_end_the_service(problem: Problem, caplog: pytest.LogCaptureFixture) -> None:
    """One does not, and a verdict between two starts the count again."""
    async with running(problem) as bench:
        service = bench.service
        service.failed("echo", "The judge failed: OSError.")
        service.succeeded()
        service.failed("echo", "The judge failed: OSError.")
        assert service.reason == ""
        assert service.able() == {"echo": ("python", "javascript")}
        service.failed("echo", "The judge failed: OSError.")
        assert "2 times in a row" in service.reason
        assert "OSError" in service.reason
        assert service.able() == {}
        assert "out of service" in caplog.text


async def test_it_comes_back_when_the_self_test_passes(problem: Problem, caplog: pytest.LogCaptureFixture) -> None:
    """The pauses double with each test that fails, and the log says why."""
    async with running(problem) as bench:
        bench.fail_twice()
        waiting = asyncio.create_task(bench.service.wait_until_able())
        for _ in range(3):
            await bench.self_test("no space")
        assert not waiting.done()
        assert bench.service.reason
        await bench.self_test("")
        assert bench.service.reason == ""
        await waiting
        assert bench.pauses == [1, 2, 4, 8]
        assert "no space" in caplog.text
        assert "in service again" in caplog.text


async def test_a_self_test_that_raises_is_one_that_failed(problem: Problem, caplog: pytest.LogCaptureFixture) -> None:
    """As when no file can be opened. The next one may pass, and the worker is there for it."""
    async with running(problem) as bench:
        bench.fail_twice()
        await bench.self_test(OSError(24, "Too many open files"))
        assert "its self-test failed: OSError: [Errno 24] Too many open files" in caplog.text
        await bench.self_test("")
        assert bench.service.reason == ""


async def test_returns_that_do_not_last_make_the_pauses_longer(problem: Problem) -> None:
    """A worker that passes its self-test and fails nevertheless; a verdict ends that."""
    async with running(problem) as bench:
        for _ in range(8):
            bench.fail_twice()
            await bench.self_test("")
        assert bench.pauses == [1, 2, 4, 8, 16, 32, 60, 60]
        bench.service.succeeded()
        bench.fail_twice()
        await bench.self_test("")
        assert bench.pauses[-1] == 1


async def test_a_broken_problem_does_not_keep_others_waiting(
    problem: Problem, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the self-test passes and one problem alone fails, the pauses stay short, and the log names it."""
    async with running(problem) as bench:
        for _ in range(4):
            bench.fail_twice(other="echo")
            await bench.self_test("")
        assert bench.pauses == [1, 1, 1, 1]
        assert "failed on echo only" in caplog.text


def test_a_standstill() -> None:
    """For how long the first submission of the queue has been the first."""
    now = [100.0]
    standstill = Standstill(clock=lambda: now[0])
    seen = []
    for first, seconds in [(None, 60), (1, 29), (1, 2), (1, 0), (2, 31), (2, 0), (None, 0), (2, 0)]:
        seen.append(standstill.lasts(first))
        now[0] += seconds
    assert seen == [0, 0, 29, 31, 0, 31, 0, 0]
