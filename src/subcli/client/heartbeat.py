"""When something is due on an open socket although no frame arrived. Pure: clock readings are arguments.

Several clocks run beside the socket (contract, section 7; specification, "Server Configuration"):

===============  ==========================================================================================
ping             every ``PING_INTERVAL_S``; a server that then sends no byte for ``PONG_TIMEOUT_S`` is dead
quiet            no event for a while: the server may have lost one, or may never send any: ask REST
catch-up         ask REST at a moment that was set, because what was missed is still missing
sleep            wall clock and monotonic clock disagree: the machine slept, and the connection is dead
===============  ==========================================================================================
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from subcli.core.inputs import Quiet, Silent, Slept

PING_INTERVAL_S: Final = 30.0
PONG_TIMEOUT_S: Final = 10.0

QUIET_S: Final = 10.0
"""How long without an event until a server without ``resume`` is asked over REST."""

QUIET_WITH_RESUME_S: Final = 60.0
"""The same for a server with ``resume``: it replays, but its very last event may have got lost on the way."""

CLOCK_CHECK_INTERVAL_S: Final = 5.0
MAX_CLOCK_GAP_S: Final = 5.0

NEVER: Final = float("inf")

Due: TypeAlias = Literal["ping"] | Silent | Slept | Quiet


class Heartbeat:
    """The clocks of one open socket.

    Args:
        now: monotonic seconds.
        wall: seconds of the wall clock at the same moment.
    """

    def __init__(self, now: float, wall: float) -> None:
        self._last_event_at = now
        self._ping_at = now + PING_INTERVAL_S
        self._pinged_at: float | None = None
        self._catch_up_at = NEVER
        self._clocks = (now, wall)

    def event_arrived(self, now: float) -> None:
        """Note that a new event arrived."""
        self._last_event_at = now

    def schedule_catch_up(self, at: float) -> None:
        """Ask REST at ``at``, whether or not events arrive until then."""
        self._catch_up_at = at

    def wake_at(self, *, resumes: bool) -> float:
        """When :meth:`due` has to be asked next.

        Args:
            resumes: whether the server is known to replay its events.
        """
        pong_due_at = NEVER if self._pinged_at is None else self._pinged_at + PONG_TIMEOUT_S
        clocks_at = self._clocks[0] + CLOCK_CHECK_INTERVAL_S
        return min(clocks_at, self._ping_at, pong_due_at, self._quiet_at(resumes))

    def due(self, now: float, wall: float, last_byte_at: float, *, resumes: bool) -> Due | None:
        """What is due now, the most urgent first.

        Args:
            now: monotonic seconds.
            wall: seconds of the wall clock.
            last_byte_at: monotonic seconds at which the last byte came over the socket.
            resumes: whether the server is known to replay its events.
        """
        if abs(self._clock_gap_s(now, wall)) > MAX_CLOCK_GAP_S:
            return Slept()
        if self._pinged_at is not None and last_byte_at > self._pinged_at:
            self._pinged_at = None
        if self._pinged_at is not None and now >= self._pinged_at + PONG_TIMEOUT_S:
            return Silent()
        if now >= self._ping_at:
            self._pinged_at, self._ping_at = now, now + PING_INTERVAL_S
            return "ping"
        if now >= self._quiet_at(resumes):
            self._last_event_at, self._catch_up_at = now, NEVER
            return Quiet()
        return None

    def _quiet_at(self, resumes: bool) -> float:
        return min(self._last_event_at + (QUIET_WITH_RESUME_S if resumes else QUIET_S), self._catch_up_at)

    def _clock_gap_s(self, now: float, wall: float) -> float:
        """By how much the wall clock ran ahead of the monotonic clock since the last call."""
        then, wall_then = self._clocks
        self._clocks = now, wall
        return (wall - wall_then) - (now - then)
