"""The recovery machine's moves: connect, ask REST, or poll, and after what delay."""

from __future__ import annotations

from subcli.core.backoff import MAX_CONNECTS, POLL_GROWTH, POLL_S, backoff, throttle_connects, wait
from subcli.core.errors import both_ways_failed
from subcli.core.inputs import CatchUp, Connect, Poll, Read, Stop
from subcli.core.recovery.state import NO_TROUBLE, Purpose, State, Step, Trouble, changed


def connect(state: State, now: float, delay_s: float = 0.0, attempt: int = 0, trouble: Trouble = NO_TROUBLE) -> Step:
    """Connect after a delay, longer if there were many connections lately."""
    delay_s = throttle_connects(delay_s, state.connects, now)
    state = changed(state, opened_at=None, began_at=now + delay_s)
    return state, Connect(delay_s, attempt, trouble.code, trouble.reason)


def note_connect(state: State, now: float) -> State:
    """Remember when a connection was made or failed."""
    return changed(state, connects=(*state.connects, now)[-MAX_CONNECTS:])


def catch_up(state: State, purpose: Purpose, now: float, random: float) -> Step:
    """Ask REST, unless it asked us to wait (``Retry-After``)."""
    state = changed(state, purpose=purpose, began_at=now)
    return (state, CatchUp()) if now >= state.rest_at else go_on(state, now, random)


def go_on(state: State, now: float, random: float) -> Step:
    """Continue with the purpose of the catch-up."""
    if state.purpose == "read":
        return state, Read()
    if state.purpose == "poll":
        return _poll(state, now, random)
    attempt = state.attempts + 1
    if attempt > state.max_attempts:
        return give_up_socket(state, state.trouble, now, random)
    delay = max(wait(attempt, random, state.trouble.retry_after_s), state.rest_at - now)
    return connect(changed(state, attempts=attempt), now, delay, attempt, state.trouble)


def give_up_socket(state: State, trouble: Trouble, now: float, random: float) -> Step:
    """Poll from now on."""
    state = changed(state, purpose="poll", trouble=trouble)
    if state.unanswered:
        return _poll(state, now, random)
    return ask_after(max(0.0, state.rest_at - now), state, now)


def _poll(state: State, now: float, random: float) -> Step:
    if state.unanswered > state.max_attempts:
        seen = state.known_to != "nobody" or state.submitted_at is not None
        socket, rest = str(state.trouble), str(state.rest_trouble)
        return state, Stop(both_ways_failed(socket, rest, state.rest_trouble.code, seen=seen))
    if state.unanswered:
        delay = backoff(state.unanswered, random)
    else:
        delay = state.poll_s
        state = changed(state, poll_s=min(delay * POLL_GROWTH, POLL_S[1]))
    return ask_after(max(delay, state.rest_at - now), state, now)


def ask_after(delay_s: float, state: State, now: float) -> Step:
    """Ask REST after a delay."""
    return changed(state, began_at=now + delay_s), Poll(delay_s, str(state.trouble))
