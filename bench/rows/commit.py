"""Latency from the server's timestamp on an event, just before the commit, to the client's line."""

from __future__ import annotations

import datetime
import json
import os
import select
import tempfile
import time
from pathlib import Path

from bench import peers
from bench.measure import Failed, Figure, percentile
from bench.processes import python_module, serving, spawned
from bench.table import Line, Table, below

EVENTS = 300
RATE = 20.0


def measure() -> Table:
    """The real server with its queue, store and gateway; only the judge is replaced."""
    with tempfile.TemporaryDirectory() as folder:
        go = Path(folder) / "go"
        words = ["--data", folder, "--go", str(go), "--events", str(EVENTS), "--rate", str(RATE), "--submissions", "1"]
        subcli = peers.subcli()
        with serving([str(subcli / "python"), *python_module("servers.ours", *words)[1:]]) as server:
            command = [str(subcli / "subcli"), "watch", "1", "--json", "--server", server.url]
            delays: list[float] = []
            with spawned(command) as (_, output):
                end = time.monotonic() + EVENTS / RATE * 2 + 20
                rest = b""
                while True:
                    ready, _, _ = select.select([output], [], [], max(0.0, end - time.monotonic()))
                    now = time.time()
                    data = os.read(output, 1 << 16) if ready else b""
                    if not data:
                        break
                    if b'"open"' in data:
                        go.touch()
                    *whole, rest = (rest + data).split(b"\n")
                    delays += [delay for line in whole if (delay := _delay_ms(line, now)) is not None]
    if len(delays) < EVENTS * 0.9:
        raise Failed(f"{len(delays)} of {EVENTS} events came")
    return Table(
        title="Commit to line",
        unit="ms",
        how=(
            f"Through the real server, one submission with {RATE:g} events per second: from the `timestamp` that the "
            "worker gives an event before the commit, in whole milliseconds, to the reader's `read`. "
            "`gh run watch` polls every 3 s, which is 1,500 ms on average."
        ),
        lines=(Line("subcli serve → watch --json", Figure(tuple(delays))),),
        targets=(
            below("commit to line, p50", percentile(delays, 50), 10, "ms"),
            below("commit to line, p99", percentile(delays, 99), 50, "ms"),
        ),
    )


def _delay_ms(line: bytes, now: float) -> float | None:
    event = json.loads(line)
    if event["type"] != "test_result":
        return None
    return (now - datetime.datetime.fromisoformat(event["timestamp"]).timestamp()) * 1000
