"""Schedules over real frames: the connection breaks after any byte, in the handshake, a frame or a close."""

from __future__ import annotations

import pytest

from tests.simulation.judgement import play
from tests.simulation.wire import WireServer

SCHEDULES = 600
CHUNK = 100
BY_DEFAULT = SCHEDULES // 2


@pytest.mark.thorough
@pytest.mark.parametrize(
    "first",
    [
        pytest.param(first, marks=() if first < BY_DEFAULT else pytest.mark.thorough)
        for first in range(0, SCHEDULES, CHUNK)
    ],
)
def test_promises_hold_over_every_wire(first: int) -> None:
    """With the real transport and the bytes of RFC 6455."""
    for seed in range(first, first + CHUNK):
        play(seed, over=WireServer)
