"""The journal: what it commits is published, with the moment of its commit."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Collection, Iterator, Mapping

import pytest
from sqlalchemy import Engine

from subcli.server.log.bus import MemoryBus
from subcli.server.log.feed import Journal, compare_once
from subcli.server.log.records import Append, Claim, Failure, LogEnd, NewSubmission, ReplacedError
from subcli.server.log.requeue import LOST
from subcli.server.log.store import Store
from subcli.server.log.tables import DEMO_USER
from tests.hang import HANG_S
from tests.server.log.log import beyond


def submit(store: Store) -> int:
    return store.create(NewSubmission(DEMO_USER, "echo", "python", {"solution.py": ""}))[0].id


async def test_appended_events_are_published(store: Store) -> None:
    """With the moment of their commit, which the records in the log do not have."""
    journal, submission_id = Journal(store, MemoryBus()), submit(store)
    with journal.subscribe(submission_id) as subscription:
        before = time.time()
        appended = await journal.append(Append(submission_id, [{"type": "status_update", "status": "building"}]))
        assert subscription.after(1) == list(appended)
    assert appended[0].committed is not None
    assert before <= appended[0].committed <= time.time()
    [read] = store.lookup.page(submission_id, 1, 10).records
    assert (read, read.committed) == (appended[0], None)


async def test_a_reader_of_the_journal(store: Store) -> None:
    """It reads the log of its submission after a position, if it is the log that it follows."""
    journal, _, submission_id = Journal(store, MemoryBus()), submit(store), submit(store)
    await journal.append(Append(submission_id, [{"type": "status_update", "status": "building"}]))
    epoch = store.lookup.snapshot(submission_id, DEMO_USER).epoch
    with journal.subscribe(submission_id) as subscription:
        for after, expected in ((0, [1, 2]), (1, [2])):
            records = await journal.reader(subscription, submission_id, after, epoch).next()
            assert [(each.seq, json.loads(each.text)["submission_id"]) for each in records] == [
                (seq, submission_id) for seq in expected
            ]
        with pytest.raises(ReplacedError):
            await journal.reader(subscription, submission_id, 0, "another").next()


async def test_a_cancellation_is_published(store: Store) -> None:
    """Status and verdict, without a look at the log."""
    journal, submission_id = Journal(store, MemoryBus()), submit(store)
    with journal.subscribe(submission_id) as subscription:
        await journal.cancel(submission_id, DEMO_USER)
        published = subscription.after(1)
    assert published is not None
    assert [json.loads(each.text).get("status") for each in published] == ["cancelled", None]
    assert all(each.committed for each in published)


@pytest.fixture
def hasty(engine: Engine) -> Iterator[Store]:
    """A store for which a second passes at each look at the clock."""
    store = Store(engine, itertools.count(1000.0).__next__)
    yield store
    store.close()


async def test_changed_positions_are_published(hasty: Store) -> None:
    """To those that moved up, and not twice."""
    journal, _, second = Journal(hasty, MemoryBus()), submit(hasty), submit(hasty)
    assert hasty.leases.claim_next("worker", {"echo": ("python",)}, 3600) is not None
    with journal.subscribe(second) as subscription:
        for _ in range(2):
            await journal.update_queue_positions(10)
        published = subscription.after(1)
    assert published is not None
    assert [json.loads(each.text)["queue_position"] for each in published] == [1]


async def test_all_who_wait_learn_their_position(hasty: Store) -> None:
    """In transactions that are bounded."""
    journal, ids = Journal(hasty, MemoryBus()), [submit(hasty) for _ in range(4)]
    assert hasty.leases.claim_next("worker", {"echo": ("python",)}, 3600) is not None
    await journal.update_queue_positions(2)
    assert [hasty.lookup.snapshot(each, DEMO_USER).last_seq for each in ids] == [1, 2, 2, 2]


async def test_positions_are_compared_until_the_log_can_be_read(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of everything watched by then, and the failure is logged once."""
    monkeypatch.setattr("subcli.server.log.feed._RETRY_DELAY_S", 0)
    bus, asked = MemoryBus(), list[list[int]]()

    async def ends(ids: Collection[int]) -> Mapping[int, LogEnd]:
        asked.append(sorted(ids))
        if len(asked) < 3:
            raise OSError("away")
        return dict.fromkeys(ids, LogEnd(7, None))

    with bus.subscribe(1) as one, bus.subscribe(2) as other:
        waiting = [asyncio.create_task(beyond(each, 6)) for each in (one, other)]
        async with asyncio.timeout(HANG_S):
            await compare_once(bus, [1], ends)
            await asyncio.gather(*waiting)
    assert asked == [[1], [1, 2], [1, 2]]
    assert caplog.messages == ["positions could not be compared with the log; retrying"]
    assert "OSError: away" in caplog.text


def claim(store: Store, lease_s: float = 3600) -> Claim:
    taken = store.leases.claim_next("worker", {"echo": ("python",)}, lease_s)
    assert isinstance(taken, Claim)
    return taken


async def test_an_interruption_is_published(store: Store) -> None:
    """To those who watch: why, and that it is judged again, whoever put it back."""
    journal, submission_id = Journal(store, MemoryBus()), submit(store)
    with journal.subscribe(submission_id) as subscription:
        await journal.hand_back(claim(store), "It was stopped.")
        claim(store, -1)
        assert await journal.take_back(10) == {submission_id: False}
        published = subscription.after(1)
    assert published is not None
    told = [json.loads(each.text) for each in published]
    assert [each["detail"] for each in told] == ["It was stopped.", LOST]
    assert [each["attempt"] for each in told] == [2, 3]


async def test_a_failure_of_the_judge_is_published(store: Store) -> None:
    """Until its tries are used up it is judged again; then its watchers get the verdict `error`, and it has ended."""
    journal, submission_id = Journal(store, MemoryBus()), submit(store)
    with journal.subscribe(submission_id) as subscription:
        assert not await journal.fail(claim(store), Failure("Full."), 2, 0)
        assert await journal.fail(claim(store), Failure("Full."), 2, 0)
        published = subscription.after(1)
    assert published is not None
    told = [json.loads(each.text) for each in published]
    assert [each["type"] for each in told] == ["status_update", "status_update", "complete"]
    assert [each.get("status") or each.get("final_status") for each in told] == ["pending", "failed", "error"]


async def test_a_submission_that_loses_all_its_workers_ends(store: Store) -> None:
    """It is not judged for ever: its watchers get the verdict `error`."""
    journal, submission_id = Journal(store, MemoryBus()), submit(store)
    with journal.subscribe(submission_id) as subscription:
        claim(store, -1)
        assert await journal.take_back(1) == {submission_id: True}
        published = subscription.after(1)
    assert published is not None
    assert json.loads(published[-1].text)["final_status"] == "error"
    assert published[-1].last


@pytest.mark.parametrize("is_able", [False, True])
async def test_what_waits_for_another_worker_is_told_once(store: Store, is_able: bool) -> None:
    """Whether this worker lacks the problem or is out of service; the second time there is nothing new."""
    journal, submission_id = Journal(store, MemoryBus()), submit(store)
    with journal.subscribe(submission_id) as subscription:
        for _ in range(2):
            await (journal.tell_waiting([submission_id]) if is_able else journal.tell_unable({}, 10))
        published = subscription.after(1)
    assert published is not None
    [told] = [json.loads(each.text) for each in published]
    assert (told["status"], told["attempt"]) == ("pending", 1)
    assert told["detail"] == "Waits for a worker that can judge echo in python."
