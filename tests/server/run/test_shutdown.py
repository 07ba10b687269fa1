"""Graceful shutdown."""

from __future__ import annotations

import asyncio
import itertools
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from subcli.server.jobs.workers import Workers
from subcli.server.log.feed import Journal
from subcli.server.log.records import NewSubmission
from subcli.server.run.serve import run
from subcli.server.run.shutdown import Lifecycle, Signals, close_gradually
from subcli.server.run.worker import run_worker
from subcli.server.settings import ServerLimits, ServerSettings, WorkerSettings
from tests.hang import HANG_S
from tests.server.clock import VirtualTimeLoop
from tests.server.conftest import FakeJudge
from tests.server.gateway.test_gateway import closed, next_event, raw_watcher

SERVE = Path(__file__).parents[1] / "serve.py"


class Connection:
    """Notes when it was asked to close."""

    def __init__(self) -> None:
        self.closed_at: float | None = None

    def shutdown(self) -> None:
        assert self.closed_at is None
        self.closed_at = asyncio.get_running_loop().time()


# One hundredth of a second is the shortest sleep of `close_gradually`.
@pytest.mark.parametrize(
    ("rate", "closing", "gap"),
    [
        pytest.param(10.0, 60.0, 0.1, id="as fast as the rate"),
        pytest.param(1.0, 10.0, 0.2, id="faster, to finish in time"),
        pytest.param(1.0, 0.05, 0.001, id="several at a time"),
        pytest.param(1e9, 60.0, 1e-9, id="all at once"),
    ],
)
def test_connections_are_closed_gradually(rate: float, closing: float, gap: float) -> None:
    """At the rate; if that would take too long, evenly within the limit. Each once, in order, and on time."""
    connections = [Connection() for _ in range(50)]
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        started = runner.get_loop().time()
        runner.run(close_gradually(connections, ServerLimits(closing_per_s=rate, closing_s=closing)))
    closed_at = [each.closed_at for each in connections if each.closed_at is not None]
    assert closed_at == [pytest.approx(started + n * gap, abs=0.0101) for n in range(50)]
    assert closed_at == sorted(closed_at)


def test_closing_nothing_takes_no_time() -> None:
    """Without connections there is nothing to wait for."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(close_gradually([], ServerLimits()))
        assert runner.get_loop().time() == 0


def test_shutdown_callbacks_run_once() -> None:
    """Callbacks run once when the shutdown starts; those registered later run at once."""
    lifecycle = Lifecycle()
    calls: list[str] = []
    lifecycle.when_stopping(lambda: calls.append("first"))
    assert not lifecycle.is_stopping
    lifecycle.stop()
    lifecycle.stop()
    lifecycle.when_stopping(lambda: calls.append("late"))
    assert (calls, lifecycle.is_stopping) == (["first", "late"], True)


async def broken(*_: object) -> None:
    raise RuntimeError("a bug")


def test_a_server_whose_background_task_has_failed_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its exception: half alive it would keep submissions waiting, and nobody would start it again."""
    monkeypatch.setattr(Journal, "compare_positions", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        run(ServerSettings(tmp_path, port=0), on_ready=print, judge=FakeJudge())


def test_a_worker_whose_background_task_has_failed_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a server does. Redis need not be there."""
    monkeypatch.setattr(Workers, "run", broken)
    database = f"sqlite:///{tmp_path / 'subcli.db'}"
    with pytest.raises(RuntimeError, match="a bug"):
        run_worker(WorkerSettings(database, "redis://127.0.0.1:1/0"), on_ready=print, judge=FakeJudge())


def test_second_signal_and_deadline() -> None:
    """The first signal starts the shutdown; a second one or the deadline ends the process with 128 + signal."""
    asked: list[str] = []
    ended: list[int] = []
    signals = Signals(lambda: asked.append("stop"), deadline=60, end=ended.append)
    signals.handle(signal.SIGTERM)
    assert (asked, ended) == (["stop"], [])
    signals.handle(signal.SIGINT)
    assert (asked, ended) == (["stop"], [130])
    signals.cancel()
    overdue = Signals(lambda: None, deadline=0.01, end=ended.append)
    overdue.handle(signal.SIGTERM)
    deadline = time.monotonic() + HANG_S
    while len(ended) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert ended == [130, 143]


@pytest.mark.thorough
async def test_watchers_are_closed_gradually(start: Callable[..., Any]) -> None:
    """Each gets 1012, not all at the same moment, even if it is sending."""
    async with start(closing_per_s=20.0) as live:
        ids = [await live.submit("wait") for _ in range(2)]
        watchers = [await live.watch(number, max_queue=None) for number in ids for _ in range(10)]
        for watcher in watchers:
            await next_event(watcher)

        chattering: set[Any] = set()

        async def chatter(watcher: Any) -> float:
            while watcher.close_code is None:
                try:
                    await watcher.send("ping")
                except Exception:
                    break
                chattering.add(watcher)
                await asyncio.sleep(0.005)
            assert (await closed(watcher))[0] == 1012
            return time.monotonic()

        chatting = [asyncio.create_task(chatter(watcher)) for watcher in watchers]
        await live.until(lambda: len(chattering) == len(watchers))
        live.server.should_exit = True
        times = sorted(await asyncio.gather(*chatting))
        assert times[-1] - times[0] > 0.5


async def test_a_request_that_outlasts_the_shutdown(start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told to come again, not that the server is broken: clients repeat what got 503, and not what got 500."""
    async with start(shutdown_s=1.0) as live:
        create, go, has_begun = live.services.store.create, threading.Event(), threading.Event()

        def slow(new: NewSubmission) -> Any:
            has_begun.set()
            go.wait(30)
            return create(new)

        monkeypatch.setattr(live.services.store, "create", slow)
        body = {"problem": "echo", "language": "python", "source_code": "print()"}
        submitting = asyncio.create_task(live.http.post("/api/submissions", json=body))
        await live.until(has_begun.is_set)
        live.server.should_exit = True
        response = await submitting
        go.set()
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.json() == {"detail": "The server is stopping; try again."}


async def test_requests_during_shutdown(start: Callable[..., Any]) -> None:
    """Over a connection that was kept alive: answered with `Connection: close`; a new socket gets 1012; a new
    connection is refused."""
    async with start(closing_per_s=1.0) as live:
        submission_id = await live.submit("wait")
        for _ in range(3):
            await next_event(await live.watch(submission_id))
        host, port = live.url.removeprefix("http://").split(":")
        held = await asyncio.open_connection(host, int(port))
        upgraded = socket.create_connection((host, int(port)))
        # Both connections, besides the three watchers and the client's.
        await live.until(lambda: len(live.server.server_state.connections) == 6)
        live.server.should_exit = True
        await live.until(lambda: not live.server.servers[0].is_serving())
        response = await live.http.get("/api/info")
        assert (response.status_code, response.headers["connection"]) == (200, "close")
        with pytest.raises(httpx.ConnectError):
            await live.http.get("/api/info")
        async with connect(
            f"ws://{host}:{port}/ws/submissions/{submission_id}", sock=upgraded, proxy=None, compression=None
        ) as late:
            assert (await closed(late))[0] == 1012
        held[1].transport.abort()
        await asyncio.sleep(0)


class Process:
    """A server process with the limits of a test."""

    def __init__(self, data_dir: Path, *limits: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SERVE), str(data_dir), "0", *limits],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    def submit(self) -> int:
        body = {"problem": "leader-election", "language": "python", "source_code": "print()"}
        with httpx.Client(trust_env=False, timeout=HANG_S) as client:
            return int(client.post(f"{self.url}/api/submissions", json=body).json()["id"])

    def end(self, seconds: float) -> tuple[int, str]:
        errors = self.process.communicate(timeout=seconds)[1]
        return self.process.returncode, errors


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    running: list[Process] = []
    numbers = itertools.count()

    def start(*limits: str) -> Process:
        running.append(Process(tmp_path / f"data{next(numbers)}", *limits))
        return running[-1]

    yield start
    for one in running:
        one.process.kill()
        one.process.communicate()


@pytest.mark.thorough
def test_second_signal_ends_the_process(serve: Callable[..., Process]) -> None:
    """The second signal does not wait for watchers."""
    server = serve("closing_per_s=0.01", "closing_s=40", "deadline_s=60")
    submission_id = server.submit()
    watchers = [raw_watcher(server.url, submission_id) for _ in range(3)]
    for watcher in watchers:
        watcher.settimeout(20)
        assert watcher.recv(4096).startswith(b"HTTP/1.1 101")
    server.process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        server.process.wait(1)
    server.process.send_signal(signal.SIGTERM)
    assert server.end(10) == (143, "")
    for watcher in watchers:
        watcher.close()


@pytest.mark.thorough
def test_frozen_readers_do_not_delay_shutdown(serve: Callable[..., Process]) -> None:
    """With watchers that never read, the server still exits in time, and cleanly."""
    # The deadline that ends it in any case is out of reach: it has to end by itself.
    server = serve("deadline_s=60")
    submission_id = server.submit()
    frozen = [raw_watcher(server.url, submission_id) for _ in range(5)]
    begun = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.end(30) == (0, "")
    assert time.monotonic() - begun < 20
    for watcher in frozen:
        watcher.close()
