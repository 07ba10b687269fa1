"""The errors that end a command, as exceptions that carry their data.

The tree::

    SubcliError
    ├── UsageError          usage         usage or configuration error
    ├── AuthError           auth          not authenticated, and re-authentication failed
    │   └── CredentialError               the tokens could not be read or written
    ├── NotFoundError       not_found     no such submission or problem
    ├── NetworkError        network       no connection, or a blocked one
    ├── ServerError         server        the server answered, but gave no verdict
    ├── WatchTimeoutError   timeout       ``--timeout`` passed
    ├── RateLimitedError    rate_limited  rate limited beyond the attempts
    ├── InterruptedByUser   interrupted   Ctrl-C, SIGTERM
    └── InternalError     internal      a bug in subcli

A hint may say ``ID``; :func:`name_submission` puts the number there.

``kind`` is the word that ``--json`` prints (contract, section 4). :mod:`subcli.cli.exits` maps it to an exit code.
"""

from __future__ import annotations

import re
from typing import ClassVar


class SubcliError(Exception):
    """Anything that ends a command without a verdict.

    Args:
        message: one sentence: what happened, and why.
        hint: what to do, preferably a command to type; empty if there is nothing to do.
    """

    kind: ClassVar[str] = "internal"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class UsageError(SubcliError):
    """The arguments, files or settings cannot be used."""

    kind = "usage"


class AuthError(SubcliError):
    """The server requires authentication, and it failed or was not possible."""

    kind = "auth"


class CredentialError(AuthError):
    """Tokens could not be read or written."""


class NotFoundError(SubcliError):
    """There is no such submission or problem, or it belongs to somebody else: the two look the same."""

    kind = "not_found"


class NetworkError(SubcliError):
    """There is no connection, or something in between blocks it."""

    kind = "network"


class ServerError(SubcliError):
    """The server answered, but does not give a verdict."""

    kind = "server"


class WatchTimeoutError(SubcliError):
    """``--timeout`` passed; the verdict is unknown."""

    kind = "timeout"


class RateLimitedError(SubcliError):
    """The server asked to wait more often than the attempts allow."""

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
    """A bug in subcli."""

    kind = "internal"


def name_submission(error: SubcliError, submission_id: int) -> SubcliError:
    """``error``, with the number of the submission where its hint says ``ID``."""
    error.hint = re.sub(r"(?<=`subcli )(\w+) ID\b", rf"\1 {submission_id}", error.hint)
    return error


# -- the sentences of a watch -------------------------------------------------------------------------


def sentence(text: str) -> str:
    """``text`` with a capital at its beginning; only for our own words, not for an address."""
    return text[:1].upper() + text[1:]


def unreachable(reason: str, hint: str = "") -> NetworkError:
    """The error for a server that never answered.

    Args:
        reason: names the address tried.
        hint: what to do if something other than the server is at fault, which ``reason`` names.
    """
    if hint:
        return NetworkError(f"{sentence(reason)}.", hint=hint)
    return NetworkError(
        f"No server answers: {reason}.",
        hint="Name the server with `--server URL`, or start one here with `subcli serve`.",
    )


def unauthorized(reason: str, hint: str = "") -> AuthError:
    """The error for a server that refuses our authentication, or requires one."""
    said = f": {reason.rstrip('.')}" if reason else ""
    return AuthError(f"The server rejected the authentication{said}.", hint=hint or "Log in: `subcli auth login`.")


def forbidden(reason: str) -> AuthError:
    """The error for something that this user, or this token, may not do."""
    message = f"The server does not allow this: {reason.rstrip('.')}."
    return AuthError(message, hint="`subcli auth status` shows who you are.")


def not_found() -> NotFoundError:
    """The error for an id that the server does not know or does not show to this user."""
    return NotFoundError(
        "There is no such submission, or you may not see it.",
        hint="`subcli list` shows your submissions; check `--server` and the login.",
    )


def rate_limited(hint: str = "Wait a few minutes, then resume with `subcli watch ID`.") -> RateLimitedError:
    """The error for being rate limited beyond the attempts."""
    return RateLimitedError("The server still limits the request rate after all attempts.", hint=hint)


def not_a_judge(reason: str, hint: str = "") -> ServerError:
    """The error for an answer that is not a judge's; ``reason`` names the address."""
    return ServerError(
        f"No judge answers: {reason}.",
        hint=hint or "Check `--server`, `api_path`, and a proxy before it if there is one; try `subcli doctor`.",
    )


def refused_by_server(status: int | None, reason: str) -> ServerError:
    """The error for an HTTP status that is not going to change."""
    said = reason.rstrip(".")
    return ServerError(
        f"The server answered {said if said.startswith('HTTP ') else f'{status}: {said}'}.",
        hint="Is this the right server? `subcli doctor` checks it; `subcli list` shows what was submitted.",
    )


def connection_closed(code: int | None, reason: str) -> ServerError:
    """The error for a close code that makes retrying pointless."""
    said = f": {reason.rstrip('.')}" if reason else ""
    return ServerError(
        f"The server closed the connection with code {code}{said}.",
        hint="Trying again will not help; `--debug` shows the messages before it.",
    )


def proxy_credentials() -> NetworkError:
    """The error for HTTP 407. The proxy's URL, which may hold a password, is not repeated."""
    return NetworkError(
        "The proxy requires credentials (HTTP 407).",
        hint="Put user and password into the proxy URL in HTTPS_PROXY, or add the server to NO_PROXY.",
    )


def no_verdict() -> ServerError:
    """The error for a submission that has ended without a verdict."""
    return ServerError(
        "The submission has ended, but the server has no verdict and no readable results for it.",
        hint="`subcli status ID` shows what it knows.",
    )


def records_replaced() -> ServerError:
    """The error for a different log than the one followed so far."""
    return ServerError(
        "The server's records were replaced, for example by a restored backup: "
        "this may be another submission with the same id.",
        hint="`subcli status ID` shows what is there now.",
    )


def both_ways_failed(socket: str, rest: str, status: int | None, *, seen: bool = True) -> SubcliError:
    """The error for losing both the WebSocket and REST.

    Args:
        socket: why the WebSocket failed.
        rest: why REST failed.
        status: the HTTP status of that; ``None`` if there was no response.
        seen: the server is known to have the submission.
    """
    if status == 429:
        return rate_limited()
    message = f"No verdict: neither the WebSocket ({socket}) nor REST ({rest}) works."
    hint = "Judging continues on the server; `subcli watch ID` resumes watching."
    if not seen:
        hint = "Check `--server`; `subcli doctor` looks for the cause."
    return NetworkError(message, hint=hint) if status is None else ServerError(message, hint=hint)
