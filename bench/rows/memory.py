"""Memory of a watch after ten thousand and after a million events over the same 1,000 tests."""

from __future__ import annotations

import os
import select
import time

from bench import peers
from bench.measure import Failed, Figure
from bench.processes import python_module, resident_kib, serving, spawned
from bench.table import Line, Table, below

FEW, MANY, TESTS = 10_000, 1_000_000, 1000
LIMIT_S = 120.0
MORE_MB = 5.0


def measure() -> Table:
    """The server goes silent after the last event; then memory is read."""
    lines, targets = [], []
    for name, options in (("watch --json", ["--json"]), ("live view", [])):
        few, many = (after(events, options) for events in (FEW, MANY))
        lines += [Line(f"{name}, {FEW:,} events", Figure((few,))), Line(f"{name}, {MANY:,} events", Figure((many,)))]
        targets.append(below(f"`{name}`: growth from {FEW:,} to {MANY:,} events", many - few, MORE_MB, "MB"))
    return Table(
        title="Memory of a watch",
        unit="MB",
        how=f"Resident memory of the process after this many events, repeated results of {TESTS:,} tests.",
        lines=tuple(lines),
        targets=tuple(targets),
    )


def after(events: int, options: list[str]) -> float:
    """Memory in megabytes after reading this many events."""
    words = ("--events", str(events), "--tests", str(TESTS), "--hold")
    with serving(python_module("stub", *words)) as server:
        command = [str(peers.subcli() / "subcli"), "watch", "1", *options, "--server", server.url]
        with spawned(command, terminal=not options) as (process, output):
            end = time.monotonic() + LIMIT_S
            lines = 0
            # The screen goes on being drawn: it is told by its counts that all have come.
            wanted = f"{TESTS:,}/{TESTS:,}".encode()
            quiet_since = time.monotonic()
            while time.monotonic() < end:
                ready, _, _ = select.select([output], [], [], 1.0)
                if ready:
                    data = os.read(output, 1 << 18)
                    lines += data.count(b"\n")
                if options and lines >= events:
                    break
                if not options and _idle(process.pid):
                    break
            else:
                raise Failed(
                    f"{events:,} events were not read within {LIMIT_S:g} s ({lines:,} lines, {wanted!r}, {quiet_since})"
                )
            time.sleep(0.5)
            return resident_kib(process.pid) * 1024 / 1e6


def _idle(pid: int) -> bool:
    """Whether the process does nothing but refresh its screen."""
    from bench.processes import cpu_s

    before = cpu_s(pid)
    time.sleep(1)
    return cpu_s(pid) - before < 0.25
