"""The groups of tests of one submission, and the points. Pure.

The results say which tests belong to a group and how they ended. Only the summary says what a group is worth: it may be
the minimum of its tests, or computed by the author's program, so nothing is added up here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from subcli.core.submission import GROUPS_KEPT, Counts, Group, Points
from subcli.shared.messages import Summary, TestResult

NAME_CHARS: Final = 200
"""How much of a group's name is kept."""

POINTS_MAX: Final = 1e12
"""Points beyond this count as unknown."""


class Groups:
    """Changes in place, in constant time."""

    def __init__(self) -> None:
        self._tests: dict[int, tuple[str, str]] = {}
        self._counts: dict[str, dict[str, int]] = {}

    def put(self, test: int, result: TestResult, status: str) -> None:
        """Take ``result`` as the last one of its test.

        Args:
            test: the test's number.
            result: the result; most belong to no group.
            status: the count that it belongs to: passed, failed, error or skipped.
        """
        if self._tests and (before := self._tests.pop(test, None)) is not None:
            self._counts[before[0]][before[1]] -= 1
        if result.group is None:
            return
        name = _name(result.group)
        if not name or (name not in self._counts and len(self._counts) >= GROUPS_KEPT):
            return
        self._counts.setdefault(name, {"passed": 0, "failed": 0, "error": 0, "skipped": 0})[status] += 1
        self._tests[test] = name, status

    def all(self, summary: Summary | None) -> tuple[Group, ...]:
        """The groups in the summary, in its order, then others that have tests.

        Args:
            summary: that of the verdict; ``None`` before it.
        """
        told = {_name(group.name): group for group in (summary.groups if summary else ())[:GROUPS_KEPT]}
        counts = {name: count for name, count in self._counts.items() if any(count.values())}
        groups = [
            Group(name, _counts_within(name, counts), points(group.score, group.max_score), group.outcome)
            for name, group in told.items()
        ]
        groups += (Group(name, Counts(*count.values())) for name, count in counts.items() if name not in told)
        return tuple(groups[:GROUPS_KEPT])


def _name(text: str) -> str:
    return text[:NAME_CHARS].strip()


def _counts_within(name: str, counts: Mapping[str, Mapping[str, int]]) -> Counts:
    """The tests of a group and its subgroups: ``secret/small`` is in ``secret``."""
    every = [tuple(count.values()) for inner, count in counts.items() if is_within(inner, name)]
    return Counts(*map(sum, zip(*every, strict=True)))


def is_within(inner: str, outer: str) -> bool:
    """Whether a group is equal to another one or inside it, by their names."""
    return inner == outer or inner.startswith(f"{outer}/")


def points_of(summary: Summary) -> Points | None:
    """The points in a summary; ``None`` if there are none."""
    return points(summary.score, summary.max_score)


def points(score: float | None, max_score: float | None) -> Points | None:
    """``score`` out of ``max_score``; ``None`` if there is no score, it is absurd, or there were no points to get."""
    score, max_score = sensible(score), sensible(max_score)
    return None if score is None or score == max_score == 0 else Points(score, max_score)


def sensible(number: float | None) -> float | None:
    """``number``, unless it is too large for points, or not a number."""
    return number if number is not None and abs(number) < POINTS_MAX else None
