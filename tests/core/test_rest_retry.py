"""When a REST request is repeated (contract, sections 6 and 7)."""

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
def test_unreachable_server_is_tried_once_more(repeatable: bool) -> None:
    """After 1 s: nothing can have happened. Then the error names the address and what to do."""
    assert decide(None, 1, answered=False, repeatable=repeatable) == 1.0
    error = decide(None, 2, answered=False, repeatable=repeatable)
    assert isinstance(error, NetworkError)
    assert "because" in error.message
    assert "--server" in error.hint


@pytest.mark.parametrize("status", [None, 500, 502, 504, 599])
def test_request_is_repeated_only_if_harmless(status: int | None) -> None:
    """A GET, or a POST with an idempotency key that the server honours."""
    assert [decide(status, attempt) for attempt in range(1, 6)] == pytest.approx([2.0, 4.0, 8.0, 16.0, 30.0])
    kind = NetworkError if status is None else ServerError
    for error in (decide(status, 6), decide(status, 1, repeatable=False)):
        assert type(error) is kind
        assert "because" in error.message
        assert "subcli list" in error.hint


@pytest.mark.parametrize(("status", "kind"), [(429, RateLimitedError), (503, ServerError)])
@pytest.mark.parametrize("repeatable", [True, False])
def test_rejected_request_is_always_repeated(status: int, kind: type[SubcliError], repeatable: bool) -> None:
    """429 and 503: wait for the longer of `Retry-After` and the backoff, at most 5 min."""
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
        (403, AuthError),
        (200, ServerError),
        (302, ServerError),
        (405, ServerError),
        (418, ServerError),
    ],
)
@pytest.mark.parametrize("repeatable", [True, False])
def test_final_answers_are_not_repeated(status: int, kind: type[SubcliError], repeatable: bool) -> None:
    """Each has its exit code and a hint, and the server's sentence where it helps."""
    error = decide(status, repeatable=repeatable)
    assert type(error) is kind
    assert error.hint
    assert "because" in error.message or status == 407


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ServerError),
        (403, ServerError),
        (409, ServerError),
        (413, UsageError),
        (415, ServerError),
        (422, ServerError),
    ],
)
def test_page_is_no_sentence_of_a_judge(status: int, kind: type[SubcliError]) -> None:
    """A judge says what is wrong in JSON; only a limit on the size is often that of a proxy."""
    asked = RestFailed(status, "HTTP 400 Bad", page=True)
    error = repeat_request(asked, attempt=1, answered=True, repeatable=True, max_attempts=5, random=0.5)
    assert type(error) is kind


@pytest.mark.parametrize("status", [None, 403, 404, 422, 503])
@pytest.mark.parametrize("reason", ["No such X", "No such X."])
def test_sentence_of_server_ends_with_one_full_stop(status: int | None, reason: str) -> None:
    """Whether the server sent one or not."""
    asked = RestFailed(status, reason)
    error = repeat_request(asked, attempt=6, answered=True, repeatable=True, max_attempts=5, random=0.5)
    assert isinstance(error, SubcliError)
    assert error.message.endswith("No such X.")


@pytest.mark.parametrize("status", [200, 302, 405])
def test_wrong_server_hint_is_to_check_the_server(status: int) -> None:
    """Trying later would not help: the hint is the server and `subcli doctor`."""
    error = decide(status)
    assert isinstance(error, ServerError)
    assert "later" not in error.hint
    assert "subcli doctor" in error.hint


@pytest.mark.parametrize("status", [None, 500, 502, 599])
def test_failing_server_hint_is_to_try_later(status: int | None) -> None:
    """It is the right server, so the hint is not to choose another."""
    error = decide(status, 6)
    assert isinstance(error, SubcliError)
    assert "Try again later" in error.hint
    assert "right server" not in error.hint


def test_empty_reason_gets_a_default_sentence() -> None:
    """The user never sees an empty sentence."""
    error = repeat_request(RestFailed(404), attempt=1, answered=True, repeatable=True, max_attempts=5, random=0.5)
    assert isinstance(error, NotFoundError)
    assert error.message == "The server cannot find this."


def test_answer_of_no_judge_is_final() -> None:
    """Whatever its status: nothing is repeated, and the id is not what is wrong."""
    for status in (200, 404, 503):
        failed = RestFailed(status, "http://h/api answers HTTP 404", hint="Leave out the path.", foreign=True)
        error = repeat_request(failed, attempt=1, answered=True, repeatable=True, max_attempts=5, random=0.5)
        assert isinstance(error, ServerError)
        assert error.message == "No judge answers: http://h/api answers HTTP 404."
        assert error.hint == "Leave out the path."
