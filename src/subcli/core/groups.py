"""The groups of tests of one submission, and the points. Pure.

The points of a group are the sum of what its tests add, and those of the submission the sum of all tests. The summary
that comes with the verdict has the last word: where its score is another one, groups have no points, because the server
counted them in a way that the results do not tell. What there is to win is known at the end only, when each test has
told its part.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from subcli.core.submission import GROUPS_KEPT, Counts, Group, Points
from subcli.shared.messages import Summary, TestResult

NAME_CHARS: Final = 200
"""How much of a group's name is kept."""

POINTS_MAX: Final = 1e12
"""Points beyond this count as unknown."""

_SAME: Final = 1e-9
"""Sums of decimal fractions that differ by less are equal."""


class _Part(NamedTuple):
    """What one test contributes. ``group`` is empty if it belongs to none."""

    group: str
    status: str
    score: float | None
    max_score: float | None


class _Sum:
    """Counts and points that parts are added to and taken from."""

    def __init__(self) -> None:
        self.counts = {"passed": 0, "failed": 0, "error": 0, "skipped": 0}
        self._tests = 0
        self._score = 0.0
        self._scored = 0
        self._max_score = 0.0
        self._limited = 0

    def add(self, part: _Part, sign: int) -> None:
        self._tests += sign
        self.counts[part.status] += sign
        if part.score is not None:
            self._score += sign * part.score
            self._scored += sign
        if part.max_score is not None:
            self._max_score += sign * part.max_score
            self._limited += sign

    @property
    def is_empty(self) -> bool:
        return not self._tests

    @property
    def points(self) -> Points | None:
        return points(self._score if self._scored else None, self._max_score if self._limited else None)


class Groups:
    """Changes in place, in a time that does not depend on how many tests there are."""

    def __init__(self) -> None:
        self._parts: dict[int, _Part] = {}
        self._groups: dict[str, _Sum] = {}
        self._whole = _Sum()

    def put(self, test: int, result: TestResult, status: str) -> None:
        """Take ``result`` as the last one of its test.

        Args:
            test: the test's number.
            result: the result; most have neither group nor points.
            status: the count that it belongs to: passed, failed, error or skipped.
        """
        if self._parts and (before := self._parts.pop(test, None)) is not None:
            self._add(before, -1)
        if result.group is None and result.score is None and result.max_score is None:
            return
        group = (result.group or "")[:NAME_CHARS].strip()
        part = _Part(group, status, sensible(result.score), sensible(result.max_score))
        self._parts[test] = part
        self._add(part, 1)

    def _add(self, part: _Part, sign: int) -> None:
        self._whole.add(part, sign)
        if not part.group:
            return
        group = self._groups.get(part.group)
        if group is None:
            if len(self._groups) >= GROUPS_KEPT:
                return
            group = self._groups[part.group] = _Sum()
        group.add(part, sign)

    def all(self, summary: Summary | None) -> tuple[Group, ...]:
        """The groups that have tests, in the order in which they were first seen.

        Args:
            summary: that of the verdict; ``None`` before it.
        """
        whole, told = self._whole.points, None if summary is None else points_of(summary)
        has_points = summary is None or (told is not None and whole is not None and is_same(told.score, whole.score))
        is_limited = told is not None and whole is not None and whole.max_score == told.max_score
        return tuple(
            Group(name, Counts(*group.counts.values()), _shown(group.points, is_limited) if has_points else None)
            for name, group in self._groups.items()
            if not group.is_empty
        )

    def points(self, summary: Summary | None) -> Points | None:
        """The points of the submission: those of the summary; without one, those of all results so far."""
        return _shown(self._whole.points, False) if summary is None else points_of(summary)


def _shown(points: Points | None, is_limited: bool) -> Points | None:
    return points if is_limited or points is None else Points(points.score)


def points_of(summary: Summary) -> Points | None:
    """The points in a summary; ``None`` if there are none."""
    return points(summary.score, summary.max_score)


def points(score: float | None, max_score: float | None) -> Points | None:
    """``score`` out of ``max_score``; ``None`` if there is no score, it is absurd, or there was nothing to win."""
    score, max_score = sensible(score), sensible(max_score)
    return None if score is None or score == max_score == 0 else Points(score, max_score)


def sensible(number: float | None) -> float | None:
    """``number``, unless it is too large for points, or not a number."""
    return number if number is not None and abs(number) < POINTS_MAX else None


def is_same(one: float, other: float) -> bool:
    """Whether two scores are equal but for rounding."""
    return math.isclose(one, other, rel_tol=_SAME, abs_tol=_SAME)
