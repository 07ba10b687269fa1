"""The word for how a test ended."""

from __future__ import annotations

import pytest

from subcli.judge.evidence import Evidence
from subcli.judge.outcome import Outcome, outcome_of


@pytest.mark.parametrize(
    ("status", "evidence", "outcome"),
    [
        ("passed", None, "passed"),
        ("skipped", None, "skipped"),
        ("error", Evidence(kind="exit"), "judge_error"),
        ("failed", None, "wrong_answer"),
        ("failed", Evidence(kind="assertion"), "wrong_answer"),
        ("failed", Evidence(kind="limit", limit="time"), "time_limit"),
        ("failed", Evidence(kind="limit", limit="submission_time"), "time_limit"),
        ("failed", Evidence(kind="silence"), "time_limit"),
        ("failed", Evidence(kind="limit", limit="memory"), "memory_limit"),
        ("failed", Evidence(kind="limit", limit="processes"), "runtime_error"),
        ("failed", Evidence(kind="flood"), "output_limit"),
        ("failed", Evidence(kind="exit"), "runtime_error"),
        ("failed", Evidence(kind="bad_field"), "protocol_error"),
    ],
)
def test_outcome(status: str, evidence: Evidence | None, outcome: Outcome) -> None:
    """It says what the status does not: who stopped the program, or that its answer was wrong."""
    assert outcome_of(status, evidence) == outcome
