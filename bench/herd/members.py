"""What the trial starts and what it follows."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.herd.sums import SOLUTIONS

MANY: Final = "user0"


@dataclass
class Followed:
    """A submission, its known verdict, and what its watcher saw."""

    user: str
    kind: str
    submission_id: int = 0
    seqs: list[int] = field(default_factory=list)
    is_over: bool = False
    reconnects: int = 0

    @property
    def expected(self) -> str:
        """The verdict that the judge must give."""
        return SOLUTIONS[self.kind][1]


class Process:
    """A gateway or a worker that can be stopped and started again."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self.name = name
        self._command = command
        self._env = env
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self.pids: list[int] = []

    async def start(self) -> None:
        """Start it and wait until it is ready. Raises SystemExit if it does not get there."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self._env,
            )
        self.pids.append(self._process.pid)
        assert self._process.stdout is not None
        if not await self._process.stdout.readline():
            raise SystemExit(f"{self.name} did not start: {self._log.read_text()[-2000:]}")

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal and wait for the end."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(number)
        await self._process.wait()

    def judged_with(self, worker: str) -> bool:
        """Whether this is the worker of that name, `host:pid:random`."""
        return int(worker.split(":")[-2]) in self.pids
