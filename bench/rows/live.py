"""The same events into the live view, on a real pseudo-terminal."""

from __future__ import annotations

from bench import peers
from bench.measure import in_turns
from bench.processes import python_module, read_all, serving
from bench.table import Table, at_most, lines_of

EVENTS = 200_000
ROUNDS = 3


def measure() -> Table:
    """Time whole commands from start to end."""
    subcli = str(peers.subcli() / "subcli")
    with serving(python_module("stub", "--events", str(EVENTS))) as server:
        watch = [subcli, "watch", "1", "--server", server.url]
        outcomes = in_turns(
            {
                "watch --json into a pipe": lambda: read_all([*watch, "--json"]).ended_s,
                "watch into a terminal": lambda: read_all(watch, terminal=True).ended_s,
            },
            rounds=ROUNDS,
            warm_up=0,
            budget_s=70,
        )
    return Table(
        title=f"{EVENTS:,} events into the live view",
        unit="s",
        how="Whole commands. The terminal has 120 columns and 40 lines and is read as fast as it is written.",
        lines=lines_of(outcomes),
        targets=(
            at_most(
                "the live view over `--json`",
                outcomes["watch into a terminal"],
                outcomes["watch --json into a pipe"],
                1,
            ),
        ),
        base="watch --json into a pipe",
        digits=2,
    )
