"""Workers: no submission is left waiting, and none is judged by two."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy.exc import OperationalError

from subcli.judge import Job, Problem, ResourceLimits
from subcli.judge.process.space import Space
from subcli.server.jobs.service import Service, service_of
from subcli.server.jobs.workers import Workers
from subcli.server.log.database import open_database
from subcli.server.log.records import Append, Claim, NewSubmission
from subcli.server.log.store import Store
from subcli.server.log.tables import DEMO_USER
from subcli.server.observe.metrics import Metrics
from subcli.server.parts import Backbone
from subcli.server.redis.connection import connect
from subcli.server.settings import ServerLimits
from tests.hang import HANG_S
from tests.server.api.test_health import samples
from tests.server.conftest import SELF_TEST, SHORT

pytestmark = pytest.mark.every_backend
ABLE = {"echo": ("python",)}
PLENTY = Space(1000, 1_000_000)


async def events_of(live: Any, submission_id: int) -> list[dict[str, Any]]:
    page = (await live.http.get(f"/api/submissions/{submission_id}/events?limit=1000")).json()
    return list(page["events"])


JUDGE_ERROR = (
    {"type": "status_update", "status": "failed"},
    {"type": "error_analysis", "error": "the disk is full", "analysis": "…", "suggestions": []},
    {"type": "complete", "final_status": "error", "summary": {"total_tests": 0, "passed": 0, "failed": 0}},
)
UNENCODABLE = {"type": "test_result", "test_name": "Two", "status": "passed", "output": object()}


@pytest.mark.thorough
@pytest.mark.parametrize(
    "last",
    [(RuntimeError("broken"),), (None,), JUDGE_ERROR, (UNENCODABLE,)],
    ids=["raises", "stops", "error", "unencodable"],
)
async def test_a_failing_judge_gives_the_verdict_error_at_its_third_try(
    start: Callable[..., Any], last: Sequence[Any]
) -> None:
    """A judge that raises, stops without a verdict, says `error` or something that cannot be encoded.

    Before the last try, the submission goes back, and its watchers are told why.
    """
    async with start(retry_s=0.01, self_test_s=0.01) as live:
        submission_id = await live.submit("wait")
        for number in range(3):
            await live.until(lambda: len(live.judge.jobs) == number + 1)  # noqa: B023
            await live.judge.events.put({"type": "test_result", "test_name": "One", "status": "passed"})
            for each in last:
                await live.judge.events.put(each)
        snapshot = await live.ended(submission_id)
        events = await events_of(live, submission_id)
    assert snapshot["final_status"] == "error"
    assert [job.attempt for job in live.judge.jobs] == [1, 2, 3]
    pending = [event for event in events if event.get("status") == "pending"]
    assert [event["attempt"] for event in pending] == [1, 2, 3]
    assert ["try 2 of 3" in pending[1]["detail"], "try 3 of 3" in pending[2]["detail"]] == [True, True]
    assert "judge" in pending[1]["detail"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event.get("status") for event in events].count("failed") == 1
    assert "broken" not in json.dumps(events)
    if last is JUDGE_ERROR:
        assert [event["type"] for event in events[-3:]] == ["status_update", "error_analysis", "complete"]
        assert "the disk is full" in pending[1]["detail"]
        assert sum(event["type"] == "error_analysis" for event in events) == 1
    else:
        assert snapshot["summary"]["passed"] == 1 or UNENCODABLE in last
        assert "judge" in events[-2]["detail"]


@pytest.mark.thorough
@pytest.mark.parametrize(
    "last",
    [
        (OSError(errno.EMFILE, "Too many open files"),),
        (OSError(errno.ENFILE, "Too many open files in system"),),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),),
        (OSError(errno.ENOMEM, "Cannot allocate memory"),),
        (MemoryError(),),
        (*JUDGE_ERROR[:-1], {**JUDGE_ERROR[-1], "shortage": True}),
    ],
    ids=["descriptors", "descriptors of all", "processes", "memory", "our memory", "told by the judge"],
)
async def test_our_own_shortage_is_never_a_verdict(start: Callable[..., Any], last: Sequence[Any]) -> None:
    """However often this process lacks descriptors, processes or memory, the submission waits and is judged again."""
    async with start(retry_s=3600, self_test_s=0.01) as live:
        submission_id = await live.submit("wait")
        for number in range(4):
            await live.until(lambda: len(live.judge.jobs) == number + 1)  # noqa: B023
            for each in last:
                await live.judge.events.put(each)
        await live.until(lambda: len(live.judge.jobs) == 5)
        for each in SHORT:
            await live.judge.events.put(each)
        snapshot = await live.ended(submission_id)
        events = await events_of(live, submission_id)
    assert snapshot["final_status"] == "passed"
    told = [event["detail"] for event in events if event.get("status") == "pending" and "detail" in event]
    assert ["memory" in detail for detail in told if detail.startswith("Judged again")] == [True] * 4
    assert "shortage" not in json.dumps(events)
    assert not any(event["type"] == "error_analysis" for event in events)


async def test_a_failure_of_one_worker_is_not_a_verdict(workbench: Bench) -> None:
    """Another worker judges the submission, and the one that failed goes on with what else waits."""
    sick: list[str] = []

    async def fails(job: Job) -> AsyncIterator[Mapping[str, Any]]:
        if job.problem.slug != SELF_TEST:
            sick.append(next(iter(job.files.values())))
        yield {"type": "status_update", "status": "testing"}
        raise OSError("full")

    submission_id = workbench.submit()
    worker = workbench.work(fails, ServerLimits(retry_s=3600), concurrency=1)
    await workbench.until(lambda: workbench.events(submission_id)[-1].get("attempt") == 2)
    told = workbench.events(submission_id)[-1]
    assert (told["status"], "OSError" in told["detail"]) == ("pending", True)
    other = workbench.submit()
    await workbench.until(lambda: workbench.events(other)[-1].get("attempt") == 2)
    assert len(sick) == 2
    workbench.work(passes)
    await workbench.until(lambda: all(workbench.verdict(each) for each in (submission_id, other)))
    assert [workbench.verdict(each) for each in (submission_id, other)] == ["passed", "passed"]
    assert not worker.done()


def timed_out(verdict: str, time_out: str) -> list[Mapping[str, Any]]:
    """What a judge says of a submission that ran out of time."""
    return [
        {"type": "status_update", "status": "building"},
        {"type": "test_result", "test_id": "1", "test_name": "One", "status": "failed"},
        {"type": "status_update", "status": verdict},
        {"type": "error_analysis", "error": "too slow", "analysis": "…", "suggestions": []},
        {"type": "complete", "final_status": verdict, "summary": {"failed": 1}, "time_out": time_out},
    ]


@pytest.mark.parametrize("first", ["failed", "build_failed"])
@pytest.mark.parametrize("second", ["passed", "failed"])
async def test_a_time_out_under_load_is_judged_again_alone(workbench: Bench, first: str, second: str) -> None:
    """At once, by the same worker, in the same log; the second verdict counts, and nothing is left of the first."""
    jobs: list[Job] = []

    async def judge(job: Job) -> AsyncIterator[Mapping[str, Any]]:
        jobs.append(job)
        again = [*timed_out(second, "contended")[2:]] if second == "failed" else [event async for event in passes(job)]
        for event in timed_out(first, "contended") if len(jobs) == 1 else again:
            yield event

    submission_id = workbench.submit()
    workbench.work(judge)
    await workbench.until(lambda: workbench.verdict(submission_id) is not None)
    assert [(job.attempt, job.alone) for job in jobs] == [(1, False), (2, True)]
    assert workbench.verdict(submission_id) == second
    assert workbench.store.lookup.snapshot(submission_id, DEMO_USER).attempt == 2
    events = workbench.events(submission_id)
    told = events[3]
    assert [event.get("status") for event in events[1:4]] == ["building", "failed", "pending"]
    assert (told["attempt"], "busy" in told["detail"], "queue_position" in told) == (2, True, False)
    assert [event["type"] for event in events].count("complete") == 1
    assert "time_out" not in json.dumps(events)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))


def sweeps(bench: Bench, number: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often a worker has looked at the queue since now; it looks often."""
    monkeypatch.setattr("subcli.server.jobs.workers._SWEEP_INTERVAL_S", 0.02)
    store = bench.stores[number]
    take_back, looks = store.interruptions.take_back, list[None]()

    def counted(*args: Any) -> Any:
        looks.append(None)
        return take_back(*args)

    monkeypatch.setattr(store.interruptions, "take_back", counted)
    return lambda: len(looks)


async def test_nothing_is_claimed_while_a_submission_is_judged_alone(
    workbench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes meanwhile waits in the queue, where an idle worker takes it; then its own worker does."""
    jobs: list[Job] = []
    gate = asyncio.Event()

    async def judge(job: Job) -> AsyncIterator[Mapping[str, Any]]:
        jobs.append(job)
        if job.alone:
            await gate.wait()
        for event in timed_out("failed", "contended") if len(jobs) == 1 else [event async for event in passes(job)]:
            yield event

    first = workbench.submit()
    workbench.work(judge, concurrency=3)
    await workbench.until(lambda: any(job.alone for job in jobs))
    others = [workbench.submit() for _ in range(3)]
    other = workbench.work(passes, concurrency=1)
    await workbench.until(lambda: all(workbench.verdict(each) for each in others))
    other.cancel()
    await asyncio.wait([other])
    last = workbench.submit()
    looks = sweeps(workbench, 0, monkeypatch)
    await workbench.until(lambda: looks() >= 3)
    assert (len(jobs), workbench.store.lookup.attempts(last), workbench.verdict(first)) == (2, [], None)
    gate.set()
    await workbench.until(lambda: workbench.verdict(last) == workbench.verdict(first) == "passed")
    assert [len(workbench.store.lookup.attempts(each)) for each in (first, *others, last)] == [1] * 5


@pytest.mark.parametrize(("verdict", "time_out"), [("failed", "undisturbed"), ("passed", "contended"), ("failed", "")])
async def test_a_verdict_that_load_did_not_change_counts(workbench: Bench, verdict: str, time_out: str) -> None:
    """A time-out on a machine that had nothing else to do, and a solution that passed all the same."""
    jobs: list[Job] = []

    async def judge(job: Job) -> AsyncIterator[Mapping[str, Any]]:
        jobs.append(job)
        for event in timed_out(verdict, time_out):
            yield event

    submission_id = workbench.submit()
    workbench.work(judge)
    await workbench.until(lambda: workbench.verdict(submission_id) == verdict)
    assert len(jobs) == 1
    assert "time_out" not in json.dumps(workbench.events(submission_id))


async def test_a_judge_that_fails_when_it_judges_again_is_tried_again(workbench: Bench) -> None:
    """The attempts count on, and the next one is not the last word either."""
    jobs: list[Job] = []

    async def judge(job: Job) -> AsyncIterator[Mapping[str, Any]]:
        if job.problem.slug == SELF_TEST:
            return
        jobs.append(job)
        for event in JUDGE_ERROR if len(jobs) == 2 else timed_out("failed", "contended"):
            yield event

    submission_id = workbench.submit()
    workbench.work(judge, ServerLimits(lease_s=3600, retry_s=0.01))
    await workbench.until(lambda: workbench.verdict(submission_id) == "failed")
    assert [(job.attempt, job.alone) for job in jobs] == [(1, False), (2, True), (3, False), (4, True)]


async def test_events_after_the_verdict_are_dropped(live: Any) -> None:
    """`complete` is the last event, whatever the judge yields after it."""
    live.judge.ends_itself = False
    submission_id = await live.submit("wait")
    for event in (
        {"type": "complete", "final_status": "passed", "summary": {}},
        {"type": "test_result", "test_name": "Late", "status": "failed"},
    ):
        live.judge.events.put_nowait(event)
    await live.ended(submission_id)
    assert live.judge.running == 1
    live.judge.events.put_nowait(None)
    await live.until(lambda: live.judge.running == 0)
    assert (await events_of(live, submission_id))[-1]["type"] == "complete"


async def test_a_judge_that_does_not_end_is_closed(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its verdict it may clean up for a while; then the worker goes on."""
    monkeypatch.setattr("subcli.server.jobs.judging._JUDGE_EXIT_TIMEOUT_S", 0.1)
    live.judge.ends_itself = False
    submission_id = await live.submit("wait")
    await live.judge.events.put({"type": "complete", "final_status": "passed", "summary": {}})
    await live.ended(submission_id)
    assert (await live.ended(await live.submit()))["final_status"] == "passed"
    assert live.judge.running == 0


async def test_a_terminal_status_is_committed_with_the_verdict(live: Any) -> None:
    """No snapshot has one without the other, which would look like the end on another platform."""
    submission_id = await live.submit("wait")
    await live.judge.events.put({"type": "test_result", "test_name": "One", "status": "passed"})
    await live.judge.events.put({"type": "status_update", "status": "completed"})
    watcher = await live.watch(submission_id)
    while '"One"' not in await watcher.recv():
        pass
    await asyncio.sleep(0.05)
    snapshot = (await live.http.get(f"/api/submissions/{submission_id}")).json()
    assert snapshot["status"] not in ("completed", "failed")
    await live.judge.events.put({"type": "complete", "final_status": "passed", "summary": {}})
    assert (await live.ended(submission_id))["status"] == "completed"
    assert [event["type"] for event in await events_of(live, submission_id)][-2:] == ["status_update", "complete"]


@pytest.mark.thorough
async def test_waiting_submissions_learn_their_position(live: Any) -> None:
    """`queue_position` counts down as the queue moves."""
    first = await live.submit("wait")
    await live.until(lambda: live.judge.running == 1)
    # The next one waits for the test as well, so the last one still waits when it is told.
    waiting = [await live.submit("wait"), await live.submit()]
    assert [(await events_of(live, each))[0]["queue_position"] for each in waiting] == [1, 2]
    passed = {"type": "complete", "final_status": "passed", "summary": {}}
    await live.judge.events.put(passed)
    assert (await live.ended(first))["final_status"] == "passed"

    def last() -> dict[str, Any]:
        page = live.services.store.lookup.page(waiting[1], 0, 100)
        return dict(json.loads(page.records[-1].text))

    await live.until(lambda: last()["seq"] > 1)
    assert (last()["status"], last()["queue_position"]) == ("pending", 1)
    await live.judge.events.put(passed)
    assert (await live.ended(waiting[1]))["final_status"] == "passed"


async def passes(job: Job) -> AsyncIterator[Mapping[str, Any]]:
    yield {"type": "status_update", "status": "testing"}
    yield {"type": "complete", "final_status": "passed", "summary": {}}


async def hangs(job: Job) -> AsyncIterator[Mapping[str, Any]]:
    yield {"type": "status_update", "status": "testing"}
    await asyncio.sleep(3600)


class Seconds(Metrics):
    """Remembers how long each judging took."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def judged(self, seconds: float) -> None:
        super().judged(seconds)
        self.seconds.append(seconds)


class Bench:
    """Workers on one database, as in several processes, without a server."""

    def __init__(self, database: str, store: Store, redis: str | None, problem: Problem) -> None:
        self.database = database
        self.store = store
        self.redis = redis
        self.problem = problem
        # A lease that expires while the machine is busy would have a submission judged twice.
        self.limits = ServerLimits(lease_s=3600, attempts=3)
        self.tasks: list[asyncio.Task[None]] = []
        self.stores: list[Store] = []
        self.services: list[Service] = []
        self.metrics = Seconds()

    def submit(self) -> int:
        return int(self.store.create(NewSubmission(DEMO_USER, "echo", "python", {"a.py": "1"}))[0].id)

    @property
    def seconds(self) -> list[float]:
        return self.metrics.seconds

    def backbone(self, limits: ServerLimits | None = None) -> Backbone:
        redis = None if self.redis is None else connect(self.redis)
        return Backbone(open_database(self.database), limits or self.limits, redis)

    def work(
        self,
        judge: Any,
        limits: ServerLimits | None = None,
        concurrency: int = 2,
        problems: Mapping[str, Problem] | None = None,
        space: Callable[[], Space] = lambda: PLENTY,
    ) -> asyncio.Task[None]:
        backbone = self.backbone(limits)
        self.stores.append(backbone.store)
        problems = problems or {"echo": self.problem}
        limits = limits or self.limits
        service = service_of(judge, problems, concurrency, limits, space=space) if concurrency else None
        if service is not None:
            self.services.append(service)
        workers = Workers(
            backbone.store,
            backbone.journal,
            backbone.queue,
            problems,
            service,
            limits,
            self.metrics,
        )

        async def run() -> None:
            async with backbone.running(workers.run(), on_failure=print) as working:
                await working

        self.tasks.append(asyncio.create_task(run()))
        return self.tasks[-1]

    def events(self, submission_id: int) -> list[dict[str, Any]]:
        return [json.loads(item.text) for item in self.store.lookup.page(submission_id, 0, 1000).records]

    async def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + HANG_S
        while not condition():
            assert time.monotonic() < deadline, "did not happen"
            await asyncio.sleep(0.01)

    def verdict(self, submission_id: int) -> str | None:
        verdict = self.store.lookup.snapshot(submission_id, DEMO_USER).final_status
        assert verdict is None or isinstance(verdict, str)
        return verdict


@pytest.fixture
async def workbench(database: str, store: Store, bus: str | None, problem: Problem) -> AsyncIterator[Bench]:
    bench = Bench(database, store, bus, problem)
    yield bench
    for task in bench.tasks:
        # A second cancellation would interrupt the closing of its connections.
        if not task.cancelling():
            task.cancel()
    await asyncio.wait(bench.tasks)


async def test_a_submission_is_judged_again_after_its_worker_stopped(workbench: Bench) -> None:
    """In the same log, with `attempt` raised."""
    submission_id = workbench.submit()
    first = workbench.work(hangs)
    await workbench.until(lambda: len(workbench.events(submission_id)) == 2)
    first.cancel()
    await asyncio.wait([first])
    assert workbench.store.leases.claimable(10, "", ABLE) == [submission_id]
    workbench.work(passes)
    await workbench.until(lambda: workbench.verdict(submission_id) == "passed")
    events = workbench.events(submission_id)
    assert [event["seq"] for event in events] == [1, 2, 3, 4, 5]
    assert [event.get("attempt") for event in events] == [1, 1, 2, 2, None]
    assert "again" in events[2]["detail"]


async def test_an_interrupted_submission_is_judged_before_those_that_wait(workbench: Bench) -> None:
    """Its watchers are told at once that it waits again; the next worker takes it first."""
    judged: list[int] = []

    async def judge(job: Job) -> AsyncIterator[Mapping[str, Any]]:
        judged.append(job.attempt)
        async for event in passes(job):
            yield event

    ids = [workbench.submit() for _ in range(3)]
    first = workbench.work(hangs, concurrency=1)
    await workbench.until(lambda: workbench.events(ids[0])[-1]["status"] == "testing")
    first.cancel()
    await asyncio.wait([first])
    told = workbench.events(ids[0])[-1]
    assert (told["status"], told["attempt"]) == ("pending", 2)
    assert "stopped" in told["detail"]
    workbench.work(judge, concurrency=1)
    await workbench.until(lambda: all(workbench.verdict(each) for each in ids))
    assert judged == [2, 1, 1]


async def test_a_gateway_tells_that_all_workers_are_gone(workbench: Bench) -> None:
    """It takes back what a dead worker had, although it judges nothing itself."""
    submission_id = workbench.submit()
    assert workbench.store.leases.claim_next("dies", ABLE, -1) is not None
    workbench.work(passes, concurrency=0)
    await workbench.until(lambda: workbench.events(submission_id)[-1].get("attempt") == 2)
    assert "went away" in workbench.events(submission_id)[-1]["detail"]


@pytest.mark.thorough
async def test_ten_restarts_during_one_judging(workbench: Bench) -> None:
    """A graceful restart is not an attempt that failed."""
    submission_id = workbench.submit()
    for number in range(10):
        worker = workbench.work(hangs, concurrency=1)
        await workbench.until(lambda: workbench.events(submission_id)[-1]["status"] == "testing")
        worker.cancel()
        await asyncio.wait([worker])
        assert workbench.events(submission_id)[-1]["attempt"] == number + 2
    workbench.work(passes)
    await workbench.until(lambda: workbench.verdict(submission_id) is not None)
    assert workbench.verdict(submission_id) == "passed"


async def test_a_claim_that_was_under_way_is_handed_back(workbench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker is stopped between claiming a submission and judging it: nobody waits for its lease."""
    submission_id = workbench.submit()
    limits = ServerLimits(lease_s=3600)
    worker = workbench.work(passes, limits, concurrency=1)
    [store] = workbench.stores
    claim_next, go = store.leases.claim_next, threading.Event()
    has_claimed = threading.Event()

    def slow(*args: Any) -> Any:
        claim = claim_next(*args)
        has_claimed.set()
        go.wait(30)
        return claim

    monkeypatch.setattr(store.leases, "claim_next", slow)
    await workbench.until(has_claimed.is_set)
    worker.cancel()
    await asyncio.sleep(0)
    go.set()
    await asyncio.wait([worker])
    assert workbench.store.leases.claimable(10, "", ABLE) == [submission_id]


def take_nothing_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases can be short, for frequent renewals, and yet a busy machine loses none: no sweep looks for them."""
    for store in bench.stores:
        monkeypatch.setattr(store.interruptions, "take_back", lambda *_: {})


async def test_a_lease_is_renewed_while_judging(workbench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A judging that takes longer than a lease stays with its worker."""
    limits, renewals = ServerLimits(lease_s=0.3), list[tuple[float, float, bool]]()

    async def slow(job: Job) -> AsyncIterator[Mapping[str, Any]]:
        yield {"type": "status_update", "status": "testing"}
        await workbench.until(lambda: len(renewals) >= 4)
        yield {"type": "complete", "final_status": "passed", "summary": {}}

    submission_id = workbench.submit()
    workbench.work(slow, limits, concurrency=1)
    take_nothing_back(workbench, monkeypatch)
    [store] = workbench.stores
    renew = store.leases.renew

    def noted(claim: Claim, lease_s: float) -> bool:
        is_held = renew(claim, lease_s)
        renewals.append((time.time(), lease_s, is_held))
        return is_held

    monkeypatch.setattr(store.leases, "renew", noted)
    await workbench.until(lambda: len(workbench.seconds) == 1)
    assert workbench.verdict(submission_id) == "passed"
    assert {each[1:] for each in renewals} == {(limits.lease_s, True)}
    # Four renewals, a third of a lease apart: the judging took longer than a lease.
    assert renewals[3][0] - renewals[0][0] >= limits.lease_s
    assert max(event.get("attempt", 1) for event in workbench.events(submission_id)) == 1


async def test_a_worker_that_lost_its_claim_stops(workbench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """When another worker has claimed the submission, the first one closes its judge and appends nothing more."""
    closed = asyncio.Event()

    async def judge(job: Job) -> AsyncIterator[Mapping[str, Any]]:
        try:
            yield {"type": "status_update", "status": "testing"}
            await asyncio.sleep(3600)
        finally:
            closed.set()

    submission_id = workbench.submit()
    workbench.work(judge, ServerLimits(lease_s=0.6))
    take_nothing_back(workbench, monkeypatch)
    await workbench.until(lambda: len(workbench.events(submission_id)) == 2)
    workbench.store.interruptions.take_back(10, running=True)
    assert workbench.store.leases.claim_next("another", ABLE, 3600) is not None
    async with asyncio.timeout(HANG_S):
        await closed.wait()
    assert [event.get("status") for event in workbench.events(submission_id)] == ["pending", "testing", "pending"]


def away(times: int, method: Callable[..., Any]) -> Callable[..., Any]:
    """`method` of a store whose database is away the first `times`."""
    failures = iter(range(times))

    def call(*args: Any) -> Any:
        for _ in failures:
            raise OperationalError("COMMIT", None, Exception("gone"))
        return method(*args)

    return call


async def test_events_outlast_a_database_that_is_away(workbench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Claiming and appending are repeated: the submission is judged once, and its log has no hole."""
    submission_id = workbench.submit()
    workbench.work(passes, ServerLimits(lease_s=3600))
    [store] = workbench.stores
    monkeypatch.setattr(store.leases, "claim_next", away(2, store.leases.claim_next))
    monkeypatch.setattr(store, "append_all", away(2, store.append_all))
    await workbench.until(lambda: workbench.verdict(submission_id) == "passed")
    assert [event.get("attempt") for event in workbench.events(submission_id)] == [1, 1, None]


async def test_a_renewal_that_fails_is_not_a_lost_lease(workbench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database was away at that moment; judging goes on, and the lease is renewed later."""
    renewed = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def judge(job: Job) -> AsyncIterator[Mapping[str, Any]]:
        yield {"type": "status_update", "status": "testing"}
        await renewed.wait()
        yield {"type": "complete", "final_status": "passed", "summary": {}}

    submission_id = workbench.submit()
    workbench.work(judge, ServerLimits(lease_s=0.6))
    take_nothing_back(workbench, monkeypatch)
    [store] = workbench.stores
    renew = store.leases.renew

    def noticed(*args: Any) -> bool:
        loop.call_soon_threadsafe(renewed.set)
        return renew(*args)

    monkeypatch.setattr(store.leases, "renew", away(1, noticed))
    await workbench.until(lambda: workbench.verdict(submission_id) == "passed")
    assert [event.get("attempt") for event in workbench.events(submission_id)] == [1, 1, None]


async def test_a_sweep_that_fails_does_not_end_the_workers(
    workbench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The failure is logged, and the next sweep finds what is waiting."""
    submission_id = workbench.submit()
    workbench.work(passes, ServerLimits(lease_s=0.6))
    take_nothing_back(workbench, monkeypatch)
    [store] = workbench.stores
    monkeypatch.setattr(store.leases, "claimable", away(1, store.leases.claimable))
    await workbench.until(lambda: workbench.verdict(submission_id) == "passed")
    assert "looking for waiting submissions failed" in caplog.text


@pytest.mark.parametrize(("slug", "language"), [("echo", "cobol"), ("new", "python")])
async def test_what_this_worker_does_not_know_waits(workbench: Bench, slug: str, language: str) -> None:
    """Its watchers are told why, once; the rest is judged, and it as well as soon as a worker knows it."""
    submission_id = workbench.store.create(NewSubmission(DEMO_USER, slug, language, {"a": "1"}))[0].id
    known = [workbench.submit() for _ in range(2)]
    workbench.work(passes)
    await workbench.until(lambda: all(workbench.verdict(each) for each in known))
    await workbench.until(lambda: len(workbench.events(submission_id)) == 2)
    told = workbench.events(submission_id)[-1]
    assert (told["status"], told["attempt"]) == ("pending", 1)
    assert told["detail"] == f"Waits for a worker that can judge {slug} in {language}."
    assert workbench.store.waiting.tell_unable(ABLE, 10) == {}
    languages = {**workbench.problem.languages, language: next(iter(workbench.problem.languages.values()))}
    workbench.work(passes, problems={slug: replace(workbench.problem, languages=languages)})
    await workbench.until(lambda: workbench.verdict(submission_id) == "passed")


@pytest.mark.thorough
async def test_a_sick_worker_does_not_empty_the_queue(
    workbench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its judge fails always, as on a full disk: it takes two of thirty submissions and no more.

    A worker that is well gives all thirty their verdict, and the sick one comes back when its judge works again.
    """
    # Otherwise the pauses grow with the time that a busy machine needs for the thirty.
    monkeypatch.setattr("subcli.server.jobs.service._LONGEST_PAUSE_S", 0.1)
    is_sick = True
    tries = tests = 0

    async def judge(job: Job) -> AsyncIterator[Mapping[str, Any]]:
        nonlocal tries, tests
        tests += job.problem.slug == SELF_TEST
        tries += job.problem.slug != SELF_TEST
        if is_sick:
            raise OSError("No space left on device")
        yield {"type": "complete", "final_status": "passed", "summary": {}}

    ids = [workbench.submit() for _ in range(30)]
    workbench.work(judge, ServerLimits(lease_s=3600, retry_s=0, self_test_s=0.01), concurrency=1)
    [service] = workbench.services
    await workbench.until(lambda: tests >= 3)
    assert tries == 2
    assert sum(events[-1].get("attempt") == 1 for events in map(workbench.events, ids)) >= 28
    assert "OSError" in service.reason
    assert "out of service" in caplog.text
    workbench.work(passes)
    await workbench.until(lambda: all(workbench.verdict(each) for each in ids))
    assert {workbench.verdict(each) for each in ids} == {"passed"}
    is_sick = False
    await workbench.until(lambda: not service.reason)


@pytest.mark.thorough
async def test_a_worker_without_space_claims_nothing(workbench: Bench) -> None:
    """What nobody else takes waits, and its watchers are told why. With space it is judged."""
    space = Space(3, 1_000_000)
    ids = [workbench.submit() for _ in range(3)]
    workbench.work(passes, ServerLimits(lease_s=3600, standstill_s=0.01), space=lambda: space)
    await workbench.until(lambda: all(len(workbench.events(each)) == 2 for each in ids))
    assert [workbench.events(each)[-1]["detail"] for each in ids] == [
        "Waits for a worker that can judge echo in python."
    ] * 3
    assert "3 MB" in workbench.services[0].reason
    space = PLENTY
    await workbench.until(lambda: all(workbench.verdict(each) for each in ids))
    assert {workbench.verdict(each) for each in ids} == {"passed"}
    # What else was told are places in the queue.
    told = [[event for event in workbench.events(each) if event.get("status") != "pending"] for each in ids]
    assert [[event["type"] for event in events] for events in told] == [["status_update", "complete"]] * 3


async def test_a_standstill_takes_nobodys_place(workbench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes later waits behind those that were told, and is told as well; everybody once."""
    ids = [workbench.submit() for _ in range(2)]
    workbench.work(passes, ServerLimits(lease_s=3600, standstill_s=0.01), space=lambda: Space(0, 0))
    looks = sweeps(workbench, 0, monkeypatch)
    await workbench.until(lambda: all(len(workbench.events(each)) == 2 for each in ids))
    ids.append(workbench.submit())
    assert workbench.events(ids[2])[0]["queue_position"] == 3
    await workbench.until(lambda: len(workbench.events(ids[2])) == 2)
    seen = looks()
    await workbench.until(lambda: looks() >= seen + 3)
    assert [len(workbench.events(each)) for each in ids] == [2] * 3
    assert workbench.store.leases.claimable(10, "", ABLE) == ids
    # Another worker does not say it once more.
    assert workbench.store.waiting.tell_waiting(ids) == {}


async def test_a_standstill_of_many(workbench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many wait, all are told why, a page at a time."""
    monkeypatch.setattr("subcli.server.jobs.workers._SWEEP_LIMIT", 2)
    monkeypatch.setattr("subcli.server.jobs.workers._SWEEP_INTERVAL_S", 0.01)
    ids = [workbench.submit() for _ in range(5)]
    workbench.work(passes, ServerLimits(lease_s=3600, standstill_s=0.01), space=lambda: Space(0, 0))
    await workbench.until(lambda: all(len(workbench.events(each)) == 2 for each in ids))


async def test_a_standstill_of_one_problem(workbench: Bench) -> None:
    """There is space for the others, which are judged; the watchers of this one are told why they wait."""
    problems = {"echo": workbench.problem, "big": replace(workbench.problem, limits=ResourceLimits(disk_mb=5000))}
    big = workbench.store.create(NewSubmission(DEMO_USER, "big", "python", {"a": "1"}))[0].id
    small = workbench.submit()
    workbench.work(passes, ServerLimits(lease_s=3600, standstill_s=0.01), problems=problems)
    await workbench.until(lambda: workbench.verdict(small) == "passed")
    await workbench.until(lambda: len(workbench.events(big)) == 2)
    assert workbench.events(big)[-1]["detail"] == "Waits for a worker that can judge big in python."


async def test_no_standstill_while_another_worker_may_take_what_waits(
    workbench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is busy with what it claimed before; not one that went past it."""
    workbench.submit()
    claim = workbench.store.leases.claim_next("busy", ABLE, 3600)
    assert claim is not None
    waiting = workbench.submit()
    workbench.work(passes, ServerLimits(lease_s=3600, standstill_s=0.01), space=lambda: Space(0, 0))
    looks = sweeps(workbench, 0, monkeypatch)
    await workbench.until(lambda: looks() >= 5)
    assert [event.get("detail") for event in workbench.events(waiting)] == [None]
    other = workbench.store.create(NewSubmission(DEMO_USER, "other", "python", {"a": "1"}))[0].id
    cancelled = workbench.store.cancel(claim.submission_id, DEMO_USER)
    assert cancelled[-1].last
    assert workbench.store.leases.claim_next("busy", {"other": ("python",)}, 3600) is not None
    # A sweep may have come between the two.
    told = [event.get("detail") for event in workbench.events(other)]
    await workbench.until(lambda: len(workbench.events(waiting)) > 1)
    assert workbench.events(waiting)[-1]["detail"] == "Waits for a worker that can judge echo in python."
    assert [event.get("detail") for event in workbench.events(other)] == told


@pytest.mark.thorough(measured=True)
async def test_what_vanishes_while_it_is_needed_is_no_try(workbench: Bench) -> None:
    """However often: the submission goes back, and waits for a worker that has what it needs."""
    space = PLENTY
    started = 0

    async def judge(job: Job) -> AsyncIterator[Mapping[str, Any]]:
        nonlocal space, started
        started += 1
        if started <= 4:
            space = Space(0, 0)
            raise OSError("No space left on device")
        yield {"type": "complete", "final_status": "passed", "summary": {}}

    submission_id = workbench.submit()
    workbench.work(judge, ServerLimits(lease_s=3600, retry_s=3600), concurrency=1, space=lambda: space)
    for number in range(1, 5):
        await workbench.until(lambda: workbench.events(submission_id)[-1].get("attempt") == number + 1)  # noqa: B023
        assert "can no longer judge it" in workbench.events(submission_id)[-1]["detail"]
        space = PLENTY
    await workbench.until(lambda: workbench.verdict(submission_id) == "passed")


async def test_the_last_attempt_is_made(workbench: Bench) -> None:
    """As many attempts as the limit says, and no fewer."""
    submission_id = workbench.submit()
    for _ in range(2):
        assert workbench.store.leases.claim_next("dies", ABLE, -1) is not None
        workbench.store.interruptions.take_back(3)
    workbench.work(passes)
    await workbench.until(lambda: workbench.verdict(submission_id) is not None)
    assert workbench.verdict(submission_id) == "passed"


async def test_a_submission_that_kills_its_workers_gets_the_verdict_error(workbench: Bench) -> None:
    """After the limit of attempts, so that one submission cannot keep a server busy for ever."""
    submission_id = workbench.submit()
    for _ in range(3):
        workbench.store.interruptions.take_back(3)
        assert workbench.store.leases.claim_next("dies", ABLE, -1) is not None
    workbench.work(passes)
    await workbench.until(lambda: workbench.verdict(submission_id) == "error")
    assert "3 times" in workbench.events(submission_id)[-2]["detail"]


@pytest.mark.thorough
async def test_many_submissions_and_several_workers(workbench: Bench) -> None:
    """Each of forty submissions is judged once by one of four workers."""
    judged: list[str] = []

    async def judge(job: Job) -> AsyncIterator[Mapping[str, Any]]:
        judged.append("x")
        await asyncio.sleep(0)
        yield {"type": "complete", "final_status": "passed", "summary": {}}

    ids = [workbench.submit() for _ in range(40)]
    workbench.work(judge)
    workbench.work(judge)
    await workbench.until(lambda: len(workbench.seconds) == 40)
    assert all(workbench.verdict(each) == "passed" for each in ids)
    assert len(judged) == 40


@pytest.mark.thorough
async def test_positions_are_updated_less_often_than_submissions_are_claimed(
    workbench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where many are claimed at once, they are looked at once, and then not again for a while."""
    monkeypatch.setattr("subcli.server.jobs.workers._POSITIONS_INTERVAL_S", 3600)
    judging, gate = list[Job](), asyncio.Event()

    async def judge(job: Job) -> AsyncIterator[Mapping[str, Any]]:
        judging.append(job)
        await gate.wait()
        yield {"type": "complete", "final_status": "passed", "summary": {}}

    ids = [workbench.submit() for _ in range(60)]
    workbench.work(judge, concurrency=50)
    [store] = workbench.stores
    looks, update_queue_positions = list[int](), store.waiting.update_queue_positions

    def counted(limit: int) -> Any:
        looks.append(len(judging))
        return update_queue_positions(limit)

    monkeypatch.setattr(store.waiting, "update_queue_positions", counted)
    await workbench.until(lambda: len(judging) == 50)
    await workbench.until(lambda: len(looks) == 1)
    gate.set()
    await workbench.until(lambda: len(workbench.seconds) == 60)
    assert all(workbench.verdict(each) == "passed" for each in ids)
    assert len(looks) == 1


async def test_positions_are_told_when_others_have_moved_the_queue(
    workbench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that claims nothing, such as a gateway, looks from time to time."""
    monkeypatch.setattr("subcli.server.jobs.workers._POSITIONS_CHECK_S", 0.05)
    _, second = workbench.submit(), workbench.submit()
    workbench.work(passes, concurrency=0)
    assert workbench.store.leases.claim_next("another", ABLE, 3600) is not None
    await workbench.until(lambda: places(workbench, [second]) == [1])


async def test_an_idle_worker_writes_nothing(workbench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sweeps and looks at the positions read; a write lock would make others wait."""
    monkeypatch.setattr("subcli.server.jobs.workers._POSITIONS_CHECK_S", 0.05)
    monkeypatch.setattr("subcli.server.jobs.workers._SWEEP_INTERVAL_S", 0.05)
    _, waiting = workbench.submit(), workbench.submit()
    # One is being judged elsewhere, one waits for another worker, and one for a worker that knows it, and was told so.
    assert workbench.store.leases.claim_next("another", ABLE, 3600) is not None
    other = workbench.store.create(NewSubmission(DEMO_USER, "new", "python", {"a": "1"}))[0].id
    assert list(workbench.store.waiting.tell_unable(ABLE, 10)) == [other]

    def told_places() -> bool:
        workbench.store.waiting.update_queue_positions(10)
        return places(workbench, [waiting, other]) == [1, 2]

    await workbench.until(told_places)
    workbench.work(passes, problems={"echo": replace(workbench.problem, languages={})})
    [store] = workbench.stores
    begun: list[bool] = []
    sqlalchemy_event.listen(store._write, "begin", lambda connection: begun.append(is_writing(connection)))
    await workbench.until(lambda: len(begun) > 30)
    assert not any(begun)
    assert workbench.verdict(waiting) is None


def is_writing(connection: Connection) -> bool:
    return not connection.get_execution_options().get("subcli_reading")


async def test_each_verdict_is_a_line_in_the_log(workbench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """At `info`, with who, what, how long and where; the metrics count it."""
    outcomes = iter(["passed", "error", "failed"])

    async def judge(job: Job) -> AsyncIterator[Mapping[str, Any]]:
        yield {"type": "complete", "final_status": next(outcomes), "summary": {}}

    caplog.set_level(logging.INFO, "subcli")
    ids = [workbench.submit() for _ in range(2)]
    workbench.work(judge, replace(workbench.limits, retry_s=0), concurrency=1)
    await workbench.until(lambda: len(judged(caplog)) == 2)
    lines = {line["submission"]: line for line in judged(caplog)}
    assert [lines[each]["verdict"] for each in ids] == ["passed", "failed"]
    assert [lines[each]["attempt"] for each in ids] == [1, 2]
    for each in ids:
        line = lines[each]
        assert (line["user"], line["problem"], line["language"]) == ("demo", "echo", "python")
        assert line["waiting_s"] >= 0
        assert line["judging_s"] >= 0
        assert {line["worker"]} == {made.worker for made in workbench.store.lookup.attempts(each)}
    assert [made.attempt for made in workbench.store.lookup.attempts(ids[1])] == [1, 2]
    counted = samples(workbench.metrics.text().decode())
    assert counted["subcli_verdicts_total{problem=echo,verdict=passed}"] == 1
    assert counted["subcli_verdicts_total{problem=echo,verdict=failed}"] == 1
    assert counted["subcli_judge_errors_total{problem=echo}"] == 1
    assert counted["subcli_waiting_seconds_count"] == 3


def judged(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record) for record in caplog.records if record.getMessage() == "judged"]


async def test_interruptions_are_counted(workbench: Bench) -> None:
    """By their reason; one that ends a submission counts as its verdict as well."""
    workbench.limits = replace(workbench.limits, attempts=1)
    submission_id = workbench.submit()
    first = workbench.work(hangs, concurrency=1)
    await workbench.until(lambda: workbench.events(submission_id)[-1]["status"] == "testing")
    first.cancel()
    await asyncio.wait([first])
    assert workbench.store.leases.claim_next("dies", ABLE, -1) is not None
    workbench.work(passes, concurrency=0)
    await workbench.until(lambda: workbench.verdict(submission_id) == "error")
    name = "subcli_verdicts_total{problem=echo,verdict=error}"
    await workbench.until(lambda: samples(workbench.metrics.text().decode()).get(name) == 1)
    counted = samples(workbench.metrics.text().decode())
    assert counted["subcli_interrupted_total{reason=stopped}"] == 1
    assert counted["subcli_interrupted_total{reason=vanished}"] == 1


async def test_positions_are_updated_when_the_database_is_back(
    workbench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The update is repeated although nothing else is claimed."""
    first, second, third = (workbench.submit() for _ in range(3))
    workbench.work(hangs, concurrency=1)
    [store] = workbench.stores
    monkeypatch.setattr(store.waiting, "update_queue_positions", away(2, store.waiting.update_queue_positions))
    last = {"type": "status_update", "status": "pending", "queue_position": 2, "attempt": 1}
    await workbench.until(lambda: last.items() <= workbench.events(third)[-1].items())
    assert workbench.events(second)[-1]["queue_position"] == 1
    assert workbench.events(first)[-1]["status"] == "testing"


async def test_the_events_of_a_fast_judge_share_transactions(workbench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand results that are ready at once take far fewer transactions than events."""

    async def judge(job: Job) -> AsyncIterator[Mapping[str, Any]]:
        for number in range(1000):
            yield {"type": "test_result", "test_name": str(number), "status": "passed"}
        yield {"type": "complete", "final_status": "passed", "summary": {}}

    submission_id = workbench.submit()
    workbench.work(judge)
    [store] = workbench.stores
    appends = 0
    original = store.append_all

    def counted(wanted: Sequence[Append]) -> Any:
        nonlocal appends
        appends += 1
        return original(wanted)

    monkeypatch.setattr(store, "append_all", counted)
    await workbench.until(lambda: workbench.verdict(submission_id) == "passed")
    assert appends < 100
    assert len(workbench.store.lookup.page(submission_id, 0, 5000).records) == 1002


async def test_a_cancellation_reaches_the_worker_of_another_process(
    workbench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once where Redis joins them, else with the next renewal; nothing is appended after it."""
    closed = asyncio.Event()

    async def judge(job: Job) -> AsyncIterator[Mapping[str, Any]]:
        try:
            yield {"type": "status_update", "status": "testing"}
            await asyncio.sleep(3600)
        finally:
            closed.set()

    submission_id = workbench.submit()
    limits = ServerLimits(lease_s=3600 if workbench.redis else 0.6)
    workbench.work(judge, limits)
    take_nothing_back(workbench, monkeypatch)
    gateway = workbench.backbone(limits)

    async def idle() -> None:
        await asyncio.sleep(3600)

    async with gateway.running(idle(), on_failure=print):
        await workbench.until(lambda: len(workbench.events(submission_id)) == 2)
        await gateway.journal.cancel(submission_id, DEMO_USER)
        async with asyncio.timeout(HANG_S):
            await closed.wait()
    assert [event.get("status") for event in workbench.events(submission_id)] == [
        "pending",
        "testing",
        "cancelled",
        None,
    ]


async def test_a_stopping_worker_hands_its_submission_over(workbench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It releases and enqueues it: another process waits neither for the lease nor for a sweep."""
    limits = ServerLimits(lease_s=3600 if workbench.redis else 0.6)
    first = workbench.work(hangs, limits)
    take_nothing_back(workbench, monkeypatch)
    await asyncio.sleep(0)
    submission_id = workbench.submit()
    gateway = workbench.backbone(limits)

    async def idle() -> None:
        await asyncio.sleep(3600)

    async with gateway.running(idle(), on_failure=print):
        gateway.queue.put(submission_id)
        await workbench.until(lambda: len(workbench.events(submission_id)) == 2)
        workbench.work(passes, limits)
        take_nothing_back(workbench, monkeypatch)
        first.cancel()
        await workbench.until(lambda: workbench.verdict(submission_id) == "passed")


@pytest.mark.thorough
async def test_positions_are_right_with_several_workers(workbench: Bench) -> None:
    """With two workers of two, each waiting submission is told each position once, counting down to 1."""
    release = asyncio.Event()

    async def judge(job: Job) -> AsyncIterator[Mapping[str, Any]]:
        yield {"type": "status_update", "status": "testing"}
        await release.wait()
        yield {"type": "complete", "final_status": "passed", "summary": {}}

    ids = [workbench.submit() for _ in range(12)]
    for _ in range(2):
        workbench.work(judge)
    await workbench.until(lambda: places(workbench, ids[4:]) == [1, 2, 3, 4, 5, 6, 7, 8])
    release.set()
    await workbench.until(lambda: all(workbench.verdict(each) for each in ids))
    for each in ids:
        told = [event["queue_position"] for event in workbench.events(each) if "queue_position" in event]
        assert told == sorted(set(told), reverse=True)


def places(bench: Bench, ids: list[int]) -> list[int]:
    """The last position that each of these was told."""
    return [[e["queue_position"] for e in bench.events(each) if "queue_position" in e][-1] for each in ids]
