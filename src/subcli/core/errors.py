"""What can go wrong, as exceptions that carry their data.

The tree::

    SubcliError
    ├── UsageError          usage         wrong words, wrong file, wrong setting
    ├── AuthError           auth          not logged in, and no way to log in now
    │   └── CredentialError               the tokens could not be read or written
    ├── NotFoundError       not_found     no such submission or problem
    ├── NetworkError        network       nobody answered, or the way is blocked
    ├── ServerError         server        somebody answered, and not with a verdict
    ├── WatchTimeoutError   timeout       ``--timeout`` passed
    ├── RateLimitedError    rate_limited  told to wait, once too often
    ├── InterruptedByUser   interrupted   Ctrl-C, SIGTERM
    └── InternalError       internal      a fault of subcli itself

``kind`` is the word that ``--json`` prints (contract, section 4). The exit code of each kind is settled
in one place, :mod:`subcli.cli.exits`; nothing here knows of processes.
"""

from __future__ import annotations

from typing import ClassVar


class SubcliError(Exception):
    """Anything that ends a command without a verdict.

    Args:
        message: one sentence: what input and why.
        hint: what to do now, preferably a command to type. Empty where there is nothing to do.
    """

    kind: ClassVar[str] = "internal"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class UsageError(SubcliError):
    """The words, files or settings given cannot be used."""

    kind = "usage"


class AuthError(SubcliError):
    """The server wants to know who is asking, and could not be told."""

    kind = "auth"


class CredentialError(AuthError):
    """Tokens could not be read or written."""


class NotFoundError(SubcliError):
    """No such submission or problem, or one of somebody else's: the two look the same."""

    kind = "not_found"


class NetworkError(SubcliError):
    """No connection, or one that something in between does not let through."""

    kind = "network"


class ServerError(SubcliError):
    """The server answered, but a verdict cannot be had from it."""

    kind = "server"


class WatchTimeoutError(SubcliError):
    """The time given by ``--timeout`` passed; the verdict is not known."""

    kind = "timeout"


class RateLimitedError(SubcliError):
    """Told to wait more often than the attempts allow."""

    kind = "rate_limited"


class InterruptedByUser(SubcliError):
    """Ctrl-C or SIGTERM.

    Args:
        signal_number: 2 for SIGINT, 15 for SIGTERM.
    """

    kind = "interrupted"

    def __init__(self, message: str, *, hint: str = "", signal_number: int = 2) -> None:
        super().__init__(message, hint=hint)
        self.signal_number = signal_number


class InternalError(SubcliError):
    """A fault of subcli itself."""

    kind = "internal"


# -- the sentences of a watch -------------------------------------------------------------------------


def unreachable(reason: str) -> NetworkError:
    """The error for a server that never answered; ``reason`` names the address tried."""
    return NetworkError(
        f"No server answers: {reason}.",
        hint="Name the server with `--server URL`, or start one here with `subcli serve`.",
    )


def unauthorized(reason: str, hint: str = "") -> AuthError:
    """The error for a server that does not accept who we are, or wants to know it."""
    said = f": {reason.rstrip('.')}" if reason else ""
    return AuthError(f"The server refused the authentication{said}.", hint=hint or "Log in: `subcli auth login`.")


def not_found() -> NotFoundError:
    """The error for an id that the server does not know, or does not show to this user."""
    return NotFoundError(
        "No such submission, or none that you may see.",
        hint="`subcli list` shows yours; `--server` and the login decide whose they are.",
    )


def rate_limited() -> RateLimitedError:
    """The error for having been told to wait once too often."""
    return RateLimitedError(
        "The server is still limiting the rate after all attempts.",
        hint="Wait a few minutes, then take it up again with `subcli watch`.",
    )


def broken_off(code: int | None, reason: str) -> ServerError:
    """The error for a close code that says that no retry will do better."""
    said = f": {reason.rstrip('.')}" if reason else ""
    return ServerError(
        f"The server closed the connection with code {code}{said}.",
        hint="This is not cured by trying again; `--debug` shows what was said before.",
    )


def proxy_credentials() -> NetworkError:
    """The error for HTTP 407. The proxy's URL, which may hold a password, is not repeated."""
    return NetworkError(
        "The proxy wants credentials (HTTP 407).",
        hint="Put user and password into the proxy's URL in HTTPS_PROXY, or name the server in NO_PROXY.",
    )


def no_verdict() -> ServerError:
    """The error for a submission that is over, and about which nobody says how it ended."""
    return ServerError(
        "The submission has ended, but the server gives no verdict: it has no results that can be read.",
        hint="`subcli status ID` shows what it knows.",
    )


def no_way_left(socket: str, rest: str, status: int | None) -> SubcliError:
    """The error for having lost both ways to a verdict.

    Args:
        socket: why there is no WebSocket.
        rest: why REST was asked in vain.
        status: the HTTP status of that; ``None`` where nobody answered.
    """
    if status == 429:
        return rate_limited()
    message = f"A verdict can be had neither by WebSocket ({socket}) nor by REST ({rest})."
    hint = "Judging goes on there; `subcli watch ID` takes it up again."
    return NetworkError(message, hint=hint) if status is None else ServerError(message, hint=hint)
