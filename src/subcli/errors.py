"""What can go wrong, as exceptions that carry their data.

The tree::

    SubcliError
    ├── UsageError          usage         wrong words, wrong file, wrong setting
    ├── AuthError           auth          not logged in, and no way to log in now
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
        message: one sentence: what happened and why.
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


# -- sentences that are said in more than one place ---------------------------------------------------


def unreachable(reason: str) -> NetworkError:
    """The error for a server that never answered; ``reason`` names the address tried."""
    return NetworkError(
        f"No server answers: {reason}.",
        hint="Name the server with `--server URL`, or start one here with `subcli serve`.",
    )


def unauthorized(reason: str, hint: str = "") -> AuthError:
    """The error for a server that does not accept who we are, or wants to know it."""
    said = f": {reason}" if reason else ""
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
