"""The version before the last change of the schema, from the history, beside this one: nothing is lost between them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from subcli.server.log.checking import check_database
from subcli.server.log.database import open_database
from subcli.server.log.packer import Packer
from tests.older import older_source

ROOT = Path(__file__).parents[3]
SOLUTION = (ROOT / "src/subcli/judge/problems/lru-cache/solutions/passing.py").read_text()


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source of the last commit with another schema."""
    source = older_source(tmp_path_factory.mktemp("older"))
    if source is None:
        pytest.skip("the history does not reach back to another schema")
    return source


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], Any]]]:
    """Starts the program, this one or the older one, and kills what still runs at the end."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SUBCLI_", "COVERAGE", "COV_"))}
    running: list[subprocess.Popen[str]] = []

    def start(*words: str, source: Path | None = None) -> tuple[subprocess.Popen[str], Any]:
        path = {"PYTHONPATH": str(source)} if source is not None else {}
        process = subprocess.Popen(
            [sys.executable, "-m", "subcli", *words, "--json"],
            env={**kept, **path, "HOME": str(tmp_path), "SUBCLI_TEST_PROCESSES": "real"},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()
        return process, json.loads(line)

    yield start
    for process in running:
        process.kill()
        process.communicate()


def submit(http: httpx.Client) -> int:
    body = {"problem": "lru-cache", "language": "python", "source_code": SOLUTION}
    response = http.post("/api/submissions", json=body)
    assert response.status_code == 201, response.text
    return int(response.json()["id"])


def log(http: httpx.Client, number: int) -> list[Any]:
    """The log of a submission, once it has its verdict."""
    deadline = time.monotonic() + 120
    while True:
        found = http.get(f"/api/submissions/{number}/events").json()["events"]
        if found[-1]["type"] == "complete":
            return list(found)
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


@pytest.mark.thorough
@pytest.mark.long
@pytest.mark.parametrize("backends", [("postgresql", "redis")], ids=["postgresql+redis"], indirect=True)
def test_the_older_version_beside_this_one(
    older: Path, started: Callable[..., Any], tmp_path: Path, postgres: Any, bus: str
) -> None:
    """Either takes submissions, either judges them, either shows what the other one has done."""
    postgres.execute("DROP DATABASE IF EXISTS rolling WITH (FORCE)")
    postgres.execute("CREATE DATABASE rolling")
    url = postgres.url("rolling")
    backends = ["--database", url, "--redis", bus]

    def gateway(name: str, source: Path | None = None) -> Any:
        words = ["serve", "--no-worker", "--port", "0", "--data-dir", str(tmp_path / name)]
        return started(*words, *backends, source=source)

    def worker(source: Path | None = None) -> Any:
        return started("worker", "--sandbox", "none", "--concurrency", "1", *backends, source=source)

    _, ready = gateway("old", older)
    old_worker, _ = worker(older)
    with httpx.Client(base_url=ready["url"], trust_env=False, timeout=60) as old:
        before = submit(old)
        logs = {before: log(old, before)}
        _, ready = gateway("new")
        with httpx.Client(base_url=ready["url"], trust_env=False, timeout=60) as new:
            # The older worker judges what the new gateway accepts.
            assert log(new, before) == logs[before]
            number = submit(new)
            logs[number] = log(new, number)
            # The new worker judges what the older gateway accepts.
            worker()
            old_worker.terminate()
            assert old_worker.wait(60) == 0
            number = submit(old)
            logs[number] = log(old, number)
            verdicts = {each[-1]["final_status"] for each in logs.values()}
            assert verdicts == {"passed"}
            for http in (old, new):
                assert {each: log(http, each) for each in logs} == logs
                listed = http.get("/api/submissions").json()["submissions"]
                assert [each["id"] for each in listed] == sorted(logs, reverse=True)
            # Nothing is packed while the older one may be there; once it is gone, the new one shows the same.
            engine = open_database(url)
            packer = Packer(engine, time.time)
            assert packer.pack_some(60) == 0
            later = Packer(engine, lambda: time.time() + 3600)
            assert later.pack_some(60) == 3
            assert {each: log(new, each) for each in logs} == logs
            assert [each for each in check_database(engine) if each.faults] == []
            engine.dispose()
