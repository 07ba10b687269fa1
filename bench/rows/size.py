"""How much space a submission takes, with its log in rows of its own and packed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, text

from bench.filling import EVENTS, fill
from bench.measure import Figure
from bench.table import Line, Table, Target
from subcli.server.log.database import open_database, rewrite
from subcli.server.log.packer import Packer
from tests.backends import Postgres

COUNT = 6000
BEFORE_BYTES = 10_660
"""What the same took when all events were in rows of their own: 1,066 MB for 100,000 submissions."""


def measure() -> Table:
    """Fill a database, pack all of it, and compare the sizes."""
    lines: list[Line] = []
    targets: list[Target] = []
    with _databases() as databases:
        for name, url in databases:
            engine = open_database(url)
            empty = _size(engine)
            fill(engine, COUNT)
            whole = (_size(engine) - empty) / COUNT
            packer = Packer(engine, time.time)
            began = time.perf_counter()
            while packer.pack_some(60):
                pass
            rate = COUNT / (time.perf_counter() - began)
            packed = (_size(engine) - empty) / COUNT
            engine.dispose()
            lines.append(Line(f"{name}, events in rows", Figure((whole,)), f"{whole / 10:,.0f} MB for 100,000"))
            lines.append(
                Line(
                    f"{name}, packed",
                    Figure((packed,)),
                    f"{packed / 10:,.0f} MB for 100,000; {rate:,.0f} logs/s packed",
                )
            )
            limit = BEFORE_BYTES / 3
            measured = f"{packed:,.0f} bytes"
            targets.append(Target(f"a submission in {name}", measured, f"≤ {limit:,.0f} bytes", packed <= limit))
    return Table(
        title="Size of a database",
        unit="bytes per submission",
        how=(
            f"{COUNT:,} submissions of {EVENTS} events and a kilobyte of code, to 12 problems; four of 25 tests fail, "
            "with messages, output and analyses. The size of the database without free space, divided by their number."
        ),
        lines=tuple(lines),
        targets=tuple(targets),
        digits=0,
        remarks=(
            "More than half of what is left is the submission's own row with its code, and the indexes. A log takes a "
            "tenth of its bytes or less: the dictionary has what the logs of one problem have in common."
        ),
    )


def _size(engine: Engine) -> int:
    """The bytes in use, after the space of deleted rows was given back."""
    if engine.dialect.name == "sqlite":
        rewrite(engine)
        assert engine.url.database is not None
        return Path(engine.url.database).stat().st_size
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("VACUUM FULL"))
        return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())


@contextmanager
def _databases() -> Iterator[list[tuple[str, str]]]:
    postgres = Postgres()
    with tempfile.TemporaryDirectory(prefix="bench-size-", dir="/var/tmp") as folder:
        try:
            postgres.start()
            postgres.execute("CREATE DATABASE size")
            yield [("SQLite", f"sqlite:///{folder}/subcli.db"), ("PostgreSQL", postgres.url("size"))]
        finally:
            postgres.close()
