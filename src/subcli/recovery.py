"""What to do next, whatever happened: one pure machine.

:func:`step` takes the state, what happened, the monotonic clock and a random number, and answers with the
next state and one action. :mod:`subcli.session` carries the actions out and reports what came of them; it
decides nothing. No I/O, no clock, no randomness here.

What happened, and what is done about it (contract, section 7; "retry" is: look at what was missed over REST,
then connect again after the backoff, and give up the socket when the attempts are used up):

================================================  ====================================================
``Ended``                                         ``Finish``
``Started``                                       ``Connect`` at once
``Opened``                                        ``Read``; without ``resume`` first ``CatchUp``
``Progressed``                                    the attempts start again; ``Read``
``Quiet`` (no event for 10 s, without resume)     ``CatchUp``, then ``Read``
``Closed`` 1000, 1001, 1005, 1006, 1011–1013      retry
``Closed`` 4003, ``Refused`` 401                  ``Refresh``, a second time in a row: stop (auth)
``Closed`` 4004                                   within 5 s of our own submit: again; else stop (not found)
``Closed`` 4029, ``Refused`` 429                  wait as told, at most 5 min; attempts used up: stop
``Closed`` 1002, 1003, 1007, 1008, 1010, 4500 up  stop (server)
``Closed`` 1009 (a frame beyond 1 MiB)            retry; twice at the same place: give up the socket
``Closed`` with another code                      retry
``Refused`` 403                                   ask REST: 401, 404 as there; else retry
``Refused`` 404                                   as 4004
``Refused`` 2xx, 3xx, 400, 405, 426               twice: give up the socket
``Refused`` with another status                   retry
``Lost`` (reset, refused, DNS, timeout)           never answered: once more after 1 s, then stop (network);
                                                  else retry
``Silent`` (10 s after a ping)                    retry
``Slept``                                         connect again at once
``Babbled`` (20 bad frames in a row)              give up the socket
``Blocked`` (certificate, proxy)                  stop (network)
``CaughtUp``, ``AskedInVain``                     go on with what the look was for
``Refreshed``                                     connect again, or stop (auth)
================================================  ====================================================

Giving up the socket is ``Poll``: REST every 2 to 10 s until the verdict; where REST is silent too, stop.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, assert_never

import msgspec

from subcli.errors import (
    NetworkError,
    ServerError,
    not_found,
    rate_limited,
    unauthorized,
    unreachable,
)
from subcli.happened import (
    Action,
    AskedInVain,
    Babbled,
    Blocked,
    CatchUp,
    CaughtUp,
    Closed,
    Connect,
    Ended,
    Finish,
    Happened,
    Lost,
    Opened,
    Poll,
    Progressed,
    Quiet,
    Read,
    Refresh,
    Refreshed,
    Refused,
    Silent,
    Slept,
    Started,
    Stop,
)
from subcli.protocol import CloseCode

MAX_ATTEMPTS: Final = 5
"""Reconnects in a row without a new event (specification, "Reconnection Strategy")."""

MAX_DELAY_S: Final = 30.0
JITTER: Final = 0.2
STABLE_S: Final = 30.0
"""A connection that held for so long starts the attempts again."""

OWN_SUBMIT_GRACE_S: Final = 5.0
MAX_TOLD_WAIT_S: Final = 300.0
FIRST_CONTACT_DELAY_S: Final = 1.0
POLL_S: Final = (2.0, 10.0)
POLL_GROWTH: Final = 1.5
INCURABLE_MAX: Final = 2
BABBLE_MAX: Final = 20


# -- state ------------------------------------------------------------------------------------------

Purpose: TypeAlias = Literal["retry", "read", "poll"]


class Trouble(msgspec.Struct, frozen=True):
    """Why the socket is not open. ``told_s``: how long the server told us to wait."""

    code: int | None = None
    reason: str = ""
    told_s: float | None = None


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Where the machine stands. Made once with its settings, then only by :func:`step`.

    Attributes:
        max_attempts: reconnects in a row without a new event.
        own_submit_at: monotonic seconds of our own submit, where the watch follows one.
        answered: the server was there at least once.
        attempts: reconnects since the last new event or stable connection.
        opened_at: monotonic seconds; ``None`` while there is no socket.
        purpose: what a look at REST is for.
        refusals: authentications in a row that were refused.
        oversize, incurable: consecutive troubles of their kind.
        poll_s: seconds to the next poll.
        unanswered: polls in a row that nobody answered.
    """

    max_attempts: int = MAX_ATTEMPTS
    own_submit_at: float | None = None
    answered: bool = False
    attempts: int = 0
    opened_at: float | None = None
    purpose: Purpose = "retry"
    trouble: Trouble = Trouble()
    refusals: int = 0
    oversize: int = 0
    incurable: int = 0
    poll_s: float = POLL_S[0]
    unanswered: int = 0
    polled: bool = False


Step: TypeAlias = tuple[State, Action]
_FATAL_CODES: Final = frozenset({1002, 1003, 1007, 1008, 1010})
_INCURABLE_STATUSES: Final = frozenset({400, 405, 426})


def backoff(attempt: int, random: float) -> float:
    """Seconds before attempt ``attempt`` (from 1): min(2ⁿ, 30), ±20 % by ``random`` in [0, 1).

    The specification's delay; jitter small enough that a short outage is outlived by all clients.
    """
    return float(min(2.0 ** min(attempt, 10), MAX_DELAY_S) * (1 - JITTER + 2 * JITTER * random))


def step(state: State, happened: Happened, now: float, random: float) -> Step:
    """The next state and what to do.

    Args:
        state: where the machine stands.
        happened: what the last action led to.
        now: a reading of the monotonic clock, seconds.
        random: a random number in [0, 1), for jitter.
    """
    match happened:
        case Ended():
            return state, Finish()
        case Started():
            return state, Connect()
        case Opened(resume):
            state = _with(state, answered=True, opened_at=now, incurable=0)
            return (state, Read()) if resume else (_with(state, purpose="read"), CatchUp())
        case Progressed():
            return _with(state, attempts=0, refusals=0, oversize=0, trouble=Trouble()), Read()
        case Quiet():
            return _with(state, purpose="read"), CatchUp()
        case CaughtUp(over):
            return _caught_up(_with(state, answered=True), over, now, random)
        case AskedInVain():
            return _asked_in_vain(state, happened, now, random)
        case Refreshed(ok, hint):
            return _refreshed(state, ok, hint)
        case Blocked(reason, hint):
            return state, Stop(NetworkError(reason, hint=hint))
    return _socket_gone(state, happened, now, random)


def _with(state: State, **changes: object) -> State:
    return msgspec.structs.replace(state, **changes)


def _socket_gone(
    state: State, happened: Closed | Refused | Lost | Silent | Slept | Babbled, now: float, random: float
) -> Step:
    if state.opened_at is not None and now - state.opened_at >= STABLE_S:
        state = _with(state, attempts=0, refusals=0)
    state = _with(state, opened_at=None)
    match happened:
        case Closed():
            return _closed(_with(state, answered=True), happened, now, random)
        case Refused():
            return _refused(_with(state, answered=True), happened, now, random)
        case Lost(reason):
            if not state.answered:
                return _first_contact(state, reason)
            return _look_then_retry(state, Trouble(reason=reason))
        case Silent():
            return _look_then_retry(state, Trouble(reason="no answer to a ping"))
        case Slept():
            return state, Connect(reason="this machine slept")
        case Babbled():
            return _give_up_socket(state, Trouble(reason="the server sends no messages of this protocol"))
        case _:  # pragma: no cover
            assert_never(happened)


def _closed(state: State, closed: Closed, now: float, random: float) -> Step:
    code = closed.code
    trouble = Trouble(code, closed.reason, closed.retry_after)
    if code == CloseCode.UNAUTHORIZED:
        return _unauthorized(state, closed.reason)
    if code == CloseCode.NOT_FOUND:
        return _not_found(state, trouble, now)
    if code == CloseCode.RATE_LIMITED:
        return _rate_limited(state, trouble, random)
    if code == CloseCode.MESSAGE_TOO_BIG:
        state = _with(state, oversize=state.oversize + 1)
        if state.oversize >= INCURABLE_MAX:
            return _give_up_socket(state, trouble)
        return _look_then_retry(state, trouble)
    if code in _FATAL_CODES or 4500 <= code <= 4999:
        reason = f": {closed.reason}" if closed.reason else ""
        return state, Stop(
            ServerError(
                f"The server closed the connection with code {code}{reason}.",
                hint="This is not cured by trying again; `--debug` shows what was said before.",
            )
        )
    return _look_then_retry(state, trouble)


def _refused(state: State, refused: Refused, now: float, random: float) -> Step:
    status = refused.status
    trouble = Trouble(status, refused.reason, refused.retry_after)
    if status == 401:
        return _unauthorized(state, refused.reason)
    if status == 404:
        return _not_found(state, trouble, now)
    if status == 429:
        return _rate_limited(state, trouble, random)
    if 200 <= status < 400 or status in _INCURABLE_STATUSES:
        state = _with(state, incurable=state.incurable + 1)
        if state.incurable >= INCURABLE_MAX:
            return _give_up_socket(state, trouble)
    return _look_then_retry(state, trouble)


def _first_contact(state: State, reason: str) -> Step:
    """Nothing ever answered: one more try, then the patience ends."""
    if state.attempts == 0:
        return _with(state, attempts=1), Connect(FIRST_CONTACT_DELAY_S, 1, None, reason)
    return state, Stop(unreachable(reason))


def _look_then_retry(state: State, trouble: Trouble) -> Step:
    """The verdict may be there already: ask before waiting."""
    return _with(state, purpose="retry", trouble=trouble), CatchUp()


def _retry(state: State, random: float) -> Step:
    trouble = state.trouble
    attempt = state.attempts + 1
    if attempt > state.max_attempts:
        return _give_up_socket(state, trouble)
    delay = max(backoff(attempt, random), trouble.told_s or 0.0)
    return _with(state, attempts=attempt), Connect(delay, attempt, trouble.code, trouble.reason)


def _give_up_socket(state: State, trouble: Trouble) -> Step:
    state = _with(state, purpose="poll", trouble=trouble, poll_s=POLL_S[0], unanswered=0, polled=False)
    return state, Poll(0.0, trouble.reason)


def _unauthorized(state: State, reason: str) -> Step:
    if state.refusals >= 1:
        return state, Stop(unauthorized(reason))
    return _with(state, refusals=state.refusals + 1, trouble=Trouble(reason=reason)), Refresh()


def _refreshed(state: State, ok: bool, hint: str) -> Step:
    if not ok:
        return state, Stop(unauthorized(state.trouble.reason, hint))
    if state.purpose == "poll" and state.opened_at is None and state.polled:
        return state, Poll(0.0, state.trouble.reason)
    return state, Connect()


def _not_found(state: State, trouble: Trouble, now: float) -> Step:
    if state.own_submit_at is not None and now - state.own_submit_at < OWN_SUBMIT_GRACE_S:
        return state, Connect(1.0, max(state.attempts, 1), trouble.code, "not visible yet")
    return state, Stop(not_found())


def _rate_limited(state: State, trouble: Trouble, random: float) -> Step:
    attempt = state.attempts + 1
    if attempt > state.max_attempts:
        return state, Stop(rate_limited())
    delay = min(max(backoff(attempt, random), trouble.told_s or 0.0), MAX_TOLD_WAIT_S)
    return _with(state, attempts=attempt), Connect(delay, attempt, trouble.code, trouble.reason or "rate limited")


def _caught_up(state: State, over: bool, now: float, random: float) -> Step:
    if over:
        return state, Stop(
            ServerError(
                "The submission has ended, but the server gives no verdict: it has no results.",
                hint="`subcli status ID` shows what it knows.",
            )
        )
    match state.purpose:
        case "read":
            return state, Read()
        case "retry":
            return _retry(state, random)
        case "poll":
            delay = state.poll_s
            state = _with(state, poll_s=min(delay * POLL_GROWTH, POLL_S[1]), unanswered=0, polled=True)
            return state, Poll(delay, state.trouble.reason)


def _asked_in_vain(state: State, asked: AskedInVain, now: float, random: float) -> Step:
    if asked.status is not None:
        state = _with(state, answered=True)
    if asked.status == 401:
        return _unauthorized(_with(state, opened_at=None), asked.reason)
    if asked.status == 404 and state.purpose != "read":
        return _not_found(_with(state, opened_at=None), Trouble(404), now)
    match state.purpose:
        case "read":
            return state, Read()
        case "retry":
            return _retry(state, random)
        case "poll":
            return _poll_again(state, asked, random)


def _poll_again(state: State, asked: AskedInVain, random: float) -> Step:
    """A poll failed. The first one in a row without any answer since the socket was given up ends it."""
    failures = state.unanswered + 1
    if failures > (state.max_attempts if state.polled else 0):
        if asked.status == 429:
            return state, Stop(rate_limited())
        socket = state.trouble.reason or (f"code {state.trouble.code}" if state.trouble.code else "lost")
        return state, Stop(
            NetworkError(
                f"The server cannot be reached any more, neither by WebSocket ({socket}) nor by REST ({asked.reason}).",
                hint="Judging goes on there; `subcli watch ID` takes it up again.",
            )
        )
    delay = min(max(backoff(failures, random), asked.retry_after or 0.0), MAX_TOLD_WAIT_S)
    return _with(state, unanswered=failures), Poll(delay, state.trouble.reason)
