"""What judging adds to running the tests by hand."""

from __future__ import annotations

import json
import subprocess

from bench import peers
from bench.measure import Failed, Figure
from bench.processes import environment
from bench.table import Line, Table, below

LIMIT_S = 120.0
SUBMISSION_MS, TEST_MS = 150.0, 2.0


def measure() -> Table:
    """With one test, and with many more."""
    try:
        done = subprocess.run(
            [peers.subcli() / "python", "-m", "bench.inside_judge"],
            cwd=peers.CHECKOUT,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"took longer than {LIMIT_S:g} s") from None
    if done.returncode:
        raise Failed((done.stderr.strip().splitlines() or ["failed"])[-1][:160])
    told = json.loads(done.stdout)
    many: int = told["many"]
    figures = {name: Figure(tuple(second * 1000 for second in took)) for name, took in told["took"].items()}
    one, more = "1", f"{many + 1}"
    submission = figures[f"{one}, judged"].median - figures[f"{one}, by hand"].median
    together = figures[f"{more}, judged"].median - figures[f"{more}, by hand"].median
    names = {one: "1 test", more: f"{many + 1} tests"}
    return Table(
        title="Judging, over pytest by hand",
        unit="ms",
        how="Tests that do nothing: from handing the job over to its verdict, without a sandbox; and by `pytest -q`.",
        lines=tuple(
            Line(f"{names[total]}, {way}", figures[f"{total}, {way}"])
            for total in (one, more)
            for way in ("by hand", "judged")
        ),
        targets=(
            below("judging adds to a submission", submission, SUBMISSION_MS, "ms"),
            below("… and to each test", (together - submission) / many, TEST_MS, "ms", 2),
        ),
        digits=0,
        remarks=(
            "After each test the judge looks through all processes of the machine for what the test left "
            "behind, so the figure grows with what else runs there; the list of a process's children in `/proc` "
            "would be quicker and may miss one, which is no bargain. To a submission it adds a supervisor of "
            "its own and the build."
        ),
    )
