"""Delays: the backoff of the specification, waits that servers ask for, and the limit on connects."""

from __future__ import annotations

import pytest

from subcli.core.backoff import (
    CONNECTS_WINDOW_S,
    MAX_ATTEMPTS,
    MAX_CONNECTS,
    MAX_RETRY_AFTER_S,
    backoff,
    throttle_connects,
    wait,
)


@pytest.mark.parametrize(
    ("attempt", "middle"), [(1, 2.0), (2, 4.0), (3, 8.0), (4, 16.0), (5, 30.0), (6, 30.0), (10, 30.0), (10_000, 30.0)]
)
def test_backoff_follows_specification_with_jitter(attempt: int, middle: float) -> None:
    """min(2ⁿ s, 30 s) ±20 %, at the bounds and the middle of the random number."""
    assert backoff(attempt, 0.0) == pytest.approx(middle * 0.8)
    assert backoff(attempt, 0.5) == pytest.approx(middle)
    assert backoff(attempt, 1.0) == pytest.approx(middle * 1.2)


@pytest.mark.parametrize(
    ("retry_after_s", "waited"),
    [
        (None, 8.0),
        (0.0, 8.0),
        (-5.0, 8.0),
        (7.9, 8.0),
        (8.1, 8.1),
        (300.0, 300.0),
        (301.0, 300.0),
        (1e12, 300.0),
        (float("inf"), 300.0),
        (float("nan"), 8.0),
    ],
)
def test_server_can_extend_the_wait_up_to_a_limit(retry_after_s: float | None, waited: float) -> None:
    """The longer of the backoff and `Retry-After`, at most 5 minutes; invalid values are ignored."""
    assert MAX_RETRY_AFTER_S == 300.0
    assert wait(3, 0.5, retry_after_s) == waited


def test_constants_match_contract() -> None:
    """Five attempts; five connects in ten seconds."""
    assert (MAX_ATTEMPTS, MAX_CONNECTS, CONNECTS_WINDOW_S) == (5, 5, 10.0)


@pytest.mark.parametrize(
    ("connects", "delay_s", "expected"),
    [
        pytest.param([], 0.0, 0.0, id="the first"),
        pytest.param([100.0] * 4, 0.0, 0.0, id="four before"),
        pytest.param([100.0] * 5, 0.0, 10.0, id="five before, at once"),
        pytest.param([100.0] * 5, 12.0, 12.0, id="five before, and a longer delay"),
        pytest.param([95.0, 96.0, 97.0, 98.0, 99.0], 1.6, 5.0, id="until the oldest is ten seconds old"),
        pytest.param([90.0, 96.0, 97.0, 98.0, 99.0], 1.6, 1.6, id="the oldest is old enough"),
        pytest.param([80.0, 95.0, 96.0, 97.0, 98.0, 99.0], 0.0, 5.0, id="only the last five count"),
    ],
)
def test_at_most_five_connects_in_ten_seconds(connects: list[float], delay_s: float, expected: float) -> None:
    """The limit holds whatever the reason to connect."""
    assert throttle_connects(delay_s, connects, 100.0) == pytest.approx(expected)
