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
            "Most of what judging added was starting Python (`perf stat`, `-X importtime`, `strace -f`): a supervisor "
            "for each submission, an interpreter to set the limits of each process, `py_compile`, and a launcher for "
            "each run of a TAP command. The supervisor and the launcher are forks now, limits are set in a fork where "
            "that is safe, and the scripts that still start import a third of what they did."
        ),
    )
