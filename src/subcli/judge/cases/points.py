"""What there is to win. Pure."""

from __future__ import annotations

import math
from typing import Final

from subcli.judge.cases.model import Case, CaseSet, Group

DIGITS: Final = 6
"""Decimals of a score: sums of tenths are what their author thinks they are."""


def most_points(cases: CaseSet, part: Case | Group) -> float | None:
    """The most that a case, a group or the whole (`cases.root`) can be worth.

    It is what the author says, or else what follows from the parts; None where there are no points, nobody says, or
    fewer points are better.
    """
    if not cases.is_scored or cases.minimizes:
        return None
    if isinstance(part, Case):
        return _most_of_case(cases, part)
    if part.max_score is not None:
        return part.max_score
    if part.score_range is not None:
        return part.score_range[1] if math.isfinite(part.score_range[1]) else None
    if part.grader is not None:
        return None
    if part.aggregation == "pass-fail":
        return 0.0
    counted = part.parts[-1:] if part.ignores_samples else part.parts
    every = [most_points(cases, inner) for inner in counted]
    known = [most for most in every if most is not None]
    if not known or len(known) < len(every):
        return None
    match part.aggregation:
        case "sum":
            most = math.fsum(known)
        case "avg":
            most = math.fsum(known) / len(known)
        case "min":
            most = min(known)
        case "max":
            most = max(known)
    return round(most, DIGITS)


def _most_of_case(cases: CaseSet, case: Case) -> float | None:
    may_say = case.checker_score in ("optional", "required", "unbounded")
    if may_say and cases.checker is not None and cases.checker.scores:
        return None
    return case.points or 0.0
