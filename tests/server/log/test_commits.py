"""Group commit: many submissions in one transaction, and none of them affects the others."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, cast

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError, OperationalError

from subcli.server.log.bus import MemoryBus
from subcli.server.log.commits import GroupCommit
from subcli.server.log.records import Append, EndedError, NewSubmission, Record, StaleFenceError, UnknownSubmissionError
from subcli.server.log.store import Store
from subcli.server.log.tables import DEMO_USER, submissions
from tests.server.clock import VirtualTimeLoop

pytestmark = pytest.mark.every_backend

AWAY = OperationalError("COMMIT", None, Exception("gone"))
COMPLETE = {"type": "complete", "final_status": "passed", "summary": {"total_tests": 1, "passed": 1}}


def result(name: object, **more: Any) -> dict[str, Any]:
    return {"type": "test_result", "test_name": str(name), "status": "passed", "duration_ms": 1, **more}


class RecordingBus(MemoryBus):
    """Keeps what was published."""

    def __init__(self) -> None:
        super().__init__()
        self.published: dict[int, list[int]] = {}
        self.heard: defaultdict[int, asyncio.Event] = defaultdict(asyncio.Event)

    def publish(self, submission_id: int, records: Sequence[Record]) -> None:
        self.published.setdefault(submission_id, []).extend(each.seq for each in records)
        self.heard[submission_id].set()


class CountingStore(Store):
    """Keeps the sizes of its groups, and can hold up or fail one."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, time.time)
        self.groups: list[int] = []
        self.before_next: Callable[[], object] = lambda: None
        self.away_for: Collection[int] = ()

    def append_all(self, wanted: Sequence[Append]) -> list[tuple[Record, ...] | Exception | None]:
        before, self.before_next = self.before_next, lambda: None
        before()
        self.groups.append(len(wanted))
        if any(each.submission_id in self.away_for for each in wanted):
            raise AWAY
        return super().append_all(wanted)


class Bed:
    """A group commit, what it published, and how many transactions it took."""

    def __init__(self, store: CountingStore) -> None:
        self.store = store
        self.bus = RecordingBus()
        self.commits = GroupCommit(store, self.bus)

    @property
    def groups(self) -> list[int]:
        return self.store.groups

    def submit(self) -> int:
        return self.store.create(NewSubmission(DEMO_USER, "echo", "python", {"solution.py": ""}))[0].id

    def names(self, submission_id: int) -> list[str]:
        page = self.store.lookup.page(submission_id, 1, 1000)
        assert [each.seq for each in page.records] == list(range(2, 2 + len(page.records)))
        return [each.text.partition('"test_name":"')[2].partition('"')[0] for each in page.records]

    async def at_once(self, *wanted: Append) -> list[Any]:
        """Append these in one transaction: they gather behind one that is held up."""
        first = self.submit()
        begun, gate = self.hold()
        ahead = asyncio.create_task(self.commits.append(Append(first, [result("ahead")])))
        await begun.wait()
        rest = [asyncio.create_task(self.commits.append(each)) for each in wanted]
        await asyncio.sleep(0)
        gate.set()
        outcomes = await asyncio.gather(ahead, *rest, return_exceptions=True)
        assert self.groups[:1] == [1]
        del self.groups[0]
        return outcomes[1:]

    def hold(self) -> tuple[asyncio.Event, threading.Event]:
        """Make the next transaction announce its beginning and wait for the gate."""
        begun, gate, loop = asyncio.Event(), threading.Event(), asyncio.get_running_loop()
        self.store.before_next = lambda: (loop.call_soon_threadsafe(begun.set), gate.wait(30))
        return begun, gate


@pytest.fixture
def bed(engine: Engine) -> Iterator[Bed]:
    store = CountingStore(engine)
    yield Bed(store)
    store.close()


@pytest.mark.thorough
async def test_many_share_a_transaction(bed: Bed) -> None:
    """Thirty submissions with twenty events each: far fewer transactions, and each log whole and in order."""
    ids = [bed.submit() for _ in range(30)]

    async def judging(submission_id: int) -> None:
        for number in range(20):
            [record] = await bed.commits.append(Append(submission_id, [result(number)], 0, number + 1))
            assert record.seq == number + 2

    await asyncio.gather(*map(judging, ids))
    assert all(bed.names(each) == [str(number) for number in range(20)] for each in ids)
    assert all(bed.bus.published[each] == list(range(2, 22)) for each in ids)
    assert sum(bed.groups) == 600
    assert len(bed.groups) < 200


async def test_a_refused_append_does_not_affect_the_others(bed: Bed) -> None:
    """Each append gets the outcome that it would have had alone."""
    good, stale, ended, unwritable, twice = (bed.submit() for _ in range(5))
    bed.store.append(Append(ended, [COMPLETE]))
    bed.store.append(Append(twice, [result("before")], 0, 1))
    outcomes = await bed.at_once(
        Append(good, [{"type": "status_update", "status": "testing"}, result("a")]),
        Append(stale, [result("late")], 7),
        Append(ended, [result("late")]),
        Append(unwritable, [result("good"), result("bad", output=object())]),
        Append(twice, [result("before")], 0, 1),
        Append(12345, [result("nobody's")]),
    )
    assert bed.groups == [6]
    assert [each.seq for each in outcomes[0]] == [2, 3]
    assert [type(each) for each in outcomes[1:4]] == [StaleFenceError, EndedError, TypeError]
    assert [each.seq for each in outcomes[4]] == [2]
    assert isinstance(outcomes[5], UnknownSubmissionError)
    assert bed.store.lookup.snapshot(good, DEMO_USER).status == "testing"
    assert bed.names(stale) == bed.names(unwritable) == []
    assert bed.names(twice) == ["before"]


async def test_an_append_that_the_database_rejects_is_refused_alone(bed: Bed) -> None:
    """The transaction fails as a whole; then each append is tried on its own."""
    good, bad = bed.submit(), bed.submit()
    outcomes = await bed.at_once(Append(good, [result("a")]), Append(bad, [{"type": None}]))
    assert [each.seq for each in outcomes[0]] == [2]
    assert isinstance(outcomes[1], IntegrityError)
    assert bed.names(good) == ["a"]
    assert bed.names(bad) == []


async def test_two_appends_to_one_submission_take_two_transactions(bed: Bed) -> None:
    """They are committed in order, never in one transaction."""
    one, other = bed.submit(), bed.submit()
    wanted = [Append(one, [result("a")]), Append(one, [result("b")]), Append(other, [result("c")])]
    outcomes = await bed.at_once(*wanted)
    assert [[each.seq for each in records] for records in outcomes] == [[2], [3], [2]]
    assert bed.groups == [2, 1]
    assert bed.names(one) == ["a", "b"]


@pytest.mark.parametrize("backends", [("postgresql", "memory")], ids=["postgresql+memory"], indirect=True)
async def test_an_append_to_a_locked_row_waits_alone(bed: Bed, engine: Engine) -> None:
    """PostgreSQL locks rows, not the database: the other appends are committed meanwhile."""
    held, free = bed.submit(), bed.submit()
    with engine.begin() as connection:
        connection.execute(select(submissions.c.id).where(submissions.c.id == held).with_for_update())
        waiting = asyncio.create_task(bed.at_once(Append(held, [result("a")]), Append(free, [result("b")])))
        await bed.bus.heard[free].wait()
        assert held not in bed.bus.published
    await waiting
    assert bed.names(held) == ["a"]
    assert bed.bus.published == {**bed.bus.published, held: [2], free: [2]}


async def test_an_unavailable_database_refuses_the_whole_group(bed: Bed) -> None:
    """At once, and not one after the other: each would wait for its own timeout."""
    ids = [bed.submit() for _ in range(5)]
    bed.store.away_for = ids
    outcomes = await bed.at_once(*(Append(each, [result("a")]) for each in ids))
    assert outcomes == [AWAY] * 5
    assert bed.groups == [5]


async def test_an_append_cancelled_before_it_began_is_not_written(bed: Bed) -> None:
    """One that had begun is committed and published, though nobody waits for it any more."""
    begun, waiting = bed.submit(), bed.submit()
    entered, gate = bed.hold()
    first = asyncio.create_task(bed.commits.append(Append(begun, [result("a")])))
    await entered.wait()
    second = asyncio.create_task(bed.commits.append(Append(waiting, [result("b")])))
    await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    await asyncio.wait([first, second])
    gate.set()
    await bed.bus.heard[begun].wait()
    assert bed.names(begun) == ["a"]
    assert bed.names(waiting) == []
    assert bed.bus.published == {begun: [2]}


async def test_a_group_is_bounded(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other appends go into the next transactions."""
    monkeypatch.setattr("subcli.server.log.commits._GROUP_SIZE", 3)
    ids = [bed.submit() for _ in range(7)]
    outcomes = await bed.at_once(*(Append(each, [result("a")]) for each in ids))
    assert [[each.seq for each in records] for records in outcomes] == [[2]] * 7
    assert bed.groups == [3, 3, 1]


def test_transactions_keep_a_distance() -> None:
    """Four at once, then one every 5 ms, on whatever machine; after a pause four at once again."""
    begun: list[float] = []

    class InstantStore:
        append_all = None

        async def run(self, _method: object, wanted: Sequence[Append]) -> list[tuple[Record, ...]]:
            begun.append(asyncio.get_running_loop().time())
            return [() for _ in wanted]

    async def append_many() -> None:
        commits = GroupCommit(cast("Store", InstantStore()), RecordingBus())
        for count in (7, 5):
            for number in range(count):
                await commits.append(Append(number, []))
            await asyncio.sleep(1)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(append_many())
    assert begun == pytest.approx([0, 0, 0, 0, 0.005, 0.01, 0.015, 1.015, 1.015, 1.015, 1.015, 1.02])


async def test_events_that_cannot_be_published_are_committed(bed: Bed, caplog: pytest.LogCaptureFixture) -> None:
    """The appender gets its records: an error would have it append them again."""

    class BrokenBus(MemoryBus):
        def publish(self, submission_id: int, records: Sequence[Record]) -> None:
            raise RuntimeError("broken")

    submission_id = bed.submit()
    [record] = await GroupCommit(bed.store, BrokenBus()).append(Append(submission_id, [result("a")]))
    assert record.seq == 2
    assert f"submission {submission_id}: events were committed but not published" in caplog.messages
    assert "RuntimeError: broken" in caplog.text
