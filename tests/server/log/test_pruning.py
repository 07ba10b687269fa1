"""Deleting what is old, beside a running server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from subcli.server.log.checking import check_database
from subcli.server.log.pruning import Old, Pruning, pruned_notice
from subcli.server.log.records import Append, UnknownSubmissionError
from subcli.server.log.store import Store
from subcli.server.log.tables import DEMO_USER
from tests.server.clock import Clock
from tests.server.log.test_packer import DAY, ended
from tests.server.log.test_store import COMPLETE, claimed, new, result

pytestmark = pytest.mark.every_backend


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(engine: Engine, clock: Clock) -> Iterator[Store]:
    store = Store(engine, clock)
    yield store
    store.close()


@pytest.fixture
def year(store: Store, clock: Clock) -> list[int]:
    """Three that ended 200 days ago, one of them packed; one that has been running since then; one of today."""
    old = [ended(store) for _ in range(2)]
    clock.now += DAY
    store.packer.pack_some(DAY, 1)
    old.append(ended(store))
    running = store.create(new())[0].id
    claim = claimed(store, running, lease=1e9)
    store.run_traces.put(claim, "t", b"trace")
    clock.now += 200 * DAY
    return [*old, running, ended(store)]


def pruned(engine: Engine, clock: Clock, days: float, *, keep_verdicts: bool = False) -> int:
    return sum(Pruning(engine, clock).prune(days * DAY, keep_verdicts=keep_verdicts))


def sound(engine: Engine) -> bool:
    return [each.faults for each in check_database(engine) if each.faults] == []


def test_old_submissions_are_deleted(
    store: Store, engine: Engine, clock: Clock, year: list[int], sql: Callable[[str], Any]
) -> None:
    """With everything that belongs to them; what runs and what is recent stays as it was."""
    *old, running, recent = year
    kept = [store.lookup.page(number, 0, 10) for number in (running, recent)]
    counted = Pruning(engine, clock).old(180 * DAY, keep_verdicts=False)
    size = len('{"solution.py": "print()"}')
    assert counted == Old(submissions=3, users=1, problems=1, files_bytes=3 * size, kept=2, running=1)
    assert pruned(engine, clock, 180) == 3
    for number in old:
        with pytest.raises(UnknownSubmissionError):
            store.lookup.snapshot(number, DEMO_USER)
    assert [store.lookup.page(number, 0, 10) for number in (running, recent)] == kept
    assert sql("SELECT count(*) FROM packed_events") == [(0,)]
    assert sql("SELECT count(*) FROM run_traces") == [(1,)]
    assert pruned(engine, clock, 180) == 0
    assert sound(engine)


def test_verdicts_are_kept(
    store: Store, engine: Engine, clock: Clock, year: list[int], sql: Callable[[str], Any]
) -> None:
    """With their counts and times; code, results, output and traces go, and the log says so in two events."""
    first = year[0]
    before = store.lookup.snapshot(first, DEMO_USER)
    assert pruned(engine, clock, 180, keep_verdicts=True) == 3
    after = store.lookup.snapshot(first, DEMO_USER)
    assert after.pruned_at == clock()
    same = ("status", "final_status", "summary", "created_at", "finished_at", "epoch", "problem", "language")
    assert [getattr(after, name) for name in same] == [getattr(before, name) for name in same]
    page = store.lookup.page(first, 0, 10)
    status, verdict = (json.loads(each.text) for each in page.records)
    assert (status["seq"], status["detail"], status["epoch"]) == (1, pruned_notice(clock()), before.epoch)
    assert (verdict["seq"], verdict["final_status"], verdict["summary"]) == (2, "passed", before.summary)
    assert (page.ended, page.last_seq, page.more) == (True, 2, False)
    assert (store.lookup.files(first), store.lookup.results(first, 1)) == ({}, [])
    assert sql("SELECT count(*) FROM packed_events") == [(0,)]
    assert pruned(engine, clock, 180, keep_verdicts=True) == 0
    assert Pruning(engine, clock).old(180 * DAY, keep_verdicts=True).submissions == 0
    assert sound(engine)
    # Later they may go altogether.
    assert pruned(engine, clock, 180) == 3


def test_what_is_left_is_packed_like_any_other(store: Store, engine: Engine, clock: Clock, year: list[int]) -> None:
    """And the verdict is still there."""
    pruned(engine, clock, 180, keep_verdicts=True)
    before = store.lookup.page(year[0], 0, 10)
    while store.packer.pack_some(DAY):
        pass
    assert store.lookup.page(year[0], 0, 10) == before
    assert sound(engine)


def test_nothing_is_compared_with_what_is_gone(store: Store, engine: Engine, clock: Clock) -> None:
    """The next submission counts as the first one."""
    ended(store)
    clock.now += DAY
    pruned(engine, clock, 0.5, keep_verdicts=True)
    number = store.create(new())[0].id
    assert store.lookup.comparison(number, [result("Test 0")]) is None


def test_deleting_goes_on_in_small_steps(
    store: Store, engine: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No transaction deletes more than a few; between two of them, others can write."""
    monkeypatch.setattr("subcli.server.log.pruning.STEP", 2)
    for _ in range(5):
        ended(store)
    running = store.create(new())[0].id
    clock.now += DAY
    counts = []
    for count in Pruning(engine, clock).prune(DAY / 2, keep_verdicts=False):
        counts.append(count)
        store.append(Append(running, [result(f"Test {count}")]))
    assert counts == [2, 2, 1]
    store.append(Append(running, [COMPLETE]))
    assert sound(engine)


def test_a_build_that_failed_keeps_its_verdict(store: Store, engine: Engine, clock: Clock) -> None:
    """Its build log goes: it may quote the code."""
    number = store.create(new())[0].id
    building = {"type": "status_update", "status": "build_failed", "detail": "solution.py:1: syntax error"}
    store.append(Append(number, [building, {"type": "complete", "final_status": "build_failed", "summary": {}}]))
    clock.now += DAY
    assert pruned(engine, clock, 0.5, keep_verdicts=True) == 1
    snapshot = store.lookup.snapshot(number, DEMO_USER)
    assert (snapshot.status, snapshot.final_status, snapshot.build_log) == ("build_failed", "build_failed", None)


def test_runs_before_the_latest_go_as_well(
    store: Store, engine: Engine, clock: Clock, sql: Callable[[str], Any]
) -> None:
    """Their logs quote what solutions print; what is left cannot be judged again, since there is no code."""
    number = ended(store)
    store.runs.begin([number], "key")
    store.append(Append(number, [COMPLETE]))
    clock.now += DAY
    assert pruned(engine, clock, 0.5, keep_verdicts=True) == 1
    assert sql("SELECT count(*) FROM runs") == [(0,)]
    begun = store.runs.begin([number], "another key")
    assert (dict(begun.records), list(begun.unknown)) == ({}, [number])
    assert store.selections.count_ids([number]).verdicts == {}
    assert pruned(engine, clock, 0.5) == 1
    assert sound(engine)
