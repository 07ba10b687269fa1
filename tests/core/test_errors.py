"""The tree of what can go wrong."""

from __future__ import annotations

import pytest

from subcli import errors
from subcli.errors import InterruptedByUser, SubcliError

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


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (errors.unreachable("h:1 refused the connection"), "network", "No server answers: h:1 refused the connection."),
        (errors.unauthorized("expired"), "auth", "The server refused the authentication: expired."),
        (errors.unauthorized(""), "auth", "The server refused the authentication."),
        (errors.not_found(), "not_found", "No such submission, or none that you may see."),
        (errors.rate_limited(), "rate_limited", "The server is still limiting the rate after all attempts."),
        (errors.broken_off(1008, "no"), "server", "The server closed the connection with code 1008: no."),
        (errors.broken_off(4500, ""), "server", "The server closed the connection with code 4500."),
        (errors.proxy_credentials(), "network", "The proxy wants credentials (HTTP 407)."),
        (errors.no_way_left("cut", "slow", 429), "rate_limited", "The server is still limiting the rate"),
        (errors.no_way_left("cut", "HTTP 500", 500), "server", "neither by WebSocket (cut) nor by REST (HTTP 500)."),
        (errors.no_way_left("cut", "gone", None), "network", "neither by WebSocket (cut) nor by REST (gone)."),
        (errors.no_verdict(), "server", "The submission has ended, but the server gives no verdict"),
    ],
)
def test_each_sentence_says_what_happened_and_what_to_do(error: SubcliError, kind: str, said: str) -> None:
    """None is without a hint."""
    assert error.kind == kind
    assert said in error.message
    assert error.hint


def test_a_hint_of_its_own_goes_first() -> None:
    """Where the authenticator knows better."""
    assert errors.unauthorized("", "Set SUBCLI_TOKEN.").hint == "Set SUBCLI_TOKEN."
    assert errors.unauthorized("").hint == "Log in: `subcli auth login`."
