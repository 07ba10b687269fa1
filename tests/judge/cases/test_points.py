"""What there is to win."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from subcli.judge.cases.model import Aggregation, Case, CaseSet, Checker, CheckerScore, Group, Tool
from subcli.judge.cases.points import most_points
from subcli.judge.languages.language import Language

TOOL = Tool(Path(), ("v.py",), Language(name="python", source="v.py", run=()), "v.py")


def case(points: float | None = 0.1, rule: CheckerScore = "optional") -> Case:
    return Case(name="a", input=Path("a"), answer=Path("a"), points=points, checker_score=rule)


def most(*parts: Case | Group, **more: Any) -> float | None:
    checker = Checker(TOOL, scores=True) if more.pop("scores", False) else None
    known: dict[str, Any] = {name: more.pop(name) for name in ("is_scored", "minimizes") if name in more}
    root = Group(name="", parts=parts, **{"aggregation": "sum", **more})
    return most_points(CaseSet(root, checker, **{"is_scored": True, **known}), root)


@pytest.mark.parametrize(
    ("kind", "expected"), [("sum", 0.3), ("min", 0.1), ("max", 0.1), ("avg", 0.1), ("pass-fail", 0)]
)
def test_follows_from_the_parts(kind: Aggregation, expected: float) -> None:
    """As the score of who solves everything does, to the last digit."""
    assert most(case(), case(), case(), aggregation=kind) == expected


def test_author_has_the_last_word() -> None:
    """What is declared counts, of a group and of the whole."""
    group = Group(name="g", parts=(case(),), max_score=30)
    assert most(group, case(None)) == 30
    assert most(group, max_score=25) == 25
    assert most(group, score_range=(0, 20)) == 20
    assert most(group, score_range=(0, math.inf)) is None
    assert most(Group(name="sample", parts=(case(7),), aggregation="sum"), group, ignores_samples=True) == 30


def test_nobody_knows() -> None:
    """Where a program decides, where fewer points are better, and where there are none."""
    assert most(case(rule="unbounded"), case(), scores=True) is None
    assert most(case(rule="bounded"), case(rule="ignored"), scores=True) == 0.2
    assert most(case(), grader=TOOL) is None
    assert most(case(), minimizes=True) is None
    assert most(case(), is_scored=False) is None
    assert most() is None
