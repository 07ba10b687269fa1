"""The operator's side: the processes, the database, and the commands that are typed."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

from bench.herd.members import Process
from bench.processes import free_port, resident_kib

_ROOT: Final = Path(__file__).parents[2]
_KEY: Final = "the key of a year, known to both of its gateways"
_BUSY_S: Final = 120.0
_DAY_S: Final = 86_400.0
_TIMES: Final[Mapping[str, tuple[str, ...]]] = {
    "submissions": ("created_at", "started_at", "finished_at", "waiting_since", "run_asked_at"),
    "runs": ("asked_at", "finished_at"),
    "attempts": ("started_at",),
    "schema_changes": ("changed_at",),
}
"""What is moved back when days pass, so that a year has room in minutes."""
_ERROR: Final = re.compile(r"\S+ (?:ERROR|CRITICAL) (.*)")
_SUFFIXES: Final = ("", "-wal", "-shm")


class Plant:
    """Two gateways and two workers on one SQLite database, which can be restarted one by one, with another version.

    Attributes:
        problems: the directory of the problems.
        urls: of the gateways.
        commands: how many have ended.

    Args:
        older: the source of an older version, with which the year begins; None: with this one.
        cleanup_s: how often a worker looks for logs to pack.
        workers: how many; the last one fetches from the database what it judges.
        real: whether all processes are started, also where the tests could fork them.
    """

    def __init__(
        self, folder: Path, redis: str, older: Path | None, cleanup_s: float, *, workers: int = 2, real: bool = True
    ) -> None:
        self.folder = folder
        self.problems = folder / "problems"
        self.database = folder / "year.db"
        self._redis = redis
        self._source = older
        self._cleanup_s = cleanup_s
        self._workers = workers
        self._real = real
        self._ports = (free_port(), free_port())
        self.urls = [f"http://127.0.0.1:{port}" for port in self._ports]
        self.commands = 0
        self._running: dict[str, Process] = {}

    # -- processes -----------------------------------------------------------------------------------

    @property
    def _env(self) -> dict[str, str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("SUBCLI_", "COV", "PYTHON"))}
        env |= {"SUBCLI_DATABASE": f"sqlite:///{self.database}", "SUBCLI_REDIS": self._redis, "SUBCLI_SECRET_KEY": _KEY}
        env |= {"HOME": str(self.folder)}
        if self._source is not None:
            env["PYTHONPATH"] = str(self._source)
        # The tests would fork commands that have imported this version.
        return env | ({"SUBCLI_TEST_PROCESSES": "real"} if self._real else {})

    def _starts(self) -> dict[str, Callable[[], Process]]:
        starts = {"gateway 1": lambda: self._gateway(0), "gateway 2": lambda: self._gateway(1)}
        return starts | {name: partial(self._worker, name) for name in self.workers}

    @property
    def workers(self) -> list[str]:
        """Their names."""
        return [f"worker {number}" for number in range(1, self._workers + 1)]

    def _gateway(self, number: int) -> Process:
        name = f"gateway {number + 1}"
        words = ["serve", "--auth", "--no-worker", "--json", "--port", str(self._ports[number])]
        words += ["--problems", str(self.problems), "--data-dir", str(self.folder / f"data{number}")]
        for limit in ("submits", "reads", "watch-tokens"):
            words += ["--set-limit", f"{limit}=9999999"]
        return Process(name, [*(sys.executable, "-m", "subcli"), *words], self._env, self._log(name))

    def _worker(self, name: str) -> Process:
        words = [f"sqlite:///{self.database}", self._redis, str(self._cleanup_s)]
        if self._source is not None or name != self.workers[-1]:
            words.append(str(self.problems))
        env = self._env
        env["PYTHONPATH"] = os.pathsep.join(filter(None, (env.get("PYTHONPATH"), str(_ROOT))))
        return Process(name, [sys.executable, "-m", "bench.year.worker", *words], env, self._log(name))

    def _log(self, name: str) -> Path:
        return self.folder / f"{name.replace(' ', '-')}.log"

    async def start(self, *names: str) -> None:
        """Start processes at the same time, by default all that do not run."""
        starts = self._starts()
        new = {name: starts[name]() for name in names or starts if name not in self._running}
        async with asyncio.TaskGroup() as group:
            for process in new.values():
                group.create_task(process.start())
        self._running |= new

    async def stop(self, *names: str) -> None:
        """Stop processes with SIGTERM at the same time, by default all."""
        ending = [self._running.pop(name) for name in names or tuple(self._running)]
        await asyncio.gather(*(process.stop() for process in ending))

    async def upgrade(self) -> None:
        """Restart one process after the other, with this version."""
        self._source = None
        for name in tuple(self._running):
            await self.stop(name)
            await self.start(name)

    def memory_kib(self) -> dict[str, tuple[int, int]]:
        """The process id and the resident memory of each process that runs, by its name."""
        return {name: (each.pids[-1], resident_kib(each.pids[-1])) for name, each in self._running.items()}

    def logs(self) -> str:
        """What the processes logged."""
        found = sorted(self.folder.glob("*.log"))
        return "".join(f"--- {log.name}\n{log.read_text(errors='replace')[-4000:]}" for log in found)

    def errors(self) -> Counter[str]:
        """How often the processes logged which error."""
        lines = (line for log in self.folder.glob("*.log") for line in log.read_text(errors="replace").splitlines())
        return Counter(found[1] for line in lines if (found := _ERROR.match(line)))

    # -- commands ------------------------------------------------------------------------------------

    async def command(self, *words: str, allowed: int = 0, env: Mapping[str, str] | None = None) -> str:
        """Run `subcli`, and return what it prints, on both streams.

        Raises:
            SystemExit: its exit code is another one.
        """
        process = await self.started(*words, env=env)
        said = await ended(process, " ".join(words), allowed)
        self.commands += 1
        return said

    async def started(self, *words: str, env: Mapping[str, str] | None = None) -> asyncio.subprocess.Process:
        """Start `subcli`."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "subcli", *words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**self._env, **(env or {})},
            cwd=self.folder,
        )

    # -- the database --------------------------------------------------------------------------------

    def size_bytes(self) -> int:
        """The size of the database's files."""
        files = [Path(f"{self.database}{suffix}") for suffix in _SUFFIXES]
        return sum(file.stat().st_size for file in files if file.exists())

    def restore(self, backup: Path) -> None:
        """Put a backup in the place of the database, as docs/deploy says; nothing runs."""
        for suffix in _SUFFIXES:
            file = Path(f"{self.database}{suffix}")
            if file.exists():
                file.rename(self.folder / f"replaced{suffix}.db")
        shutil.copyfile(backup, self.database)
        self.database.chmod(0o600)

    def count(self, condition: str) -> int:
        """How many submissions meet a condition of SQL."""
        with closing(sqlite3.connect(self.database, timeout=_BUSY_S)) as connection:
            (found,) = connection.execute(f"SELECT count(*) FROM submissions WHERE {condition}").fetchone()
        return int(found)

    def unjudged(self) -> int:
        """How many submissions have no verdict."""
        return self.count("final_status IS NULL")

    def unpacked(self) -> int:
        """How many logs are to be packed that are not."""
        return self.count(f"NOT packed AND finished_at IS NOT NULL AND finished_at < {time.time() - _DAY_S}")

    def pass_days(self, days: float) -> None:
        """Move all times of submissions back, which is as if so many days had passed."""
        with closing(sqlite3.connect(self.database, timeout=_BUSY_S)) as connection, connection:
            for table, columns in _TIMES.items():
                changes = ", ".join(f"{column} = {column} - {days * _DAY_S}" for column in columns)
                connection.execute(f"UPDATE {table} SET {changes}")


async def ended(process: asyncio.subprocess.Process, what: str, allowed: int) -> str:
    """Wait for the end of a command, and return what it printed.

    Raises:
        SystemExit: its exit code is another one than allowed.
    """
    out, _ = await process.communicate()
    if process.returncode != allowed:
        raise SystemExit(f"`subcli {what}` ended with {process.returncode}: {out.decode(errors='replace')[-3000:]}")
    return out.decode()
