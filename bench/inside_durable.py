"""Run by the interpreter of the measured environment: committing events, with subcli and with a plain loop.

Prints JSON: events per second by contender, in turns. The plain loop gives the same guarantee with minimal work: one
transaction per batch, numbered events, and the position in the submission's row.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from subcli.server.log.database import open_database
from subcli.server.log.records import Append, NewSubmission
from subcli.server.log.store import Store
from subcli.server.log.tables import DEMO_USER

ROUNDS = 5
SECONDS = 0.6


def event(number: int) -> dict[str, object]:
    """An event as the judge yields it."""
    return {
        "type": "test_result",
        "test_id": f"t{number:05d}",
        "test_name": f"Leader election, partition {number}",
        "status": "passed",
        "duration_ms": number % 97 + 1,
    }


def rate(commit: Callable[[int], None], batch: int) -> float:
    """Events per second, in batches of the given size."""
    number, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        commit(number)
        number += batch
    return number / (time.perf_counter() - began)


def contenders(url: str, batch: int) -> dict[str, Callable[[int], None]]:
    """Both contenders on one database."""
    engine = open_database(url)
    store = Store(engine, time.time)
    ours, bare = (
        store.create(NewSubmission(DEMO_USER, "leader-election", "python", {"node.py": "pass\n"}))[0].id for _ in "ab"
    )
    insert = "INSERT INTO events (submission_id, seq, type, payload) VALUES "
    connection = engine.raw_connection()
    place = "?" if engine.dialect.name == "sqlite" else "%s"
    one = f"({', '.join([place] * 4)})"
    position = [1]

    def by_hand(number: int) -> None:
        cursor = connection.cursor()
        if engine.dialect.name == "sqlite":
            cursor.execute("BEGIN IMMEDIATE")
        rows = []
        for at in range(batch):
            position[0] += 1
            line = json.dumps({**event(number + at), "submission_id": bare, "seq": position[0]})
            rows.append((bare, position[0], "test_result", line))
        cursor.executemany(insert + one, rows)
        cursor.execute(f"UPDATE submissions SET last_seq = {place} WHERE id = {place}", (position[0], bare))
        connection.commit()

    return {
        "ours": lambda number: void(store.append_all([Append(ours, [event(number + at) for at in range(batch)])])),
        "bare": by_hand,
    }


def void(_: object) -> None:
    """Do nothing."""


def main() -> None:
    """Measure on SQLite, and on PostgreSQL if its URL is given."""
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        urls = {"SQLite": f"sqlite:///{Path(folder) / 'bench.db'}"}
        if len(sys.argv) > 1:
            urls["PostgreSQL"] = sys.argv[1]
        for database, url in urls.items():
            for batch in (1, 32):
                both = contenders(url, batch)
                for _ in range(ROUNDS):
                    for name, commit in both.items():
                        rates.setdefault(f"{database}, {batch} a commit, {name}", []).append(rate(commit, batch))
    json.dump(rates, sys.stdout)


if __name__ == "__main__":
    main()
