"""Which case runs next, and what groups and the whole are worth.

The rules are those of the ICPC/Kattis package format: legacy (its default grader and `testdata.yaml`) and 2025-09
(`test_group.yaml`). A group is graded from the results of its direct parts, in the order in which they ran. A part that
the judge could not judge makes every group around it a judge error.

A group whose author brought a grader is graded by that program, which somebody else runs: nothing here does I/O.
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeAlias

from subcli.judge.cases.model import Case, CaseSet, Group, Tool
from subcli.judge.cases.points import DIGITS
from subcli.judge.outcome import Outcome

RunGrader: TypeAlias = Callable[[Tool, tuple[str, ...], str], Awaitable[str]]
"""Runs a grader with arguments and stdin, and returns its stdout. It raises `GraderError`."""

_WORST_FIRST: Final[tuple[Outcome, ...]] = (
    "judge_error",
    "runtime_error",
    "memory_limit",
    "time_limit",
    "output_limit",
    "protocol_error",
    "wrong_answer",
)
_CODES: Final[Mapping[Outcome, str]] = MappingProxyType(
    {
        "passed": "AC",
        "wrong_answer": "WA",
        "protocol_error": "WA",
        "time_limit": "TLE",
        "output_limit": "OLE",
        "memory_limit": "RTE",
        "runtime_error": "RTE",
        "skipped": "WA",
    }
)
"""What a grader reads. It has no word for too much memory."""
_OUTCOMES: Final[Mapping[str, Outcome]] = MappingProxyType(
    {
        "AC": "passed",
        "WA": "wrong_answer",
        "TLE": "time_limit",
        "RTE": "runtime_error",
        "MLE": "memory_limit",
        "OLE": "output_limit",
        "JE": "judge_error",
    }
)
_GRADE: Final = re.compile(r"(AC|WA|TLE|RTE|MLE|OLE|JE)\s+(-?(?:\d+(?:\.\d*)?|\.\d+))\s*", re.ASCII)


class GraderError(Exception):
    """A grader could not be built, crashed, or took too long. The text is a clause for the operator."""


@dataclass(frozen=True)
class Grade:
    """What a case, a group or the whole is worth."""

    outcome: Outcome
    score: float | None = None
    reason: str = ""
    """Why it is a judge error, where grading found out: a clause for the author."""


@dataclass
class _OpenGroup:
    """A group of which not everything has run."""

    group: Group
    waiting: Iterator[Case | Group]
    grades: list[Grade] = field(default_factory=list)
    is_stopped: bool = False

    def add(self, grade: Grade) -> None:
        self.grades.append(grade)
        if grade.outcome != "passed" and self.group.stop_on_failure:
            self.is_stopped = True


class Grading:
    """Takes the outcomes of cases in the order in which it named them.

    Args:
        cases: The tests of the problem.
        run_grader: Runs the graders that the problem brings.

    Attributes:
        groups: The grades of the groups that have ended, by name.
    """

    def __init__(self, cases: CaseSet, run_grader: RunGrader | None = None) -> None:
        self.groups: dict[str, Grade] = {}
        self._cases = cases
        self._run_grader = run_grader
        self._open: list[_OpenGroup] = []
        self._enter(cases.root)

    async def next_case(self) -> Case | None:
        """The case to run now; None at the end."""
        while self._open:
            current = self._open[-1]
            part = None if current.is_stopped else next(current.waiting, None)
            if isinstance(part, Case):
                return part
            if part is None:
                await self._leave()
            elif all(self._is_accepted(name) for name in part.requires):
                self._enter(part)
            else:
                self.groups[part.name] = Grade("skipped", 0.0 if self._cases.is_scored else None)
                current.add(self.groups[part.name])
        return None

    def record(
        self, case: Case, outcome: Outcome, score: float | None = None, multiplier: float | None = None
    ) -> Grade:
        """Take the outcome of the case that was named last.

        Args:
            case: The case.
            outcome: How it ended.
            score: What the checker gave it.
            multiplier: The part of `case.points` that the checker gave it instead, from 0 to 1.

        Returns:
            What the case is worth by itself. A score that the checker must not give makes it a judge error.
        """
        grade = _grade_of_case(self._cases, case, outcome, score, multiplier)
        self._open[-1].add(grade)
        return grade

    async def result(self) -> Grade:
        """What the whole is worth. Called at the end; what has not run by then does not count."""
        while self._open:
            await self._leave()
        grade = self.groups[self._cases.root.name]
        if self._cases.zero_if_rejected and grade.outcome != "passed" and grade.score is not None:
            return Grade(grade.outcome, 0.0, grade.reason)
        return grade

    def _enter(self, group: Group) -> None:
        self._open.append(_OpenGroup(group, iter(group.parts)))

    async def _leave(self) -> None:
        done = self._open.pop()
        grade = await self._grade_of_group(done.group, done.grades)
        self.groups[done.group.name] = grade
        if self._open:
            self._open[-1].add(grade)

    def _is_accepted(self, name: str) -> bool:
        return name in self.groups and self.groups[name].outcome == "passed"

    async def _grade_of_group(self, group: Group, grades: list[Grade]) -> Grade:
        fault = next((grade for grade in grades if grade.outcome == "judge_error"), None)
        if fault is not None:
            return Grade("judge_error", 0.0 if self._cases.is_scored else None, fault.reason)
        if not grades:
            return Grade("passed", 0.0 if self._cases.is_scored else None)
        if group.grader is not None:
            grade = await self._ask(group.grader, group.grader_arguments, grades)
        else:
            counted = grades[-1:] if group.ignores_samples else grades
            outcome = _outcome(group, [grade.outcome for grade in counted])
            grade = Grade(outcome, _score(group, outcome, [grade.score or 0.0 for grade in counted]))
        if not self._cases.is_scored:
            return Grade(grade.outcome, None, grade.reason)
        if group.max_score is not None and (grade.score or 0.0) > group.max_score:
            what = f"the group {group.name!r}" if group.name else "the problem"
            return Grade("judge_error", 0.0, f"{what} is worth {grade.score:g}, more than {group.max_score:g}")
        return grade

    async def _ask(self, grader: Tool, arguments: tuple[str, ...], grades: list[Grade]) -> Grade:
        """What a grader of the author's says."""
        lines = "".join(f"{_CODES[grade.outcome]} {grade.score or 0.0}\n" for grade in grades)
        try:
            if self._run_grader is None:
                raise GraderError("there is nobody to run it")
            printed = await self._run_grader(grader, arguments, lines)
        except GraderError as error:
            return Grade("judge_error", 0.0, f"the grader {grader.entry} failed: {error}")
        found = _GRADE.fullmatch(printed)
        if found is None:
            return Grade(
                "judge_error", 0.0, f"the grader {grader.entry} printed {printed[:80]!r}, not a verdict and a score"
            )
        return Grade(_OUTCOMES[found[1]], float(found[2]))


def _grade_of_case(
    cases: CaseSet, case: Case, outcome: Outcome, score: float | None, multiplier: float | None
) -> Grade:
    given = score is not None or multiplier is not None
    if outcome == "passed":
        complaint = _complaint(cases, case, score, multiplier)
    else:
        complaint = "scored an output that it rejects" if given and outcome == "wrong_answer" else ""
    if complaint:
        return Grade("judge_error", 0.0 if cases.is_scored else None, f"the checker {complaint}")
    if not cases.is_scored:
        return Grade(outcome)
    if outcome != "passed":
        return Grade(outcome, case.rejected_points)
    if multiplier is not None:
        return Grade(outcome, round(multiplier * (case.points or 0.0), DIGITS))
    return Grade(outcome, case.points if score is None or case.checker_score == "ignored" else score)


def _complaint(cases: CaseSet, case: Case, score: float | None, multiplier: float | None) -> str:
    """What is wrong with what the checker gave to an output that it accepts."""
    given = [value for value in (score, multiplier) if value is not None]
    rule = case.checker_score if cases.is_scored else "forbidden"
    if rule == "ignored":
        return ""
    if not given:
        return "accepted an output and gave no score" if rule in ("required", "unbounded") else ""
    if rule == "forbidden":
        return "gave a score where accepted or not is all that counts"
    if len(given) > 1:
        return "gave both a score and a multiplier"
    if not math.isfinite(given[0]):
        return "gave a score that is not a finite number"
    if multiplier is not None:
        if rule != "bounded":
            return "gave a multiplier, and there are no points to multiply"
        return "" if 0 <= multiplier <= 1 else f"gave the multiplier {multiplier:g}, which is not from 0 to 1"
    most = (case.points or 0.0) if rule == "bounded" else math.inf
    least = 0.0 if rule in ("bounded", "unbounded") else -math.inf
    return "" if least <= given[0] <= most else f"gave {given[0]:g} points, which is not from {least:g} to {most:g}"


def _outcome(group: Group, outcomes: list[Outcome]) -> Outcome:
    if group.verdicts == "always_accept" or (group.accepts_any and "passed" in outcomes):
        return "passed"
    errors = [outcome for outcome in outcomes if outcome not in ("passed", "skipped")]
    if not errors:
        return "wrong_answer" if "skipped" in outcomes else "passed"
    return errors[0] if group.verdicts == "first_error" else min(errors, key=_WORST_FIRST.index)


def _score(group: Group, outcome: Outcome, scores: list[float]) -> float:
    match group.aggregation:
        case "pass-fail":
            return (group.max_score or 0.0) if outcome == "passed" else 0.0
        case "sum":
            total = math.fsum(scores)
        case "avg":
            total = math.fsum(scores) / len(scores)
        case "min":
            total = min(scores)
        case "max":
            total = max(scores)
    return round(total, DIGITS)
