"""Memory of a server at its start, and of one with watchers."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time

from bench import peers
from bench.contestants import OURS, server
from bench.measure import Failed, Figure
from bench.processes import environment, python_module, resident_kib
from bench.table import Line, Table, below

SUBMISSIONS, WATCHERS = 100, 1_000
MOST_MB, MOST_WITH_WATCHERS_MB = 70.0, 100.0
SETTLED_S = 1.0
START_S = 30.0


def measure() -> Table:
    """In demo mode, and without anything to judge."""
    started, watched = _started(), _watched()
    return Table(
        title="Memory of a server",
        unit="MB",
        how=f"Resident memory of `subcli serve` when it is ready, and of the whole server with {WATCHERS:,} watchers.",
        lines=(Line("at its start", Figure((started,))), Line(f"with {WATCHERS:,} watchers", Figure((watched,)))),
        targets=(
            below("a server at its start", started, MOST_MB, "MB"),
            below(f"… with {WATCHERS:,} watchers", watched, MOST_WITH_WATCHERS_MB, "MB"),
        ),
        remarks=(
            "According to tracemalloc, half of what Python allocates is the code of imported modules: SQLAlchemy, then "
            "subcli, pydantic and FastAPI. A server does not import what it does not use: PostgreSQL's drivers with "
            "SQLite, pydantic's first version, the algorithms of PyJWT that need cryptography, Alembic on a database "
            "that is up to date, and Jinja and markdown-it before the first page. uvicorn imports its own command line "
            "with click, and FastAPI OpenTelemetry's interface, whether they are used or not."
        ),
    )


def _started() -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [str(peers.subcli() / "subcli"), "serve", "--port", "0", "--data-dir", folder, "--stop-with-stdin"]
        with subprocess.Popen(
            command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as serving:
            assert serving.stdout is not None
            if not serving.stdout.readline():
                raise Failed("the server did not start")
            time.sleep(SETTLED_S)
            return resident_kib(serving.pid) * 1.024 / 1000


def _watched() -> float:
    with server(OURS, submissions=SUBMISSIONS) as (running, _):
        words = ["--submissions", str(SUBMISSIONS), "--watchers", str(WATCHERS), "--hold", "60"]
        with subprocess.Popen(
            python_module("load", "--port", str(running.port), *words),
            cwd=peers.CHECKOUT,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=sys.stderr if sys.flags.dev_mode else subprocess.DEVNULL,
        ) as load:
            try:
                assert load.stdout is not None
                if not load.stdout.readline():
                    raise Failed("not all watchers could connect")
                time.sleep(SETTLED_S)
                return resident_kib(running.pid) * 1.024 / 1000
            finally:
                load.kill()
