"""How long and how often: the numbers of the contract's section 7, and the delays made of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

MAX_ATTEMPTS: Final = 5
"""Reconnects in a row without a new event (specification, "Reconnection Strategy")."""

MAX_DELAY_S: Final = 30.0
JITTER: Final = 0.2

STABLE_S: Final = 30.0
"""A connection that held for so long starts the attempts again."""

MAX_CONNECTS: Final = 5
CONNECTS_WINDOW_S: Final = 10.0
"""No more than ``MAX_CONNECTS`` in so many seconds, even where each of them brings something new."""

OWN_SUBMIT_GRACE_S: Final = 5.0
"""For so long after our own submit, "not found" may mean "not yet"."""

MAX_RETRY_AFTER_S: Final = 300.0
"""No server makes us wait longer."""

FIRST_CONTACT_DELAY_S: Final = 1.0
POLL_S: Final = (2.0, 10.0)
POLL_GROWTH: Final = 1.5

INCURABLE_MAX: Final = 2
"""So many troubles that no retry cures, and the socket is given up."""

MAX_BAD_FRAMES: Final = 20
"""So many frames in a row that are no messages, and the socket is given up."""


def backoff(attempt: int, random: float) -> float:
    """Seconds before attempt ``attempt`` (from 1): min(2ⁿ, 30), ±20 % by ``random`` in [0, 1).

    The specification's delay; jitter small enough that a short outage is outlived by all clients.
    """
    return float(min(2.0 ** min(attempt, 10), MAX_DELAY_S) * (1 - JITTER + 2 * JITTER * random))


def wait(attempt: int, random: float, retry_after_s: float | None) -> float:
    """Seconds before attempt ``attempt``: the backoff, or longer where the server said so, but not for ever."""
    return min(max(backoff(attempt, random), retry_after_s or 0.0), MAX_RETRY_AFTER_S)


def throttle_connects(delay_s: float, connects: Sequence[float], now: float) -> float:
    """``delay_s``, or as much longer as it takes to stay below ``MAX_CONNECTS`` in ``CONNECTS_WINDOW_S``.

    Args:
        delay_s: seconds wanted.
        connects: monotonic seconds of the latest connects, oldest first.
        now: monotonic seconds.
    """
    if len(connects) < MAX_CONNECTS:
        return delay_s
    return max(delay_s, connects[-MAX_CONNECTS] + CONNECTS_WINDOW_S - now)
