"""The same events without ``seq``, each about another test: what a server of the bare specification sends."""

from __future__ import annotations

from bench import peers
from bench.measure import in_turns
from bench.processes import CONTENDERS, python_module, serving
from bench.rows.throughput import ALL, EVENTS, OURS, TUNED, events_a_second, lost
from bench.table import Table, Target, at_most, lines_of

ROUNDS = 3


def measure() -> Table:
    """Compare with the tuned loop."""
    seen: dict[str, list[int]] = {TUNED: [], OURS: []}
    subcli = peers.subcli()
    with serving(python_module("stub", "--events", str(EVENTS), "--tests", str(EVENTS), "--unnumbered")) as server:
        tuned = [str(subcli / "python"), str(CONTENDERS / "tuned_loop.py"), server.ws]
        ours = [str(subcli / "subcli"), "watch", "1", "--json", "--server", server.url]
        outcomes = in_turns(
            {
                TUNED: events_a_second(lambda: tuned, seen[TUNED]),
                OURS: events_a_second(lambda: ours, seen[OURS]),
            },
            rounds=ROUNDS,
            warm_up=0,
            budget_s=110,
        )
    notes = {name: lost(counts) for name, counts in seen.items() if counts}
    return Table(
        title=f"{EVENTS:,} events without `seq` into a pipe",
        unit="events/s",
        how="As above, but no event has a number, and each is the result of another test.",
        lines=lines_of(outcomes, notes),
        targets=(
            Target("without `seq` no line is lost", notes.get(OURS, "not measured"), ALL, notes.get(OURS) == ALL),
            at_most("the tuned loop's rate over ours, without `seq`", outcomes[TUNED], outcomes[OURS], 1.6),
        ),
        base=TUNED,
        remarks=(
            "Without numbers only the content tells a repeated event from a new one: subcli keeps each test's last "
            "result and compares. The loop keeps nothing."
        ),
        digits=0,
    )
