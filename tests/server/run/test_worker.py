"""`subcli worker` and `subcli serve --no-worker`, run as the real program, on real PostgreSQL and Redis."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from subcli.judge.sandbox.groups import usable_cores
from tests.hang import HANG_S
from tests.sampling import first

SUBCLI = [sys.executable, "-m", "subcli"]
NOWHERE = "postgresql+psycopg://me:hush@127.0.0.1:1/x"
SOLUTION = "import time\ntime.sleep(3600)\n"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SUBCLI_")}
    return {**kept, "HOME": str(tmp_path), "NO_COLOR": "1"}


@pytest.fixture
def subcli(env: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the program, and kills what still runs at the end."""
    running: list[subprocess.Popen[str]] = []

    def start(*args: str, **variables: str) -> subprocess.Popen[str]:
        running.append(
            subprocess.Popen(
                [*SUBCLI, *args],
                env={**env, **variables},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                stdin=subprocess.DEVNULL,
                text=True,
            )
        )
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()
    return line


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("args", "hint"),
    first(
        3,
        [
            (["worker"], "SUBCLI_DATABASE"),
            (["worker", "--redis", "http://x:hush@y", "--database", "sqlite:///x.db"], "redis://"),
            (["serve", "--no-worker", "--port", "0"], "subcli worker"),
            (["worker", "--database", "sqlite:///x.db"], "SUBCLI_REDIS"),
            (["worker", "--redis", "redis://127.0.0.1/0"], "SUBCLI_REDIS"),
            (["worker", "--redis", "redis://127.0.0.1/0", "--database", NOWHERE], ""),
            (["serve", "--no-worker", "--concurrency", "2", "--redis", "redis://127.0.0.1/0"], "one of them"),
            (["serve", "--redis", "nonsense", "--port", "0"], "redis://"),
        ],
    ),
)
def test_invalid_worker_options(subcli: Callable[..., Any], tmp_path: Path, args: list[str], hint: str) -> None:
    """A missing or invalid URL: exit 2 with one sentence and a hint, without the password."""
    data = ["--data-dir", str(tmp_path / "data")] if args[0] == "serve" else []
    process = subcli(*args, *data)
    out, errors = process.communicate(timeout=HANG_S)
    assert (process.returncode, out) == (2, "")
    assert hint in errors
    assert "hush" not in errors
    assert "Traceback" not in errors


@pytest.mark.thorough
def test_worker_requires_a_sandbox(subcli: Callable[..., Any], tmp_path: Path) -> None:
    """A worker judges other people's code, so without bubblewrap it does not start."""
    words = ["worker", "--database", f"sqlite:///{tmp_path / 'x.db'}", "--redis", "redis://127.0.0.1:1/0"]
    process = subcli(*words, PATH=str(tmp_path))
    out, errors = process.communicate(timeout=HANG_S)
    assert (process.returncode, out) == (2, "")
    assert "bubblewrap" in errors
    assert "Traceback" not in errors


@pytest.mark.thorough(measured=True)
@pytest.mark.parametrize("backends", [("postgresql", "redis")], ids=["postgresql+redis"], indirect=True)
def test_gateway_and_worker(subcli: Callable[..., Any], tmp_path: Path, database: str, bus: str) -> None:
    """A gateway accepts, a worker judges; after SIGTERM the next worker gets the job at once."""
    urls = {"SUBCLI_DATABASE": database, "SUBCLI_REDIS": bus}
    gateway = subcli("serve", "--json", "--port", "0", "--no-worker", "--data-dir", str(tmp_path / "data"), **urls)
    ready = json.loads(first_line(gateway))
    judging = partial(judging_of, ready["url"])
    assert judging().startswith("by nobody: no worker was seen")
    first = subcli("worker", "--sandbox", "none", "--json", **urls)
    working = json.loads(first_line(first))
    until(lambda: judging() == "elsewhere")
    assert working == {
        "schema": 1,
        "type": "working",
        "database": working["database"],
        "redis": bus,
        "concurrency": usable_cores(),
        "pid": first.pid,
    }
    with httpx.Client(base_url=ready["url"], trust_env=False, timeout=HANG_S) as http:
        body = {"problem": "leader-election", "language": "python", "source_code": SOLUTION}
        submission_id = http.post("/api/submissions", json=body).json()["id"]
        attempts(http, submission_id, 1)
        started = time.monotonic()
        first.send_signal(signal.SIGTERM)
        out, errors = first.communicate(timeout=HANG_S)
        print(f"the worker ended {time.monotonic() - started:.2f} s after SIGTERM")
        assert (first.returncode, out) == (0, "")
        assert [line for line in errors.splitlines() if "sandbox" not in line] == []
        assert time.monotonic() - started < 10
        until(lambda: judging().startswith("by nobody: no worker was seen"))
        second = subcli("worker", "--sandbox", "none", "--concurrency", "2", "--database", database, "--redis", bus)
        line = first_line(second)
        assert "2 submissions" in line
        assert bus in line
        attempts(http, submission_id, 2)
        if os.environ.get("SUBCLI_TEST_ALL"):
            first_line(subcli("worker", **urls))
            started = time.monotonic()
            second.kill()
            attempts(http, submission_id, 3)
            print(f"a worker killed with SIGKILL was replaced after {time.monotonic() - started:.1f} s")
            assert time.monotonic() - started < 30
        assert http.post(f"/api/submissions/{submission_id}/cancel").json()["final_status"] == "cancelled"


def judging_of(url: str) -> str:
    return str(httpx.get(f"{url}/readyz", trust_env=False, timeout=60).json()["judging"])


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def attempts(http: httpx.Client, submission_id: int, number: int) -> None:
    """Wait until the submission is judged for the given attempt."""
    deadline = time.monotonic() + HANG_S
    while True:
        events = http.get(f"/api/submissions/{submission_id}/events").json()["events"]
        if any(event.get("status") == "building" and event["attempt"] == number for event in events):
            return
        assert time.monotonic() < deadline, events
        time.sleep(0.02)


def problem_with(tree: Path, answer: str) -> None:
    """A problem whose test passes if the solution prints this."""
    draft = tree / ".draft"
    (draft / "tests").mkdir(parents=True)
    (draft / "problem.toml").write_text(
        'id = 700\nslug = "say"\ntitle = "Say"\nrunner = "tap"\ncommand = ["sh", "run.sh"]\nlanguages = ["python"]\n'
    )
    (draft / "description.md").write_text(f"Print {answer}.")
    check = f'[ "$("$SUBCLI_SOLUTION")" = {answer} ] && echo ok 1 - Say || echo not ok 1 - Say\n'
    (draft / "tests" / "run.sh").write_text(f"echo 1..1\n{check}")
    if (tree / "say").exists():
        shutil.rmtree(tree / "say")
    draft.rename(tree / "say")


@pytest.mark.thorough
@pytest.mark.parametrize("backends", [("postgresql", "redis")], ids=["postgresql+redis"], indirect=True)
def test_worker_without_the_problems(subcli: Callable[..., Any], tmp_path: Path, database: str, bus: str) -> None:
    """It gets them from the database: a new problem, a new version of it, and one that is gone."""
    tree = tmp_path / "problems"
    tree.mkdir()
    urls = {"SUBCLI_DATABASE": database, "SUBCLI_REDIS": bus}
    words = ("serve", "--json", "--port", "0", "--no-worker", "--data-dir", str(tmp_path / "data"))
    gateway = subcli(*words, **urls, SUBCLI_PROBLEMS=str(tree))
    ready = json.loads(first_line(gateway))
    first_line(subcli("worker", "--sandbox", "none", "--json", **urls))
    with httpx.Client(base_url=ready["url"], trust_env=False) as http:

        def described() -> str:
            response = http.get("/api/problems/say")
            return str(response.json()["description"]) if response.status_code == 200 else ""

        def wait_until(condition: Callable[[], bool]) -> None:
            deadline = time.monotonic() + 60
            while not condition():
                assert time.monotonic() < deadline
                time.sleep(0.05)

        def submit() -> dict[str, Any]:
            body = {"problem": "say", "language": "python", "source_code": "print('one')"}
            return dict(http.post("/api/submissions", json=body).json())

        def shown(submission_id: int) -> dict[str, Any]:
            return dict(http.get(f"/api/submissions/{submission_id}").json())

        problem_with(tree, "one")
        wait_until(lambda: described() == "Print one.")
        first = submit()
        wait_until(lambda: bool(shown(first["id"])["final_status"]))
        assert shown(first["id"])["final_status"] == "passed", http.get(f"/api/submissions/{first['id']}/tests").json()
        problem_with(tree, "two")
        wait_until(lambda: described() == "Print two.")
        second = submit()
        assert second["problem_version"] != first["problem_version"]
        shutil.rmtree(tree / "say")
        wait_until(lambda: not described())
        wait_until(lambda: bool(shown(second["id"])["final_status"]))
        assert shown(second["id"])["final_status"] == "failed"
        assert [row["id"] for row in http.get("/api/submissions?problem=say").json()["submissions"]] == [
            second["id"],
            first["id"],
        ]
