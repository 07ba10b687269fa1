"""Problems that change while a server runs: which version a submission is judged by, and what operators read."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from subcli.judge import Job
from subcli.judge.shelf import Shelf
from subcli.server.accounts.permissions import Role
from subcli.server.jobs import versions as module
from subcli.server.jobs.service import service_of
from subcli.server.jobs.workers import Workers
from subcli.server.log.database import open_database
from subcli.server.observe.metrics import Metrics
from subcli.server.parts import Backbone
from subcli.server.settings import ServerLimits
from tests.judge.test_shelf import PROBLEM, settle, write

pytestmark = pytest.mark.every_backend


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An operator's directory with one problem."""
    write(tmp_path / "problems")
    return tmp_path / "problems"


@pytest.fixture
def shelf(tree: Path, tmp_path: Path) -> Shelf:
    """With the problems that there are at first."""
    return make_shelf(tmp_path / "shelf", tree)


def make_shelf(base: Path, tree: Path | None) -> Shelf:
    base.mkdir()
    shelf = Shelf(base, tree)
    shelf.look(at_once=True)
    return shelf


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at directories without pauses."""
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    monkeypatch.setattr(module, "_LOOK_SHARE", 0)


async def submit(live: Any) -> dict[str, Any]:
    body = {"problem": "sum", "language": "python", "source_code": "print()"}
    response = await live.http.post("/api/submissions", json=body)
    assert response.status_code == 201, response.text
    return dict(response.json())


class Titles:
    """A judge that notes by which version it judged."""

    def __init__(self) -> None:
        self.judged: list[str] = []
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, job: Job) -> AsyncIterator[Mapping[str, Any]]:
        await self.open.wait()
        self.judged.append(f"{job.problem.title} {(job.problem.root / 'tests' / 'run.sh').exists()}")
        yield {"type": "status_update", "status": "completed"}
        yield {"type": "complete", "final_status": "passed", "summary": {"total_tests": 0}}


async def test_submission_is_judged_by_the_version_at_its_time(
    start: Callable[..., Any], shelf: Shelf, tree: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever has become of the problem meanwhile. The answer and the snapshot name the version."""
    judge = Titles()
    judge.open.clear()
    async with start(judge, shelf=shelf) as live:
        first, second = await submit(live), await submit(live)
        before = shelf.problems["sum"].version
        assert (first["problem_version"], second["problem_version"]) == (before, before)
        write(tree, title="Total")
        await live.until(lambda: shelf.problems["sum"].title == "Total")
        third = await submit(live)
        shutil.rmtree(tree / "sum")
        await live.until(lambda: "sum" not in shelf.problems)
        judge.open.set()
        for each in (first, second, third):
            ended = await live.ended(each["id"])
            assert ended["problem_version"] == each["problem_version"]
        assert judge.judged == ["Sum True", "Sum True", "Total True"]
        assert third["problem_version"] != before
        [*rows] = (await live.http.get("/api/submissions?problem=sum")).json()["submissions"]
        assert (await live.http.get("/api/submissions?problem=700")).json()["submissions"] == rows
        assert [row["id"] for row in rows] == [third["id"], second["id"], first["id"]]
    assert "sum is in service, version " in caplog.text
    assert "sum is retired" in caplog.text


@pytest.mark.thorough
async def test_version_outlives_its_server(start: Callable[..., Any], tree: Path, tmp_path: Path) -> None:
    """What waits when a server stops is judged by the version that it was submitted to, from the database."""
    judge = Titles()
    judge.open.clear()
    async with start(judge, shelf=make_shelf(tmp_path / "first", tree)) as live:
        waiting = await submit(live)
    shutil.rmtree(tree / "sum")
    again = Titles()
    async with start(again, shelf=make_shelf(tmp_path / "second", tree)) as live:
        assert (await live.ended(waiting["id"]))["final_status"] == "passed"
    assert again.judged == ["Sum True"]


@pytest.mark.thorough
async def test_judged_again_by_the_version_in_service(start: Callable[..., Any], shelf: Shelf, tree: Path) -> None:
    """A corrected test counts; of a problem that is gone, the last version does. The history names each run's."""
    judge = Titles()
    async with start(judge, shelf=shelf, auth=True) as live:
        await live.be("tess", role=Role.TEACHER)
        submitted = await submit(live)

        async def judge_again(run: int) -> None:
            body = {"problem": "sum", "dry_run": False, "key": f"a-key-of-the-test-{run}"}
            response = await live.http.post("/api/rejudges", json=body)
            assert response.json().get("queued") == 1, response.text
            assert (await live.ended(submitted["id"]))["run"] == run

        await live.ended(submitted["id"])
        write(tree, title="Total")
        await live.until(lambda: shelf.problems["sum"].title == "Total")
        await judge_again(2)
        shutil.rmtree(tree / "sum")
        await live.until(lambda: "sum" not in shelf.problems)
        await judge_again(3)
        runs = (await live.ended(submitted["id"]))["runs"]
        results = (await live.http.get("/api/problems/sum/results")).json()["results"]
    assert judge.judged == ["Sum True", "Total True", "Total True"]
    first, second, third = (run["problem_version"] for run in runs)
    assert first == submitted["problem_version"] != second == third
    assert [row["user"] for row in results] == ["tess"]


async def test_broken_version_is_told(
    start: Callable[..., Any], shelf: Shelf, tree: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In the log with the reason, in /readyz without names, and in the list of problems."""
    async with start(Titles(), shelf=shelf) as live:
        ready = (await live.http.get("/readyz")).json()["problems"]
        assert ready == f"{len(shelf.problems)} in service"
        (tree / "sum" / "problem.toml").write_text("id = [")
        await live.until(lambda: bool(shelf.outdated))
        ready = (await live.http.get("/readyz")).json()["problems"]
        assert ready == f"{len(shelf.problems)} in service; 1 not valid as they are now, see the log"
        [row] = [row for row in (await live.http.get("/api/problems")).json()["problems"] if row["slug"] == "sum"]
        assert (row["outdated"], row["version"]) == (True, shelf.problems["sum"].version)
        assert (await live.ended((await submit(live))["id"]))["final_status"] == "passed"
        write(tree)
        await live.until(lambda: not shelf.outdated)
    assert caplog.text.count(f"not in service as it is now: {tree}/sum/problem.toml: not valid TOML") == 1


async def test_version_that_cannot_be_stored(
    start: Callable[..., Any], shelf: Shelf, tree: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its submissions have none: a worker judges them by its own copy. The log says why."""
    (tree / "sum" / "tests" / "words").symlink_to("/usr/share")
    settle(shelf)
    async with start(Titles(), shelf=shelf) as live:
        submitted = await submit(live)
        assert submitted["problem_version"] is None
        assert (await live.ended(submitted["id"]))["final_status"] == "passed"
        await submit(live)
    assert caplog.text.count("cannot be stored: the link sum/tests/words leads out of the directory of problems") == 1


async def test_version_that_is_too_large(start: Callable[..., Any], shelf: Shelf) -> None:
    """The limit is the operator's."""
    async with start(Titles(), shelf=shelf, problem_mb=0) as live:
        assert (await submit(live))["problem_version"] is None


@pytest.mark.thorough
async def test_version_that_vanished_is_stored_again(
    start: Callable[..., Any], shelf: Shelf, sql: Callable[[str], Any]
) -> None:
    """As after a restored backup."""
    async with start(Titles(), shelf=shelf) as live:
        first = await submit(live)
        await live.ended(first["id"])
        for table in ("problem_versions", "problem_chunks"):
            sql(f"DELETE FROM {table}")
        second = await submit(live)
        assert second["problem_version"] == first["problem_version"]
        assert (await live.ended(second["id"]))["final_status"] == "passed"


# -- a worker without the directory ------------------------------------------------------------------------------


@pytest.fixture
def work(database: str, bus: str | None) -> Callable[..., Any]:
    """A worker beside the server."""

    @asynccontextmanager
    async def work(judge: Any, shelf: Shelf) -> AsyncIterator[None]:
        engine: Engine = open_database(database)
        limits = ServerLimits(lease_s=3)
        redis = None
        if bus is not None:
            from subcli.server.redis.connection import connect

            redis = connect(bus)
        backbone = Backbone(engine, limits, redis)
        versions = module.Versions(shelf, backbone.store, 256, 1024)
        service = service_of(judge, shelf.judgeable, 1, limits)
        between = (backbone.store, backbone.journal, backbone.queue)
        workers = Workers(*between, shelf.judgeable, service, limits, Metrics(), versions)
        async with backbone.running(workers.run(), on_failure=print):
            yield
        engine.dispose()

    return work


@pytest.mark.thorough
async def test_worker_fetches_what_it_lacks(
    start: Callable[..., Any], work: Callable[..., Any], shelf: Shelf, tree: Path, tmp_path: Path
) -> None:
    """Each version once, from the database; nobody is told meanwhile that no worker can judge it."""
    elsewhere, judge = make_shelf(tmp_path / "elsewhere", None), Titles()
    async with start(shelf=shelf, concurrency=0) as live, work(judge, elsewhere):
        first = await submit(live)
        await live.ended(first["id"])
        write(tree, title="Total")
        await live.until(lambda: shelf.problems["sum"].title == "Total")
        second = await submit(live)
        await live.ended(second["id"])
        for each in (first, second):
            events = (await live.http.get(f"/api/submissions/{each['id']}/events")).json()["events"]
            assert not any("Waits for a worker" in event.get("detail", "") for event in events)
    assert judge.judged == ["Sum True", "Total True"]
    assert "sum" not in elsewhere.problems


@pytest.mark.thorough(measured=True)
async def test_version_that_a_worker_does_not_understand(
    start: Callable[..., Any],
    work: Callable[..., Any],
    shelf: Shelf,
    tree: Path,
    tmp_path: Path,
    sql: Callable[[str], Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Those who wait are told, and the log says why, once; the other problems are judged."""
    write(tree, "other", text=PROBLEM.replace("sum", "other").replace("700", "701"))
    settle(shelf)
    judge = Titles()
    async with AsyncExitStack() as stack:
        live = await stack.enter_async_context(start(shelf=shelf, concurrency=0))
        submitted = await submit(live)
        sql("UPDATE problem_chunks SET data = substr(data, 1, 3)")
        await stack.enter_async_context(work(judge, make_shelf(tmp_path / "elsewhere", None)))

        store = live.services.store
        await live.until(lambda: b"Waits for" in store.lookup.page(submitted["id"], 0, 9).records[-1].frame)
    assert judge.judged == []
    assert caplog.text.count("cannot be fetched from the database: it is damaged") == 1
