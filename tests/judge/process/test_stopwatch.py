"""What counts as the time of a test, whatever else the machine does."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from subcli.judge.process.processes import Process
from subcli.judge.process.stopwatch import MAX_STRETCH, Stopwatch, Timer

SOLUTION, TESTS = 9_000_001, 9_000_002


@dataclass
class Machine:
    """A machine on which time passes as the test says."""

    now: float = 0.0
    delays_s: dict[int, float] = field(default_factory=dict)

    def delay_s(self, pid: int, threads: int = 1) -> float:
        """What the kernel says of a process, or of the judge's own."""
        return self.delays_s.get(pid if pid in (SOLUTION, TESTS) else 0, 0.0)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr("subcli.judge.process.stopwatch.delay_s", made.delay_s)
    return made


@pytest.fixture
def stopwatch(machine: Machine) -> Stopwatch:
    return Stopwatch(lambda: machine.now)


def process(pid: int, state: str = "S", cpu_s: float = 0.0) -> Process:
    return Process(pid, 1, pid, state, 0, "x", cpu_s)


def test_waiting_counts(machine: Machine, stopwatch: Stopwatch) -> None:
    machine.now = 0.5
    stopwatch.sample([process(SOLUTION)], [process(SOLUTION), process(TESTS)])
    assert stopwatch.used_s == 0.5


@pytest.mark.parametrize("state", ["R", "D"])
@pytest.mark.parametrize("pid", [SOLUTION, TESTS])
def test_waiting_for_the_machine_does_not(machine: Machine, stopwatch: Stopwatch, state: str, pid: int) -> None:
    """Ready to run, or waiting for the disk."""
    machine.now = 0.5
    solution, tests = (process(each, state if each == pid else "S") for each in (SOLUTION, TESTS))
    stopwatch.sample([solution], [solution, tests])
    assert stopwatch.used_s == 0.0


@pytest.mark.parametrize("pid", [SOLUTION, TESTS, 0], ids=["solution", "tests", "judge"])
def test_delays_between_samples_do_not_count(machine: Machine, stopwatch: Stopwatch, pid: int) -> None:
    """Asleep when looked at, but for most of the time kept from running."""
    machine.now, machine.delays_s[pid] = 0.5, 0.375
    stopwatch.sample([process(SOLUTION)], [process(SOLUTION), process(TESTS)])
    assert stopwatch.used_s == 0.125
    machine.now = 1.0
    stopwatch.sample([process(SOLUTION)], [process(SOLUTION), process(TESTS)])
    assert stopwatch.used_s == 0.625


def test_processor_time_counts_once(machine: Machine, stopwatch: Stopwatch) -> None:
    """More than has passed, where it has several processors; the time that the tests compute does not count."""
    machine.now = 0.5
    stopwatch.sample([process(SOLUTION, "R", 0.75)], [process(SOLUTION, "R", 0.75), process(TESTS, "R", 5.0)])
    machine.now = 1.0
    stopwatch.sample([process(SOLUTION, "R", 1.0)], [process(SOLUTION, "R", 1.0)])
    assert stopwatch.used_s == 1.0


def test_timer_counts_from_its_start(machine: Machine, stopwatch: Stopwatch) -> None:
    machine.now = 5.0
    stopwatch.sample([process(SOLUTION)], [process(SOLUTION)])
    timer = Timer(stopwatch, 1.0)
    machine.now = 6.0
    stopwatch.sample([process(SOLUTION)], [process(SOLUTION)])
    assert not timer.is_up
    machine.now = 6.25
    stopwatch.sample([process(SOLUTION)], [process(SOLUTION)])
    assert timer.is_up


def test_timer_ends_on_the_busiest_machine(machine: Machine, stopwatch: Stopwatch) -> None:
    timer = Timer(stopwatch, 1.0)
    machine.now = MAX_STRETCH
    stopwatch.sample([process(SOLUTION, "R")], [process(SOLUTION, "R")])
    assert not timer.is_up
    machine.now = MAX_STRETCH + 0.5
    stopwatch.sample([process(SOLUTION, "R")], [process(SOLUTION, "R")])
    assert (timer.is_up, stopwatch.used_s) == (True, 0.0)


@pytest.mark.parametrize(
    ("state", "delay_s", "contended"),
    [("S", 0.0, False), ("R", 0.0, True), ("S", 0.5, True), ("S", 0.1, False)],
    ids=["it waits", "it is kept from running", "others ran for half the time", "others hardly ran"],
)
def test_contention_is_time_that_nobody_used(
    machine: Machine, stopwatch: Stopwatch, state: str, delay_s: float, contended: bool
) -> None:
    """Since the timer began; what was before is no matter."""
    machine.now = 50.0
    stopwatch.sample([process(SOLUTION, "R")], [process(SOLUTION, "R")])
    timer = Timer(stopwatch, 1.0)
    machine.now, machine.delays_s[SOLUTION] = 51.0, delay_s
    stopwatch.sample([process(SOLUTION, state)], [process(SOLUTION, state)])
    assert timer.is_contended is contended


def test_a_solution_that_computes_all_the_time_is_not_contended(machine: Machine, stopwatch: Stopwatch) -> None:
    timer = Timer(stopwatch, 1.0)
    machine.now = 1.0
    stopwatch.sample([process(SOLUTION, "R", 1.0)], [process(SOLUTION, "R", 1.0)])
    assert not timer.is_contended
