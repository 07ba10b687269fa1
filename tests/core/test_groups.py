"""The groups of tests and the points: the last result of each test counts, and points come with the summary."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
import pytest

from subcli.core.groups import NAME_CHARS, Groups, points_of
from subcli.core.submission import GROUPS_KEPT, Counts, Group, Points
from subcli.core.watch import Watch
from subcli.shared.decoding import from_mapping
from subcli.shared.messages import GroupSummary, Summary, TestResult


def put(groups: Groups, test: int, group: str | None = None, status: str = "passed") -> None:
    groups.put(test, TestResult(test_name=f"case {test}", status=status, group=group, score=20, max_score=20), status)


def three_groups() -> Groups:
    groups = Groups()
    put(groups, 0, "sample")
    put(groups, 1, "secret/1")
    put(groups, 2, "secret/2", "failed")
    put(groups, 3)
    return groups


def told(*groups: GroupSummary, **more: Any) -> Summary:
    return Summary(groups=groups, **more)


def test_results_without_group_cost_nothing() -> None:
    """Servers that send none of it have no groups."""
    groups = Groups()
    for test in range(1000):
        put(groups, test)
    assert groups.all(None) == groups.all(Summary()) == ()
    assert not groups._tests


def test_groups_without_a_summary_have_no_points() -> None:
    """Whether they add up, only who grades them knows."""
    expected = (
        Group("sample", Counts(passed=1)),
        Group("secret/1", Counts(passed=1)),
        Group("secret/2", Counts(failed=1)),
    )
    assert three_groups().all(None) == three_groups().all(Summary(score=40, max_score=60)) == expected


def test_summary_has_the_last_word() -> None:
    """What it tells of comes first, and a group has the tests of those in it; the results tell of the others."""
    secret = GroupSummary("secret", "wrong_answer", 7, 30)
    first, absent = GroupSummary("secret/1", "passed", 0.5), GroupSummary("secret/10", "skipped", 0, 0)
    assert three_groups().all(told(secret, first, absent)) == (
        Group("secret", Counts(passed=1, failed=1), Points(7, 30), "wrong_answer"),
        Group("secret/1", Counts(passed=1), Points(0.5), "passed"),
        Group("secret/10", Counts(), None, "skipped"),
        Group("sample", Counts(passed=1)),
        Group("secret/2", Counts(failed=1)),
    )


def test_last_result_of_a_test_counts() -> None:
    """Judged again, a test may be in another group, or in none."""
    groups = three_groups()
    put(groups, 2, "secret/2")
    put(groups, 1, "secret/3", "failed")
    put(groups, 0)
    assert [(group.name, group.counts.not_passed) for group in groups.all(None)] == [("secret/2", 0), ("secret/3", 1)]


def test_many_and_long_names_are_bounded() -> None:
    """From results and from a summary."""
    groups = Groups()
    for test in range(10 * GROUPS_KEPT):
        put(groups, test, f"{test}" + "x" * 10_000)
    for test in range(10 * GROUPS_KEPT):
        put(groups, test, f"again {test}")
    summary = told(*(GroupSummary(f"{number}" + "y" * 10_000) for number in range(10 * GROUPS_KEPT)))
    for found in (groups.all(None), groups.all(summary)):
        assert len(found) <= GROUPS_KEPT
        assert all(len(group.name) <= NAME_CHARS for group in found)


@pytest.mark.parametrize("absurd", [float("nan"), float("inf"), -1e300])
def test_absurd_points_are_ignored(absurd: float) -> None:
    """Of the whole and of a group."""
    assert points_of(Summary(score=absurd)) is None
    (group,) = Groups().all(told(GroupSummary("g", score=absurd)))
    assert group.points is None


def received(**fields: Any) -> Watch:
    watch = Watch(7)
    watch.take(from_mapping({"type": "test_result", "test_name": "A", "status": "failed", **fields}))
    return watch


WRONG: list[Any] = [True, "12", [], {}, -(10**400), None, [[1]], {"a": 1}, "\x1b[2J" * 9, "\ud800"]


@pytest.mark.parametrize("name", ["outcome", "cpu_ms", "memory_kb", "group", "score", "max_score"])
@pytest.mark.parametrize("value", WRONG, ids=lambda value: ascii(value)[:9])
def test_wrong_type_is_ignored(name: str, value: Any) -> None:
    """It does not cost the result, nor its other fields."""
    others = {"outcome": "wrong_answer", "score": 3, "max_score": 4, "group": "g", "cpu_ms": 1.5, "memory_kb": 2}
    snapshot = received(**{**others, name: value}).snapshot()
    assert snapshot.counts == Counts(failed=1)
    kept = snapshot.recent[0]
    if not isinstance(value, str) or name not in ("outcome", "group"):
        assert getattr(kept, name) is None
    assert all(getattr(kept, other) == known for other, known in others.items() if other != name)


@pytest.mark.parametrize("value", WRONG, ids=lambda value: ascii(value)[:9])
def test_wrong_type_in_the_summary_is_ignored(value: Any) -> None:
    """The verdict and the counts stay."""
    watch = Watch(7)
    groups = [value, {"name": "g", "outcome": value, "score": value, "max_score": value}, {"score": 1}]
    summary = {"passed": 1, "score": value, "max_score": value, "groups": groups}
    watch.take(from_mapping({"type": "complete", "final_status": "passed", "summary": summary}))
    assert watch.verdict is not None
    (group,) = watch.verdict.summary.groups
    assert msgspec.structs.replace(group, outcome=None) == GroupSummary("g")
    assert watch.verdict.summary == Summary(passed=1, groups=(group,))
    assert watch.snapshot().points is None


def test_work_for_a_result_does_not_grow() -> None:
    """A result takes as many calls with ten thousand tests before it as with ten, and one without a group only one."""

    def calls(tests: int, **fields: Any) -> int:
        groups, counted = Groups(), 0
        results = [
            TestResult(test_name=str(test), status="passed", **{**fields, "group": f"g{test % 500}"} if fields else {})
            for test in range(tests + 1)
        ]
        for test, result in enumerate(results[:tests]):
            groups.put(test, result, "passed")

        def count(frame: Any, event: str, arg: object) -> None:
            nonlocal counted
            counted += event == "call"

        sys.setprofile(count)
        groups.put(tests, results[tests], "passed")
        sys.setprofile(None)
        return counted

    assert calls(10_000, score=1.0) <= calls(10, score=1.0)
    assert calls(10_000) == 1
