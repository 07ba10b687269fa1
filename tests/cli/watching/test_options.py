"""The exit code for a verdict, with and without ``--min-score``, and the commands to go on with."""

from __future__ import annotations

import pytest

from subcli.cli.watching.options import Options
from subcli.shared.messages import Complete, Summary


@pytest.mark.parametrize(
    ("least", "status", "score", "code"),
    [
        (None, "failed", 90.0, 1),
        (60, "failed", 60.0, 0),
        (60, "failed", 59.9, 1),
        (0.3, "failed", 0.1 + 0.2, 0),
        (60, "passed", 59.0, 1),
        (60, "passed", None, 0),
        (0, "failed", None, 1),
        (0, "build_failed", 0.0, 1),
        (0, "cancelled", 50.0, 1),
        (0, "error", 50.0, 6),
    ],
)
def test_min_score(least: float | None, status: str, score: float | None, code: int) -> None:
    """The score decides where there is one and the tests have run; else the verdict does."""
    verdict = Complete(final_status=status, summary=Summary(total_tests=2, score=score, max_score=100.0))
    assert Options(min_score=least).exit_code(verdict) == code


def test_commands_about_an_earlier_run() -> None:
    """They name it; what follows a watch of the latest is the views' choice."""
    earlier = Options(judging=2, for_server=" --server http://x")
    assert earlier.follow_up_of(5) == "subcli status 5 --run 2 --server http://x"
    assert "`subcli watch 5 --run 2 --server http://x`" in earlier.resume_hint(5)
    assert Options().follow_up_of(5) is None
    assert "`subcli watch 5`" in Options().resume_hint(5)
