"""Decides what a watch does next: a pure state machine.

:func:`step` takes the state, an input, the monotonic clock and a random number, and returns the next state and one
action. :mod:`subcli.client.session` carries out the actions and decides nothing.

The inputs and the actions that follow (contract, section 7; "retry" means: ask REST for what was missed, then connect
again after the backoff, and give up the socket when the attempts are used up):

================================================  ====================================================
``Ended``                                         ``Finish``
``Started``                                       ``Connect`` at once
``Opened``                                        ``Read``; first ``CatchUp`` if the server does not replay
``Progressed``                                    the attempts start again; ``Read``
``Quiet`` (no event for 10 s; with resume, 60)    ``CatchUp``, then ``Read``
``Closed`` 1000, 1001, 1005, 1006, 1011–1013      retry
``Closed`` 1002, 1003, 1007, 1008, 1010, 4500 up  stop (server)
``Closed`` 1009 (a frame beyond 1 MiB)            retry; twice at the same place: give up the socket
``Closed`` 4003, ``Refused`` 401                  ``Refresh``; a new token refused within 3 s: stop (auth)
``Closed`` 4004                                   within 5 s of our own submit: again; else stop (not found)
``Closed`` 4010, ``Replaced`` (another log)       stop (server)
``Closed`` 4029, ``Refused`` 429                  wait as asked, at most 5 min; attempts used up: stop
``Closed`` with another code                      retry
``Refused`` 2xx, 3xx, 400, 405, 426               retry; twice: give up the socket
``Refused`` 404                                   retry; twice, while REST knows it: give up the socket
``Refused`` 407, also from REST                   stop (network)
``Refused`` by a proxy, 4xx and other statuses    retry; 4xx twice: give up the socket
``Refused`` 403 or another status                 retry; REST's 401 or 404 decide as there
``Lost`` (reset, refused, DNS, timeout)           retry; if nothing ever answered: once more after 1 s,
                                                  then, if REST is silent too, stop (network)
``Silent`` (10 s after a ping)                    retry
``Slept``                                         connect again at once
``TooManyBadFrames`` (20 bad frames in a row)     give up the socket
``Blocked`` (certificate, proxy)                  stop (network)
``CaughtUp``                                      continue; if ended without a verdict: stop (server)
``RestFailed``                                    continue; 401 as above; 404 as 4004, unless only the socket knows it
``RestFailed`` 4xx, or as no judge answers        where the submission was never seen: stop (server)
``Refreshed``                                     connect again, or stop (auth)
================================================  ====================================================

Giving up the socket means ``Poll``: ask REST every 2 to 10 s until the verdict. REST has as many attempts in a row as
the socket; when both are used up, stop. Whatever the cause, at most 5 connections are started within 10 s, and no wait
that a server asks for exceeds 5 minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias, assert_never

import msgspec

from subcli.core.backoff import (
    FIRST_CONTACT_DELAY_S,
    INCURABLE_MAX,
    MAX_ATTEMPTS,
    MAX_CONNECTS,
    MAX_RETRY_AFTER_S,
    OWN_SUBMIT_GRACE_S,
    POLL_GROWTH,
    POLL_S,
    REFUSED_AT_ONCE_S,
    SLOW_CONTACT_S,
    STABLE_S,
    backoff,
    throttle_connects,
    wait,
)
from subcli.core.errors import (
    NetworkError,
    both_ways_failed,
    connection_closed,
    no_verdict,
    not_a_judge,
    not_found,
    proxy_credentials,
    rate_limited,
    records_replaced,
    refused_by_server,
    unauthorized,
    unreachable,
)
from subcli.core.inputs import (
    Action,
    Blocked,
    CatchUp,
    CaughtUp,
    Closed,
    Connect,
    Ended,
    Finish,
    Input,
    Lost,
    Opened,
    Poll,
    Progressed,
    Quiet,
    Read,
    Refresh,
    Refreshed,
    Refused,
    Replaced,
    RestFailed,
    Silent,
    Slept,
    SocketGone,
    Started,
    Stop,
    TooManyBadFrames,
)

# -- state ------------------------------------------------------------------------------------------

Purpose: TypeAlias = Literal["read", "retry", "poll"]


class Trouble(msgspec.Struct, frozen=True):
    """Why something failed.

    ``retry_after_s``: how long the server asked us to wait. ``hint``: what to do if it is not the server's fault.
    """

    code: int | None = None
    reason: str = ""
    retry_after_s: float | None = None
    hint: str = ""

    def __str__(self) -> str:
        return self.reason or ("lost" if self.code is None else f"code {self.code}")


_NONE: Final = Trouble()


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the machine. Created once with its settings, then only by :func:`step`.

    Attributes:
        max_attempts: reconnects in a row without a new event.
        submitted_at: monotonic seconds of our own submit, if the watch follows one.
        answered: the server responded at least once.
        known_to: which half of the server knows the submission. If only the socket does, REST may lack the call.
        attempts: reconnects since the last new event or stable connection.
        connects: monotonic seconds at which the latest connection attempts succeeded or failed.
        opened_at: monotonic seconds at which the socket opened, if there is one.
        began_at: monotonic seconds of the last connect or catch-up.
        trouble: why there is no socket.
        refusals, refusal: authentications refused in a row, and the reason of the last.
        authenticated_at: monotonic seconds of the last authentication.
        oversize, incurable: failures of their kind in a row.
        purpose: what to do after a catch-up: read, retry the socket, or poll.
        unanswered, rest_trouble: failed catch-ups in a row, and the reason of the last.
        rest_at: monotonic seconds before which REST must not be asked (``Retry-After``).
        poll_s: seconds to the next poll.
    """

    max_attempts: int = MAX_ATTEMPTS
    submitted_at: float | None = None
    answered: bool = False
    known_to: Literal["nobody", "socket", "rest"] = "nobody"
    attempts: int = 0
    connects: tuple[float, ...] = ()
    opened_at: float | None = None
    began_at: float = 0.0
    trouble: Trouble = _NONE
    refusals: int = 0
    refusal: Trouble = _NONE
    authenticated_at: float = 0.0
    oversize: int = 0
    incurable: int = 0
    purpose: Purpose = "retry"
    rest_trouble: Trouble = _NONE
    unanswered: int = 0
    rest_at: float = 0.0
    poll_s: float = POLL_S[0]


Step: TypeAlias = tuple[State, Action]
Handler: TypeAlias = Callable[[State, Trouble, float, float], Step]


def _with(state: State, **changes: object) -> State:
    return msgspec.structs.replace(state, **changes)


# -- the machine ------------------------------------------------------------------------------------


def step(state: State, input: Input, now: float, random: float) -> Step:
    """Return the next state and what to do.

    Args:
        state: the present state.
        input: what happened, most often as an outcome of the last action.
        now: a reading of the monotonic clock, seconds.
        random: a random number in [0, 1), for jitter.
    """
    if state.opened_at is not None and now - state.opened_at >= STABLE_S:
        state = _with(state, attempts=0, refusals=0)
    match input:
        case Ended():
            return state, Finish()
        case Started(own_submit):
            state = _with(state, answered=own_submit, submitted_at=now if own_submit else None)
            return _connect(state, now)
        case Opened(needs_catch_up):
            state = _with(_note_connect(state, now), answered=True, opened_at=now, incurable=0)
            return _catch_up(state, "read", now, random) if needs_catch_up else (state, Read())
        case Progressed():
            known_to = "socket" if state.known_to == "nobody" else state.known_to
            return _with(state, attempts=0, refusals=0, oversize=0, known_to=known_to), Read()
        case Quiet():
            return _catch_up(state, "read", now, random)
        case CaughtUp():
            return _caught_up(state, input, now, random)
        case RestFailed():
            return _catch_up_failed(state, input, now, random)
        case Refreshed(ok, hint, renewed):
            # A token that was not got for this refusal may be as dead as the last one.
            return _refreshed(state if renewed else _with(state, refusals=0), ok, hint, now)
        case Blocked(reason, hint):
            return state, Stop(NetworkError(reason, hint=hint))
        case Replaced():
            return state, Stop(records_replaced())
    return _socket_gone(state, input, now, random)


def _socket_gone(state: State, input: SocketGone, now: float, random: float) -> Step:
    state = _with(_note_connect(state, now) if state.opened_at is None else state, opened_at=None)
    match input:
        case Closed(code, reason, retry_after_s):
            return handler_for_close(code)(state, Trouble(code, reason, retry_after_s), now, random)
        case Refused(status, reason, by_proxy=True):
            # It may pass REST all the same, which also knows what to do if it does not.
            handler = _incurable if 400 <= status < 500 else _retry
            return handler(state, Trouble(status, reason), now, random)
        case Refused(status, reason, retry_after_s):
            state = _with(state, answered=True)
            return handler_for_refusal(status)(state, Trouble(status, reason, retry_after_s), now, random)
        case Lost(reason, reached, hint):
            state = _with(state, answered=state.answered or reached)
            handler = _retry if state.answered else _first_contact
            return handler(state, Trouble(reason=reason, hint=hint), now, random)
        case Silent():
            return _retry(state, Trouble(reason="no answer to a ping"), now, random)
        case Slept():
            return _connect(state, now, trouble=Trouble(reason="this machine slept"))
        case TooManyBadFrames():
            return _give_up_socket(state, Trouble(reason="the server sends no messages of this protocol"), now, random)
        case _:  # pragma: no cover
            assert_never(input)


# -- handlers of a lost socket ------------------------------------------------------------------------


def _retry(state: State, trouble: Trouble, now: float, random: float) -> Step:
    """Ask REST before waiting: the verdict may be there already."""
    return _catch_up(_with(state, trouble=trouble), "retry", now, random)


def _first_contact(state: State, trouble: Trouble, now: float, random: float) -> Step:
    """Once more, unless the first attempt took long: then REST has the last word."""
    if state.attempts == 0 and now - state.began_at < SLOW_CONTACT_S:
        return _connect(_with(state, attempts=1), now, FIRST_CONTACT_DELAY_S, 1, trouble)
    return _retry(state, trouble, now, random)


def _authenticate(state: State, trouble: Trouble, now: float, random: float) -> Step:
    # Later, waiting to connect may have taken longer than the token lived.
    is_at_once = now - state.authenticated_at < REFUSED_AT_ONCE_S
    if state.refusals and (is_at_once or state.refusals > state.max_attempts):
        return state, Stop(unauthorized(trouble.reason))
    return _with(state, refusals=state.refusals + 1, refusal=trouble), Refresh()


def _not_found(state: State, trouble: Trouble, now: float, random: float) -> Step:
    """After our own submit, ask again after 1, 2, 4 and finally 5 s."""
    if state.submitted_at is None or state.began_at >= state.submitted_at + OWN_SUBMIT_GRACE_S:
        return state, Stop(not_found())
    since = now - state.submitted_at
    delay = max(0.0, min(max(1.0, since), OWN_SUBMIT_GRACE_S - since))
    if state.purpose == "poll":
        return _ask_after(delay, state, now)
    return _connect(state, now, delay, trouble=Trouble(trouble.code, "not visible yet"))


def _rate_limited(state: State, trouble: Trouble, now: float, random: float) -> Step:
    attempt = state.attempts + 1
    if attempt > state.max_attempts:
        return state, Stop(rate_limited())
    trouble = Trouble(trouble.code, trouble.reason or "rate limited", trouble.retry_after_s)
    return _connect(_with(state, attempts=attempt), now, wait(attempt, random, trouble.retry_after_s), attempt, trouble)


def _oversize(state: State, trouble: Trouble, now: float, random: float) -> Step:
    state = _with(state, oversize=state.oversize + 1)
    return (_give_up_socket if state.oversize >= INCURABLE_MAX else _retry)(state, trouble, now, random)


def _incurable(state: State, trouble: Trouble, now: float, random: float) -> Step:
    state = _with(state, incurable=state.incurable + 1)
    return (_give_up_socket if state.incurable >= INCURABLE_MAX else _retry)(state, trouble, now, random)


def _stop(state: State, trouble: Trouble, now: float, random: float) -> Step:
    return state, Stop(connection_closed(trouble.code, trouble.reason))


def _replaced(state: State, trouble: Trouble, now: float, random: float) -> Step:
    return state, Stop(records_replaced())


def _proxy(state: State, trouble: Trouble, now: float, random: float) -> Step:
    return state, Stop(proxy_credentials())


_CLOSES: Final[Mapping[int, Handler]] = {
    **dict.fromkeys((1000, 1001, 1005, 1006, 1011, 1012, 1013), _retry),
    **dict.fromkeys((1002, 1003, 1007, 1008, 1010), _stop),
    1009: _oversize,
    4003: _authenticate,
    4004: _not_found,
    4010: _replaced,
    4029: _rate_limited,
}
_REFUSALS: Final[Mapping[int, Handler]] = {
    **dict.fromkeys((400, 405, 426), _incurable),
    401: _authenticate,
    404: _retry,
    407: _proxy,
    429: _rate_limited,
}


_FINAL: Final = frozenset(range(400, 500)) - {401, 404, 407, 408, 425, 429}
"""What REST answers to every repetition alike. From a server that knew the submission it may still be a passing fault
of something in between."""


def handler_for_close(code: int) -> Handler:
    """Return the handler of a close code: from the table, else by range."""
    return _CLOSES.get(code) or (_stop if 4500 <= code <= 4999 else _retry)


def handler_for_refusal(status: int) -> Handler:
    """Return the handler of a handshake's HTTP status: from the table, else by range."""
    return _REFUSALS.get(status) or (_incurable if 200 <= status < 400 else _retry)


def _connect(state: State, now: float, delay_s: float = 0.0, attempt: int = 0, trouble: Trouble = _NONE) -> Step:
    delay_s = throttle_connects(delay_s, state.connects, now)
    state = _with(state, opened_at=None, began_at=now + delay_s)
    return state, Connect(delay_s, attempt, trouble.code, trouble.reason)


def _note_connect(state: State, now: float) -> State:
    return _with(state, connects=(*state.connects, now)[-MAX_CONNECTS:])


def _refreshed(state: State, ok: bool, hint: str, now: float) -> Step:
    if not ok:
        return state, Stop(unauthorized(state.refusal.reason, hint))
    state = _with(state, authenticated_at=now)
    if state.purpose == "poll":
        return _ask_after(0.0, state, now)
    return _connect(state, now, trouble=Trouble(state.refusal.code, "authenticated again"))


# -- catching up ------------------------------------------------------------------------------------


def _catch_up(state: State, purpose: Purpose, now: float, random: float) -> Step:
    """Ask REST, unless it asked us to wait (``Retry-After``)."""
    state = _with(state, purpose=purpose, began_at=now)
    return (state, CatchUp()) if now >= state.rest_at else _go_on(state, now, random)


def _caught_up(state: State, caught_up: CaughtUp, now: float, random: float) -> Step:
    if caught_up.ended:
        return state, Stop(no_verdict())
    refusals = 0 if state.purpose == "poll" else state.refusals
    oversize = 0 if caught_up.news else state.oversize
    state = _with(state, answered=True, known_to="rest", unanswered=0, refusals=refusals, oversize=oversize)
    if state.purpose == "retry" and state.trouble.code == 404:
        # The submission is there, so it is the way to the socket that is not: a proxy dropped `Upgrade`.
        state = _with(state, incurable=state.incurable + 1)
        if state.incurable >= INCURABLE_MAX:
            return _give_up_socket(state, state.trouble, now, random)
    return _go_on(state, now, random)


def _catch_up_failed(state: State, failed: RestFailed, now: float, random: float) -> Step:
    trouble = Trouble(failed.status, failed.reason, hint=failed.hint)
    state = _with(state, answered=state.answered or failed.status is not None)
    if not state.answered:
        trouble = trouble if failed.hint else state.trouble
        return state, Stop(unreachable(trouble.reason, trouble.hint))
    is_new = state.purpose != "read" and state.known_to == "nobody" and state.submitted_at is None
    if is_new and failed.foreign:
        return state, Stop(not_a_judge(failed.reason, failed.hint))
    if failed.status == 401:
        return _authenticate(state, trouble, now, random)
    if is_new and failed.status in _FINAL:
        return state, Stop(refused_by_server(failed.status, failed.reason))
    if failed.status == 404 and not failed.foreign and (state.purpose != "read" or state.known_to != "socket"):
        return _not_found(state, trouble, now, random)
    if failed.status == 407:
        return _proxy(state, trouble, now, random)
    retry_after_s = min(failed.retry_after_s or 0.0, MAX_RETRY_AFTER_S)
    state = _with(state, unanswered=state.unanswered + 1, rest_trouble=trouble, rest_at=now + retry_after_s)
    return _go_on(state, now, random)


def _go_on(state: State, now: float, random: float) -> Step:
    """Continue with the purpose of the catch-up."""
    if state.purpose == "read":
        return state, Read()
    if state.purpose == "poll":
        return _poll(state, now, random)
    attempt = state.attempts + 1
    if attempt > state.max_attempts:
        return _give_up_socket(state, state.trouble, now, random)
    delay = max(wait(attempt, random, state.trouble.retry_after_s), state.rest_at - now)
    return _connect(_with(state, attempts=attempt), now, delay, attempt, state.trouble)


def _give_up_socket(state: State, trouble: Trouble, now: float, random: float) -> Step:
    state = _with(state, purpose="poll", trouble=trouble)
    if state.unanswered:
        return _poll(state, now, random)
    return _ask_after(max(0.0, state.rest_at - now), state, now)


def _poll(state: State, now: float, random: float) -> Step:
    if state.unanswered > state.max_attempts:
        seen = state.known_to != "nobody" or state.submitted_at is not None
        socket, rest = str(state.trouble), str(state.rest_trouble)
        return state, Stop(both_ways_failed(socket, rest, state.rest_trouble.code, seen=seen))
    if state.unanswered:
        delay = backoff(state.unanswered, random)
    else:
        delay = state.poll_s
        state = _with(state, poll_s=min(delay * POLL_GROWTH, POLL_S[1]))
    return _ask_after(max(delay, state.rest_at - now), state, now)


def _ask_after(delay_s: float, state: State, now: float) -> Step:
    return _with(state, began_at=now + delay_s), Poll(delay_s, str(state.trouble))
