"""The tree of what can go wrong."""

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
def test_each_error_has_its_kind_its_sentence_and_its_hint(cls: type[SubcliError], kind: str) -> None:
    """``kind`` is what ``--json`` prints; printed as text it is its sentence."""
    error = cls("What happened.", hint="What to do.")
    assert error.args == ("What happened.",)
    assert (error.kind, error.message, error.hint, str(error)) == (
        kind,
        "What happened.",
        "What to do.",
        "What happened.",
    )
    assert cls("What happened.").hint == ""


def test_there_are_no_other_errors() -> None:
    """The tree is flat, and the contract's list of kinds is complete."""
    assert set(SubcliError.__subclasses__()) == set(KINDS)


@pytest.mark.parametrize("number", [2, 15])
def test_an_interruption_knows_its_signal(number: int) -> None:
    """Its exit code is 128 more."""
    assert InterruptedByUser("Interrupted.", signal_number=number).signal_number == number
    assert InterruptedByUser("Interrupted.").signal_number == 2


LOG_IN = "Log in: `subcli auth login`."
LATER = "Wait a few minutes, then resume with `subcli watch`."
LIMITED = "The server still limits the rate after all attempts."
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
        (lambda: errors.unauthorized("expired"), "auth", "The server refused the authentication: expired.", LOG_IN),
        (lambda: errors.unauthorized("expired."), "auth", "The server refused the authentication: expired.", LOG_IN),
        (lambda: errors.unauthorized("No such X"), "auth", "The server refused the authentication: No such X.", LOG_IN),
        (lambda: errors.unauthorized(""), "auth", "The server refused the authentication.", LOG_IN),
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
def test_each_sentence_says_what_happened_and_what_to_do(
    make: Callable[[], SubcliError], kind: str, message: str, hint: str
) -> None:
    """To the letter."""
    error = make()
    assert (error.kind, error.message, error.hint) == (kind, message, hint)


def test_a_hint_of_its_own_goes_first() -> None:
    """Where the authenticator knows better."""
    assert errors.unauthorized("", "Set SUBCLI_TOKEN.").hint == "Set SUBCLI_TOKEN."
    assert errors.unauthorized("").hint == "Log in: `subcli auth login`."
