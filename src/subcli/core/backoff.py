"""Limits and delays of reconnecting and retrying (contract, section 7). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

MAX_ATTEMPTS: Final = 5
"""Reconnects in a row without a new event (specification, "Reconnection Strategy")."""

MAX_DELAY_S: Final = 30.0
JITTER: Final = 0.2

STABLE_S: Final = 30.0
"""A connection that lasts this long resets the attempts."""

MAX_CONNECTS: Final = 5
CONNECTS_WINDOW_S: Final = 10.0
"""At most ``MAX_CONNECTS`` in this many seconds, even if each connection brings new events."""

REFUSED_AT_ONCE_S: Final = 3.0
"""A new token refused later than this may have expired meanwhile; one refused sooner is not accepted."""

OWN_SUBMIT_GRACE_S: Final = 5.0
"""How long after our own submit "not found" may mean "not yet"."""

MAX_RETRY_AFTER_S: Final = 300.0
"""The longest wait that a server can ask for."""

FIRST_CONTACT_DELAY_S: Final = 1.0
SLOW_CONTACT_S: Final = 5.0
"""After waiting this long for a server, do not ask it again: the total is at most 30 s."""

POLL_S: Final = (2.0, 10.0)
POLL_GROWTH: Final = 1.5

INCURABLE_MAX: Final = 2
"""Give up the socket after this many failures that retrying does not fix."""

MAX_BAD_FRAMES: Final = 20
"""Give up the socket after this many invalid frames in a row."""


def backoff(attempt: int, random: float) -> float:
    """Seconds before attempt ``attempt`` (from 1): min(2ⁿ, 30), ±20 % by ``random`` in [0, 1).

    The delay of the specification; the jitter is small enough that every client survives a short outage.
    """
    return float(min(2.0 ** min(attempt, 10), MAX_DELAY_S) * (1 - JITTER + 2 * JITTER * random))


def wait(attempt: int, random: float, retry_after_s: float | None) -> float:
    """Seconds before attempt ``attempt``: the backoff, or longer if the server asked for it, up to a limit."""
    return min(max(backoff(attempt, random), retry_after_s or 0.0), MAX_RETRY_AFTER_S)


def throttle_connects(delay_s: float, connects: Sequence[float], now: float) -> float:
    """``delay_s``, extended as far as needed to stay within ``MAX_CONNECTS`` per ``CONNECTS_WINDOW_S``.

    Args:
        delay_s: the delay wanted.
        connects: monotonic seconds of the latest connects, oldest first.
        now: monotonic seconds.
    """
    if len(connects) < MAX_CONNECTS:
        return delay_s
    return max(delay_s, connects[-MAX_CONNECTS] + CONNECTS_WINDOW_S - now)
