"""The error tree, and the sentences of each error."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from subcli.core import errors
from subcli.core.errors import InterruptedByUser, SubcliError

KINDS = {
    errors.UsageError: "usage",
    errors.AuthError: "auth",
    errors.NotFoundError: "not_found",
    errors.NetworkError: "network",
    errors.ServerError: "server",
    errors.WatchTimeoutError: "timeout",
    errors.RateLimitedError: "rate_limited",
    errors.InterruptedByUser: "interrupted",
    errors.InternalError: "internal",
}


@pytest.mark.parametrize(("cls", "kind"), KINDS.items())
def test_error_has_kind_message_and_hint(cls: type[SubcliError], kind: str) -> None:
    """`kind` is what `--json` prints; `str()` is the message."""
    error = cls("What happened.", hint="What to do.")
    assert error.args == ("What happened.",)
    assert (error.kind, error.message, error.hint, str(error)) == (
        kind,
        "What happened.",
        "What to do.",
        "What happened.",
    )
    assert cls("What happened.").hint == ""


def test_error_kinds_are_complete() -> None:
    """The tree is flat and has every kind of the contract."""
    assert set(SubcliError.__subclasses__()) == set(KINDS)


@pytest.mark.parametrize("number", [2, 15])
def test_interruption_has_signal_number(number: int) -> None:
    """Its exit code is 128 plus the signal."""
    assert InterruptedByUser("Interrupted.", signal_number=number).signal_number == number
    assert InterruptedByUser("Interrupted.").signal_number == 2


LOG_IN = "Log in: `subcli auth login`."
LATER = "Wait a few minutes, then resume with `subcli watch ID`."
LIMITED = "The server still limits the request rate after all attempts."
AGAIN = "Judging continues on the server; `subcli watch ID` resumes watching."
CLOSED = "The server closed the connection with code"
NO_CURE = "Trying again will not help; `--debug` shows the messages before it."


@pytest.mark.parametrize(
    ("make", "kind", "message", "hint"),
    [
        (
            lambda: errors.unreachable("h:1 refused the connection"),
            "network",
            "No server answers: h:1 refused the connection.",
            "Name the server with `--server URL`, or start one here with `subcli serve`.",
        ),
        (lambda: errors.unauthorized("expired"), "auth", "The server rejected the authentication: expired.", LOG_IN),
        (lambda: errors.unauthorized("expired."), "auth", "The server rejected the authentication: expired.", LOG_IN),
        (
            lambda: errors.unauthorized("No such X"),
            "auth",
            "The server rejected the authentication: No such X.",
            LOG_IN,
        ),
        (lambda: errors.unauthorized(""), "auth", "The server rejected the authentication.", LOG_IN),
        (
            lambda: errors.not_found(),
            "not_found",
            "There is no such submission, or you may not see it.",
            "`subcli list` shows your submissions; check `--server` and the login.",
        ),
        (lambda: errors.rate_limited(), "rate_limited", LIMITED, LATER),
        (
            lambda: errors.connection_closed(1008, "no"),
            "server",
            f"{CLOSED} 1008: no.",
            NO_CURE,
        ),
        (
            lambda: errors.connection_closed(1008, "X."),
            "server",
            f"{CLOSED} 1008: X.",
            NO_CURE,
        ),
        (lambda: errors.connection_closed(4500, ""), "server", f"{CLOSED} 4500.", NO_CURE),
        (
            lambda: errors.proxy_credentials(),
            "network",
            "The proxy requires credentials (HTTP 407).",
            "Put user and password into the proxy URL in HTTPS_PROXY, or add the server to NO_PROXY.",
        ),
        (
            lambda: errors.no_verdict(),
            "server",
            "The submission has ended, but the server has no verdict and no readable results for it.",
            "`subcli status ID` shows what it knows.",
        ),
        (
            lambda: errors.records_replaced(),
            "server",
            "The server's records were replaced, for example by a restored backup: "
            "this may be another submission with the same id.",
            "`subcli status ID` shows what is there now.",
        ),
        (lambda: errors.both_ways_failed("cut", "slow", 429), "rate_limited", LIMITED, LATER),
        (
            lambda: errors.both_ways_failed("cut", "HTTP 500", 500),
            "server",
            "No verdict: neither the WebSocket (cut) nor REST (HTTP 500) works.",
            AGAIN,
        ),
        (
            lambda: errors.both_ways_failed("cut", "gone", None),
            "network",
            "No verdict: neither the WebSocket (cut) nor REST (gone) works.",
            AGAIN,
        ),
    ],
)
def test_messages_and_hints(make: Callable[[], SubcliError], kind: str, message: str, hint: str) -> None:
    """Each message and hint, verbatim."""
    error = make()
    assert (error.kind, error.message, error.hint) == (kind, message, hint)


def test_explicit_hint_takes_precedence() -> None:
    """The authenticator may know a better command."""
    assert errors.unauthorized("", "Set SUBCLI_TOKEN.").hint == "Set SUBCLI_TOKEN."
    assert errors.unauthorized("").hint == "Log in: `subcli auth login`."


HINTS = [
    (lambda: errors.rate_limited(), "`subcli watch 12`"),
    (lambda: errors.no_verdict(), "`subcli status 12`"),
    (lambda: errors.records_replaced(), "`subcli status 12`"),
    (lambda: errors.both_ways_failed("cut", "gone", None), "`subcli watch 12`"),
]


@pytest.mark.parametrize(("make", "command"), HINTS)
def test_number_instead_of_id(make: Callable[[], errors.SubcliError], command: str) -> None:
    """Whoever knows the number says it."""
    assert command in errors.name_submission(make(), 12).hint
    assert "ID" not in errors.name_submission(make(), 12).hint
