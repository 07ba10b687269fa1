"""The log: numbered, fenced, committed together with the snapshot."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, text

from subcli.server.log.appending import Records
from subcli.server.log.driver import DriverTransaction
from subcli.server.log.listing import Filter, ListPage
from subcli.server.log.records import (
    Append,
    Claim,
    EndedError,
    Failure,
    KeyReusedError,
    LogEnd,
    NewSubmission,
    StaleFenceError,
    UnknownSubmissionError,
)
from subcli.server.log.requeue import LOST
from subcli.server.log.store import Store
from subcli.server.log.tables import DEMO_USER

pytestmark = pytest.mark.every_backend
ABLE = {"echo": ("python",)}


def new(key: str | None = None, source: str = "print()") -> NewSubmission:
    return NewSubmission(DEMO_USER, "echo", "python", {"solution.py": source}, key)


def claimed(store: Store, submission_id: int, lease: float = 60) -> Claim:
    claim = store.leases.claim_next("worker", ABLE, lease)
    assert isinstance(claim, Claim)
    return claim


def result(name: str, status: str = "passed", **more: Any) -> dict[str, Any]:
    return {"type": "test_result", "test_name": name, "status": status, "duration_ms": 1, **more}


def append(
    store: Store,
    submission_id: int,
    batch: Sequence[Mapping[str, Any]],
    fence: int | None = None,
    after: int | None = None,
) -> Records:
    return store.append(Append(submission_id, batch, fence, after))


COMPLETE = {"type": "complete", "final_status": "passed", "summary": {"total_tests": 1, "passed": 1}}


def test_a_new_submission_is_pending(store: Store) -> None:
    """Event 1 says so, with the position in the queue."""
    first, _ = store.create(new())
    second, is_new = store.create(new())
    assert is_new
    assert (second.status, second.last_seq, second.id) == ("pending", 1, first.id + 1)
    [event] = [json.loads(item.text) for item in store.lookup.page(second.id, 0, 10).records]
    assert (event["seq"], event["status"], event["queue_position"]) == (1, "pending", 2)


def test_the_same_key_gives_the_same_submission(store: Store) -> None:
    """Repeating a POST with its Idempotency-Key creates no second submission."""
    first, _ = store.create(new("key"))
    again, is_new = store.create(new("key"))
    assert (again.id, is_new) == (first.id, False)


def test_a_key_used_for_something_else_is_refused(store: Store) -> None:
    """A key with different content is an error, not silently the old submission."""
    store.create(new("key"))
    with pytest.raises(KeyReusedError):
        store.create(new("key", "other"))


@pytest.mark.parametrize("other", [{"problem": "other"}, {"language": "ruby"}, {"files": {"other.py": "print()"}}])
def test_a_key_stands_for_problem_language_and_files(store: Store, other: dict[str, Any]) -> None:
    """Content that differs in any of them is refused."""
    store.create(new("key"))
    with pytest.raises(KeyReusedError):
        store.create(replace(new("key"), **other))


def test_a_key_belongs_to_its_owner(store: Store, sql: Callable[[str], Any]) -> None:
    """Another user's submission with the same key is a new one."""
    sql("INSERT INTO users (id, name, created_at) VALUES (2, 'ada', 0)")
    first, _ = store.create(new("key"))
    second, is_new = store.create(replace(new("key"), owner_id=2))
    assert is_new
    assert (second.owner_id, second.id) == (2, first.id + 1)


def test_a_page_is_bounded_in_bytes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long events make a short page, which says that the log continues."""
    monkeypatch.setattr("subcli.server.log.lookup._PAGE_BYTES", 1000)
    submission_id = store.create(new())[0].id
    append(store, submission_id, [result("x" * 600) for _ in range(5)])
    page = store.lookup.page(submission_id, 1, 100)
    assert ([each.seq for each in page.records], page.more) == ([2, 3], True)


def test_the_first_start_counts_for_the_duration(engine: Engine) -> None:
    """A submission that is judged again has been started once."""
    now = [1000.0]
    store = Store(engine, lambda: now[-1])
    submission_id = store.create(new())[0].id
    claimed(store, submission_id, lease=-1)
    now.append(1010.0)
    store.interruptions.take_back(10)
    claimed(store, submission_id)
    now.append(1025.0)
    store.cancel(submission_id, DEMO_USER)
    summary = store.lookup.snapshot(submission_id, DEMO_USER).summary
    assert summary is not None
    assert summary["duration_ms"] == 25_000
    store.close()


def test_concurrent_posts_with_one_key(store: Store) -> None:
    """Twenty POSTs with one key at once create one submission."""
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: store.create(new("key")), range(20)))
    assert len({snapshot.id for snapshot, _ in made}) == 1
    assert sum(is_new for _, is_new in made) == 1


def test_concurrent_appends_leave_no_holes(store: Store) -> None:
    """Batches from several threads are numbered 1, 2, 3 … and each batch stays together."""
    submission_id = store.create(new())[0].id

    def write(writer: int) -> list[int]:
        return [
            item.seq
            for _ in range(5)
            for item in append(store, submission_id, [result(f"{writer}-{n}") for n in range(3)])
        ]

    with ThreadPoolExecutor(4) as pool:
        seqs = [seq for written in pool.map(write, range(4)) for seq in written]
    assert sorted(seqs) == list(range(2, 62))
    page = store.lookup.page(submission_id, 0, 1000)
    assert [item.seq for item in page.records] == list(range(1, 62))
    assert all(json.loads(item.text)["seq"] == item.seq for item in page.records)
    assert store.lookup.snapshot(submission_id, DEMO_USER).last_seq == 61


def test_the_snapshot_follows_the_events(store: Store) -> None:
    """Status, verdict and summary are committed together with the events that contain them."""
    submission_id = store.create(new())[0].id
    append(store, submission_id, [{"type": "status_update", "status": "testing", "total_tests": 9}])
    snapshot = store.lookup.snapshot(submission_id, DEMO_USER)
    assert (snapshot.status, snapshot.total_tests, snapshot.final_status) == ("testing", 9, None)
    append(store, submission_id, [{"type": "status_update", "status": "completed"}, COMPLETE])
    snapshot = store.lookup.snapshot(submission_id, DEMO_USER)
    assert (snapshot.status, snapshot.final_status) == ("completed", "passed")
    assert snapshot.summary == COMPLETE["summary"]
    assert snapshot.finished_at is not None


def test_the_snapshot_has_the_build_log(store: Store) -> None:
    """The compiler's output is in the snapshot, even if it is not valid text."""
    submission_id = store.create(new())[0].id
    failed = {"type": "status_update", "status": "build_failed", "detail": "line 3: \0 \ud800 odd"}
    append(store, submission_id, [failed, {**COMPLETE, "final_status": "build_failed"}])
    snapshot = store.lookup.snapshot(submission_id, DEMO_USER)
    assert snapshot.build_log == "line 3: ␀ ? odd"
    assert snapshot.status == snapshot.final_status == "build_failed"


@pytest.mark.parametrize(
    ("verdict", "status"),
    [("passed", "completed"), ("failed", "failed"), ("error", "failed"), ("cancelled", "cancelled")],
)
def test_a_verdict_sets_a_terminal_status(store: Store, verdict: str, status: str) -> None:
    """Even without a terminal status before it."""
    submission_id = store.create(new())[0].id
    append(store, submission_id, [{**COMPLETE, "final_status": verdict}])
    assert store.lookup.snapshot(submission_id, DEMO_USER).status == status


def test_nothing_follows_the_verdict(store: Store) -> None:
    """Events after `complete` are refused: in the same batch, which is then not written, and later."""
    submission_id = store.create(new())[0].id
    with pytest.raises(EndedError):
        append(store, submission_id, [COMPLETE, result("late")])
    assert store.lookup.snapshot(submission_id, DEMO_USER).last_seq == 1
    append(store, submission_id, [COMPLETE])
    with pytest.raises(EndedError):
        append(store, submission_id, [result("late")])
    with pytest.raises(EndedError):
        store.cancel(submission_id, DEMO_USER)
    assert store.leases.claim_next("worker", ABLE, 60) is None


def test_an_event_that_cannot_be_encoded_leaves_no_hole(store: Store) -> None:
    """A batch is written as a whole or not at all."""
    submission_id = store.create(new())[0].id
    with pytest.raises(TypeError):
        append(store, submission_id, [result("good"), result("bad", output=object())])
    assert [item.seq for item in append(store, submission_id, [result("good")])] == [2]


def test_one_claim_at_a_time(store: Store) -> None:
    """While a lease runs, nobody else can claim the submission; after it was handed back, `attempt` is raised."""
    submission_id = store.create(new())[0].id
    claim = claimed(store, submission_id)
    assert (claim.attempt, claim.files) == (1, {"solution.py": "print()"})
    assert store.leases.claim_next("other", ABLE, 60) is None
    assert store.leases.claimable(10, "", ABLE) == []
    store.interruptions.hand_back(claim, "stopped")
    assert store.leases.claimable(10, "", ABLE) == [submission_id]
    assert claimed(store, submission_id).attempt == 2


def test_a_late_worker_is_fenced_off(store: Store) -> None:
    """When a lease has expired and another worker has claimed the submission, the first one's events are refused."""
    submission_id = store.create(new())[0].id
    dead = claimed(store, submission_id, lease=-1)
    store.interruptions.take_back(10)
    living = claimed(store, submission_id)
    with pytest.raises(StaleFenceError):
        append(store, submission_id, [result("late")], dead.fence)
    assert not store.leases.renew(dead, 60)
    with pytest.raises(StaleFenceError):
        store.interruptions.hand_back(dead, "late")
    assert store.leases.renew(living, 60)
    append(store, submission_id, [result("good")], living.fence)


def test_the_only_process_takes_every_lease_back(store: Store) -> None:
    """The only process on a database does so when it starts."""
    submission_id = store.create(new())[0].id
    claimed(store, submission_id)
    assert not store.interruptions.take_back(10)
    assert list(store.interruptions.take_back(10, running=True)) == [submission_id]
    assert store.leases.claimable(10, "", ABLE) == [submission_id]


def test_a_renewal_does_not_undo_a_hand_back(store: Store) -> None:
    """It was under way when the worker was told to stop."""
    submission_id = store.create(new())[0].id
    claim = claimed(store, submission_id)
    assert store.leases.renew(claim, 60)
    store.interruptions.hand_back(claim, "stopped")
    assert not store.leases.renew(claim, 60)
    assert store.leases.claimable(10, "", ABLE) == [submission_id]


def last_event(store: Store, submission_id: int) -> dict[str, Any]:
    return dict(json.loads(store.lookup.page(submission_id, 0, 1000).records[-1].text))


def test_what_was_interrupted_is_next(store: Store) -> None:
    """Before everything that was never begun, and among itself the oldest first."""
    ids = [store.create(new())[0].id for _ in range(4)]
    first, second, third = (store.leases.claim_next("worker", ABLE, lease) for lease in (60, -1, 60))
    assert first is not None
    assert second is not None
    assert third is not None
    assert [claim.submission_id for claim in (first, second, third)] == ids[:3]
    store.interruptions.hand_back(third, "stopped")
    assert list(store.interruptions.take_back(10)) == [second.submission_id]
    assert store.leases.claimable(10, "", ABLE) == [ids[1], ids[2], ids[3]]
    again = store.leases.claim_next("another", ABLE, 60)
    assert again is not None
    assert (again.submission_id, again.attempt) == (ids[1], 2)


def test_users_are_served_in_turn(engine: Engine) -> None:
    """The k-th waiting submission of each before the (k+1)-th of anyone; the position says so."""
    now = [1000.0]
    store = Store(engine, lambda: now[-1])
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO users (id, name, created_at) VALUES (2, 'ada', 0), (3, 'bob', 0)"))
    owners = (1, 1, 1, 2, 3, 2)
    ids = [store.create(NewSubmission(each, "echo", "python", {"a": "1"}))[0].id for each in owners]
    told = [last_event(store, each)["queue_position"] for each in ids]
    assert told == [1, 2, 3, 2, 3, 5]
    in_order = [ids[n] for n in (0, 3, 4, 1, 5, 2)]
    assert store.leases.claimable(10, "", ABLE) == in_order
    now.append(1009.0)
    store.waiting.update_queue_positions(10)
    assert [last_event(store, each)["queue_position"] for each in in_order] == [1, 2, 3, 4, 5, 6]
    for each in in_order[:4]:
        claim = store.leases.claim_next("worker", ABLE, 60)
        assert claim is not None
        assert claim.submission_id == each
    # Who comes later is served with those of the turn that is being served, not before them.
    late = store.create(NewSubmission(3, "echo", "python", {"a": "1"}))[0].id
    assert store.leases.claimable(10, "", ABLE) == [ids[5], late, ids[2]]
    store.close()


@pytest.mark.thorough
def test_a_place_is_told_when_it_has_changed_by_a_tenth_or_after_ten_seconds(engine: Engine) -> None:
    """Not at each claim, and never twice the same."""
    now = [1000.0]
    store = Store(engine, lambda: now[-1])
    ids = [store.create(new())[0].id for _ in range(40)]
    told: dict[int, list[int]] = {each: [place] for place, each in enumerate(ids, 1)}
    writes = 0
    for _ in range(20):
        assert store.leases.claim_next("worker", ABLE, 3600) is not None
        now.append(now[-1] + 1)
        for each, [record] in store.waiting.update_queue_positions(1000).items():
            told[each].append(json.loads(record.text)["queue_position"])
            writes += 1
    assert told[ids[39]] == [40, 36, 32, 28, 25, 22]
    assert told[ids[25]][-5:] == [10, 9, 8, 7, 6]
    # To tell everybody each time would have taken 20 writes a claim in the end, and 39 at first.
    assert writes < 20 * 20
    now.append(1023.0)
    assert store.waiting.update_queue_positions(1000) == {}
    now.append(1029.0)
    late = store.waiting.update_queue_positions(1000)
    assert json.loads(late[ids[39]][0].text)["queue_position"] == 20
    now.append(1060.0)
    assert store.waiting.update_queue_positions(1000) == {}
    store.close()


@pytest.mark.thorough
def test_low_places_are_told_seldom_while_users_come_and_go(engine: Engine) -> None:
    """In front of those of the second turn, somebody comes each second, and somebody is judged."""
    now = [1000.0]
    store = Store(engine, lambda: now[-1])
    with engine.begin() as connection:
        users = ", ".join(f"({number}, 'user{number}', 0)" for number in range(2, 100))
        connection.execute(text(f"INSERT INTO users (id, name, created_at) VALUES {users}"))
    ids = [store.create(new())[0].id for _ in range(4)]
    told: dict[int, list[tuple[float, int]]] = {each: [] for each in ids[1:]}
    for owner in range(2, 92):
        store.create(NewSubmission(owner, "echo", "python", {"a": "1"}))
        # A look between the two, and one after both.
        for is_claimed in (False, True):
            if is_claimed:
                assert store.leases.claim_next("worker", ABLE, 3600) is not None
            for each, [record] in store.waiting.update_queue_positions(1000).items():
                if each in told:
                    told[each].append((now[-1], json.loads(record.text)["queue_position"]))
            now.append(now[-1] + 0.5)
    assert now[-1] == 1090
    assert max(map(len, told.values())) <= 2 * 90 / 9
    for at, place in enumerate((1, 2, 3)):
        assert told[ids[at + 1]][-1][1] - place in (0, 1)
    store.close()


def test_a_place_is_not_told_twice_within_a_second(engine: Engine) -> None:
    """Where many are claimed at once; the last one is told as soon as the second has passed."""
    now = [1000.0]
    store = Store(engine, lambda: now[-1])
    ids = [store.create(new())[0].id for _ in range(5)]
    for _ in range(3):
        assert store.leases.claim_next("worker", ABLE, 3600) is not None
        assert store.waiting.update_queue_positions(10) == {}
        now.append(now[-1] + 0.3)
    now.append(1001.0)
    told = store.waiting.update_queue_positions(10).items()
    assert {each: json.loads(item.text)["queue_position"] for each, [item] in told} == {ids[3]: 1, ids[4]: 2}
    store.close()


def test_what_waits_for_an_able_worker_learns_its_place(engine: Engine) -> None:
    """With the reason why it waits; it delays nobody else in the count."""
    now = [1000.0]
    store = Store(engine, lambda: now[-1])
    first, other, last = (store.create(replace(new(), problem=slug))[0].id for slug in ("echo", "new", "echo"))
    assert list(store.waiting.tell_unable(ABLE, 10)) == [other]
    assert {each: last_event(store, each).get("queue_position") for each in (first, last)} == {first: 1, last: 3}
    now.append(1001.0)
    assert list(store.waiting.update_queue_positions(10)) == [last]
    assert last_event(store, last)["queue_position"] == 2
    assert store.leases.claim_next("worker", ABLE, 60) is not None
    now.append(1002.0)
    assert set(store.waiting.update_queue_positions(10)) == {other, last}
    told = last_event(store, other)
    assert (told["queue_position"], told["detail"]) == (1, "Waits for a worker that can judge new in python.")
    assert last_event(store, last)["queue_position"] == 1
    store.close()


def test_what_waits_for_another_worker_is_told_so_once(engine: Engine) -> None:
    """Whoever finds out first; it gives up its place in the queue all the same once nobody knows it."""
    now = [1000.0]
    store = Store(engine, lambda: now[-1])
    other, last = (store.create(replace(new(), problem=slug))[0].id for slug in ("new", "echo"))
    assert list(store.waiting.tell_waiting([other])) == [other]
    assert store.waiting.tell_unable(ABLE, 10) == {}
    assert store.waiting.tell_waiting([other]) == {}
    told = [json.loads(record.text) for record in store.lookup.page(other, 1, 10).records]
    assert [event["detail"] for event in told] == ["Waits for a worker that can judge new in python."]
    now.append(1001.0)
    assert list(store.waiting.update_queue_positions(10)) == [last]
    assert last_event(store, last)["queue_position"] == 1
    store.close()


def test_those_in_front_are_told_first(engine: Engine) -> None:
    """Where a transaction is bounded: their place of those that moved, and that no worker can judge it."""
    now = [1000.0]
    store = Store(engine, lambda: now[-1])
    ids = [store.create(new())[0].id for _ in range(4)]
    assert store.leases.claim_next("worker", ABLE, 3600) is not None
    now.append(1001.0)
    assert [list(store.waiting.update_queue_positions(1)) for _ in range(4)] == [[each] for each in ids[1:]] + [[]]
    assert [list(store.waiting.tell_unable({}, 2)) for _ in range(2)] == [[], []]
    store.cancel(ids[0], DEMO_USER)
    told = [store.waiting.tell_unable({}, 2) for _ in range(3)]
    assert [list(each) for each in told] == [ids[1:3], ids[3:], []]
    assert [record.committed for record in told[0][ids[1]]] == [1001.0]
    store.close()


def test_only_what_waits_is_told_that_it_waits(engine: Engine) -> None:
    """Not what is judged, what has ended, or what does not exist; and not twice in a row."""
    now = [1000.0]
    store = Store(engine, lambda: now[-1])
    judged, ended, waiting = (store.create(new())[0].id for _ in range(3))
    assert store.leases.claim_next("worker", ABLE, 3600) is not None
    store.cancel(ended, DEMO_USER)
    now.append(1001.0)
    [[record]] = store.waiting.tell_waiting([judged, ended, waiting, 999]).values()
    assert (last_event(store, waiting)["seq"], record.committed) == (2, 1001.0)
    assert store.waiting.tell_waiting([judged, ended, waiting]) == {}
    store.waiting.update_queue_positions(10)
    assert list(store.waiting.tell_waiting([waiting])) == [waiting]
    # It keeps its place.
    assert store.leases.claimable(10, "", ABLE) == [waiting]
    store.close()


def test_queue_is_what_has_neither_verdict_nor_worker(engine: Engine) -> None:
    """A worker that has vanished is none, as soon as its lease is over."""
    now = [1000.0]
    store = Store(engine, lambda: now[-1])
    first, *_ = [store.create(new())[0].id for _ in range(4)]
    assert store.leases.queue_length() == 4
    claimed(store, first, lease=60)
    claimed(store, first, lease=10)
    assert store.leases.queue_length() == 2
    now.append(1010.0)
    assert store.leases.queue_length() == 2
    now.append(1011.0)
    assert store.leases.queue_length() == 3
    store.cancel(first, DEMO_USER)
    assert store.leases.queue_length() == 3
    store.close()


def test_whether_others_are_judging_for_a_while(engine: Engine) -> None:
    """A worker that waits for the others looks at what they claimed long ago and still hold."""
    now = [1000.0]
    store = Store(engine, lambda: now[-1])
    submission_id = store.create(new())[0].id
    assert not store.leases.others_hold("other", 0)
    claim = claimed(store, submission_id, lease=60)
    now.append(1005.0)
    held = {seconds: store.leases.others_hold("other", seconds) for seconds in (0, 5, 6)}
    assert held == {0: True, 5: True, 6: False}
    assert not store.leases.others_hold("worker", 0)
    now.append(1060.0)
    assert not store.leases.others_hold("other", 0)
    assert store.leases.renew(claim, 60)
    assert store.leases.others_hold("other", 0)
    store.cancel(submission_id, DEMO_USER)
    assert not store.leases.others_hold("other", 0)
    store.close()


def test_a_lease_lasts_as_long_as_it_was_given(engine: Engine) -> None:
    """From the claim, and again from each renewal."""
    now = [1000.0]
    store = Store(engine, lambda: now[-1])
    submission_id = store.create(new())[0].id
    claim = claimed(store, submission_id, lease=12)
    now.append(1012.0)
    assert store.interruptions.take_back(10) == {}
    assert store.leases.renew(claim, 12)
    now.append(1024.0)
    assert store.interruptions.take_back(10) == {}
    now.append(1024.5)
    assert list(store.interruptions.take_back(10)) == [submission_id]
    store.close()


def test_vanished_workers_submissions_come_back_in_order(store: Store) -> None:
    """The oldest first, each with its place."""
    ids = [store.create(new())[0].id for _ in range(3)]
    for each in ids:
        claimed(store, each, lease=-1)
    assert list(store.interruptions.take_back(10)) == ids
    assert [last_event(store, each)["queue_position"] for each in ids] == [1, 2, 3]


def test_the_judges_own_last_events_are_kept(store: Store) -> None:
    """Where it had said itself why there is no verdict; without them, the store says it."""
    first, second = (store.create(new())[0].id for _ in range(2))
    ending: list[dict[str, Any]] = [
        {"type": "error_analysis", "test_name": "One", "error": "no space"},
        {"type": "complete", "final_status": "error", "summary": {"total_tests": 3}},
    ]
    records = store.interruptions.fail(claimed(store, first), Failure("Full.", ending), 1, 5)
    assert [json.loads(each.text)["type"] for each in records] == ["error_analysis", "complete"]
    assert all(each.committed for each in records)
    claim = claimed(store, second)
    append(store, second, [{"type": "status_update", "status": "testing", "total_tests": 4}, result("One")])
    status, verdict = (json.loads(each.text) for each in store.interruptions.fail(claim, Failure("Full."), 1, 5))
    assert (status["status"], status["attempt"], status["detail"]) == ("failed", 1, "Full.")
    assert (verdict["final_status"], verdict["summary"]["total_tests"], verdict["summary"]["passed"]) == ("error", 4, 1)


def test_a_worker_says_itself_that_it_judges_again(store: Store) -> None:
    """The snapshot follows the attempt that its events name."""
    submission_id = store.create(new())[0].id
    attempts = []
    for event in ({"attempt": 1}, {"attempt": 2}, {}):
        append(store, submission_id, [{"type": "status_update", "status": "testing", **event}])
        attempts.append(store.lookup.snapshot(submission_id, DEMO_USER).attempt)
    assert attempts == [0, 2, 2]


def test_only_a_failed_build_has_a_log(store: Store) -> None:
    """What other statuses say in detail is no compiler's output."""
    submission_id = store.create(new())[0].id
    append(store, submission_id, [{"type": "status_update", "status": "building", "detail": "step 1"}])
    append(store, submission_id, [{"type": "status_update", "status": "build_failed", "detail": ""}])
    assert store.lookup.snapshot(submission_id, DEMO_USER).build_log is None


def test_single_facts_about_submissions(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The problem, where the logs of many end, and whether the database can be written."""
    monkeypatch.setattr("subcli.server.log.lookup._IDS_PER_QUERY", 2)
    store = Store(engine, lambda: 1000.0)
    made = [store.create(new())[0] for _ in range(5)]
    assert store.lookup.problem(made[0].id) == "echo"
    ends = store.lookup.ends({*(each.id for each in made), 999})
    assert ends == {each.id: LogEnd(1, each.epoch) for each in made}
    with engine.begin() as connection:
        # The row that the migrations make; what empties a database for the next test removes it.
        connection.execute(text("DELETE FROM write_probes"))
        connection.execute(text("INSERT INTO write_probes (id) VALUES (1)"))
    store.try_to_write()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT written_at FROM write_probes")).scalars().all() == [1000.0]
    store.close()


def test_what_another_worker_is_judging_only_waits_its_turn(store: Store) -> None:
    """A worker that does not know a problem says nothing where another one does."""
    first, second = (store.create(replace(new(), problem="new"))[0].id for _ in range(2))
    claim = store.leases.claim_next("knows", {"new": ("python",)}, 3600)
    assert claim is not None
    assert store.waiting.tell_unable(ABLE, 10) == {}
    store.cancel(first, DEMO_USER)
    assert list(store.waiting.tell_unable(ABLE, 10)) == [second]


def test_a_claim_says_whose_it_is_and_how_long_it_waited(engine: Engine) -> None:
    """Since it was submitted, or since it came back into the queue; the worker is recorded."""
    now = [1000.0]
    store = Store(engine, lambda: now[-1])
    submission_id = store.create(new())[0].id
    now.append(1007.0)
    claim = claimed(store, submission_id)
    assert (claim.owner, claim.waited_s) == ("demo", 7)
    now.append(1100.0)
    store.interruptions.hand_back(claim, "stopped")
    now.append(1103.0)
    again = store.leases.claim_next("another", ABLE, 60)
    assert again is not None
    assert again.waited_s == 3
    made = store.lookup.attempts(submission_id)
    assert [(each.attempt, each.worker, each.started_at) for each in made] == [
        (1, "worker", 1007.0),
        (2, "another", 1103.0),
    ]
    store.close()


@pytest.mark.parametrize("is_lost", [True, False])
def test_watchers_learn_of_an_interruption_at_once(store: Store, is_lost: bool) -> None:
    """With the return itself: pending, the next attempt, and why; the snapshot agrees."""
    submission_id = store.create(new())[0].id
    claim = claimed(store, submission_id, -1 if is_lost else 60)
    append(store, submission_id, [{"type": "status_update", "status": "testing"}], claim.fence)
    if is_lost:
        [records] = store.interruptions.take_back(10).values()
    else:
        records = store.interruptions.hand_back(claim, "It was stopped.")
    assert [each.seq for each in records] == [3]
    assert records[0].committed is not None
    told = last_event(store, submission_id)
    assert (told["status"], told["attempt"], told["queue_position"]) == ("pending", 2, 1)
    assert told["detail"] == (LOST if is_lost else "It was stopped.")
    snapshot = store.lookup.snapshot(submission_id, DEMO_USER)
    assert (snapshot.status, snapshot.attempt, snapshot.last_seq) == ("pending", 2, 3)
    with pytest.raises(StaleFenceError):
        append(store, submission_id, [result("late")], claim.fence)
    assert claimed(store, submission_id).last_seq == 3


def test_what_has_ended_is_not_handed_back(store: Store) -> None:
    """Its log is complete."""
    submission_id = store.create(new())[0].id
    claim = claimed(store, submission_id)
    store.cancel(submission_id, DEMO_USER)
    with pytest.raises(EndedError):
        store.interruptions.hand_back(claim, "stopped")
    assert store.interruptions.take_back(10, running=True) == {}


def test_restarts_are_no_failures(store: Store) -> None:
    """Handing a submission back any number of times never ends it; workers that vanish do, at the limit."""
    submission_id = store.create(new())[0].id
    for _ in range(10):
        store.interruptions.hand_back(claimed(store, submission_id), "stopped")
    for _ in range(2):
        claimed(store, submission_id, lease=-1)
        store.interruptions.take_back(3)
    assert store.lookup.snapshot(submission_id, DEMO_USER).final_status is None
    assert claimed(store, submission_id, lease=-1).attempt == 13
    [records] = store.interruptions.take_back(3).values()
    assert [each.last for each in records] == [False, True]
    assert "3 times" in records[0].text
    assert store.lookup.snapshot(submission_id, DEMO_USER).final_status == "error"


def test_a_failure_leaves_a_submission_to_other_workers(engine: Engine) -> None:
    """For a while, which is longer after the second failure; after the third the verdict is `error`."""
    now = [1000.0]
    store = Store(engine, lambda: now[-1])
    submission_id, later = store.create(new())[0].id, store.create(new())[0].id
    for number, wait_s in enumerate((5, 10), 1):
        claim = store.leases.claim_next("sick", ABLE, 60)
        assert claim is not None
        assert claim.submission_id == submission_id
        [told] = store.interruptions.fail(claim, Failure("Full."), 3, 5)
        assert f"Full. Judged again from the start, try {number + 1} of 3." in told.text
        assert store.leases.claimable(10, "sick", ABLE) == [later]
        assert store.leases.claimable(10, "healthy", ABLE) == [submission_id, later]
        now.append(now[-1] + wait_s)
        assert store.leases.claimable(10, "sick", ABLE) == [submission_id, later]
    records = store.interruptions.fail(claimed(store, submission_id), Failure("Full."), 3, 5)
    assert [each.last for each in records] == [False, True]
    assert last_event(store, submission_id)["final_status"] == "error"
    assert claim is not None
    with pytest.raises(EndedError):
        store.interruptions.fail(claim, Failure("Late."), 3, 5)
    store.close()


def test_a_worker_leaves_what_it_failed_on_to_those_who_are_busy(engine: Engine) -> None:
    """However long they need, up to a minute; but not to those who failed as well, nor to nobody."""
    now = [1000.0]
    store = Store(engine, lambda: now[-1])
    store.create(new())
    assert store.leases.claim_next("busy", ABLE, 3600) is not None
    submission_id = store.create(new())[0].id

    def failed(worker: str) -> None:
        claim = store.leases.claim_next(worker, ABLE, 60)
        assert claim is not None
        store.interruptions.fail(claim, Failure("Full."), 5, 5)

    failed("sick")
    now.append(1030.0)
    assert store.leases.claimable(10, "sick", ABLE) == []
    assert store.leases.claim_next("sick", ABLE, 60) is None
    assert store.leases.claimable(10, "busy", ABLE) == [submission_id]
    now.append(1066.0)
    assert store.leases.claimable(10, "sick", ABLE) == [submission_id]
    # Somebody else had it meanwhile and died: it is still not for the one that failed.
    now.append(1067.0)
    failed("other")
    assert store.leases.claim_next("dies", ABLE, -1) is not None
    store.interruptions.take_back(10)
    now.append(1080.0)
    assert store.leases.claimable(10, "sick", ABLE) == []
    failed("busy")
    now.append(1100.0)
    assert store.leases.claimable(10, "sick", ABLE) == [submission_id]
    store.close()


def test_cancelling_summarises_the_results_so_far(store: Store) -> None:
    """The last result of each test counts, and the worker can no longer append."""
    submission_id = store.create(new())[0].id
    claim = claimed(store, submission_id)
    append(
        store,
        submission_id,
        [
            {"type": "status_update", "status": "testing", "total_tests": 10},
            result("One", "failed"),
            result("Two", "error"),
            result("Three", "skipped"),
            result("One"),
        ],
    )
    records = store.cancel(submission_id, DEMO_USER)
    assert records[-1].last
    summary = store.lookup.snapshot(submission_id, DEMO_USER).summary
    assert summary is not None
    assert {name: summary[name] for name in ("total_tests", "passed", "failed")} == {
        "total_tests": 10,
        "passed": 1,
        "failed": 1,
    }
    with pytest.raises(EndedError):
        append(store, submission_id, [result("late")], claim.fence)


def test_foreign_and_absent_are_alike(store: Store) -> None:
    """Another owner's submission looks like one that does not exist."""
    submission_id = store.create(new())[0].id
    for wrong in ((submission_id, DEMO_USER + 1), (submission_id + 1, DEMO_USER)):
        for method in (store.lookup.snapshot, store.cancel):
            with pytest.raises(UnknownSubmissionError):
                method(*wrong)
    assert store.listing.page(Filter(DEMO_USER + 1), 10) == ListPage([], None)
    with pytest.raises(UnknownSubmissionError):
        store.lookup.page(submission_id + 1, 0, 10)


def test_a_log_is_read_in_pages(store: Store) -> None:
    """A page says whether the log goes on, and whether it is complete."""
    submission_id = store.create(new())[0].id
    append(store, submission_id, [result(str(n)) for n in range(4)])
    page = store.lookup.page(submission_id, 1, 3)
    assert ([item.seq for item in page.records], page.more, page.ended) == ([2, 3, 4], True, False)
    append(store, submission_id, [COMPLETE])
    page = store.lookup.page(submission_id, 4, 3)
    assert ([item.seq for item in page.records], page.more, page.ended) == ([5, 6], False, True)
    assert [item.last for item in page.records] == [False, True]
    assert store.lookup.ends([submission_id, 99]) == {submission_id: LogEnd(6, page.epoch)}


def test_an_event_is_encoded_once(store: Store) -> None:
    """What was appended is the very text that the log returns."""
    submission_id = store.create(new())[0].id
    appended = append(store, submission_id, [result("Ünïcödé \x1b[31m\u202e")])
    assert store.lookup.page(submission_id, 1, 10).records == appended
    assert "\x1b" not in appended[0].text
    assert "\u202e" not in appended[0].text


def test_a_batch_whose_answer_was_lost_is_not_written_twice(store: Store) -> None:
    """Appending again after the same position returns the same records, even after the verdict."""
    submission_id = store.create(new())[0].id
    claim = claimed(store, submission_id)
    assert claim.last_seq == 1
    batch = [result("One"), result("Two")]
    first = append(store, submission_id, batch, claim.fence, 1)
    assert append(store, submission_id, batch, claim.fence, 1) == first
    last = append(store, submission_id, [COMPLETE], claim.fence, 3)
    assert append(store, submission_id, [COMPLETE], claim.fence, 3) == last
    assert last[-1].last
    assert [item.seq for item in store.lookup.page(submission_id, 0, 10).records] == [1, 2, 3, 4]
    with pytest.raises(EndedError):
        append(store, submission_id, [COMPLETE], claim.fence, 4)


def test_a_log_has_a_name_of_its_own(store: Store) -> None:
    """Snapshot, event 1 and every page say it; a repeated POST gives the same one."""
    first, second = store.create(new("key"))[0], store.create(new())[0]
    page = store.lookup.page(first.id, 0, 10)
    [event] = [json.loads(item.text) for item in page.records]
    assert first.epoch
    assert event["epoch"] == page.epoch == page.records[0].epoch == first.epoch
    assert second.epoch != first.epoch
    assert store.create(new("key"))[0].epoch == first.epoch
    [second_event] = append(store, first.id, [result("A")])
    assert "epoch" not in json.loads(second_event.text)
    assert (second_event.epoch, store.lookup.page(first.id, 9, 1).last_seq) == (first.epoch, 2)


def test_a_repeated_post_after_a_restored_backup(store: Store, engine: Engine) -> None:
    """The key is unknown again: the submission is made anew, perhaps with the same id, but its log has another name."""
    before = store.create(new("key"))[0]
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM events"))
        connection.execute(text("DELETE FROM submissions"))
        if engine.dialect.name == "sqlite":
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = 'submissions'"))
        else:
            connection.execute(text("ALTER SEQUENCE submissions_id_seq RESTART"))
    after, is_new = store.create(new("key"))
    assert (after.id, is_new) == (before.id, True)
    assert after.epoch != before.epoch


@pytest.mark.parametrize("restored", ["epoch = 'another'", "last_seq = 0"], ids=["another one", "a shorter log"])
def test_a_worker_from_before_a_restored_backup(store: Store, engine: Engine, restored: str) -> None:
    """Its fence may be right by accident: it cannot append nevertheless."""
    submission_id = store.create(new())[0].id
    claim = claimed(store, submission_id)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE submissions SET {restored}"))
    wanted = Append(submission_id, [result("A")], claim.fence, claim.last_seq, claim.epoch)
    with pytest.raises(StaleFenceError):
        store.append(wanted)
    [outcome] = store.append_all([wanted])
    assert isinstance(outcome, StaleFenceError)


def test_a_claim_on_another_log_of_the_same_id(store: Store) -> None:
    """It can be neither renewed, handed back nor ended."""
    submission_id = store.create(new())[0].id
    stale = replace(claimed(store, submission_id), epoch="another")
    assert not store.leases.renew(stale, 60)
    with pytest.raises(StaleFenceError):
        store.interruptions.hand_back(stale, "because")
    with pytest.raises(StaleFenceError):
        store.interruptions.fail(stale, Failure("because"), 3, 5)


def test_a_transaction_of_many_events_takes_three_statements(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the rows, insert the events, update the rows: for any number of submissions and of events."""
    ids = [store.create(new())[0].id for _ in range(3)]
    executed: list[str] = []
    execute = DriverTransaction.exec_driver_sql

    def counting(transaction: DriverTransaction, statement: str, parameters: Any) -> Any:
        executed.append(statement.split()[0])
        return execute(transaction, statement, parameters)

    monkeypatch.setattr(DriverTransaction, "exec_driver_sql", counting)
    for count in (1, 3):
        executed.clear()
        appended = store.append_all([Append(each, [result("a")] * count) for each in ids[:count]])
        assert [len(records) for records in appended if isinstance(records, tuple)] == [count] * count
        assert executed == ["SELECT", "INSERT", "UPDATE"]
