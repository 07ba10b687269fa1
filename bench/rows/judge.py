"""The overhead of judging over running the tests by hand."""

from __future__ import annotations

from bench import peers
from bench.measure import Figure
from bench.processes import outcome_of
from bench.table import Line, Table, below

LIMIT_S = 120.0
SUBMISSION_MS, TEST_MS = 150.0, 2.0


def measure() -> Table:
    """With one test, and with many more."""
    outcome = outcome_of([str(peers.subcli() / "python"), "-m", "bench.inside_judge"], limit_s=LIMIT_S)
    many: int = outcome["many"]
    figures = {name: Figure(tuple(second * 1000 for second in took)) for name, took in outcome["took"].items()}
    one, more = "1", f"{many + 1}"
    submission = figures[f"{one}, judged"].median - figures[f"{one}, by hand"].median
    together = figures[f"{more}, judged"].median - figures[f"{more}, by hand"].median
    names = {one: "1 test", more: f"{many + 1} tests"}
    return Table(
        title="Judging, over pytest by hand",
        unit="ms",
        how=(
            "Empty tests: from submitting the job to the judge to its verdict, without a sandbox. By hand: "
            "`pytest.main` in a fork of a process that has imported it, as the judge's pytest is one. A whole "
            "`pytest -q` is not compared."
        ),
        lines=tuple(
            Line(f"{names[total]}, {way}", figures[f"{total}, {way}"])
            for total in (one, more)
            for way in ("by hand", "judged", "a whole pytest")
        ),
        targets=(
            below("judging adds to a submission", submission, SUBMISSION_MS, "ms"),
            below("… and to each test", (together - submission) / many, TEST_MS, "ms", 2),
        ),
        digits=0,
        remarks=(
            "After each test the judge looks for processes that the test left behind. Usually two lists of children "
            "in `/proc`, of pytest and of the supervisor, prove that there are none; otherwise it follows the lists of "
            "all that is below. Each submission has its own supervisor as well, a fork of one template."
        ),
    )
