"""Decides what a watch does next: a pure state machine.

:func:`step` takes the state, an input, the monotonic clock and a random number, and returns the next state and one
action. :mod:`subcli.client.session` carries out the actions and decides nothing.

The inputs and the actions that follow (contract, section 7; "retry" means: ask REST for what was missed, then connect
again after the backoff, and give up the socket when no attempts are left):

================================================  ====================================================
``Ended``                                         ``Finish``
``Started``                                       ``Connect`` at once
``Opened``                                        ``Read``; first ``CatchUp`` if the server does not replay
``Progressed``                                    reset the attempts; ``Read``
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
``Refused`` 403 or another status                 retry; a 401 or 404 from REST decides as above
``Lost`` (reset, refused, DNS, timeout)           retry; if nothing ever answered: once more after 1 s,
                                                  then, if REST is silent too, stop (network)
``Silent`` (10 s after a ping)                    retry
``Slept``, ``Reopening`` (to ask for output)      connect again at once
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

from subcli.core.backoff import STABLE_S
from subcli.core.errors import NetworkError, records_replaced
from subcli.core.inputs import (
    Blocked,
    CaughtUp,
    Ended,
    Finish,
    Input,
    Opened,
    Progressed,
    Quiet,
    Read,
    Refreshed,
    Replaced,
    RestFailed,
    Started,
    Stop,
)
from subcli.core.recovery.disconnects import socket_gone
from subcli.core.recovery.moves import catch_up, connect, note_connect
from subcli.core.recovery.rest_answers import catch_up_failed, caught_up, refreshed
from subcli.core.recovery.state import State, Step, changed


def step(state: State, input: Input, now: float, random: float) -> Step:
    """Return the next state and what to do.

    Args:
        state: the present state.
        input: what happened, most often as an outcome of the last action.
        now: a reading of the monotonic clock, seconds.
        random: a random number in [0, 1), for jitter.
    """
    if state.opened_at is not None and now - state.opened_at >= STABLE_S:
        state = changed(state, attempts=0, refusals=0)
    match input:
        case Ended():
            return state, Finish()
        case Started(own_submit):
            state = changed(state, answered=own_submit, submitted_at=now if own_submit else None)
            return connect(state, now)
        case Opened(needs_catch_up):
            state = changed(note_connect(state, now), answered=True, opened_at=now, incurable=0)
            return catch_up(state, "read", now, random) if needs_catch_up else (state, Read())
        case Progressed():
            known_to = "socket" if state.known_to == "nobody" else state.known_to
            return changed(state, attempts=0, refusals=0, oversize=0, known_to=known_to), Read()
        case Quiet():
            return catch_up(state, "read", now, random)
        case CaughtUp():
            return caught_up(state, input, now, random)
        case RestFailed():
            return catch_up_failed(state, input, now, random)
        case Refreshed(ok, hint, renewed):
            # A token that was not obtained for this refusal may be as invalid as the last one.
            return refreshed(state if renewed else changed(state, refusals=0), ok, hint, now)
        case Blocked(reason, hint):
            return state, Stop(NetworkError(reason, hint=hint))
        case Replaced():
            return state, Stop(records_replaced())
    return socket_gone(state, input, now, random)
