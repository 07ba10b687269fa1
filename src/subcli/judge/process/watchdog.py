"""Holds a submission's processes to its limits, from outside of them.

Resource limits of the kernel count by process (memory) or by user (processes), and mean nothing to root; what a
submission uses as a whole only shows in the process tree.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

from subcli.judge.evidence import Evidence
from subcli.judge.problem import ResourceLimits
from subcli.judge.process.limits import over_limits
from subcli.judge.process.processes import Process, descendants, is_all_below, kill_all, reap_adopted
from subcli.judge.process.starter import Plans
from subcli.judge.process.usage import Files, Usage, by_depth, deleted, in_memory, on_disk
from subcli.judge.sandbox.groups import out_of_memory

_INTERVAL = 0.05
_MEGABYTE = 1024 * 1024
_DYING_SECONDS = 0.5


class Watchdog:
    """Samples the tree below this process every 50 ms; kills a solution that exceeds a limit and says which.

    A solution's processes are those in a session that is not the judge's: `spawn` gives each one a session of
    its own, and no process can join a session that exists.
    """

    def __init__(self, limits: ResourceLimits, plans: Plans, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._plans = plans
        self._disk = Files(limits.files, limits.disk_mb * _MEGABYTE)
        self._building = False
        self._killed = 0
        """Processes that the kernel had killed for lack of memory before the present test."""
        self._clock = clock
        self._ours = {os.getsid(0)}
        self._own_children: set[int] = set()
        self._tests: int | None = None
        self._deadline: float | None = None
        self._started = clock()
        self.exceeded: Evidence | None = None
        """The first limit exceeded since `begin`."""
        self.submission_over = asyncio.Event()

    def trust(self, pid: int) -> None:
        """The process of the judge's own that runs the tests, leader of its session."""
        self._ours.add(pid)
        self._tests = pid
        self.exempt_from_reaping(pid)

    def exempt_from_reaping(self, pid: int) -> None:
        """A child whose exit code someone waits for: not to be reaped as an orphan."""
        self._own_children.add(pid)

    def begin(self, seconds: float) -> None:
        """A test starts; it may take so long."""
        self.exceeded = None
        self._killed = out_of_memory(self._plans.groups)
        self._deadline = self._clock() + seconds

    def begin_build(self, seconds: float) -> None:
        """A build starts; it may take so long. Alone it may write to the submission's directory."""
        self.begin(seconds)
        self._building = True

    def end(self) -> None:
        """The test, or the build, is over."""
        # What it did last: filled a disk, and was killed by the kernel.
        self.exceeded = self.exceeded or over_limits(self._limits, self._usage([]))
        self._building = False
        self._deadline = None

    def solution_processes(self) -> list[Process]:
        """What of the submission is alive."""
        return self._of_solution(self._below())

    def _below(self) -> list[Process]:
        """All that is below this process; nothing where that is the tests' alone, as it is between most of them."""
        if self._tests is not None and is_all_below(self._tests):
            return []
        return descendants(os.getpid())

    def _of_solution(self, below: list[Process]) -> list[Process]:
        return [process for process in below if process.session not in self._ours and process.is_alive]

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
        depths = by_depth(left)
        count = sum(depths[each.pid] >= self._plans.run.layers for each in left)
        if left:
            kill_all(self.solution_processes)
        reap_adopted(self._below(), self._own_children)
        return count

    def _look(self) -> None:
        now = self._clock()
        below = self._below()
        reap_adopted(below, self._own_children)
        if now - self._started > self._limits.submission_seconds:
            self.submission_over.set()
        running = self._of_solution(below)
        if not running:
            return
        found = self._over_limit(running, now)
        if found is not None:
            self.exceeded = self.exceeded or found
            kill_all(self.solution_processes, patience=2.0)

    def _usage(self, running: list[Process]) -> Usage:
        plans = self._plans
        depths = by_depth(running)
        # The first process of each sandbox sees what all in it see.
        places = [in_memory(each.pid, plans.scratch) for each in running if depths[each.pid] == plans.run.layers - 1]
        in_files = sum(place.size for place in places)
        if self._building:
            workspace = Path(plans.build.directory)
            places.append(on_disk(workspace, self._disk) + deleted(running, workspace.stat().st_dev))
        sizes = [each.resident_bytes for each in running if depths[each.pid] >= plans.run.layers]
        return Usage(
            processes=len(sizes),
            largest=max(sizes, default=0),
            memory=sum(sizes) + in_files,
            places=tuple(places),
            killed=out_of_memory(plans.groups) - self._killed,
        )

    def _over_limit(self, running: list[Process], now: float) -> Evidence | None:
        found = over_limits(self._limits, self._usage(running))
        if found is None and self._deadline is not None and now > self._deadline:
            self._deadline = now + 5.0
            return Evidence(
                kind="limit",
                limit="time",
                message="the time limit passed",
                seconds=self._limits.test_seconds,
            )
        return found
