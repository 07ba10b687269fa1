"""Ten thousand schedules of faults: whatever befalls a watch, its promises hold (contract, section 7)."""

from __future__ import annotations

import pytest

from tests.simulation.judgement import play

SCHEDULES = 10_000
CHUNK = 250


@pytest.mark.parametrize("first", list(range(0, SCHEDULES, CHUNK)))
def test_every_promise_holds_in_every_schedule(first: int) -> None:
    """It ends, each event is shown once and in order, the state is right, there is no storm and no made-up verdict."""
    for seed in range(first, first + CHUNK):
        play(seed)
