"""Which case runs next, and what groups and the whole are worth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from subcli.judge.cases.model import Case, CaseSet
from subcli.judge.outcome import Outcome


@dataclass(frozen=True)
class Grade:
    """What a case, a group or the whole is worth."""

    outcome: Outcome
    score: float | None = None


class Grading:
    """Takes the outcomes of cases in the order in which it named them.

    Args:
        cases: The tests of the problem.
    """

    def __init__(self, cases: CaseSet) -> None:
        self._cases = cases
        self._waiting: Iterator[Case] = cases.root.cases()
        self._grade = Grade("passed")

    async def next_case(self) -> Case | None:
        """The case to run now; None at the end."""
        if self._grade.outcome != "passed" and self._cases.root.stop_on_failure:
            return None
        return next(self._waiting, None)

    def record(self, case: Case, outcome: Outcome, score: float | None = None) -> Grade:
        """Take the outcome of the case that was named last.

        Args:
            case: The case.
            outcome: How it ended.
            score: What the checker gave it.

        Returns:
            What the case is worth by itself.
        """
        if self._grade.outcome == "passed":
            self._grade = Grade(outcome, score)
        return Grade(outcome, score if score is not None else case.points if outcome == "passed" else None)

    async def result(self) -> Grade:
        """What the whole is worth. Called at the end."""
        return self._grade
