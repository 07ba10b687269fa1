"""Holds a submission's processes to its limits, from outside of them.

Resource limits of the kernel count by process (memory) or by user (processes), and mean nothing to root; what a
submission uses as a whole only shows in the process tree.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

from subcli.judge.evidence import Evidence
from subcli.judge.problem import Limits
from subcli.judge.processes import Process, descendants, kill_all, reap_adopted

_INTERVAL = 0.05
_MEGABYTE = 1024 * 1024
_DYING_SECONDS = 0.5


class Watchdog:
    """Samples the tree below this process every 50 ms; kills a solution that exceeds a limit and says which.

    A solution's processes are those in a session that is not the judge's: `spawn` gives each one a session of
    its own, and no process can join a session that exists.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._ours = {os.getsid(0)}
        self._own_children: set[int] = set()
        self._deadline: float | None = None
        self._started = clock()
        self.exceeded: Evidence | None = None
        """The first limit exceeded since `begin`."""
        self.submission_over = asyncio.Event()

    def trust(self, pid: int) -> None:
        """A process of the judge's own, leader of its session."""
        self._ours.add(pid)
        self.leave_to_its_starter(pid)

    def leave_to_its_starter(self, pid: int) -> None:
        """A child whose exit code someone waits for: not to be reaped as an orphan."""
        self._own_children.add(pid)

    def begin(self, seconds: float) -> None:
        """A test (or a build) starts; it may take so long."""
        self.exceeded = None
        self._deadline = self._clock() + seconds

    def end(self) -> None:
        """It is over."""
        self._deadline = None

    def solution_processes(self) -> list[Process]:
        """What of the submission is alive."""
        return [
            process for process in descendants(os.getpid()) if process.session not in self._ours and process.is_alive
        ]

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(_INTERVAL)
            self._look()

    async def clear(self) -> int:
        """Kill what a finished test left running. Returns how many such processes there were."""
        deadline = self._clock() + _DYING_SECONDS
        left = self.solution_processes()
        while left and self._clock() < deadline:
            # Those killed a moment ago need a moment to vanish; a daemon stays.
            await asyncio.sleep(0.01)
            left = self.solution_processes()
        count = len(left)
        if left:
            kill_all(self.solution_processes)
        reap_adopted(self._own_children)
        return count

    def _look(self) -> None:
        now = self._clock()
        reap_adopted(self._own_children)
        if now - self._started > self._limits.submission_seconds:
            self.submission_over.set()
        running = self.solution_processes()
        if not running:
            return
        found = self._over_limit(running, now)
        if found is not None:
            self.exceeded = self.exceeded or found
            kill_all(self.solution_processes, patience=2.0)

    def _over_limit(self, running: list[Process], now: float) -> Evidence | None:
        limits = self._limits
        if len(running) > limits.processes:
            return Evidence(
                kind="limit",
                limit="processes",
                message=f"{len(running)} processes at once, more than the limit of {limits.processes}",
                expected=f"at most {limits.processes} processes",
                actual=f"{len(running)} processes",
            )
        used = sum(process.resident_bytes for process in running) // _MEGABYTE
        largest = max(process.resident_bytes for process in running) // _MEGABYTE
        if largest > limits.memory_mb:
            return Evidence(
                kind="limit",
                limit="memory",
                message=f"a process used {largest} MB of memory, more than the limit of {limits.memory_mb} MB",
                expected=f"at most {limits.memory_mb} MB for each process",
                actual=f"{largest} MB in one process, {used} MB in all",
            )
        if used > limits.total_memory_mb:
            return Evidence(
                kind="limit",
                limit="memory",
                message=f"all processes used {used} MB of memory, more than the limit of {limits.total_memory_mb} MB",
                expected=f"at most {limits.total_memory_mb} MB in all",
                actual=f"{used} MB in {len(running)} processes",
            )
        if self._deadline is not None and now > self._deadline:
            self._deadline = now + 5.0
            return Evidence(
                kind="limit",
                limit="time",
                message="the time limit passed",
                seconds=limits.test_seconds,
            )
        return None
