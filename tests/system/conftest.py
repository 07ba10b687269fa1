"""The installed program, run as a user runs it: as processes, on loopback, with a home of its own."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from .command import SUBCLI, Commands

SOLUTIONS = Path(__file__).parents[2] / "src/subcli/judge/problems/leader-election/solutions"
LRU = SOLUTIONS.parents[1] / "lru-cache/solutions/passing.py"
"""Judged in a tenth of the time: for tests that are not about judging."""
CANARIES = {
    "token": "canary-Tok3n.that+nobody/may-see",
    "proxy user": "canary-proxy-user",
    "proxy password": "canary-proxy-passw0rd",
}
"""Secrets planted in the environment of every process of this suite; none may turn up in what they write."""

PRINTED: list[str] = []
"""What the processes of the present test have printed."""

CONFUSING = ("CI", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES", "GITHUB_ACTIONS")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment with a home of its own and nothing that changes what the program does."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in CONFUSING and not name.startswith(("SUBCLI_", "XDG_", "PYTEST_")) and "proxy" not in name.lower()
    }
    home = tmp_path / "home"
    home.mkdir()
    planted = {
        "SUBCLI_TOKEN": CANARIES["token"],
        # Nothing listens there. This machine is reached without a proxy, so it is never asked.
        "HTTP_PROXY": f"http://{CANARIES['proxy user']}:{CANARIES['proxy password']}@127.0.0.1:9",
    }
    return {**kept, **planted, "HOME": str(home), "TERM": "xterm-256color", "PYTHONUNBUFFERED": ""}


@pytest.fixture(autouse=True)
def canary(tmp_path: Path) -> Iterator[None]:
    """After each test: no planted secret stands in anything that was printed, logged or written."""
    PRINTED.clear()
    yield
    written = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != "planted"}
    for name, secret in CANARIES.items():
        assert not [text for text in PRINTED if secret in text], f"the {name} was printed"
        assert not [path for path, data in written.items() if secret.encode() in data], f"the {name} was written"


@pytest.fixture
def command(env: dict[str, str], tmp_path: Path) -> Commands:
    """Runs the program beside the servers of an asyncio test."""
    return Commands(env, tmp_path, PRINTED)


@dataclass
class Served:
    """A running `subcli serve`."""

    data_dir: Path
    env: dict[str, str]
    arguments: tuple[str, ...] = ()
    port: int = 0
    url: str = ""
    process: subprocess.Popen[str] = field(init=False)

    def start(self) -> None:
        """Start, or start again on the same port and data."""
        with self.data_dir.with_suffix(".log").open("a") as log:
            self.process = subprocess.Popen(
                [*SUBCLI, *self._words()],
                env=self.env,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        ready = json.loads(line)
        assert ready["type"] == "ready", line
        self.url = ready["url"]
        self.port = int(self.url.rpartition(":")[2])

    def _words(self) -> list[str]:
        return ["serve", "--json", "--port", str(self.port), "--data-dir", str(self.data_dir), *self.arguments]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; SIGKILL if it does not come."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.process.returncode


@pytest.fixture
def serve(tmp_path: Path, env: dict[str, str], migrated: Path) -> Iterator[Callable[..., Served]]:
    """Starts servers and ends them with the test. Their databases have the schema, unless the test made one."""
    started: list[Served] = []

    def start(*arguments: str) -> Served:
        served = Served(tmp_path / f"data{len(started)}", env, arguments)
        if not served.data_dir.exists():
            served.data_dir.mkdir(mode=0o700)
            shutil.copy(migrated, served.data_dir)
        served.start()
        started.append(served)
        return served

    yield start
    for served in started:
        served.stop()


WAITING_PROBLEM = """
id = {id}
slug = "{slug}"
title = "{slug}"
description = "description.md"
runner = "tap"
tests = "tests"
command = ["{{python}}", "-I", "-S", "run.py"]
[limits]
test_seconds = 10
submission_seconds = 120
[languages.python]
source = "a.py"
template = "a.py"
run = ["{{python}}", "{{source}}"]
"""
WAITING_TESTS = """
import pathlib, time
print('TAP version 14', '1..{tests}', sep='\\n', flush=True)
for n in range(1, {tests} + 1):
    if not pathlib.Path({enough!r}).exists():
        time.sleep({each})
    print('not ok' if n == {failing} else 'ok', n, '- second', n, flush=True)
"""


def waiting_problem(slug: str, where: Path, tests: int, each: float = 1, failing: int = 0) -> Path:
    """A problem whose tests take their time and compute nothing, until there is a file `enough` in `where`.

    Its submissions are any `a.py`, as the one in its directory.

    Args:
        tests: how many, named "second 1", "second 2" …,
        each: of so many seconds.
        failing: the one that fails; 0 for none.

    Returns:
        the directory of all problems made in `where`.
    """
    problem = where / "problems" / slug
    (problem / "tests").mkdir(parents=True)
    (problem / "problem.toml").write_text(WAITING_PROBLEM.format(id=zlib.crc32(slug.encode()) % 10_000, slug=slug))
    (problem / "description.md").write_text("Wait.")
    (problem / "a.py").write_text("print(1)\n")
    enough = str(where / "enough")
    text = WAITING_TESTS.format(tests=tests, each=each, failing=failing, enough=enough)
    (problem / "tests" / "run.py").write_text(text)
    return problem.parent


@pytest.fixture
def unhurried(serve: Callable[..., Served], tmp_path: Path) -> Served:
    """A server with the problem `unhurried`: four seconds, the fifth of twelve tests fails. Submit `a.py`."""
    problems = waiting_problem("unhurried", tmp_path, 12, 0.3, failing=5)
    shutil.copy(problems / "unhurried" / "a.py", tmp_path)
    return serve("--problems", str(problems), "--sandbox", "none")


@pytest.fixture
def server(serve: Callable[..., Served]) -> Served:
    """One server."""
    return serve()


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(env: dict[str, str], tmp_path: Path) -> Run:
    """Runs one command to its end and gives back its output and exit code."""

    def call(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        extra = options.pop("env", {})
        done = subprocess.run(
            [*SUBCLI, *arguments],
            **{
                "env": {**env, **extra},
                "cwd": tmp_path,
                "capture_output": True,
                "text": True,
                "timeout": 80,
                "stdin": subprocess.DEVNULL,
                **options,
            },
        )
        PRINTED.extend(text for text in (done.stdout, done.stderr) if isinstance(text, str))
        return done

    return call


class Lines:
    """A command whose stdout is read line by line while it runs, each with the moment of its arrival."""

    def __init__(self, *arguments: str, env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [*SUBCLI, *arguments],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[dict[str, Any]] = []
        self.arrived: list[float] = []

    def until(self, wanted: Callable[[dict[str, Any]], bool], timeout: float = 60) -> dict[str, Any]:
        """Read until a line that is wanted."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + timeout
        while True:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"no such line within {timeout} s; so far: {self.lines}"
            text = self.process.stdout.readline()
            assert text, f"the command ended before such a line: {self.lines}"
            self.lines.append(json.loads(text))
            self.arrived.append(time.monotonic())
            if wanted(self.lines[-1]):
                return self.lines[-1]

    def end(self, timeout: float = 60) -> int:
        """Read what is left and give back the exit code."""
        out, self.errors = self.process.communicate(timeout=timeout)
        PRINTED.extend([json.dumps(self.lines, ensure_ascii=False), out, self.errors])
        self.lines.extend(json.loads(line) for line in out.splitlines())
        return self.process.returncode

    def of(self, *types: str) -> list[dict[str, Any]]:
        """The lines of these types."""
        return [line for line in self.lines if line["type"] in types]


@pytest.fixture
def follow(env: dict[str, str]) -> Iterator[Callable[..., Lines]]:
    """Starts commands whose NDJSON is read as it comes."""
    started: list[Lines] = []

    def start(*arguments: str) -> Lines:
        started.append(Lines(*arguments, env=env))
        return started[-1]

    yield start
    for lines in started:
        if lines.process.poll() is None:
            lines.process.kill()
        lines.process.communicate()


def needs(what: str, present: object) -> None:
    """Skip where the machine lacks something."""
    if not present:
        pytest.skip(f"{what} is missing")
