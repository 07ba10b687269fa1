"""The installed program, run as a user runs it: as processes, on loopback, with a home of its own."""

from __future__ import annotations

import codecs
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
from urllib.parse import urlsplit

import pytest

from tests.hang import HANG_S
from tests.once import once

from . import side_by_side
from .canaries import CANARIES as CANARIES
from .canaries import check_no_canary, environment
from .command import SUBCLI, Commands

SOLUTIONS = Path(__file__).parents[2] / "src/subcli/judge/problems/leader-election/solutions"
LRU = SOLUTIONS.parents[1] / "lru-cache/solutions/passing.py"
"""Judged in a tenth of the time: for tests that are not about judging."""
PRINTED: list[str] = []
"""What the processes of the present test have printed."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that wait are run beside each other."""
    side_by_side.prepare(items)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment with a home of its own and nothing that changes what the program does."""
    return environment(tmp_path / "home")


@pytest.fixture(autouse=True)
def canary(tmp_path: Path) -> Iterator[None]:
    """After each test: no planted secret stands in anything that was printed, logged or written."""
    PRINTED.clear()
    yield
    check_no_canary(PRINTED, tmp_path)


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
        self.port = urlsplit(self.url).port or 0

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


SOME_TESTS = """
KEPT = {"test_one_leader_per_term", "test_split_vote", "test_terms_survive"}

def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if item.name in KEPT]
"""


@dataclass(frozen=True)
class JudgedOnce:
    """The database of a server that has judged, and the directory of its problems."""

    database: Path
    problems: Path


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> JudgedOnce:
    """A server whose submission 1 is the bundled wrong solution, judged once, by three of the ten tests."""
    place, _ = once(tmp_path_factory, "judged", lambda place: _judge(place, migrated))
    return JudgedOnce(place / "data/subcli.db", place / "problems")


def _judge(place: Path, migrated: Path) -> None:
    problem = place / "problems/short-election"
    shutil.copytree(SOLUTIONS.parent, problem)
    table = (problem / "problem.toml").read_text()
    for old, new in (
        ("id = 1", "id = 77"),
        ('slug = "leader', 'slug = "short'),
        ("total_tests = 10", "total_tests = 3"),
    ):
        table = table.replace(old, new, 1)
    (problem / "problem.toml").write_text(table)
    (problem / "tests/conftest.py").write_text(SOME_TESTS)
    options = ("--sandbox", "none", "--problems", str(problem.parent))
    server = Served(place / "data", environment(place / "home"), options)
    server.data_dir.mkdir(mode=0o700)
    shutil.copy(migrated, server.data_dir)
    server.start()
    try:
        words = ("submit", str(SOLUTIONS / "failing.py"), "--problem", "short-election", "-q", "--server", server.url)
        done = subprocess.run([*SUBCLI, *words], env=server.env, cwd=place, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (1, "failed\n"), done.stderr
    finally:
        server.stop()


@pytest.fixture
def failed(serve: Callable[..., Served], judged: JudgedOnce, tmp_path: Path) -> Served:
    """That server."""
    (tmp_path / "data0").mkdir(mode=0o700)
    shutil.copy(judged.database, tmp_path / "data0")
    return serve("--sandbox", "none", "--problems", str(judged.problems))


WAITING_PROBLEM = """
id = {id}
slug = "{slug}"
title = "{slug}"
description = "description.md"
runner = "tap"
tests = "tests"
command = ["{{python}}", "-I", "-S", "run.py"]
[limits]
test_seconds = 100
submission_seconds = 120
[languages.python]
source = "a.py"
template = "a.py"
run = ["{{python}}", "{{source}}"]
"""
WAITING_TESTS = """
import pathlib, time
enough = pathlib.Path({enough!r})
print('TAP version 14', '1..{tests}', sep='\\n', flush=True)
for n in range(1, {tests} + 1):
    held = {hold_after} is not None and n > {hold_after}
    until = time.monotonic() + (100 if held else {each})
    while not enough.exists() and time.monotonic() < until:
        time.sleep(0.02)
    print('not ok' if n == {failing} else 'ok', n, '- second', n, flush=True)
"""


def waiting_problem(
    slug: str, where: Path, tests: int, each: float = 1, failing: int = 0, hold_after: int | None = None
) -> Path:
    """A problem whose tests wait and compute nothing, until there is a file `enough` in `where`.

    Its submissions are any `a.py`, as the one in its directory.

    Args:
        slug: its name.
        where: the directory for `problems` and `enough`.
        tests: how many, named "second 1", "second 2" …
        each: how many seconds each takes.
        failing: the one that fails; 0 for none.
        hold_after: the tests after this one wait for `enough`, however long that takes.

    Returns:
        the directory of all problems made in `where`.
    """
    problem = where / "problems" / slug
    (problem / "tests").mkdir(parents=True)
    (problem / "problem.toml").write_text(WAITING_PROBLEM.format(id=zlib.crc32(slug.encode()) % 10_000, slug=slug))
    (problem / "description.md").write_text("Wait.")
    (problem / "a.py").write_text("print(1)\n")
    enough = str(where / "enough")
    text = WAITING_TESTS.format(tests=tests, each=each, failing=failing, enough=enough, hold_after=hold_after)
    (problem / "tests" / "run.py").write_text(text)
    return problem.parent


@pytest.fixture
def held(serve: Callable[..., Served], tmp_path: Path) -> Served:
    """A server with the problem `held`: the fifth of twelve tests fails. Submit `a.py`.

    The tests after the sixth wait until the test makes the file `enough`.
    """
    problems = waiting_problem("held", tmp_path, 12, 0.1, failing=5, hold_after=6)
    shutil.copy(problems / "held" / "a.py", tmp_path)
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

    def __init__(self, *arguments: str, env: dict[str, str], cwd: Path | None = None) -> None:
        self.process = subprocess.Popen(
            [*SUBCLI, *arguments],
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._unread = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.lines: list[dict[str, Any]] = []
        self.arrived: list[float] = []

    def until(self, wanted: Callable[[dict[str, Any]], bool], timeout: float = HANG_S) -> dict[str, Any]:
        """Read until a line that is wanted."""
        deadline = time.monotonic() + timeout
        while True:
            self.lines.append(json.loads(self._next(deadline)))
            self.arrived.append(time.monotonic())
            if wanted(self.lines[-1]):
                return self.lines[-1]

    def _next(self, deadline: float) -> str:
        # Not through `stdout`: what its buffer holds, select() does not see.
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        while "\n" not in self._unread:
            ready, _, _ = select.select([descriptor], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"no such line in time; so far: {self.lines}"
            data = os.read(descriptor, 1 << 16)
            assert data, f"the command ended before such a line: {self.lines}"
            self._unread += self._decoder.decode(data)
        line, _, self._unread = self._unread.partition("\n")
        return line

    def end(self, timeout: float = HANG_S) -> int:
        """Read what is left and give back the exit code."""
        out, self.errors = self.process.communicate(timeout=timeout)
        PRINTED.extend([json.dumps(self.lines, ensure_ascii=False), self._unread + out, self.errors])
        self.lines.extend(json.loads(line) for line in (self._unread + out).splitlines())
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
