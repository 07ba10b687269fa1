"""How a test ended, in one word that says more than passed or failed."""

from __future__ import annotations

from typing import Literal, TypeAlias

from subcli.judge.evidence import Evidence

Outcome: TypeAlias = Literal[
    "passed",
    "wrong_answer",
    "time_limit",
    "memory_limit",
    "output_limit",
    "runtime_error",
    "protocol_error",
    "skipped",
    "judge_error",
]
_OF_LIMIT: dict[str, Outcome] = {"time": "time_limit", "submission_time": "time_limit", "memory": "memory_limit"}
"""The limits that are not named here (processes, disk, what was left behind) are errors of the running program."""
_OF_KIND: dict[str, Outcome] = {
    "exit": "runtime_error",
    "silence": "time_limit",
    "bad_line": "protocol_error",
    "bad_field": "protocol_error",
    "flood": "output_limit",
    "judge": "judge_error",
}


def outcome_of(status: str, evidence: Evidence | None) -> Outcome:
    """The outcome of a test.

    Args:
        status: passed, failed, error or skipped.
        evidence: What is known about its failure.
    """
    if status == "passed":
        return "passed"
    if status == "skipped":
        return "skipped"
    if status == "error":
        return "judge_error"
    if evidence is None:
        return "wrong_answer"
    if evidence.kind == "limit":
        return _OF_LIMIT.get(evidence.limit, "runtime_error")
    return _OF_KIND.get(evidence.kind, "wrong_answer")
