"""Whose processes count, which limit is named, and what is killed: on a machine whose processes the test makes up."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from subcli.judge.evidence import Evidence
from subcli.judge.problem import ResourceLimits
from subcli.judge.process import watchdog as module
from subcli.judge.process.processes import Process
from subcli.judge.process.starter import Plans, StartPlan
from subcli.judge.process.usage import Files
from subcli.judge.process.watchdog import Watchdog

MB = 1024 * 1024
LIMITS = ResourceLimits(
    test_seconds=2.0, submission_seconds=60.0, memory_mb=100, total_memory_mb=150, processes=3, disk_mb=8, files=20
)
ME, TESTS, OTHER, SOLUTION = os.getpid(), 5_000_001, 5_000_002, 5_000_003


def process(pid: int, parent: int, session: int | None = None, **more: Any) -> Process:
    fields = {"state": "S", "resident_bytes": MB, "name": "x", **more}
    return Process(pid=pid, parent=parent, session=pid if session is None else session, **fields)


@dataclass
class Machine:
    """What there is, and what was done to it."""

    now: float = 1000.0
    processes: list[Process] = field(default_factory=list)
    sandboxes: list[tuple[Process, Process]] = field(default_factory=list)
    crowded: set[int] = field(default_factory=set)
    out_of_memory: int = 0
    killed: list[set[int]] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    reaped: list[set[int]] = field(default_factory=list)
    stubborn: bool = False

    def kill_all(
        self, find: Callable[[], list[Process]], *, known: list[Process] | None = None, timeout_s: float = 5.0
    ) -> bool:
        """As the real one: what is known first, then what is found."""
        while alive := known or find():
            self.killed.append({each.pid for each in alive})
            self.timeouts.append(timeout_s)
            self.processes = [each for each in self.processes if each not in alive]
            known = None
            if self.stubborn:
                return False
        return True


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()

    def is_crowded(sandbox: int, limit: int) -> bool:
        assert limit == LIMITS.processes
        return sandbox in made.crowded

    for name, stand_in in {
        "descendants": lambda _root: list(made.processes),
        "is_all_below": lambda pid: [each.pid for each in made.processes] == [pid],
        "look_at": lambda pid: next((each for each in made.processes if each.pid == pid), None),
        "sandboxes_below": lambda _root: made.sandboxes,
        "is_crowded": is_crowded,
        "kill_all": made.kill_all,
        "reap_adopted": lambda _below, own: made.reaped.append(set(own)),
        "out_of_memory": lambda _groups: made.out_of_memory,
        "in_memory": lambda _pid, _directories: Files(),
        "in_sockets": lambda _pid: 0,
    }.items():
        monkeypatch.setattr(module, name, stand_in)
    monkeypatch.setattr("subcli.judge.process.stopwatch.delay_s", lambda _pid, _threads=1: 0.0)
    return made


def watching(machine: Machine, tmp_path: Path, *, layers: int = 0, limits: ResourceLimits = LIMITS) -> Watchdog:
    plan = StartPlan((), {}, str(tmp_path), layers)
    return Watchdog(limits, Plans(plan, plan, scratch=("/tmp",)), lambda: machine.now)


@pytest.fixture
def watchdog(machine: Machine, tmp_path: Path) -> Watchdog:
    return watching(machine, tmp_path)


def pids(processes: list[Process]) -> list[int]:
    return [each.pid for each in processes]


def test_solution_is_what_leads_sessions_of_its_own(machine: Machine, watchdog: Watchdog) -> None:
    """Not the tests, nor what is in a session of the judge's, nor what has ended."""
    watchdog.trust(TESTS)
    machine.processes = [
        process(TESTS, ME),
        process(10, TESTS, TESTS),
        process(11, ME, os.getsid(0)),
        process(SOLUTION, TESTS),
        process(12, SOLUTION, SOLUTION),
        process(13, 1),
        process(14, SOLUTION, state="Z"),
    ]
    assert pids(watchdog.solution_processes()) == [SOLUTION, 12, 13]


def test_what_the_author_runs_is_set_apart(machine: Machine, watchdog: Watchdog) -> None:
    """A checker, with all that it starts, in whatever session."""
    watchdog.set_apart(20)
    machine.processes = [process(20, ME), process(21, 20), process(22, 21), process(SOLUTION, ME)]
    assert pids(watchdog.solution_processes()) == [SOLUTION]


def test_behind_launchers_is_the_solution(machine: Machine, watchdog: Watchdog) -> None:
    """All else that a TAP command starts is its own, also in sessions of their own; a launcher is neither."""
    watchdog.trust(TESTS, with_launchers=True)
    watchdog.trust_launcher(30)
    watchdog.trust_launcher(99)
    machine.processes = [
        process(TESTS, ME),
        process(31, TESTS),
        process(32, 31),
        process(30, 31),
        process(SOLUTION, 30),
        process(33, SOLUTION),
    ]
    assert pids(watchdog.solution_processes()) == [SOLUTION, 33]
    # One that has ended may be another process tomorrow.
    machine.processes = [process(TESTS, ME), process(99, TESTS), process(34, 99)]
    assert watchdog.solution_processes() == []


def test_only_the_tests_are_there(machine: Machine, watchdog: Watchdog) -> None:
    """Between most tests; then nothing else is looked at."""
    watchdog.trust(TESTS)
    machine.processes = [process(TESTS, ME)]
    watchdog._sample()
    assert watchdog.solution_processes() == []
    assert machine.killed == []


def test_too_many_processes_are_killed(machine: Machine, watchdog: Watchdog) -> None:
    """One more than is allowed; the evidence names the first limit that was exceeded."""
    watchdog.begin(2.0)
    machine.processes = [process(SOLUTION + n, ME) for n in range(3)]
    watchdog._sample()
    assert (watchdog.exceeded, machine.killed) == (None, [])
    machine.processes.append(process(40, ME))
    watchdog._sample()
    assert watchdog.exceeded is not None
    assert watchdog.exceeded.message == "4 processes at once, more than the limit of 3"
    assert machine.killed == [{SOLUTION, SOLUTION + 1, SOLUTION + 2, 40}]
    assert machine.timeouts == [2.0]
    first = watchdog.exceeded
    machine.processes = [process(SOLUTION, ME, resident_bytes=200 * MB)]
    watchdog._sample()
    assert watchdog.exceeded is first
    assert len(machine.killed) == 2


def test_bubblewraps_own_processes_do_not_count(machine: Machine, tmp_path: Path) -> None:
    """Two of each sandbox: neither as processes, nor with their memory."""
    watchdog = watching(machine, tmp_path, layers=2)
    watchdog.begin(2.0)
    outer, first = process(50, ME, resident_bytes=90 * MB), process(51, 50, 50, resident_bytes=90 * MB)
    machine.processes = [outer, first, *(process(52 + n, 51, 52) for n in range(3))]
    watchdog._sample()
    assert (watchdog.exceeded, machine.killed) == (None, [])
    machine.processes.append(process(60, 51, 52))
    watchdog._sample()
    assert watchdog.exceeded is not None
    assert watchdog.exceeded.actual == "4 processes"
    assert machine.killed == [{50, 51, 52, 53, 54, 60}]


def test_crowd_in_a_sandbox_is_killed_before_it_is_counted(machine: Machine, tmp_path: Path) -> None:
    """With the sandbox: beside a fork bomb, one look at all processes may take seconds."""
    watchdog = watching(machine, tmp_path, layers=2)
    watchdog.begin(2.0)
    pairs = [(process(50 + n, ME), process(60 + n, 50 + n)) for n in range(2)]
    machine.processes = [each for pair in pairs for each in pair]
    machine.sandboxes, machine.crowded = pairs, {61}
    watchdog._sample()
    assert watchdog.exceeded is not None
    assert watchdog.exceeded.message == "4 processes at once, more than the limit of 3"
    assert machine.killed[0] == {51, 61}


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((100, 50), None),
        ((101,), "a process used 101 MB of memory, more than the limit of 100 MB"),
        ((80, 71), "all processes used 151 MB of memory, more than the limit of 150 MB"),
    ],
)
def test_memory_of_one_and_of_all(
    machine: Machine, watchdog: Watchdog, sizes: tuple[int, ...], message: str | None
) -> None:
    """What is within both stays."""
    watchdog.begin(2.0)
    machine.processes = [process(70 + n, ME, resident_bytes=size * MB) for n, size in enumerate(sizes)]
    watchdog._sample()
    assert (watchdog.exceeded and watchdog.exceeded.message) == message
    assert bool(machine.killed) == bool(message)


def test_memory_of_files_and_sockets_counts(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of each sandbox, seen from its first process."""
    asked: list[tuple[int, tuple[str, ...]]] = []

    def files(pid: int, directories: tuple[str, ...]) -> Files:
        asked.append((pid, directories))
        return Files(3, 5 * MB)

    monkeypatch.setattr(module, "in_memory", files)
    monkeypatch.setattr(module, "in_sockets", lambda pid: 60 * MB if pid == 51 else 0)
    watchdog = watching(machine, tmp_path, layers=2)
    watchdog.begin(2.0)
    machine.processes = [process(50, ME), process(51, 50), process(52, 51, resident_bytes=85 * MB)]
    watchdog._sample()
    assert watchdog.exceeded is None
    machine.processes[-1] = replace(machine.processes[-1], resident_bytes=86 * MB)
    watchdog._sample()
    assert watchdog.exceeded is not None
    assert watchdog.exceeded.actual == "151 MB in 1 processes"
    assert asked == [(51, ("/tmp",))] * 2


def test_kernel_that_ran_out_of_memory(machine: Machine, watchdog: Watchdog) -> None:
    """Since the test began; also if that was the last thing that happened in it."""
    machine.out_of_memory = 2
    watchdog.begin(2.0)
    watchdog.end()
    assert watchdog.exceeded is None
    watchdog.begin(2.0)
    machine.out_of_memory = 3
    watchdog.end()
    assert watchdog.exceeded is not None
    assert watchdog.exceeded.actual == "more; the kernel killed a process"
    watchdog.begin(2.0)
    assert watchdog.exceeded is None


@pytest.mark.parametrize("is_build", [False, True])
def test_time_that_is_up(machine: Machine, tmp_path: Path, *, is_build: bool) -> None:
    """Of the test or of the build, which the sentence says; a solution that outlives it is killed again and again."""
    watchdog = watching(machine, tmp_path)
    (watchdog.begin_build if is_build else watchdog.begin)(2.0)
    machine.processes = [process(SOLUTION, ME)]
    machine.stubborn = True
    kills = []
    for _ in range(16):
        machine.now += 0.5
        machine.processes = [process(SOLUTION, ME)]
        watchdog._sample()
        kills.append(len(machine.killed))
    # Beyond two seconds, and five seconds after each time.
    assert kills == [0] * 4 + [1] * 11 + [2]
    message = "the build took longer than 2 s" if is_build else "the time limit passed"
    assert watchdog.exceeded == Evidence(kind="limit", limit="time", message=message, seconds=2.0)


def test_time_ends_with_the_test(machine: Machine, watchdog: Watchdog) -> None:
    """What runs between two tests is not killed for it, and the next one has its own."""
    watchdog.begin(2.0)
    machine.now += 1.5
    machine.processes = [process(SOLUTION, ME)]
    watchdog._sample()
    watchdog.end()
    machine.now += 5
    watchdog._sample()
    watchdog.begin(2.0)
    machine.now += 1.5
    watchdog._sample()
    assert (watchdog.exceeded, machine.killed) == (None, [])
    machine.now += 1
    watchdog._sample()
    assert machine.killed == [{SOLUTION}]


def test_time_of_the_whole_submission(machine: Machine, watchdog: Watchdog) -> None:
    """All tests together, whether something runs or not."""
    machine.now += 60
    watchdog._sample()
    assert not watchdog.submission_over.is_set()
    machine.now += 0.5
    watchdog._sample()
    assert watchdog.submission_over.is_set()


def test_only_a_build_writes_to_the_disk(machine: Machine, watchdog: Watchdog, tmp_path: Path) -> None:
    """What it leaves is measured while it runs and when it ends; what a run writes there is not."""
    for number in range(21):
        (tmp_path / str(number)).touch()
    watchdog.begin(2.0)
    watchdog.end()
    assert watchdog.exceeded is None
    watchdog.begin_build(2.0)
    machine.processes = [process(SOLUTION, ME)]
    watchdog._sample()
    assert watchdog.exceeded is not None
    assert watchdog.exceeded.limit == "disk"
    assert machine.killed == [{SOLUTION}]
    watchdog.begin_build(2.0)
    watchdog.end()
    assert watchdog.exceeded is not None


async def test_what_a_test_left_is_killed_and_counted(machine: Machine, tmp_path: Path) -> None:
    """After half a second, in which what was killed may disappear; bubblewrap's own does not count."""
    watchdog = watching(machine, tmp_path, layers=2)
    watchdog.exempt_from_reaping(5)
    assert await watchdog.clear() == 0
    machine.processes = [process(50, ME), process(51, 50), process(52, 51), process(53, 51)]
    machine.now += 1
    step = 0.2

    def later() -> float:
        machine.now += step
        return machine.now

    watchdog._clock = later
    assert await watchdog.clear() == 2
    assert machine.killed == [{50, 51, 52, 53}]
    assert machine.reaped == [{5}, {5}]


async def test_what_disappears_by_itself_was_not_left(machine: Machine, watchdog: Watchdog) -> None:
    """It had been killed, and needed a moment."""
    machine.processes = [process(SOLUTION, ME)]

    def gone() -> float:
        machine.processes = []
        return machine.now

    watchdog._clock = gone
    assert await watchdog.clear() == 0
    assert machine.killed == []


def test_runs_that_a_test_left_are_ended(machine: Machine, watchdog: Watchdog) -> None:
    """The launcher, what is below it, and what is in the solution's session, wherever it hangs now."""
    watchdog.trust(TESTS, with_launchers=True)
    watchdog.trust_launcher(80)
    machine.processes = [
        process(TESTS, ME),
        process(80, TESTS, TESTS),
        process(81, 80),
        process(82, 81),
        process(83, 1, 81),
        process(84, TESTS, TESTS),
        process(85, 81, state="Z"),
    ]
    watchdog.end_runs({})
    assert machine.killed == []
    watchdog.end_runs({80: 81})
    assert machine.killed == [{80, 81, 82, 83}]
    assert machine.timeouts == [2.0]
    assert machine.reaped == [{TESTS}]


@pytest.mark.parametrize(("late_s", "contended"), [(0.25, False), (0.5, True)])
def test_a_watchdog_that_did_not_get_to_look(
    machine: Machine, watchdog: Watchdog, *, late_s: float, contended: bool
) -> None:
    """The machine was busy, whatever the last sample says."""
    watchdog.begin(2.0)
    machine.processes = [process(SOLUTION, ME)]
    machine.now += 1
    watchdog._sample()
    machine.now += late_s
    assert watchdog.is_contended is contended


def test_waiting_for_the_machine_is_told(machine: Machine, watchdog: Watchdog) -> None:
    """Of the test that runs, and of all of them once the submission's time is over."""
    watchdog.begin(2.0)
    machine.processes = [process(SOLUTION, ME, state="R")]
    machine.now += 1
    watchdog._sample()
    assert watchdog.is_contended
    watchdog.end()
    watchdog.begin(2.0)
    machine.processes = [process(SOLUTION, ME, state="S")]
    machine.now += 1
    watchdog._sample()
    assert not watchdog.is_contended
    watchdog.submission_over.set()
    assert watchdog.is_contended
