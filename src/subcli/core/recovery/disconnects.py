"""Decides what to do without a socket, by close code, status and cause."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, assert_never

from subcli.core.backoff import (
    FIRST_CONTACT_DELAY_S,
    INCURABLE_MAX,
    OWN_SUBMIT_GRACE_S,
    REFUSED_AT_ONCE_S,
    SLOW_CONTACT_S,
    wait,
)
from subcli.core.errors import (
    connection_closed,
    not_found,
    proxy_credentials,
    rate_limited,
    records_replaced,
    unauthorized,
)
from subcli.core.inputs import (
    Closed,
    Lost,
    Refresh,
    Refused,
    Reopening,
    Silent,
    Slept,
    SocketGone,
    Stop,
    TooManyBadFrames,
)
from subcli.core.recovery.moves import ask_after, catch_up, connect, give_up_socket, note_connect
from subcli.core.recovery.state import Handler, State, Step, Trouble, changed


def socket_gone(state: State, input: SocketGone, now: float, random: float) -> Step:
    """Hand the reason to its handler."""
    state = changed(note_connect(state, now) if state.opened_at is None else state, opened_at=None)
    match input:
        case Closed(code, reason, retry_after_s):
            return _handler_for_close(code)(state, Trouble(code, reason, retry_after_s), now, random)
        case Refused(status, reason, by_proxy=True):
            # REST may still work through it; if not, its handler knows what to do.
            handler = _incurable if 400 <= status < 500 else _retry
            return handler(state, Trouble(status, reason), now, random)
        case Refused(status, reason, retry_after_s):
            state = changed(state, answered=True)
            return _handler_for_refusal(status)(state, Trouble(status, reason, retry_after_s), now, random)
        case Lost(reason, reached, hint):
            state = changed(state, answered=state.answered or reached)
            handler = _retry if state.answered else _first_contact
            return handler(state, Trouble(reason=reason, hint=hint), now, random)
        case Silent():
            return _retry(state, Trouble(reason="no answer to a ping"), now, random)
        case Slept():
            return connect(state, now, trouble=Trouble(reason="this machine slept"))
        case Reopening():
            return connect(state, now, trouble=Trouble(reason="asking for output"))
        case TooManyBadFrames():
            return give_up_socket(state, Trouble(reason="the server does not speak this protocol"), now, random)
        case _:  # pragma: no cover
            assert_never(input)


def _retry(state: State, trouble: Trouble, now: float, random: float) -> Step:
    """Ask REST before waiting: the verdict may be there already."""
    return catch_up(changed(state, trouble=trouble), "retry", now, random)


def _first_contact(state: State, trouble: Trouble, now: float, random: float) -> Step:
    """Try once more, unless the first attempt took long: then REST decides."""
    if state.attempts == 0 and now - state.began_at < SLOW_CONTACT_S:
        return connect(changed(state, attempts=1), now, FIRST_CONTACT_DELAY_S, 1, trouble)
    return _retry(state, trouble, now, random)


def authenticate(state: State, trouble: Trouble, now: float, random: float) -> Step:
    """Get a new token, unless the last one was refused immediately."""
    # Later, waiting to connect may have taken longer than the token lived.
    is_at_once = now - state.authenticated_at < REFUSED_AT_ONCE_S
    if state.refusals and (is_at_once or state.refusals > state.max_attempts):
        return state, Stop(unauthorized(trouble.reason))
    return changed(state, refusals=state.refusals + 1, refusal=trouble), Refresh()


def unknown_submission(state: State, trouble: Trouble, now: float, random: float) -> Step:
    """After our own submit, ask again after 1, 2, 4 and finally 5 s."""
    if state.submitted_at is None or state.began_at >= state.submitted_at + OWN_SUBMIT_GRACE_S:
        return state, Stop(not_found())
    since = now - state.submitted_at
    delay = max(0.0, min(max(1.0, since), OWN_SUBMIT_GRACE_S - since))
    if state.purpose == "poll":
        return ask_after(delay, state, now)
    return connect(state, now, delay, trouble=Trouble(trouble.code, "not visible yet"))


def _rate_limited(state: State, trouble: Trouble, now: float, random: float) -> Step:
    attempt = state.attempts + 1
    if attempt > state.max_attempts:
        return state, Stop(rate_limited())
    trouble = Trouble(trouble.code, trouble.reason or "rate limited", trouble.retry_after_s)
    return connect(
        changed(state, attempts=attempt), now, wait(attempt, random, trouble.retry_after_s), attempt, trouble
    )


def _oversize(state: State, trouble: Trouble, now: float, random: float) -> Step:
    state = changed(state, oversize=state.oversize + 1)
    return (give_up_socket if state.oversize >= INCURABLE_MAX else _retry)(state, trouble, now, random)


def _incurable(state: State, trouble: Trouble, now: float, random: float) -> Step:
    state = changed(state, incurable=state.incurable + 1)
    return (give_up_socket if state.incurable >= INCURABLE_MAX else _retry)(state, trouble, now, random)


def _stop(state: State, trouble: Trouble, now: float, random: float) -> Step:
    return state, Stop(connection_closed(trouble.code, trouble.reason))


def _replaced(state: State, trouble: Trouble, now: float, random: float) -> Step:
    return state, Stop(records_replaced())


def proxy_refused(state: State, trouble: Trouble, now: float, random: float) -> Step:
    """Stop: the proxy requires credentials."""
    return state, Stop(proxy_credentials())


_CLOSES: Final[Mapping[int, Handler]] = {
    **dict.fromkeys((1000, 1001, 1005, 1006, 1011, 1012, 1013), _retry),
    **dict.fromkeys((1002, 1003, 1007, 1008, 1010), _stop),
    1009: _oversize,
    4003: authenticate,
    4004: unknown_submission,
    4010: _replaced,
    4029: _rate_limited,
}
_REFUSALS: Final[Mapping[int, Handler]] = {
    **dict.fromkeys((400, 405, 426), _incurable),
    401: authenticate,
    404: _retry,
    407: proxy_refused,
    429: _rate_limited,
}


def _handler_for_close(code: int) -> Handler:
    """Return the handler of a close code: from the table, else by range."""
    return _CLOSES.get(code) or (_stop if 4500 <= code <= 4999 else _retry)


def _handler_for_refusal(status: int) -> Handler:
    """Return the handler of a handshake's HTTP status: from the table, else by range."""
    return _REFUSALS.get(status) or (_incurable if 200 <= status < 400 else _retry)
