"""What the sandbox adds to each process of a submission."""

from __future__ import annotations

from bench import peers
from bench.measure import Figure
from bench.processes import outcome_of
from bench.table import Line, Table, below

LIMIT_S = 120.0
MOST_MS = 12.0


def measure() -> Table:
    """The same program with and without it."""
    outcome = outcome_of([str(peers.subcli() / "python"), "-m", "bench.sandbox"], limit_s=LIMIT_S)
    figures = {name: Figure(tuple(took)) for name, took in outcome.items()}
    added = figures["sandbox"].median - figures["plain"].median
    return Table(
        title="A sandboxed process",
        unit="ms",
        how=(
            "A Python that exits immediately, started by a process with one thread, as the nodes of a submission are: "
            "from before the start to after the exit. What the processes of a submission share is made before."
        ),
        lines=tuple(Line(name, figure) for name, figure in figures.items()),
        targets=(below("the sandbox adds to a process", added, MOST_MS, "ms"),),
        remarks=(
            "A third of it was reading the list of all mounts, which bubblewrap does again for each of some seventy "
            "directories and files (`perf record`, `strace -f`). What all processes of a submission see alike is now "
            "mounted once, in a namespace that each enters; it adds that with one recursive mount, then /proc, /tmp "
            "and /dev/shm of its own. Joining the control groups waited for all processors three times; a single "
            "thread joins those of version 1 without. As root, limits of processes and signals are set before, where "
            "prlimit(1) had to start inside. Of what is left, hiding nineteen files of /proc takes a third, the "
            "namespaces and the system call filter another one, and the fork and its control groups the rest."
        ),
    )
