"""A backup is restored under a running watcher, and the id goes to another submission: exit 6, never its verdict."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from subcli.server.log.database import open_database
from tests.hang import HANG_S

from .command import SUBCLI

if TYPE_CHECKING:
    from tests.backends import Postgres

SERVE = Path(__file__).parents[1] / "server/serve.py"


class Judging:
    """A server with ten tests of a tenth of a second each (`tests/server/serve.py`)."""

    def __init__(self, data_dir: Path, *words: str) -> None:
        self._start = [sys.executable, str(SERVE), str(data_dir)]
        self._words = words
        self.port = 0
        self.start()

    def start(self) -> None:
        """Start, or start again at the same address."""
        self.process = subprocess.Popen(
            [*self._start, str(self.port), *self._words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        self.port = int(self.url.rsplit(":", 1)[1])

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def submit(self, source: str) -> dict[str, Any]:
        body = {"problem": "leader-election", "language": "python", "source_code": source}
        response = httpx.post(f"{self.url}/api/submissions", json=body, trust_env=False)
        assert response.status_code == 201, response.text
        return dict(response.json())


@pytest.fixture
def judging() -> Iterator[Callable[..., Judging]]:
    """Starts servers and kills them with the test."""
    started: list[Judging] = []

    def start(data_dir: Path, *words: str) -> Judging:
        started.append(Judging(data_dir, *words))
        return started[-1]

    yield start
    for server in started:
        server.kill()


def submitting(server: Judging, env: dict[str, str], directory: Path) -> subprocess.Popen[str]:
    """`subcli submit --json`."""
    (directory / "node.py").write_text("print('the old one')\n")
    return subprocess.Popen(
        [*SUBCLI, "submit", "node.py", "--problem", "leader-election", "--json", "--server", server.url],
        cwd=directory,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(process: subprocess.Popen[str], kind: str) -> list[dict[str, Any]]:
    """The lines up to the first one of this type."""
    assert process.stdout is not None
    lines = [json.loads(process.stdout.readline())]
    while lines[-1]["type"] != kind:
        lines.append(json.loads(process.stdout.readline()))
    return lines


def check(process: subprocess.Popen[str], lines: list[dict[str, Any]], new: dict[str, Any]) -> None:
    """It ends with 6, says why, and has shown the old log alone."""
    out, _ = process.communicate(timeout=HANG_S)
    lines += [json.loads(line) for line in out.splitlines()]
    assert process.returncode == 6, lines
    submitted, last = lines[0], lines[-1]
    assert (submitted["submission_id"], new["submission_id"]) == (1, 1)
    assert submitted["epoch"] != new["epoch"]
    assert (last["type"], last["error"]["kind"], last["exit_code"]) == ("error", "server", 6)
    assert "records were replaced" in last["error"]["message"]
    assert "subcli status 1" in last["error"]["hint"]
    assert [line["epoch"] for line in lines if line.get("seq") == 1] == [submitted["epoch"]]
    seqs = [line["seq"] for line in lines if "seq" in line]
    assert seqs == list(range(1, len(seqs) + 1))
    assert not [line for line in lines if line["type"] in ("complete", "result")]


@pytest.mark.thorough(measured=True)
def test_sqlite(judging: Callable[..., Judging], env: dict[str, str], tmp_path: Path) -> None:
    """The file is put back while the server is down. A later `subcli watch` knows as well that it is another one."""
    data_dir, backup = tmp_path / "data", tmp_path / "backup.db"
    server = judging(data_dir)
    with closing(sqlite3.connect(data_dir / "subcli.db")) as live, closing(sqlite3.connect(backup)) as copy:
        live.backup(copy)
    process = submitting(server, env, tmp_path)
    lines = until(process, "test_result")
    # It is not to come back before the other submission is there.
    process.send_signal(signal.SIGSTOP)
    server.kill()
    for name in ("subcli.db-wal", "subcli.db-shm"):
        (data_dir / name).unlink(missing_ok=True)
    os.replace(backup, data_dir / "subcli.db")
    server.start()
    new = server.submit("print('the new one')")
    process.send_signal(signal.SIGCONT)
    check(process, lines, new)
    again = subprocess.run(
        [*SUBCLI, "watch", "1", "-q", "--server", server.url], env=env, capture_output=True, text=True, timeout=HANG_S
    )
    assert (again.returncode, again.stdout) == (6, "")
    assert "records were replaced" in again.stderr


@pytest.mark.thorough
@pytest.mark.long
def test_postgresql(judging: Callable[..., Judging], env: dict[str, str], tmp_path: Path, postgres: Postgres) -> None:
    """The database is put back under the running server, whose gateway and worker still hold the old submission."""
    postgres.execute("CREATE DATABASE backup")
    open_database(postgres.url("backup")).dispose()
    postgres.execute("CREATE DATABASE live TEMPLATE backup")
    server = judging(tmp_path / "data", f"database={postgres.url('live')}")
    process = submitting(server, env, tmp_path)
    lines = until(process, "test_result")
    # Nobody writes between the two, so that the old one is not brought back by a reconnecting process.
    process.send_signal(signal.SIGSTOP)
    server.process.send_signal(signal.SIGSTOP)
    postgres.execute("DROP DATABASE live WITH (FORCE)")
    postgres.execute("CREATE DATABASE live TEMPLATE backup")
    server.process.send_signal(signal.SIGCONT)
    new = server.submit("print('the new one')")
    process.send_signal(signal.SIGCONT)
    check(process, lines, new)
    server.kill()
    postgres.execute("DROP DATABASE live WITH (FORCE)")
    postgres.execute("DROP DATABASE backup")
