"""The groups of tests and the points: the last result of each test counts, and the summary has the last word."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from subcli.core.groups import NAME_CHARS, Groups
from subcli.core.submission import GROUPS_KEPT, Counts, Group, Points
from subcli.core.watch import Watch
from subcli.shared.decoding import from_mapping
from subcli.shared.messages import Summary, TestResult


def put(groups: Groups, test: int, group: str | None = None, score: float | None = None, best: float | None = None,
        status: str = "passed") -> None:  # fmt: skip
    result = TestResult(test_name=f"case {test}", status=status, group=group, score=score, max_score=best)
    groups.put(test, result, status)


def two_groups() -> Groups:
    groups = Groups()
    put(groups, 0, "sample")
    put(groups, 1, "secret/1", 20, 20)
    put(groups, 2, "secret/2", 5, 30, "failed")
    put(groups, 3, None, 0.5, 1)
    return groups


def test_results_without_group_or_points_cost_nothing() -> None:
    """Servers that send none of it have no groups and no points."""
    groups = Groups()
    for test in range(1000):
        put(groups, test)
    assert groups.all(None) == groups.all(Summary()) == ()
    assert groups.points(None) is groups.points(Summary()) is None
    assert not groups._parts


def test_points_so_far_have_no_limit() -> None:
    """What there is to win is not known before all tests have told."""
    groups = two_groups()
    assert groups.points(None) == Points(25.5)
    assert groups.all(None) == (
        Group("sample", Counts(passed=1)),
        Group("secret/1", Counts(passed=1), Points(20)),
        Group("secret/2", Counts(failed=1), Points(5)),
    )


def test_summary_that_adds_up_confirms_the_groups() -> None:
    """Their points and what there was to win are then known."""
    groups = two_groups()
    assert groups.points(Summary(score=25.5, max_score=51)) == Points(25.5, 51)
    assert [group.points for group in groups.all(Summary(score=25.5, max_score=51))] == [
        None,
        Points(20, 20),
        Points(5, 30),
    ]


@pytest.mark.parametrize("summary", [Summary(), Summary(score=20, max_score=51), Summary(max_score=51)])
def test_summary_with_another_score_leaves_groups_without_points(summary: Summary) -> None:
    """The server counts them in a way that the results do not tell; their counts stay."""
    groups = two_groups().all(summary)
    assert [group.points for group in groups] == [None] * 3
    assert [group.counts.done for group in groups] == [1, 1, 1]


def test_limit_that_results_do_not_reach_is_not_split() -> None:
    """Tests that never ran have not told their part."""
    assert [group.points for group in two_groups().all(Summary(score=25.5, max_score=100))] == [
        None,
        Points(20),
        Points(5),
    ]


def test_last_result_of_a_test_counts() -> None:
    """Judged again, a test may be in another group and have other points."""
    groups = two_groups()
    put(groups, 2, "secret/2", 30, 30)
    put(groups, 1, "secret/3", 10, 20, "failed")
    put(groups, 3)
    assert groups.points(None) == Points(40)
    assert [(group.name, group.counts.not_passed) for group in groups.all(None)] == [
        ("sample", 0),
        ("secret/2", 0),
        ("secret/3", 1),
    ]


def test_many_and_long_names_are_bounded() -> None:
    """Every test counts for the points all the same."""
    groups = Groups()
    for test in range(10 * GROUPS_KEPT):
        put(groups, test, f"{test}" + "x" * 10_000, 1)
    for test in range(10 * GROUPS_KEPT):
        put(groups, test, f"again {test}", 2)
    assert len(groups.all(None)) <= GROUPS_KEPT
    assert all(len(group.name) <= NAME_CHARS for group in groups.all(None))
    assert groups.points(None) == Points(20.0 * GROUPS_KEPT)


@pytest.mark.parametrize("absurd", [float("nan"), float("inf"), -1e300])
def test_absurd_points_are_ignored(absurd: float) -> None:
    """One of them must not spoil the sum of the others."""
    groups = two_groups()
    put(groups, 9, "secret/9", absurd, absurd)
    assert groups.points(None) == Points(25.5)
    assert groups.points(Summary(score=absurd)) is None


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
    summary = {"passed": 1, "score": value, "max_score": value}
    watch.take(from_mapping({"type": "complete", "final_status": "passed", "summary": summary}))
    assert watch.verdict is not None
    assert watch.verdict.summary == Summary(passed=1)
    assert watch.snapshot().points is None


def test_work_for_a_result_does_not_grow() -> None:
    """A result takes as many calls with ten thousand tests before it as with ten, and one without points only one."""

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
