"""Whether a REST request is sent again (contract, sections 6 and 7)."""

from __future__ import annotations

from typing import Any

import pytest

from subcli.core.errors import (
    AuthError,
    NetworkError,
    NotFoundError,
    RateLimitedError,
    ServerError,
    SubcliError,
    UsageError,
)
from subcli.core.inputs import RestFailed
from subcli.core.rest_retry import repeat_request


def decide(status: int | None, attempt: int = 1, *, told: float | None = None, **given: Any) -> float | SubcliError:
    settings = {"answered": True, "repeatable": True, "max_attempts": 5, "random": 0.5} | given
    return repeat_request(RestFailed(status, "because", told), attempt=attempt, **settings)


@pytest.mark.parametrize("repeatable", [True, False])
def test_first_contact_has_one_more_try(repeatable: bool) -> None:
    """After 1 s: nothing was there, so nothing can have happened. Then the address, and what to do."""
    assert decide(None, 1, answered=False, repeatable=repeatable) == 1.0
    error = decide(None, 2, answered=False, repeatable=repeatable)
    assert isinstance(error, NetworkError)
    assert "because" in error.message
    assert "--server" in error.hint


@pytest.mark.parametrize("status", [None, 500, 502, 504, 599])
def test_what_may_have_had_an_effect_is_repeated_only_where_that_is_harmless(status: int | None) -> None:
    """A GET, or a POST with a key that the server honours: no ghost twin."""
    assert [decide(status, attempt) for attempt in range(1, 6)] == pytest.approx([2.0, 4.0, 8.0, 16.0, 30.0])
    kind = NetworkError if status is None else ServerError
    for error in (decide(status, 6), decide(status, 1, repeatable=False)):
        assert type(error) is kind
        assert "because" in error.message
        assert "subcli list" in error.hint


@pytest.mark.parametrize(("status", "kind"), [(429, RateLimitedError), (503, ServerError)])
@pytest.mark.parametrize("repeatable", [True, False])
def test_what_was_not_taken_is_repeated_anywhere(status: int, kind: type[SubcliError], repeatable: bool) -> None:
    """429 and 503: the longest of what was told and the backoff, at most 5 min; attempts used up: stop."""
    assert [decide(status, n, repeatable=repeatable) for n in range(1, 6)] == pytest.approx([2.0, 4.0, 8.0, 16.0, 30.0])
    assert decide(status, told=60.0, repeatable=repeatable) == 60.0
    assert decide(status, told=1e6, repeatable=repeatable) == 300.0
    error = decide(status, 6, repeatable=repeatable)
    assert type(error) is kind
    assert error.hint
    assert status == 429 or "because" in error.message


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AuthError),
        (404, NotFoundError),
        (407, NetworkError),
        (400, UsageError),
        (409, UsageError),
        (413, UsageError),
        (415, UsageError),
        (422, UsageError),
        (403, ServerError),
        (200, ServerError),
        (302, ServerError),
        (405, ServerError),
        (418, ServerError),
    ],
)
@pytest.mark.parametrize("repeatable", [True, False])
def test_an_answer_for_good_is_not_asked_for_again(status: int, kind: type[SubcliError], repeatable: bool) -> None:
    """Each with its exit code, the server's own sentence where it may say something, and a hint."""
    error = decide(status, repeatable=repeatable)
    assert type(error) is kind
    assert error.hint
    assert "because" in error.message or status == 407


@pytest.mark.parametrize("status", [None, 403, 404, 422, 503])
@pytest.mark.parametrize("reason", ["No such X", "No such X."])
def test_the_servers_sentence_ends_in_one_full_stop(status: int | None, reason: str) -> None:
    """Whether it has one or not."""
    asked = RestFailed(status, reason)
    error = repeat_request(asked, attempt=6, answered=True, repeatable=True, max_attempts=5, random=0.5)
    assert isinstance(error, SubcliError)
    assert error.message.endswith("No such X.")


@pytest.mark.parametrize("status", [200, 302, 405])
def test_who_does_not_answer_as_a_judge_is_not_asked_later(status: int) -> None:
    """A page of somebody else's is there tomorrow as well: the hint is the server and `subcli doctor`."""
    error = decide(status)
    assert isinstance(error, ServerError)
    assert "later" not in error.hint
    assert "subcli doctor" in error.hint


@pytest.mark.parametrize("status", [None, 500, 502, 599])
def test_a_server_that_fails_is_to_be_asked_later(status: int | None) -> None:
    """It is the right one, and has a bad day: the hint is not another server."""
    error = decide(status, 6)
    assert isinstance(error, SubcliError)
    assert "Try again later" in error.hint
    assert "right server" not in error.hint


def test_a_server_that_says_nothing_is_given_words() -> None:
    """No empty sentence reaches a person."""
    error = repeat_request(RestFailed(404), attempt=1, answered=True, repeatable=True, max_attempts=5, random=0.5)
    assert isinstance(error, NotFoundError)
    assert error.message == "The server does not know this."
