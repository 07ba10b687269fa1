"""Virtual time, which advances only when every task waits."""

from __future__ import annotations

import asyncio

import pytest

from subcli.core.submission import FAILURES_KEPT, RECENT_KEPT, Counts
from subcli.core.watch import Watch
from subcli.shared.messages import TestResult
from tests.simulation.virtual import StuckError, run


def test_sleeps_take_no_real_time() -> None:
    """They end in the right order."""

    async def main() -> list[str]:
        order: list[str] = []

        async def sleeper(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            order.append(name)

        await asyncio.gather(sleeper("year", 31_557_600.0), sleeper("day", 86_400.0))
        assert asyncio.get_running_loop().time() == pytest.approx(31_557_700.0)
        return order

    assert run(main(), began=100.0) == ["day", "year"]


def test_deadlock_is_detected() -> None:
    """Instead of hanging."""

    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(StuckError, match="waiting for nothing"):
        run(main())


@pytest.mark.thorough
def test_busy_loop_is_detected() -> None:
    """Without a wait, time would never advance."""

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def again() -> None:
            loop.call_soon(again)

        again()
        await asyncio.sleep(1.0)

    with pytest.raises(StuckError, match="busy without end"):
        run(main())


@pytest.mark.thorough
def test_snapshot_of_many_results_is_small() -> None:
    """After 100,000 results it is as large as after a few hundred; the counts are complete."""
    watch = Watch(7)
    for number in range(100_000):
        watch.take(TestResult(test_name=f"t{number}", status="failed" if number % 4 == 0 else "passed", seq=number + 1))
    picture = watch.snapshot()
    assert picture.counts == Counts(passed=75_000, failed=25_000)
    assert (len(picture.recent), len(picture.failures)) == (RECENT_KEPT, FAILURES_KEPT)
    assert picture.last_seq == 100_000
