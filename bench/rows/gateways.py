"""One gateway, then two, with Redis between them: whether the second adds anything."""

from __future__ import annotations

import os

from bench.table import Table, Target

CORES = 4
"""Two gateways, the judge's process and the watchers: with fewer they take each other's."""


def measure() -> Table:
    """Only where there are cores for it."""
    cores = os.cpu_count() or 1
    return Table(
        title="One gateway, then two",
        unit="frames/s",
        how=f"Two gateways, a worker, Redis, the database and the watchers need {CORES} cores; here are {cores}.",
        lines=(),
        targets=(Target("two gateways over one", f"{cores} cores", "≥ 1.6 ×", None),),
    )
