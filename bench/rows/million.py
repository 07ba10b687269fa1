"""How long users wait for the server where a million submissions are."""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from bench.filling import PROBLEMS, fill_packed
from bench.measure import Figure, percentile
from bench.processes import Serving, free_port, serving
from bench.table import Line, Table, Target
from subcli.server.log.database import open_database
from tests.backends import Postgres

COUNT = 1_000_000
UNPACKED = 2000
REQUESTS = 200
LIMIT_MS = 100.0


def measure() -> Table:
    """Fill both databases, and ask a real server for submissions at random."""
    lines: list[Line] = []
    targets: list[Target] = []
    sizes = []
    postgres = Postgres()
    with tempfile.TemporaryDirectory(prefix="bench-million-", dir="/var/tmp") as folder:
        try:
            postgres.start()
            postgres.execute("CREATE DATABASE million")
            for name, url in (("SQLite", f"sqlite:///{folder}/subcli.db"), ("PostgreSQL", postgres.url("million"))):
                began = time.perf_counter()
                engine = open_database(url)
                fill_packed(engine, COUNT, UNPACKED)
                engine.dispose()
                sizes.append(f"{name} was filled in {time.perf_counter() - began:.0f} s")
                port = free_port()
                words = ["serve", "--port", str(port), "--sandbox", "none", "-q", "--data-dir", f"{folder}/{name}"]
                with serving([sys.executable, "-m", "subcli", *words, "--database", url], port=port) as server:
                    for what, samples in _times(server).items():
                        lines.append(
                            Line(f"{name}, {what}", Figure(tuple(samples)), f"p99 {percentile(samples, 99):.1f}")
                        )
                        worst = percentile(samples, 99)
                        measured = f"{worst:.1f} ms"
                        targets.append(
                            Target(f"{what}, {name}, p99", measured, f"≤ {LIMIT_MS:g} ms", worst <= LIMIT_MS)
                        )
                if name == "SQLite":
                    sizes.append(f"its file has {Path(f'{folder}/subcli.db').stat().st_size / 1e6:,.0f} MB")
        finally:
            postgres.close()
    return Table(
        title="A million submissions",
        unit="ms",
        how=(
            f"`subcli serve` on a database with {COUNT:,} submissions of 33 events, of 300 users to {PROBLEMS} "
            f"problems, all packed but the last {UNPACKED:,}; {REQUESTS} requests of each kind over one connection, "
            "for submissions at random."
        ),
        lines=tuple(lines),
        targets=tuple(targets),
        remarks="; ".join(sizes) + ". Demo mode has one user, to whom every three hundredth submission belongs.",
    )


def _times(server: Serving) -> dict[str, list[float]]:
    """Milliseconds of each request, by what was asked for."""
    chance = random.Random(7)
    # Those of the demo user.
    mine = [number for number in range(1, COUNT + 1) if number % 300 == 0]
    recent = [number for number in mine if number > COUNT - UNPACKED]
    kinds: dict[str, Callable[[], str]] = {
        "list": lambda: "/api/submissions?limit=20",
        "list of 100": lambda: "/api/submissions?limit=100",
        "list of a problem": lambda: "/api/submissions?limit=20&problem=leader-election",
        "status": lambda: f"/api/submissions/{chance.choice(mine)}",
        "results": lambda: f"/api/submissions/{chance.choice(mine)}/tests",
        "results, not packed": lambda: f"/api/submissions/{chance.choice(recent)}/tests",
        "log": lambda: f"/api/submissions/{chance.choice(mine)}/events",
        "log, resumed": lambda: f"/api/submissions/{chance.choice(mine)}/events?after_seq=20",
        "page": lambda: f"/submissions/{chance.choice(mine)}",
    }
    found: dict[str, list[float]] = {}
    with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as http:
        for what, path in kinds.items():
            # The first request of a process loads what the others find there.
            http.get(path()).raise_for_status()
            samples = []
            for _ in range(REQUESTS):
                began = time.perf_counter()
                response = http.get(path())
                samples.append((time.perf_counter() - began) * 1000)
                response.raise_for_status()
            found[what] = samples
    return found
