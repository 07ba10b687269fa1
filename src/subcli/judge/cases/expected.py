"""What the author of a package expects of a submission, and whether it came true. Pure.

Legacy packages expect one verdict of the whole; packages of 2025-09 have rules for cases, with patterns that say which.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from subcli.judge.cases.grading import Grade
from subcli.judge.outcome import Outcome

_CODES: Final[Mapping[Outcome, tuple[str, ...]]] = {
    "passed": ("AC",),
    "wrong_answer": ("WA",),
    "protocol_error": ("WA", "RTE"),
    "time_limit": ("TLE",),
    # Formats differ in what they call too much output; and who writes without end takes too long as well.
    "output_limit": ("OLE", "RTE", "WA", "TLE"),
    "memory_limit": ("RTE", "MLE"),
    "runtime_error": ("RTE",),
    "skipped": (),
    "judge_error": ("JE",),
}
"""What the format calls an outcome."""
_SCORE_ERROR: Final = 1e-5
"""Graders print six decimals."""
_MOST_BRACES: Final = 1000


def codes(outcome: Outcome) -> tuple[str, ...]:
    """What the format calls an outcome, the usual name first."""
    return _CODES[outcome]


@dataclass(frozen=True)
class Rule:
    """One rule. `scope` is a pattern of names of cases and groups; empty: it applies to all."""

    scope: str = ""
    permitted: tuple[str, ...] = ()
    """All cases must end in one of these, if there are any."""
    required: tuple[str, ...] = ()
    """At least one case must end in one of these, if there are any."""
    score: tuple[float, float] | None = None
    message: str = ""
    """It must be in what the checker says to the judges of at least one case."""


@dataclass(frozen=True)
class Expected:
    """What is expected of a submission."""

    verdicts: tuple[str, ...] = ()
    """Of the whole; any if empty."""
    is_best: bool | None = None
    """Whether the best score is expected, or less than that; None: nothing is expected. See `remark`."""
    best_score: float | None = None
    """Where the package says what the best score is."""
    rules: tuple[Rule, ...] = ()
    bounds_time: bool = False
    """Whether a time limit that is not declared follows from what it takes."""


@dataclass(frozen=True)
class Ended:
    """How one case ended."""

    name: str
    outcome: Outcome
    message: str = ""
    """What the checker says to judges."""


def disagreement(expected: Expected, cases: Sequence[Ended], whole: Grade, groups: Mapping[str, Grade]) -> str:
    """What is not as expected: a clause; empty if everything is."""
    if whole.outcome == "judge_error":
        return "the judge could not judge it"
    if expected.verdicts and not set(expected.verdicts) & set(codes(whole.outcome)):
        failing = (case.name for case in cases if case.outcome == whole.outcome != "passed")
        first = next(failing, "")
        return f"{_named(whole.outcome)}{f' in {first}' if first else ''} instead of {' or '.join(expected.verdicts)}"
    return next(filter(None, (_broken(rule, cases, whole, groups) for rule in expected.rules)), "")


def remark(expected: Expected, whole: Grade) -> str:
    """What the author should know of the score of a submission that is as expected: a clause; mostly empty.

    A score that is not the best one is no mistake: some problems have no best one that anybody knows.
    """
    if expected.is_best is None or expected.best_score is None or whole.score is None or whole.outcome != "passed":
        return ""
    is_best = abs(whole.score - expected.best_score) <= _SCORE_ERROR
    if is_best == expected.is_best:
        return ""
    return "the best score there is" if is_best else f"less than the best score, {expected.best_score:g}"


def _broken(rule: Rule, cases: Sequence[Ended], whole: Grade, groups: Mapping[str, Grade]) -> str:
    inside = [case for case in cases if not rule.scope or is_within(rule.scope, case.name)]
    where = f" in {rule.scope}" if rule.scope else ""
    for case in inside:
        if rule.permitted and case.outcome != "skipped" and not set(rule.permitted) & set(codes(case.outcome)):
            return f"{_named(case.outcome)} in {case.name}, where only {', '.join(rule.permitted)} is permitted"
    if rule.required and not any(set(rule.required) & set(codes(case.outcome)) for case in inside):
        return f"no case{where} ended in {' or '.join(rule.required)}"
    if rule.message and not any(rule.message in case.message for case in inside):
        return f"no message of the output validator{where} has {rule.message!r}"
    if rule.score is not None:
        graded = [whole] if not rule.scope else [grade for name, grade in groups.items() if matches(rule.scope, name)]
        low, high = rule.score
        for grade in graded:
            if not low - _SCORE_ERROR <= (grade.score or 0.0) <= high + _SCORE_ERROR:
                wanted = f"{low:g}" if low == high else f"{low:g} to {high:g}"
                return f"the score{where} is {grade.score or 0.0:g} instead of {wanted}"
    return ""


def _named(outcome: Outcome) -> str:
    return next(iter(codes(outcome)), outcome)


def is_within(pattern: str, name: str) -> bool:
    """Whether a pattern matches a name or one of the directories around it."""
    parts = name.split("/")
    return any(matches(pattern, "/".join(parts[:count])) for count in range(1, len(parts) + 1))


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern matches a whole name: `*` within a part of it, `{a,b}` for one of several texts."""
    return _compiled(pattern).fullmatch(name) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    choices = list(_expanded(pattern.strip("/"), [0]))
    return re.compile("|".join("[^/]*".join(map(re.escape, choice.split("*"))) for choice in choices))


def _expanded(pattern: str, count: list[int]) -> Iterator[str]:
    """The pattern with its innermost braces replaced by each of their choices."""
    found = re.search(r"\{([^{}]*)\}", pattern)
    count[0] += 1
    if found is None or count[0] > _MOST_BRACES:
        yield pattern
        return
    for choice in found[1].split(","):
        yield from _expanded(pattern[: found.start()] + choice.strip() + pattern[found.end() :], count)
