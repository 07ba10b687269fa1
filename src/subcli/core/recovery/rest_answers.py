"""Decides what to do after REST has answered or failed, and after a new token was requested."""

from __future__ import annotations

from typing import Final

from subcli.core.backoff import INCURABLE_MAX, MAX_RETRY_AFTER_S
from subcli.core.errors import no_verdict, not_a_judge, refused_by_server, unauthorized, unreachable
from subcli.core.inputs import CaughtUp, RestFailed, Stop
from subcli.core.recovery.disconnects import authenticate, proxy_refused, unknown_submission
from subcli.core.recovery.moves import ask_after, connect, give_up_socket, go_on
from subcli.core.recovery.state import State, Step, Trouble, changed

_FINAL: Final = frozenset(range(400, 500)) - {401, 404, 407, 408, 425, 429}
"""Statuses that repeating does not change. From a server that knew the submission they may still be a temporary fault
of something in between."""


def caught_up(state: State, caught_up: CaughtUp, now: float, random: float) -> Step:
    """Continue; stop if the submission has ended without a verdict."""
    if caught_up.ended:
        return state, Stop(no_verdict())
    refusals = 0 if state.purpose == "poll" else state.refusals
    oversize = 0 if caught_up.news else state.oversize
    state = changed(state, answered=True, known_to="rest", unanswered=0, refusals=refusals, oversize=oversize)
    if state.purpose == "retry" and state.trouble.code == 404:
        # The submission exists, so the path to the socket is broken: a proxy dropped `Upgrade`.
        state = changed(state, incurable=state.incurable + 1)
        if state.incurable >= INCURABLE_MAX:
            return give_up_socket(state, state.trouble, now, random)
    return go_on(state, now, random)


def catch_up_failed(state: State, failed: RestFailed, now: float, random: float) -> Step:
    """Continue without the missed events, unless the answer says that retrying is pointless."""
    trouble = Trouble(failed.status, failed.reason, hint=failed.hint)
    state = changed(state, answered=state.answered or failed.status is not None)
    if not state.answered:
        trouble = trouble if failed.hint else state.trouble
        return state, Stop(unreachable(trouble.reason, trouble.hint))
    is_new = state.purpose != "read" and state.known_to == "nobody" and state.submitted_at is None
    if is_new and failed.foreign:
        return state, Stop(not_a_judge(failed.reason, failed.hint))
    if failed.status == 401:
        return authenticate(state, trouble, now, random)
    if is_new and failed.status in _FINAL:
        return state, Stop(refused_by_server(failed.status, failed.reason))
    if failed.status == 404 and not failed.foreign and (state.purpose != "read" or state.known_to != "socket"):
        return unknown_submission(state, trouble, now, random)
    if failed.status == 407:
        return proxy_refused(state, trouble, now, random)
    retry_after_s = min(failed.retry_after_s or 0.0, MAX_RETRY_AFTER_S)
    state = changed(state, unanswered=state.unanswered + 1, rest_trouble=trouble, rest_at=now + retry_after_s)
    return go_on(state, now, random)


def refreshed(state: State, ok: bool, hint: str, now: float) -> Step:
    """Connect with the new token, or stop if there is none."""
    if not ok:
        return state, Stop(unauthorized(state.refusal.reason, hint))
    state = changed(state, authenticated_at=now)
    if state.purpose == "poll":
        return ask_after(0.0, state, now)
    return connect(state, now, trouble=Trouble(state.refusal.code, "authenticated again"))
