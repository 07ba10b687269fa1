"""The inputs and actions of the recovery machine.

Frozen values without behaviour. :mod:`subcli.core.recovery` has the table of which action follows which input.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from subcli.core.errors import SubcliError

# -- inputs: what happened to a watch ------------------------------------------------------------------


class Started(msgspec.Struct, frozen=True):
    """A watch begins. ``own_submit``: we have just made the submission ourselves."""

    own_submit: bool = False


class Opened(msgspec.Struct, frozen=True):
    """The handshake succeeded. ``needs_catch_up``: the server does not replay, so REST has what was missed."""

    needs_catch_up: bool


class Progressed(msgspec.Struct, frozen=True):
    """The first new event since the socket opened arrived."""


class Quiet(msgspec.Struct, frozen=True):
    """No event arrived for a while: 10 s if the server may never send any (no ``resume``), else 60 s."""


class Closed(msgspec.Struct, frozen=True):
    """The socket closed. ``retry_after_s``: the wait that the reason asks for."""

    code: int
    reason: str = ""
    retry_after_s: float | None = None


class Refused(msgspec.Struct, frozen=True):
    """The handshake got an HTTP status other than 101. ``by_proxy``: not from the server, but from a proxy."""

    status: int
    reason: str = ""
    retry_after_s: float | None = None
    by_proxy: bool = False


class Lost(msgspec.Struct, frozen=True):
    """No connection: reset, refused, unknown host, no route, timeout.

    ``reached``: something answered at first. ``hint``: what to do if something else than the server is at fault.
    """

    reason: str
    reached: bool = False
    hint: str = ""


class Silent(msgspec.Struct, frozen=True):
    """Nothing arrived for 10 s after a ping."""


class Slept(msgspec.Struct, frozen=True):
    """The machine slept: the wall clock advanced while the monotonic clock stopped."""


class Reopening(msgspec.Struct, frozen=True):
    """We closed the socket, to open one that asks for what builds and tests print."""


class TooManyBadFrames(msgspec.Struct, frozen=True):
    """``MAX_BAD_FRAMES`` frames in a row were not valid messages."""


class Blocked(msgspec.Struct, frozen=True):
    """Retrying cannot help: an invalid certificate, a proxy that requires credentials."""

    reason: str
    hint: str


class CaughtUp(msgspec.Struct, frozen=True):
    """A catch-up over REST succeeded.

    ``news``: it brought new events. ``ended``: the submission has ended without a verdict.
    """

    news: bool = False
    ended: bool = False


class Replaced(msgspec.Struct, frozen=True):
    """The server's log of this submission is not the one followed so far."""


class RestFailed(msgspec.Struct, frozen=True):
    """A REST request got no response (``status`` None), or not the one it asked for.

    ``hint``: what to do if something else than the server is at fault. ``foreign``: the answer is not a judge's.
    ``page``: the body is not JSON, so something before the judge may have answered.
    """

    status: int | None
    reason: str = ""
    retry_after_s: float | None = None
    hint: str = ""
    foreign: bool = False
    page: bool = False


class Refreshed(msgspec.Struct, frozen=True):
    """We tried to authenticate again.

    ``hint``: the command to type if that failed. ``renewed``: whether this produced a new token; otherwise one from
    just before is tried first.
    """

    ok: bool
    hint: str = ""
    renewed: bool = True


class Ended(msgspec.Struct, frozen=True):
    """The verdict arrived."""


SocketGone: TypeAlias = Closed | Refused | Lost | Silent | Slept | Reopening | TooManyBadFrames

Input: TypeAlias = (
    Started | Opened | Progressed | Quiet | SocketGone | Blocked | CaughtUp | Replaced | RestFailed | Refreshed | Ended
)

# -- actions: what to do about it ---------------------------------------------------------------------


class Connect(msgspec.Struct, frozen=True):
    """Open the socket after ``delay_s`` seconds. ``attempt`` is 0 if it does not count as a retry."""

    delay_s: float = 0.0
    attempt: int = 0
    code: int | None = None
    reason: str = ""


class Read(msgspec.Struct, frozen=True):
    """Continue reading the socket."""


class CatchUp(msgspec.Struct, frozen=True):
    """Ask REST for what was missed."""


class Poll(msgspec.Struct, frozen=True):
    """Without a socket, ask REST after ``delay_s`` seconds."""

    delay_s: float
    reason: str = ""


class Refresh(msgspec.Struct, frozen=True):
    """Authenticate again."""


class Finish(msgspec.Struct, frozen=True):
    """Finish with the verdict."""


class Stop(msgspec.Struct, frozen=True):
    """Stop without a verdict."""

    error: SubcliError


Action: TypeAlias = Connect | Read | CatchUp | Poll | Refresh | Finish | Stop
