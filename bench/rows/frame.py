"""One frame of the live view, with an increasing number of results."""

from __future__ import annotations

import json
import subprocess

from bench import peers
from bench.measure import Failed, Figure
from bench.peers import CHECKOUT
from bench.processes import environment
from bench.table import Line, Table, Target, below

LIMIT_S = 60.0
MOST_MS = 5.0
FLAT = 0.2


def measure() -> Table:
    """Each frame shows one result more than the last one."""
    try:
        done = subprocess.run(
            [peers.subcli() / "python", "-m", "bench.inside_frame"],
            cwd=CHECKOUT,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=True,
        )
    except (subprocess.SubprocessError, OSError) as error:
        raise Failed(f"the frames could not be drawn: {error}") from None
    figures = {int(size): Figure(tuple(samples)) for size, samples in json.loads(done.stdout).items()}
    medians = [figure.median for figure in figures.values()]
    spread = max(medians) / min(medians) - 1
    return Table(
        title="One frame of the live view",
        unit="ms",
        how=(
            "Processor time of one frame of 120 × 40; each frame shows one more result than the last. The sizes take "
            "turns."
        ),
        lines=tuple(Line(f"{size:,} results", figure) for size, figure in figures.items()),
        targets=(
            Target(
                "cost of a frame for any number of results",
                f"within {spread:.0%}",
                f"≤ {FLAT:.0%}",
                spread <= FLAT,
            ),
            below("the highest median", max(medians), MOST_MS, "ms", 2),
        ),
        base="100 results",
        digits=2,
    )
