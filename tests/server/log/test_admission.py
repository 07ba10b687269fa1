"""Whether a problem accepts a submission: until it closes, and until its owner has used all attempts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine

from subcli.server.log.records import Append, ClosedError, NewSubmission, NoAttemptsLeftError
from subcli.server.log.store import Store
from subcli.server.log.tables import DEMO_USER

pytestmark = pytest.mark.every_backend
NEW = NewSubmission(DEMO_USER, "sum", "python", {"a.py": ""}, max_attempts=2)
ABLE = {"sum": ["python"]}


class Clock:
    """Unix time that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(engine: Engine, clock: Clock) -> Iterator[Store]:
    store = Store(engine, clock)
    yield store
    store.close()


def end(store: Store, submission_id: int, verdict: str) -> None:
    """Judge a submission."""
    claim = store.leases.claim_next("worker", ABLE, 60)
    assert claim is not None
    assert claim.submission_id == submission_id
    event = {"type": "complete", "final_status": verdict, "summary": {}}
    store.append(Append(submission_id, [event], claim.fence))


def test_the_servers_clock_decides(store: Store, clock: Clock) -> None:
    """From the moment on, and with a sentence that says since when."""
    new = replace(NEW, closes_at=1001.0)
    store.create(new)
    clock.now = 1001.0
    with pytest.raises(ClosedError, match=r"^sum closed on 1970-01-01 at 00:16:41 UTC.$"):
        store.create(new)


def test_attempts_are_counted_for_each_user_and_problem(store: Store, sql: Callable[[str], Any]) -> None:
    """Whether they wait, are judged or have a verdict."""
    sql("INSERT INTO users (id, name, created_at) VALUES (2, 'ada', 0)")
    store.create(NEW)
    store.create(NEW)
    with pytest.raises(NoAttemptsLeftError, match=r"^You have used 2 of 2 attempts at sum.$"):
        store.create(NEW)
    store.create(replace(NEW, owner_id=2))
    store.create(replace(NEW, problem="other"))
    store.create(replace(NEW, max_attempts=None))
    assert store.lookup.attempts_used(DEMO_USER, "sum") == 3


@pytest.mark.parametrize("verdict", ["passed", "failed", "build_failed", "another"])
def test_judged_submissions_count(store: Store, verdict: str) -> None:
    """Whatever the verdict on the code is."""
    end(store, store.create(NEW)[0].id, verdict)
    assert store.lookup.attempts_used(DEMO_USER, "sum") == 1


def test_what_taught_its_owner_nothing_does_not_count(store: Store) -> None:
    """The judge failed, or it was cancelled before any worker took it."""
    end(store, store.create(NEW)[0].id, "error")
    store.cancel(store.create(NEW)[0].id, DEMO_USER)
    assert store.lookup.attempts_used(DEMO_USER, "sum") == 0


def test_what_was_cancelled_while_it_was_judged_counts(store: Store) -> None:
    """Otherwise one could read the results as they come, and cancel before the verdict."""
    submission_id = store.create(NEW)[0].id
    assert store.leases.claim_next("worker", ABLE, 60) is not None
    store.cancel(submission_id, DEMO_USER)
    assert store.lookup.attempts_used(DEMO_USER, "sum") == 1


def test_a_repeated_request_is_no_attempt(store: Store, clock: Clock) -> None:
    """The same key gives the same submission, even if the last attempt is used, and after the end."""
    new = replace(NEW, idempotency_key="key", max_attempts=1, closes_at=1001.0)
    first, _ = store.create(new)
    clock.now = 2000.0
    again, is_new = store.create(new)
    assert (again.id, is_new) == (first.id, False)


def test_two_at_once_take_one_attempt(store: Store) -> None:
    """Both see that one is left."""
    new = replace(NEW, max_attempts=1)
    barrier = threading.Barrier(4)
    refused: list[NoAttemptsLeftError] = []

    def submit() -> None:
        barrier.wait()
        try:
            store.create(new)
        except NoAttemptsLeftError as error:
            refused.append(error)

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 3
    assert str(refused[0]) == "You have used your only attempt at sum."
