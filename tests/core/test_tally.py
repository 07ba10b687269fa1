"""The last result of each test, counted, however the server identifies tests."""

from __future__ import annotations

import pytest

from subcli.core.submission import FAILURES_KEPT, RECENT_KEPT, Counts
from subcli.core.tally import Tally
from subcli.shared.messages import TestResult


def result(name: str, status: str = "passed", test_id: int | str | None = None) -> TestResult:
    return TestResult(test_name=name, status=status, test_id=test_id)


def tally(*results: TestResult) -> Tally:
    one = Tally()
    for each in results:
        one.put(each)
    return one


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("passed", Counts(passed=1)),
        ("failed", Counts(failed=1)),
        ("error", Counts(errored=1)),
        ("skipped", Counts(skipped=1)),
        ("flaky", Counts(failed=1)),
    ],
)
def test_counts_by_status(status: str, counts: Counts) -> None:
    """An unknown status counts as failed."""
    assert tally(result("A", status)).counts == counts


@pytest.mark.parametrize("first", ["passed", "failed", "error", "skipped", "flaky"])
@pytest.mark.parametrize("last", ["passed", "failed", "error", "skipped", "flaky"])
def test_last_result_of_a_test_decides_whether_it_fails(first: str, last: str) -> None:
    """A repeated test that passes at last does not."""
    assert tally(result("A", first), result("A", last)).has_failures == (last not in ("passed", "skipped"))


@pytest.mark.parametrize("first", ["passed", "failed", "error", "skipped", "flaky"])
@pytest.mark.parametrize("last", ["passed", "failed", "error", "skipped", "flaky"])
def test_last_result_of_a_test_counts(first: str, last: str) -> None:
    """A repeated test is counted once, and is a failure only if its last result is."""
    again = result("A", last)
    one = tally(result("A", first), again)
    assert one.counts == tally(again).counts
    assert one.recent == (again,)
    assert one.failures == ((again,) if last in ("failed", "error", "flaky") else ())
    assert one.put(again, is_listed=False) is None


@pytest.mark.parametrize(
    ("results", "tests"),
    [
        pytest.param([("A", 1), ("A", 1)], 1, id="the same id"),
        pytest.param([("A", 1), ("A", "1")], 1, id="the same id as a number and as text"),
        pytest.param([("A", 1), ("B", 1)], 1, id="the same id under another name"),
        pytest.param([("A", None), ("A", None)], 1, id="the same name"),
        pytest.param([("A", 1), ("A", 2)], 2, id="two ids of one name"),
        pytest.param([("A", None), ("B", None)], 2, id="two names"),
        pytest.param([("A", 1), ("A", None)], 1, id="an id, then only the name"),
        pytest.param([("A", None), ("A", 1)], 1, id="a name, then the id with it"),
        pytest.param([("A", None), ("A", 1), ("A", None), ("A", 1)], 1, id="in turns"),
        pytest.param([("A", None), ("A", 1), ("A", 2)], 2, id="adopted by one id, not by two"),
        pytest.param([("A", 1), ("A", 2), ("A", 1), ("A", 2)], 2, id="two ids of one name, again"),
        pytest.param([("#1", None), ("A", 1)], 2, id="a name that looks like an id"),
        pytest.param([("1", None), ("A", 1)], 2, id="a name that is the id of another"),
        pytest.param([("", None), ("", 7)], 1, id="an empty name"),
    ],
)
def test_test_is_identified_by_id_or_name(results: list[tuple[str, int | str | None]], tests: int) -> None:
    """The socket may send the id and REST only the name, or the other way round."""
    assert tally(*(result(name, test_id=test_id) for name, test_id in results)).counts.done == tests


def test_name_alone_means_first_test_with_that_name() -> None:
    """If two ids share the name."""
    one = tally(result("A", "passed", 1), result("A", "failed", 2))
    assert one.put(result("A", "passed"), is_listed=False) is None
    assert one.put(result("A", "failed", 2), is_listed=False) is None
    assert one.put(result("A", "passed", 3), is_listed=False) == 2
    assert one.put(result("B"), is_listed=False) == 3


def test_results_are_bounded_but_counts_are_complete() -> None:
    """The latest results and the first failures are kept."""
    one = Tally()
    for number in range(5_000):
        one.put(result(f"t{number}", "failed" if number % 2 else "passed"))
    assert one.counts == Counts(passed=2_500, failed=2_500)
    assert [each.test_name for each in one.recent] == [f"t{n}" for n in range(5_000 - RECENT_KEPT, 5_000)]
    assert [each.test_name for each in one.failures] == [f"t{n}" for n in range(1, 2 * FAILURES_KEPT, 2)]


def test_repeated_test_becomes_most_recent() -> None:
    """Rows are ordered by their last result."""
    one = tally(result("A"), result("B"), result("A"))
    assert [each.test_name for each in one.recent] == ["B", "A"]


def test_test_no_longer_in_recent_can_be_repeated() -> None:
    """It is not counted twice."""
    one = tally(*(result(f"t{number}") for number in range(RECENT_KEPT + 1)), result("t0", "failed"))
    assert one.counts == Counts(passed=RECENT_KEPT, failed=1)
    assert one.recent[-1].test_name == "t0"
    assert len(one.recent) == RECENT_KEPT
