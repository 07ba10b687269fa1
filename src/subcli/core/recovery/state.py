"""The state of the recovery machine, created once with its settings, then only by its steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

import msgspec

from subcli.core.backoff import MAX_ATTEMPTS, POLL_S
from subcli.core.inputs import Action

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


NO_TROUBLE: Final = Trouble()


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
    trouble: Trouble = NO_TROUBLE
    refusals: int = 0
    refusal: Trouble = NO_TROUBLE
    authenticated_at: float = 0.0
    oversize: int = 0
    incurable: int = 0
    purpose: Purpose = "retry"
    rest_trouble: Trouble = NO_TROUBLE
    unanswered: int = 0
    rest_at: float = 0.0
    poll_s: float = POLL_S[0]


Step: TypeAlias = tuple[State, Action]
Handler: TypeAlias = Callable[[State, Trouble, float, float], Step]


def changed(state: State, **changes: object) -> State:
    """Return the state with these fields."""
    return msgspec.structs.replace(state, **changes)
