"""Latency from the arrival of a frame to the line in the pipe."""

from __future__ import annotations

import os
import re
import select
import time

from bench import peers
from bench.measure import Failed, Figure, percentile
from bench.processes import python_module, serving, spawned
from bench.table import Line, Table, below

RATES = (100, 1000)
SECONDS = 6
SETTLED = 0.2
"""The first part of the events, while the client is still starting, does not count."""

_SENT = re.compile(rb'"sent_ns":(\d+)')


def measure() -> Table:
    """Each event has the time at which it was sent; both ends use the same clock."""
    lines, targets = [], []
    for rate in RATES:
        delays = delays_ms(rate)
        lines.append(Line(f"{rate:,} events/s", Figure(tuple(delays))))
        p50, p99 = percentile(delays, 50), percentile(delays, 99)
        targets += [
            below(f"{rate:,} events/s, p50", p50, 1, "ms", 2),
            below(f"{rate:,} events/s, p99", p99, 10, "ms", 2),
        ]
    return Table(
        title="Frame to line",
        unit="ms",
        how=(
            "`watch --json` into a pipe on loopback, from just before `write` in the server to `read` in the reader, "
            "so the time spent in the server and the kernel is included."
        ),
        lines=tuple(lines),
        targets=tuple(targets),
        digits=2,
    )


def delays_ms(rate: int) -> list[float]:
    """The delay of each event."""
    events = rate * SECONDS
    with serving(python_module("stub", "--events", str(events), "--rate", str(rate))) as server:
        command = [str(peers.subcli() / "subcli"), "watch", "1", "--json", "--server", server.url]
        delays: list[float] = []
        with spawned(command) as (_, output):
            rest = b""
            end = time.monotonic() + SECONDS * 3 + 15
            while True:
                ready, _, _ = select.select([output], [], [], max(0.0, end - time.monotonic()))
                now = time.monotonic_ns()
                data = os.read(output, 1 << 18) if ready else b""
                if not data:
                    break
                whole, _, rest = (rest + data).rpartition(b"\n")
                delays += [(now - int(sent)) / 1e6 for sent in _SENT.findall(whole)]
    if len(delays) < events * 0.9:
        raise Failed(f"{len(delays)} of {events} events came at {rate}/s")
    return delays[int(len(delays) * SETTLED) :]
