"""Judging again: a run of its own, with a log of its own; the log before stays as it was."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select

from subcli.server.log.archive import packed, unpacked
from subcli.server.log.bus import MemoryBus
from subcli.server.log.feed import Journal
from subcli.server.log.matching import Cursor, Wanted
from subcli.server.log.records import (
    Append,
    Claim,
    EventPage,
    NewSubmission,
    ReplacedError,
    StaleFenceError,
)
from subcli.server.log.requeue import LATER
from subcli.server.log.selection import Place, Selection
from subcli.server.log.store import Store
from subcli.server.log.tables import DEMO_USER, attempts, outputs, runs, submissions, users
from subcli.shared.protocol import submission_part
from tests.server.log.log import follow

pytestmark = pytest.mark.every_backend
ABLE = {"echo": ("python",), "other": ("python",)}
KEY = "a-key-of-a-test"


def new(**more: Any) -> NewSubmission:
    return replace(NewSubmission(DEMO_USER, "echo", "python", {"a.py": "print()"}), **more)


def claimed(store: Store) -> Claim:
    claim = store.leases.claim_next("worker", ABLE, 60)
    assert claim is not None
    return claim


def result(name: str, status: str = "passed") -> dict[str, Any]:
    return {"type": "test_result", "test_name": name, "test_id": name, "status": status, "duration_ms": 1}


def complete(verdict: str = "passed", passed: int = 1) -> dict[str, Any]:
    return {"type": "complete", "final_status": verdict, "summary": {"total_tests": 2, "passed": passed}}


def judge(store: Store, *events: dict[str, Any]) -> Claim:
    """Have the next submission judged with these events."""
    claim = claimed(store)
    store.append(Append(claim.submission_id, events, claim.fence, claim.last_seq, claim.epoch))
    return claim


def judged(store: Store, *events: dict[str, Any], **more: Any) -> int:
    """A new submission that has ended."""
    submission_id = store.create(new(**more))[0].id
    judge(store, *(events or (result("One"), complete())))
    return submission_id


def texts(page: EventPage) -> list[str]:
    return [each.text for each in page.records]


def test_the_log_before_stays_and_a_new_one_begins(store: Store) -> None:
    """Byte for byte; the new one is numbered from 1, under a name that shows whose it is, and ends by itself."""
    number = judged(store, result("One", "failed"), complete("failed", 0))
    before, log = store.lookup.snapshot(number, None), store.lookup.page(number, 0, 100)
    begun = store.runs.begin([number], KEY)
    now = store.lookup.snapshot(number, None)
    assert (now.run, now.status, now.final_status, now.last_seq, now.summary) == (2, "pending", None, 1, None)
    assert now.created_at == before.created_at
    assert now.epoch != before.epoch
    assert submission_part(str(now.epoch)) == before.epoch
    [first] = begun.records[number]
    event = json.loads(first.text)
    assert (event["seq"], event["epoch"], event["status"], event["run"]) == (1, now.epoch, "pending", 2)
    assert texts(store.lookup.page(number, 0, 100, before.epoch)) == texts(log)
    judge(store, result("One"), complete())
    assert [json.loads(text)["seq"] for text in texts(store.lookup.page(number, 0, 100))] == [1, 2, 3]
    assert [(each.run, each.final_status) for each in store.lookup.runs(store.lookup.snapshot(number, None))] == [
        (1, "failed"),
        (2, "passed"),
    ]


def test_a_kept_log_in_pages(store: Store) -> None:
    """After each position, so many at a time, and complete."""
    number = judged(store, *(result(f"t{each}") for each in range(7)), complete())
    epoch = store.lookup.snapshot(number, None).epoch
    whole = texts(store.lookup.page(number, 0, 100))
    store.runs.begin([number], KEY)
    for after in range(len(whole) + 2):
        page = store.lookup.page(number, after, 3, epoch)
        assert texts(page) == whole[after : after + 3]
        assert (page.more, page.ended, page.last_seq) == (after + 3 < len(whole), True, len(whole))
        assert [each.last for each in page.records] == [each.seq == len(whole) for each in page.records]


@pytest.mark.parametrize("name", ["another", "0123456789abcdef", "a\0b", "é", "0" * 40])
def test_a_log_that_was_never_there(store: Store, name: str) -> None:
    """The latest is given, under its own name, so that the reader knows."""
    number = judged(store)
    store.runs.begin([number], KEY)
    latest = store.lookup.snapshot(number, None)
    assert store.lookup.page(number, 0, 9, name).epoch == latest.epoch
    assert store.outputs.page(number, 0, 9, name).epoch == latest.epoch
    assert store.lookup.of_run(latest, epoch=name) is None
    assert store.lookup.of_run(latest, run=3) is None


def test_a_run_as_it_was(store: Store) -> None:
    """Its status, verdict, counts and results; of a third one too."""
    number = judged(store, result("One", "failed"), complete("failed", 0))
    for verdict, status in (("passed", "passed"), ("build_failed", "failed")):
        store.runs.begin([number], f"{KEY}-{verdict}")
        judge(store, result("One", status), complete(verdict))
    latest = store.lookup.snapshot(number, None)
    assert latest.run == 3
    seen = []
    for run in (1, 2, 3):
        found = store.lookup.of_run(latest, run=run)
        assert found is not None
        assert store.lookup.of_run(latest, epoch=found.epoch) == found
        statuses = [json.loads(each)["status"] for each in store.lookup.results(number, run)]
        seen.append((found.final_status, (found.summary or {}).get("passed"), statuses, found.last_seq))
    assert seen == [("failed", 0, ["failed"], 3), ("passed", 1, ["passed"], 3), ("build_failed", 1, ["failed"], 3)]


def test_what_has_no_verdict_is_left_alone(store: Store) -> None:
    """It is being judged, or will be; so are those that do not exist."""
    waiting = store.create(new())[0].id
    begun = store.runs.begin([waiting, waiting + 1], KEY)
    assert (begun.records, begun.unfinished, begun.unknown) == ({}, [waiting], [waiting + 1])
    assert store.lookup.snapshot(waiting, None).run == 1


def test_a_request_that_is_repeated(store: Store) -> None:
    """Begins no second run, whether or not the first one has ended; another request does."""
    number = judged(store)
    store.runs.begin([number], KEY)
    assert store.runs.begin([number], KEY).repeated == [number]
    judge(store, complete())
    assert store.runs.begin([number], KEY).repeated == [number]
    assert store.lookup.snapshot(number, None).run == 2
    assert list(store.runs.begin([number], "another-key").records) == [number]


def test_a_worker_of_the_run_before(store: Store) -> None:
    """Can append nothing to the new one, not even the verdict whose answer was lost."""
    store.create(new())
    claim = claimed(store)
    wanted = Append(claim.submission_id, [complete()], claim.fence, claim.last_seq, claim.epoch)
    store.append(wanted)
    store.runs.begin([claim.submission_id], KEY)
    for late in (wanted, replace(wanted, epoch=None)):
        with pytest.raises(StaleFenceError):
            store.append(late)
    assert not store.leases.renew(claim, 60)


def test_it_is_judged_after_everything_new(store: Store) -> None:
    """However many wait to be judged again, and whoever has submitted them; interrupted ones come first, as ever."""
    old = [judged(store) for _ in range(3)]
    store.runs.begin(old, KEY)
    fresh = [store.create(new())[0].id for _ in range(2)]
    assert [json.loads(texts(store.lookup.page(each, 0, 1))[0])["queue_position"] for each in fresh] == [1, 2]
    assert store.waiting.update_queue_positions(100) == {}
    order = [claimed(store).submission_id for _ in range(3)]
    late = store.create(new())[0].id
    order += [claimed(store).submission_id for _ in range(3)]
    assert order == [*fresh, old[0], late, *old[1:]]


def test_turns_of_new_ones_are_as_if_there_were_nothing_else(store: Store, engine: Engine) -> None:
    """A new submission never gets a turn behind those that are judged again."""
    number = judged(store)
    store.runs.begin([number], KEY)
    made = store.create(new())[0].id
    with engine.connect() as connection:
        turns = {row.id: row.turn for row in connection.execute(select(submissions.c.id, submissions.c.turn))}
    assert turns[number] == LATER
    assert turns[made] < 2


def test_traces_output_and_failures_of_the_run_before(store: Store, engine: Engine) -> None:
    """Its traces are kept with it, its output is deleted, and a worker that failed on it may judge it again."""
    store.create(new())
    claim = claimed(store)
    number = claim.submission_id
    store.run_traces.put(claim, "One", b"old")
    printed = {"type": "output", "stream": "stdout", "text": "x"}
    store.append(Append(number, [printed, complete()], claim.fence, claim.last_seq, claim.epoch))
    with engine.begin() as connection:
        connection.execute(attempts.update().values(failed=True))
    store.runs.begin([number], KEY)
    assert (store.run_traces.get(number, "One", 1), store.run_traces.get(number, "One", 2)) == (b"old", None)
    assert store.outputs.page(number, 0, 10, claim.epoch).ended
    with engine.connect() as connection:
        assert connection.execute(select(outputs)).all() == []
        assert connection.execute(select(attempts.c.failed)).scalars().all() == [False]
    claim = claimed(store)
    assert (claim.attempt, claim.last_seq, claim.output_seq, claim.output_bytes) == (1, 1, 0, 0)
    store.run_traces.put(claim, "One", b"new")
    store.append(Append(number, [complete()], claim.fence, claim.last_seq, claim.epoch))
    store.runs.begin([number], "another-key")
    traces = [store.run_traces.get(number, "One", run) for run in (1, 2, 3)]
    assert traces == [b"old", b"new", None]


def test_compared_with_its_own_run_before(store: Store) -> None:
    """And not with another submission, unless that run was not judged to its end."""
    judged(store, result("One"), complete())
    number = judged(store, result("One", "failed"), complete("failed"))
    store.runs.begin([number], KEY)
    found = store.lookup.comparison(number, [result("One")])
    assert found is not None
    assert (found["previous"], found["previous_run"], found["newly_passing"]) == (number, 1, 1)
    judge(store, complete("build_failed"))
    store.runs.begin([number], "another-key")
    found = store.lookup.comparison(number, [result("One")])
    assert found is not None
    assert (found["previous"], found.get("previous_run")) == (number - 1, None)


def test_compared_with_one_that_is_being_judged_again(store: Store) -> None:
    """With what it was before."""
    first = judged(store, result("One", "failed"), complete("failed"))
    second = store.create(new())[0].id
    store.runs.begin([first], KEY)
    found = store.lookup.comparison(second, [result("One")])
    assert found is not None
    assert (found["previous"], found["newly_passing"]) == (first, 1)


def test_a_verdict_of_a_kept_run_and_what_it_was_compared_with(store: Store) -> None:
    """As it was."""
    number = judged(store, {**complete(), "compared_to": {"previous": 1}})
    store.runs.begin([number], KEY)
    run = store.lookup.of_run(store.lookup.snapshot(number, None), run=1)
    assert run is not None
    assert store.lookup.compared_to(run) == {"previous": 1}


def test_the_cursor_of_a_feed_names_the_submission_not_the_run(store: Store) -> None:
    """A feed goes on although the latest submission is judged again; after a restored backup it does not."""
    number = judged(store)
    _, cursor = store.matching.running(Wanted(DEMO_USER), 10)
    store.runs.begin([number], KEY)
    found, again = store.matching.since(Wanted(DEMO_USER), Cursor.of(str(cursor)), 10)
    assert (found, str(again)) == ([], str(cursor))
    with pytest.raises(ReplacedError):
        store.matching.since(Wanted(DEMO_USER), Cursor(number, "0123456789abcdef"), 10)


def test_a_log_without_a_name(store: Store, engine: Engine) -> None:
    """An older server made it: it gets one when it is kept."""
    number = judged(store)
    with engine.begin() as connection:
        connection.execute(submissions.update().values(epoch=None))
    store.runs.begin([number], KEY)
    latest = store.lookup.snapshot(number, None)
    run = store.lookup.of_run(latest, run=1)
    assert run is not None
    assert run.epoch
    assert len(store.lookup.page(number, 0, 9, run.epoch).records) == 3


def test_what_is_selected(store: Store) -> None:
    """To one problem, with a verdict, since a moment: counted, and taken oldest first; what came meanwhile is left."""
    ids = [judged(store, complete(verdict)) for verdict in ("passed", "failed", "passed", "failed")]
    judged(store, problem="other")
    waiting = store.create(new())[0].id
    counted = store.selections.count(Selection("echo"))
    assert (counted.verdicts, counted.unfinished, counted.users) == ({"failed": 2, "passed": 2}, 1, 1)
    assert store.selections.count(Selection("echo", "failed")).verdicts == {"failed": 2}
    since = store.lookup.snapshot(ids[2], None).created_at
    assert store.selections.count(Selection("echo", since=since)).verdicts == {"failed": 1, "passed": 1}
    assert store.selections.count_ids([ids[0], waiting, 10**9]).unfinished == 1
    judge(store, complete())
    start = Place(0, ids[3])
    assert store.selections.next_ids(Selection("echo"), start, KEY, 3) == ids[:3]
    assert store.selections.next_ids(Selection("echo"), Place(ids[2], ids[3]), KEY, 3) == ids[3:]
    assert store.selections.next_ids(Selection("echo", "failed"), start, KEY, 9) == [ids[1], ids[3]]
    store.runs.begin([ids[1]], KEY)
    assert store.selections.next_ids(Selection("echo", "failed"), start, KEY, 9) == [ids[1], ids[3]]
    assert store.selections.next_ids(Selection("echo", "failed"), start, "another-key", 9) == [ids[3]]


@pytest.mark.parametrize("bad", ["", "x", "é", "YWZ0ZXIgMQ", str(Place(1, 10**18))])
def test_places_are_checked(bad: str) -> None:
    """What is none is refused; what is one stays the same."""
    assert Place.of(str(Place(5, 70))) == Place(5, 70)
    with pytest.raises(ValueError, match="not a cursor of a selection"):
        Place.of(bad)


def test_a_removed_submission_takes_its_runs_along(store: Store, engine: Engine) -> None:
    """Whoever deletes submissions need not know about runs."""
    with engine.begin() as connection:
        connection.execute(insert(users), [{"id": 9, "name": "ada", "created_at": 0}])
    number = judged(store, owner_id=9)
    store.runs.begin([number], KEY)
    judge(store, complete())
    with engine.begin() as connection:
        for table in ("events", "attempts", "submissions"):
            column = "id" if table == "submissions" else "submission_id"
            connection.exec_driver_sql(f"DELETE FROM {table} WHERE {column} = {number}")
        assert connection.execute(select(runs)).all() == []


async def test_a_reader_in_the_middle(store: Store) -> None:
    """Reads the log that it began with to its end, whatever begins meanwhile."""
    number = judged(store, *(result(f"t{each}") for each in range(7)), complete())
    whole, bus = texts(store.lookup.page(number, 0, 100)), MemoryBus()

    async def read(after: int, limit: int, epoch: str | None) -> EventPage:
        return await store.run(store.lookup.page, number, after, limit, epoch)

    stream = follow(bus, read, number, 0, page_size=2)
    seen = list(await anext(stream))
    await Journal(store, bus).judge_again([number], KEY)
    async for batch in stream:
        seen += batch
    assert [each.text for each in seen] == whole


async def test_a_reader_whose_verdict_was_lost(store: Store) -> None:
    """The bus lost `complete`, and the next thing that it tells is of the next run: the verdict comes from the log."""
    number = store.create(new())[0].id
    judge(store, result("One"))
    bus = MemoryBus()
    seen: list[Any] = []

    async def read(after: int, limit: int, epoch: str | None) -> EventPage:
        return await store.run(store.lookup.page, number, after, limit, epoch)

    first = asyncio.Event()

    async def watch() -> None:
        async for batch in follow(bus, read, number, 0):
            seen.extend(batch)
            first.set()

    watching = asyncio.create_task(watch())
    await first.wait()
    store.append(Append(number, [complete()]))
    await Journal(store, bus).judge_again([number], KEY)
    async with asyncio.timeout(30):
        await watching
    assert [each.seq for each in seen] == [1, 2, 3]
    assert seen[-1].last


@pytest.mark.parametrize("log", [[], ["{}"], ['{"a":"é\\n"}', '{"b":"\ud800"}']])
def test_packing(log: list[str]) -> None:
    """What is packed comes out the same."""
    assert unpacked(packed(log)) == log


def test_numbers_of_runs(store: Store, engine: Engine) -> None:
    """Each new run has one, above all before, that is never given again; only that of the latest run is kept."""
    ada = store.create(new())[0].owner_id
    judge(store, complete())
    first, second = judged(store), judged(store)
    assert store.matching.newest_run() == 0
    assert store.runs.begin([first, second], KEY).announcements == [(1, ada), (2, ada)]
    assert store.runs.begin([first], KEY).announcements == []
    for _ in range(2):
        judge(store, complete())
    assert store.runs.begin([first], f"{KEY}-2").announcements == [(3, ada)]
    judge(store, complete())
    wanted = Wanted(ada)
    assert [(each.number, each.found.id) for each in store.matching.judged_again(wanted, 0, 9)[0]] == [
        (2, second),
        (3, first),
    ]
    found, up_to = store.matching.judged_again(wanted, 2, 9)
    assert ([each.found.epoch for each in found], up_to) == ([store.lookup.snapshot(first, None).epoch], 3)
    assert store.matching.judged_again(wanted, 0, 1)[1] == 2
    # Of records that were replaced by older ones.
    assert store.matching.judged_again(wanted, 10**17, 9) == ([], 3)
    for other in (Wanted(ada + 1), Wanted(None, "other"), Wanted(None, None, "group")):
        assert store.matching.judged_again(other, 0, 9) == ([], 3)
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM run_numbers")
    assert store.runs.begin([second], f"{KEY}-3").announcements == [(4, ada)]
