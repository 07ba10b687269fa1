"""The judge against a shell script that compiles and runs the same, and its TAP points against bare runs."""

from __future__ import annotations

from bench import peers
from bench.measure import Figure, Outcome
from bench.processes import outcome_of
from bench.table import Line, Table, at_least, below

LIMIT_S = 240.0
THROUGHPUT, BUILDING_MS, POINT_MS = 0.8, 30.0, 5.0


def measure() -> Table:
    """One worker on one processor, without a sandbox."""
    outcome = outcome_of([str(peers.subcli() / "python"), "-m", "bench.inside_scripts"], limit_s=LIMIT_S)
    figures = {name: Figure(tuple(second * 1000 for second in took)) for name, took in outcome.items()}

    def rate(name: str) -> Outcome:
        return Outcome(Figure(tuple(1 / each for each in figures[name].samples)))

    def over_bare(name: str) -> float:
        return figures[f"{name} point, judged"].median - figures[f"{name} point, bare"].median

    return Table(
        title="Judging, over a shell script",
        unit="ms",
        how=(
            "One processor, no sandbox, an idle queue: a submission of ten small cases from the job to the end of its "
            "judging, and a shell script that compiles with the same flags, runs the same program on the same inputs "
            "and compares with `cmp`, at the priority of a solution. The script has no limits, watches nothing and "
            "reports nothing. Then one TAP point, between two results, and the bare run of its program."
        ),
        lines=tuple(Line(name, figure) for name, figure in figures.items()),
        targets=(
            at_least("C++ submissions over the script's", rate("cpp, judged"), rate("cpp, script"), THROUGHPUT),
            at_least(
                "Python submissions over the script's", rate("python, judged"), rate("python, script"), THROUGHPUT
            ),
            below("from the job to `building`", figures["building"].median, BUILDING_MS, "ms"),
            below("a TAP point in C adds", over_bare("c"), POINT_MS, "ms"),
            below("a TAP point in Python adds", over_bare("python"), POINT_MS, "ms"),
        ),
        remarks=(
            "Most of what judging added was starting Python, and forking it (`perf record`, `strace -f`, `cpuacct`). "
            "The supervisor is a fork of a template. A TAP command starts a shell script, whose run is spawned by a "
            "process that has the limits itself (posix_spawn: 0.6 ms, where a fork that sets them took 2.3 ms), and "
            "one loop passes on what all runs write; before, each run had two forks, two threads, a FIFO and two "
            "files of its own, and ext4 took a millisecond and more to make a file where many had been deleted. A "
            "look at what runs took 4 ms, as it read all processes of the machine; it follows the kernel's lists of "
            "children now, 0.2 ms. What starts a solution in Python imports nothing."
        ),
    )
