"""Thousands of schedules of faults, half of them by default: the promises of a watch hold in each (contract,
section 7)."""

from __future__ import annotations

import pytest

from tests.simulation.judgement import play

SCHEDULES = 2_500
CHUNK = 250
BY_DEFAULT = SCHEDULES // 2


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(first, marks=() if first < BY_DEFAULT else pytest.mark.thorough)
        for first in range(0, SCHEDULES, CHUNK)
    ],
)
def test_promises_hold_in_every_schedule(first: int) -> None:
    """It ends; events are shown once and in order; the state is right; connects are throttled."""
    for seed in range(first, first + CHUNK):
        play(seed)
