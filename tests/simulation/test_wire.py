"""Schedules over real frames: the wire breaks after any byte, in the handshake, in a frame, in a close."""

from __future__ import annotations

import pytest

from tests.simulation.judgement import play
from tests.simulation.wire import WireServer

SCHEDULES = 2_000
CHUNK = 100


@pytest.mark.parametrize("first", list(range(0, SCHEDULES, CHUNK)))
def test_every_promise_holds_over_every_wire(first: int) -> None:
    """With the real transport and the bytes of RFC 6455 between it and the server."""
    for seed in range(first, first + CHUNK):
        play(seed, over=WireServer)
