"""The vocabulary of recovery: what can happen to a watch, and what can be done about it.

Frozen values without behaviour. The table of which answers which stands in :mod:`subcli.core.recovery`.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from subcli.core.errors import SubcliError

# -- inputs: what happened to a watch ------------------------------------------------------------------


class Started(msgspec.Struct, frozen=True):
    """A watch begins. ``own_submit``: of what we have just handed in ourselves."""

    own_submit: bool = False


class Opened(msgspec.Struct, frozen=True):
    """The handshake succeeded. ``needs_catch_up``: this server does not replay; REST has what was missed."""

    needs_catch_up: bool


class Progressed(msgspec.Struct, frozen=True):
    """A new event came: the first since the socket opened."""


class Quiet(msgspec.Struct, frozen=True):
    """No event for 10 s from a server without ``resume``, which may never send one, or for 60 s from another."""


class Closed(msgspec.Struct, frozen=True):
    """The socket closed. ``retry_after_s``: seconds, where the reason names them."""

    code: int
    reason: str = ""
    retry_after_s: float | None = None


class Refused(msgspec.Struct, frozen=True):
    """The handshake was answered by an HTTP status other than 101."""

    status: int
    reason: str = ""
    retry_after_s: float | None = None


class Lost(msgspec.Struct, frozen=True):
    """No connection: reset, refused, unknown host, no route, timeout. ``reached``: somebody was there."""

    reason: str
    reached: bool = False


class Silent(msgspec.Struct, frozen=True):
    """Nothing received for 10 s after a ping."""


class Slept(msgspec.Struct, frozen=True):
    """The wall clock ran on while the monotonic clock stood still."""


class TooManyBadFrames(msgspec.Struct, frozen=True):
    """``MAX_BAD_FRAMES`` frames in a row were no messages."""


class Blocked(msgspec.Struct, frozen=True):
    """Something that no retry cures: an invalid certificate, a proxy that wants credentials."""

    reason: str
    hint: str


class CaughtUp(msgspec.Struct, frozen=True):
    """REST was asked and answered.

    ``news``: it told something new. ``ended``: the submission has ended, and still there is no verdict.
    """

    news: bool = False
    ended: bool = False


class RestFailed(msgspec.Struct, frozen=True):
    """REST was asked and did not answer (``status`` None), or not with what was asked for."""

    status: int | None
    reason: str = ""
    retry_after_s: float | None = None


class Refreshed(msgspec.Struct, frozen=True):
    """Authentication was tried again. ``hint``: the command to type where it failed."""

    ok: bool
    hint: str = ""


class Ended(msgspec.Struct, frozen=True):
    """The verdict is there."""


SocketGone: TypeAlias = Closed | Refused | Lost | Silent | Slept | TooManyBadFrames

Input: TypeAlias = (
    Started | Opened | Progressed | Quiet | SocketGone | Blocked | CaughtUp | RestFailed | Refreshed | Ended
)

# -- actions: what to do about it ---------------------------------------------------------------------


class Connect(msgspec.Struct, frozen=True):
    """Open the socket after ``delay_s`` seconds. ``attempt`` is 0 where it is not one of the counted retries."""

    delay_s: float = 0.0
    attempt: int = 0
    code: int | None = None
    reason: str = ""


class Read(msgspec.Struct, frozen=True):
    """Go on reading the socket."""


class CatchUp(msgspec.Struct, frozen=True):
    """Ask REST for what was missed."""


class Poll(msgspec.Struct, frozen=True):
    """The socket is given up: ask REST after ``delay_s`` seconds."""

    delay_s: float
    reason: str = ""


class Refresh(msgspec.Struct, frozen=True):
    """Authenticate again."""


class Finish(msgspec.Struct, frozen=True):
    """Done: the verdict is there."""


class Stop(msgspec.Struct, frozen=True):
    """Done without a verdict."""

    error: SubcliError


Action: TypeAlias = Connect | Read | CatchUp | Poll | Refresh | Finish | Stop
