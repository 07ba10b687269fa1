"""From the start of the process to the first frame of the live view."""

from __future__ import annotations

from bench import peers
from bench.measure import in_turns
from bench.processes import python_module, serving
from bench.rows.submit import until
from bench.table import Table, at_most, lines_of

ROUNDS = 15
JSON = "watch --json into a pipe, first line"
LIVE = "watch into a terminal, first frame"


def measure() -> Table:
    """Compare with the first line of ``--json``. Both have read the status by then."""
    subcli = str(peers.subcli() / "subcli")
    # Held: with the verdict at once, there might be a single frame, the last.
    with serving(python_module("stub", "--events", "10", "--hold")) as server:
        watch = [subcli, "watch", "1", "--server", server.url]
        outcomes = in_turns(
            {
                JSON: until([*watch, "--json"], b'"status_update"'),
                LIVE: until(watch, b"testing", terminal=True),
            },
            rounds=ROUNDS,
        )
    return Table(
        title="The first frame of the live view",
        unit="ms",
        how=(
            "From the start of the process until the status can be read, on loopback, from a server that answers "
            "immediately. The terminal has 120 columns and 40 lines."
        ),
        lines=lines_of(outcomes),
        targets=(at_most("the first frame over `--json`'s first line", outcomes[LIVE], outcomes[JSON], 1.3),),
        base=JSON,
        remarks="The live view imports rich, and asks the terminal for nothing that it would have to wait for.",
    )
