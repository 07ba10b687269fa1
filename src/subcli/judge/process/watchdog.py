"""Enforces a submission's limits from outside its processes.

The kernel's resource limits apply to a single process (memory) or to a user (number of processes), and not to root.
What a submission uses as a whole only shows in the process tree.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from subcli.judge.evidence import Evidence
from subcli.judge.problem import ResourceLimits
from subcli.judge.process.limits import over_limits, too_many_processes
from subcli.judge.process.processes import (
    Process,
    descendants,
    is_all_below,
    is_crowded,
    kill_all,
    look_at,
    reap_adopted,
    sandboxes_below,
)
from subcli.judge.process.space import SpaceWatch
from subcli.judge.process.starter import Plans
from subcli.judge.process.stopwatch import Stopwatch, Timer
from subcli.judge.process.usage import Files, Usage, by_depth, deleted, in_memory, in_sockets, on_disk
from subcli.judge.sandbox.groups import out_of_memory

_INTERVAL_S = 0.05
_STARVED_S = 0.25
"""A sample that is older than this is late because the machine is busy."""
_MEGABYTE = 1024 * 1024
_EXIT_GRACE_S = 0.5
"""How long killed processes may take to disappear before they count as left behind."""
_KILL_TIMEOUT_S = 2.0
_RETRY_KILL_S = 5.0
"""When a solution that outlives the time limit is killed again."""


class Watchdog:
    """Samples the process tree below this process every 50 ms, and kills a solution that exceeds a limit.

    The solution's processes are those in a session that is not one of the judge's: `spawn` starts each one in a new
    session, and no process can join an existing session.

    Args:
        limits: What the submission may use.
        plans: How its processes are started.
        clock: Returns seconds; replaced in tests.
    """

    def __init__(self, limits: ResourceLimits, plans: Plans, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._plans = plans
        self._disk = Files(limits.files, limits.disk_mb * _MEGABYTE)
        self._building = False
        self._killed = 0
        """Processes that the kernel had killed for lack of memory before the current test."""
        self._clock = clock
        self._own_sessions = {os.getsid(0)}
        self._own_children: set[int] = set()
        self._with_launchers = False
        self._launchers: set[int] = set()
        self._apart: set[int] = set()
        self._tests_pid: int | None = None
        self._stopwatch = Stopwatch(clock)
        self._whole = Timer(self._stopwatch, limits.submission_seconds)
        self._current = self._whole
        """Measures the test or build that runs, or ran last."""
        self._time: Timer | None = None
        """When it is to be killed."""
        self.exceeded: Evidence | None = None
        """The first limit exceeded since `begin`."""
        self.submission_over = asyncio.Event()
        self.space = SpaceWatch(Path(plans.build.directory), limits)

    def trust(self, pid: int, *, with_launchers: bool = False) -> None:
        """Never kill this process: it runs the tests and leads a session of the judge's.

        Args:
            pid: The process.
            with_launchers: Whether it starts the solution through launchers. Then everything else that it starts, in
                whatever session, is not the solution's.
        """
        self._own_sessions.add(pid)
        self._tests_pid = pid
        self._with_launchers = with_launchers
        self.exempt_from_reaping(pid)

    def set_apart(self, pid: int) -> None:
        """This process and what it starts are the problem author's, with limits of their own."""
        self._apart.add(pid)
        self.exempt_from_reaping(pid)

    def exempt_from_reaping(self, pid: int) -> None:
        """Do not reap this child as an orphan: someone else waits for its exit code."""
        self._own_children.add(pid)

    def trust_launcher(self, pid: int) -> None:
        """What this process starts is the solution's; it stands between the tests and the solution itself."""
        self._launchers.add(pid)

    def end_runs(self, runs: Mapping[int, int]) -> None:
        """Kill what tests have started and not ended.

        Args:
            runs: The sessions of the solution's processes, by the launcher of each.
        """
        if runs:
            kill_all(lambda: self._of_runs(runs), timeout_s=_KILL_TIMEOUT_S)
            reap_adopted(self._below(), self._own_children)
            self._launchers.difference_update(runs)

    def _of_runs(self, runs: Mapping[int, int]) -> list[Process]:
        sessions, found = set(runs.values()), set(runs)
        processes: list[Process] = []
        for process in self._below():  # parents before their children
            if process.pid in found or process.parent in found or process.session in sessions:
                found.add(process.pid)
                processes.append(process)
        return [process for process in processes if process.is_alive]

    def begin(self, seconds: float) -> None:
        """A test starts and may take this long."""
        self.exceeded = None
        self.space.look()
        self._killed = out_of_memory(self._plans.groups)
        self._time = self._current = Timer(self._stopwatch, seconds)

    def begin_build(self, seconds: float) -> None:
        """A build starts and may take this long. Only a build may write to the submission's directory."""
        self.begin(seconds)
        self._building = True

    def end(self) -> None:
        """The test or the build is over."""
        self.space.look()
        # What happened since the last sample: a disk that was filled, a process that the kernel killed.
        self.exceeded = self.exceeded or over_limits(self._limits, self._usage([]))
        self._building = False
        self._time = None

    @property
    def is_contended(self) -> bool:
        """Whether the test or build that runs, or ran last, had to wait for the machine; or all of them together."""
        if self._clock() - self._stopwatch.sampled > _STARVED_S:
            # This process itself did not get to look.
            return True
        return self._current.is_contended or (self.submission_over.is_set() and self._whole.is_contended)

    def solution_processes(self) -> list[Process]:
        """The submission's processes that are alive."""
        return self._of_solution(self._below())

    def _below(self) -> list[Process]:
        """Every process below this one. Between most tests only the tests' own is there."""
        if self._tests_pid is not None and self._is_idle():
            tests = look_at(self._tests_pid)
            return [] if tests is None else [tests]
        return descendants(os.getpid())

    def _is_idle(self) -> bool:
        """Whether there is nothing but the tests' own process."""
        return self._tests_pid is not None and is_all_below(self._tests_pid)

    def _of_solution(self, below: list[Process]) -> list[Process]:
        found = [process for process in below if process.session not in self._own_sessions and process.is_alive]
        if self._apart:
            apart = set(self._apart)
            for process in below:  # parents before their children
                if process.parent in apart:
                    apart.add(process.pid)
            found = [process for process in found if process.pid not in apart]
        if not self._with_launchers:
            return found
        own = {self._tests_pid}
        for process in below:  # parents before their children
            if process.parent in own and process.parent not in self._launchers:
                own.add(process.pid)
        self._launchers.intersection_update(process.pid for process in below)
        return [process for process in found if process.pid not in own and process.pid not in self._launchers]

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(_INTERVAL_S)
            self._sample()

    async def clear(self) -> int:
        """Kill what a finished test left running. Returns how many processes that were."""
        deadline = self._clock() + _EXIT_GRACE_S
        left = self.solution_processes()
        while left and self._clock() < deadline:
            # Processes that were just killed need a moment to disappear; a daemon stays.
            await asyncio.sleep(0.01)
            left = self.solution_processes()
        count = len(self._without_sandboxes(left))
        if left:
            kill_all(self.solution_processes, known=left)
        reap_adopted(self._below(), self._own_children)
        return count

    def _sample(self) -> None:
        self.space.look()
        if not self._is_idle():
            # Before anything else: beside a fork bomb, one look at all processes can take seconds.
            self._stop_crowds()
        below = self._below()
        reap_adopted(below, self._own_children)
        running = self._of_solution(below)
        crowd = too_many_processes(self._limits, len(self._without_sandboxes(running)))
        if crowd is not None:
            self._stop(crowd, running)
        self._stopwatch.sample(running, below)
        if self._whole.is_up:
            self.submission_over.set()
        if crowd is not None or not running:
            return
        found = self._over_limit(running)
        if found is not None:
            self._stop(found, running)

    def _stop_crowds(self) -> None:
        """Kill sandboxes in which there are too many processes."""
        limit = self._limits.processes
        pairs = sandboxes_below(os.getpid()) if self._plans.run.layers else []
        crowded = [each for pair in pairs if is_crowded(pair[1].pid, limit) for each in pair]
        crowd = too_many_processes(self._limits, limit + 1)
        if crowded and crowd is not None:
            self._stop(crowd, crowded)

    def _stop(self, exceeded: Evidence, running: list[Process]) -> None:
        """Kill the solution, of which these processes were seen, for exceeding a limit."""
        self.exceeded = self.exceeded or exceeded
        kill_all(self.solution_processes, known=running, timeout_s=_KILL_TIMEOUT_S)

    def _without_sandboxes(self, running: list[Process]) -> list[Process]:
        """The processes that the solution itself has started, without bubblewrap's."""
        depths = by_depth(running)
        return [each for each in running if depths[each.pid] >= self._plans.run.layers]

    def _usage(self, running: list[Process]) -> Usage:
        plans = self._plans
        depths = by_depth(running)
        # The first process of a sandbox shows the files of all of them.
        sandboxes = [each.pid for each in running if depths[each.pid] == plans.run.layers - 1]
        places = [in_memory(sandbox, plans.scratch) for sandbox in sandboxes]
        in_kernel = sum(place.size for place in places) + sum(map(in_sockets, sandboxes))
        if self._building:
            workspace = Path(plans.build.directory)
            places.append(on_disk(workspace, self._disk) + deleted(running, workspace.stat().st_dev))
        sizes = [each.resident_bytes for each in self._without_sandboxes(running)]
        return Usage(
            processes=len(sizes),
            largest=max(sizes, default=0),
            memory=sum(sizes) + in_kernel,
            places=tuple(places),
            killed=out_of_memory(plans.groups) - self._killed,
        )

    def _over_limit(self, running: list[Process]) -> Evidence | None:
        found = over_limits(self._limits, self._usage(running))
        if found is None and self._time is not None and self._time.is_up:
            self._time = Timer(self._stopwatch, _RETRY_KILL_S)
            seconds = self._limits.test_seconds
            message = f"the build took longer than {seconds:g} s" if self._building else "the time limit passed"
            return Evidence(kind="limit", limit="time", message=message, seconds=seconds)
        return found
