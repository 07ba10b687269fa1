"""A server as a real process: start, errors at start, stop, crash and restart."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn.server
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from subcli.server import Ready, ServeError, ServerSettings
from subcli.server.log.database import open_database
from subcli.server.log.records import NewSubmission
from subcli.server.log.store import Store
from subcli.server.log.tables import DEMO_USER
from subcli.server.run.serve import listen, run
from subcli.server.run.server import is_worth_logging
from tests.hang import HANG_S
from tests.sampling import first
from tests.server.conftest import FakeJudge
from tests.system.timing import Ending

SERVE = Path(__file__).parents[1] / "serve.py"


class Process:
    """A running server process."""

    def __init__(self, data_dir: Path, port: int = 0, *more: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(SERVE), str(data_dir), str(port), *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        assert self.url, self._process.communicate()[1]
        self.port = int(self.url.rsplit(":", 1)[1])

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, sig: signal.Signals) -> None:
        self._process.send_signal(sig)

    def end_stdin(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.stdin = None

    def wait(self, seconds: float = HANG_S) -> tuple[int, str]:
        errors = self._process.communicate(timeout=seconds)[1]
        return self._process.returncode, errors

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def submit(self) -> int:
        body = {"problem": "leader-election", "language": "python", "source_code": "print()"}
        with httpx.Client(trust_env=False, timeout=HANG_S) as client:
            response = client.post(f"{self.url}/api/submissions", json=body)
        assert response.status_code == 201, response.text
        return int(response.json()["id"])

    def watching(self, submission_id: int, after: int = 0) -> Any:
        url = self.url.replace("http", "ws")
        return connect(
            f"{url}/ws/submissions/{submission_id}?after_seq={after}", proxy=None, compression=None, open_timeout=HANG_S
        )


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    running: list[Process] = []

    def start(*args: Any) -> Process:
        running.append(Process(tmp_path / "data", *args))
        return running[-1]

    yield start
    for process in running:
        process.kill()


@pytest.mark.thorough
async def test_restart_after_kill_9(serve: Callable[..., Process]) -> None:
    """After kill -9 the submission is judged again: one log without gaps or repeats, and one verdict."""
    server = serve()
    submission_id = server.submit()
    seen: list[dict[str, Any]] = []
    async with server.watching(submission_id) as watcher:
        while len(seen) < 5:
            seen.append(json.loads(await watcher.recv()))
        server.kill()
        with suppress(ConnectionClosed):
            while True:
                seen.append(json.loads(await watcher.recv()))
    server = serve(server.port)
    async with server.watching(submission_id, after=seen[-1]["seq"]) as watcher:
        seen += [json.loads(text) async for text in watcher]
        assert watcher.close_code == 1000
    assert [event["seq"] for event in seen] == list(range(1, len(seen) + 1))
    assert [event["type"] for event in seen].count("complete") == 1
    assert seen[-1]["final_status"] == "passed"
    again = next(event for event in seen if event.get("attempt") == 2)
    assert "again" in again["detail"]


@pytest.mark.thorough
@pytest.mark.parametrize("sig", first(1, [signal.SIGTERM, signal.SIGINT]))
async def test_signal_stops_the_server_cleanly(serve: Callable[..., Process], sig: signal.Signals) -> None:
    """SIGTERM and SIGINT: watchers get 1012, the exit code is 0, and the submission is kept."""
    server = serve()
    submission_id = server.submit()
    async with server.watching(submission_id) as watcher:
        await watcher.recv()
        ending = Ending(server.pid)
        server.send(sig)
        with suppress(ConnectionClosed):
            async for _ in watcher:
                pass
        assert watcher.close_code == 1012
    assert await asyncio.to_thread(server.wait) == (0, "")
    assert await ending.took_s() < 5
    server = serve()
    async with server.watching(submission_id) as watcher:
        events = [json.loads(text) async for text in watcher]
    assert events[-1]["final_status"] == "passed"
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))


@pytest.mark.thorough
async def test_stops_with_stdin(serve: Callable[..., Process]) -> None:
    """The end of standard input stops the server cleanly."""
    server = serve(0, "stdin")
    server.submit()
    server.end_stdin()
    assert await asyncio.to_thread(server.wait) == (0, "")


def refused(settings: ServerSettings) -> ServeError:
    def never(_ready: Ready) -> None:
        raise AssertionError("it started")

    with pytest.raises(ServeError) as error:
        run(settings, on_ready=never)
    assert error.value.message.endswith(".")
    assert error.value.hint.endswith(".")
    return error.value


def test_port_in_use(tmp_path: Path) -> None:
    """One sentence that names the port."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert str(port) in refused(ServerSettings(tmp_path / "data", port=port)).message


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "no.such.host.invalid", ""])
def test_demo_mode_only_listens_on_loopback(tmp_path: Path, host: str) -> None:
    """Without authentication only loopback addresses are allowed."""
    refused(ServerSettings(tmp_path / "data", host=host, port=0))


def test_data_directory_cannot_be_created(tmp_path: Path) -> None:
    """A file in place of the data directory."""
    (tmp_path / "data").write_text("")
    assert "data" in refused(ServerSettings(tmp_path / "data", port=0)).message


@pytest.mark.thorough
def test_second_server_on_the_same_data(serve: Callable[..., Process], tmp_path: Path) -> None:
    """One sentence that names what joins several servers; the first one goes on."""
    serve()
    message = refused(ServerSettings(tmp_path / "data", port=0)).message
    assert "Another server" in message
    assert "--redis" in message
    shared = ServerSettings(tmp_path / "other", port=0, database=f"sqlite:///{tmp_path / 'data' / 'subcli.db'}")
    assert refused(shared).message == message
    assert "without --redis" in refused(replace(shared, redis="redis://127.0.0.1:1/0")).message


@pytest.mark.parametrize("shared", [False, True])
def test_leases_are_released_by_the_only_process(tmp_path: Path, shared: bool) -> None:
    """Without Redis a server is alone, and releases all leases at start. With Redis their owners may be alive."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    url = f"sqlite:///{data_dir / 'subcli.db'}"
    store = Store(open_database(url), time.time)
    submission = NewSubmission(DEMO_USER, "echo", "python", {"solution.py": ""})
    store.create(submission)
    assert store.leases.claim_next("another process", {"echo": ("python",)}, 3600)
    store.close()
    redis = "redis://127.0.0.1:1/0" if shared else None
    settings = ServerSettings(data_dir, port=0, redis=redis, concurrency=0)
    run(settings, on_ready=lambda _ready: os.kill(os.getpid(), signal.SIGTERM), judge=FakeJudge())
    store = Store(open_database(url), time.time)
    assert (store.leases.claim_next("this process", {"echo": ("python",)}, 3600) is None) is shared
    store.close()


def test_missing_directory_of_problems(tmp_path: Path) -> None:
    """It is refused: a typing error must not hide all of an operator's problems."""
    error = refused(ServerSettings(tmp_path / "data", port=0, problems_dir=tmp_path / "none"))
    assert "no such directory" in error.message


def test_broken_problem_does_not_stop_the_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is left out and named in the log, with the file, the line and the reason."""
    (tmp_path / "mine" / "bad").mkdir(parents=True)
    (tmp_path / "mine" / "bad" / "problem.toml").write_text("id = [")
    settings = ServerSettings(tmp_path / "data", port=0, problems_dir=tmp_path / "mine", concurrency=0)
    started: list[Ready] = []

    def stop(ready: Ready) -> None:
        started.append(ready)
        os.kill(os.getpid(), signal.SIGTERM)

    run(settings, on_ready=stop, judge=FakeJudge())
    assert started
    [told] = [record for record in caplog.records if record.name == "subcli.server.run.startup"]
    assert told.levelno == logging.WARNING
    assert f"{tmp_path}/mine/bad/problem.toml: not valid TOML" in told.getMessage()


def test_locked_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A locked database: the server waits, then reports one sentence without the password."""
    monkeypatch.setattr("subcli.server.log.database.LOCK_TIMEOUT_S", 0.2)
    url = "postgresql+psycopg://me:hush@127.0.0.1:1/x"
    assert "hush" not in str(refused(ServerSettings(tmp_path / "data", port=0, database=url)))
    holder = sqlite3.connect(tmp_path / "held.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    held = ServerSettings(tmp_path / "data", port=0, database=f"sqlite:///{tmp_path / 'held.db'}")
    assert "locked" in refused(held).message
    holder.close()
    # So it is with one that has its schema already, and that others may still read.
    open_database(held.database_url).dispose()
    holder = sqlite3.connect(tmp_path / "held.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert "locked" in refused(held).message
    holder.close()


def test_shutdown_without_tasks_is_not_logged() -> None:
    """uvicorn's message about cancelled tasks is dropped if there were none."""
    assert "Cancel %s running task(s), timeout graceful shutdown exceeded" in inspect.getsource(uvicorn.server)

    def told(tasks: int) -> bool:
        message = "Cancel %s running task(s), timeout graceful shutdown exceeded"
        return is_worth_logging(logging.LogRecord("uvicorn.error", logging.ERROR, "", 1, message, (tasks,), None))

    assert (told(0), told(3)) == (False, True)


async def test_answers_are_not_held_back() -> None:
    """asyncio switches Nagle off only where it sees that a socket speaks TCP; else an answer waits up to 40 ms."""
    seen: list[int] = []

    def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with listen("127.0.0.1", 0, everywhere=False) as listener:
        async with await asyncio.start_server(accepted, sock=listener):
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            await reader.read()
            writer.close()
            await writer.wait_closed()
    assert seen == [1]
