"""Which results are of the same test, whatever a server identifies tests by."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest

from subcli.core.catchup import missed
from subcli.core.identity import Explained, ResultIndex, is_about
from subcli.core.watch import Watch
from subcli.shared.decoding import from_mapping
from subcli.shared.messages import ErrorAnalysis, Row, TestResult


def result(
    name: str,
    test_id: int | str | None = None,
    kind: str | None = None,
    status: str = "passed",
    row: Row | None = None,
) -> TestResult:
    raw = {"type": "test_result", "test_name": name, "status": status, "test_id": test_id, "test_type": kind}
    event = from_mapping({key: value for key, value in raw.items() if value is not None}, row)
    assert isinstance(event, TestResult)
    return event


def numbers(*results: TestResult) -> list[int]:
    """The number of the test of each result in turn."""
    index = ResultIndex()
    return [index.add(each)[0] for each in results]


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        pytest.param([("A", 1), ("A", "1"), ("B", 1)], [0, 0, 0], id="an id decides, whatever its name"),
        pytest.param([("A", 1), ("A", 2), ("A", 1)], [0, 1, 0], id="two ids are two tests"),
        pytest.param([("A", 1), ("A",), ("A", 1)], [0, 0, 0], id="without id: the only one of that name"),
        pytest.param([("A",), ("A", 1), ("A", 2), ("A",)], [0, 0, 1, 0], id="adopted by one id, not by two"),
        pytest.param([("A", 1), ("A", 2), ("A",)], [0, 1, 0], id="several could be meant, and one has the status"),
        pytest.param([("", None), ("", 7)], [0, 0], id="no name is a name"),
        pytest.param(
            [("Basic", None, "functional"), ("Basic", None, "chaos"), ("Basic", None, "performance")],
            [0, 1, 2],
            id="three types of one name",
        ),
        pytest.param(
            [("A", 1, "functional"), ("A", 2, "chaos"), ("A", None, "chaos"), ("A", None, "functional")],
            [0, 1, 1, 0],
            id="without id: the only one of that type and name",
        ),
        pytest.param([("A", 1, "chaos"), ("A",)], [0, 0], id="a missing type does not tell apart"),
        pytest.param([("A",), ("A", None, "chaos"), ("A", None, "load")], [0, 0, 1], id="a type is learned"),
        pytest.param([("A", 1, ""), ("A", None, "chaos")], [0, 0], id="an empty type is none"),
        pytest.param([("B", 1), ("A", 1), ("B",), ("A",)], [0, 0, 0, 0], id="a test of two names"),
    ],
)
def test_results_of_the_socket(results: list[tuple[Any, ...]], expected: list[int]) -> None:
    """By id where there is one, else by type and name."""
    assert numbers(*(result(*each) for each in results)) == expected


def test_name_that_could_be_several_tests_is_one_of_its_own() -> None:
    """Known by type and name alone; it is the same one the next time."""
    assert numbers(
        result("A", 1, status="passed"),
        result("A", 2, status="passed"),
        result("A", status="failed"),
        result("A", status="error"),
        result("A", status="passed"),
    ) == [0, 1, 2, 2, 2]


def test_rows_tell_namesakes_apart() -> None:
    """The row's own id, whatever the listing contains at another time, and however often it is read."""
    one = [result("X", row=Row("1", 1))]
    other = [result("X", status="failed", row=Row("2", 1))]
    assert numbers(*one, *other, *one, *other) == [0, 1, 0, 1]


def test_row_with_the_id_of_a_test() -> None:
    """Where a row's own id is that of the test, it decides before the status does, on either way."""
    socket = [result("X", 1, status="passed"), result("X", 2, status="failed")]
    rows = [result("X", status="failed", row=Row("1", 2)), result("X", status="passed", row=Row("2", 2))]
    assert numbers(*socket, *rows) == [0, 1, 0, 1]
    assert numbers(*rows, *socket) == [0, 1, 0, 1]


def test_row_with_a_test_id() -> None:
    """The id decides, and what it belongs to is known by the row from then on."""
    with_ids = [result("X", "a", row=Row("1", 2)), result("X", "b", row=Row("2", 2))]
    assert numbers(result("X", "b"), result("X", "a"), *with_ids) == [0, 1, 1, 0]
    assert numbers(*with_ids, result("X", "b"), result("X", row=Row("1", 2))) == [0, 1, 1, 0]
    # A row that comes with another id is another test.
    assert numbers(*with_ids, result("X", "c", row=Row("1", 2))) == [0, 1, 2]
    # What was listed without its id gets it; another row does not.
    assert numbers(result("X", row=Row("1", 2)), result("X", "a", row=Row("1", 2))) == [0, 0]
    assert numbers(result("X", row=Row("1", 2)), result("X", "b", row=Row("2", 2))) == [0, 1]
    # A test that is listed in another row later is still that test.
    assert numbers(*(result("X", "a", row=Row(row, 1)) for row in "121")) == [0, 0, 0]


def test_namesakes_that_have_not_ended_are_no_reason_to_flip() -> None:
    """A listing has two; the one known passed, so a failure is that of the other."""
    passed, failed = result("X", 1, status="passed"), result("X", 2, status="failed")
    row = result("X", status="failed", row=Row("31", 2))
    assert numbers(passed, row, failed, result("X", row=Row("30", 2))) == [0, 1, 1, 0]
    listed = result("X", status="passed", row=Row("30", 2))
    assert numbers(listed, failed, passed) == [0, 1, 0]


@pytest.mark.parametrize(
    ("types", "socket_ids"),
    [(("functional", "chaos", "load"), True), (("functional", "chaos", "load"), False), ((None, None, None), True)],
)
@pytest.mark.parametrize("row_ids", ["test_id", "id", None])
@pytest.mark.parametrize("row_types", [True, False])
@pytest.mark.parametrize("statuses", [("passed", "failed", "passed"), ("passed", "passed", "passed")])
def test_any_order_of_socket_and_rest_counts_each_test_once(
    types: tuple[str | None, ...], socket_ids: bool, row_ids: str | None, row_types: bool, statuses: tuple[str, ...]
) -> None:
    """Three tests called Basic, each seen over the socket or not, and listed in any order, before or after."""
    told: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for number, (kind, status) in enumerate(zip(types, statuses, strict=True)):
        common = {"test_name": "Basic", "status": status}
        told.append({**common, "type": "test_result", "test_type": kind, **({"test_id": number} if socket_ids else {})})
        identity = {"test_id": {"test_id": number, "id": 90 + number}, "id": {"id": 90 + number}, None: {}}[row_ids]
        rows.append({**common, "test_type": kind if row_types else None, **identity})
    for seen in itertools.product((False, True), repeat=3):
        socket = [event for event, is_seen in zip(told, seen, strict=True) if is_seen]
        for listing in itertools.permutations(rows) if row_ids else [rows]:
            for way in ([socket, None], [None, socket], [socket, None, socket, None], [None, None]):
                watch = Watch(7)
                shown: list[str] = []
                for part in way:
                    events = (
                        missed({"id": 7, "status": "testing"}, list(listing), None)
                        if part is None
                        else [from_mapping(dict(raw)) for raw in part]
                    )
                    news = watch.fill(events).events
                    shown += [event.status for event in news if isinstance(event, TestResult)]
                    assert all(event.number < 3 for event in news if isinstance(event, TestResult))
                counts = watch.snapshot().counts
                assert Counter(passed=counts.passed, failed=counts.failed) == Counter(statuses) + Counter(failed=0)
                assert sorted(shown) == sorted(statuses), f"flipped or shown twice: {way}"


def test_fourth_poll_changes_nothing() -> None:
    """Pending rows become results one by one, and each is news once."""
    watch = Watch(7)
    rows = [{"id": 90 + number, "name": "X", "status": "pending"} for number in range(3)]
    shown = []
    for number, status in ((2, "failed"), (0, "passed"), (1, "failed"), (1, "failed")):
        rows[number]["status"] = status
        shown.append(len(watch.fill(missed({"id": 7, "status": "testing"}, [dict(row) for row in rows], None)).events))
    assert shown == [2, 1, 1, 0]  # the first with the status
    assert (watch.snapshot().counts.passed, watch.snapshot().counts.failed) == (1, 2)


@pytest.mark.parametrize(
    ("analysis", "of", "expected"),
    [
        ({"test_id": 3, "test_name": "other"}, ("x", 3), True),
        ({"test_id": "3"}, ("x", 3), True),
        ({"test_id": 4, "test_name": "x"}, ("x", 3), False),
        ({"test_id": 4, "test_name": "x"}, ("x",), True),
        ({"test_name": "x"}, ("x", 3), True),
        ({"test_name": "x", "test_type": "chaos"}, ("x", None, "functional"), False),
        ({"test_name": "x", "test_type": "chaos"}, ("x", None, "chaos"), True),
        ({"test_name": "x", "test_type": "chaos"}, ("x",), True),
        ({"test_name": "x"}, ("x", None, "chaos"), True),
        ({"test_name": ""}, ("x",), False),
        ({}, ("",), False),
    ],
)
def test_analysis_belongs_to_a_test(analysis: dict[str, Any], of: tuple[Any, ...], expected: bool) -> None:
    """By id where both have one, else by name and, where both have one, type."""
    explaining, explained = ErrorAnalysis(**analysis), result(*of)
    assert is_about(explaining, explained) is expected
    other = result("another name", "99")
    assert Explained([other, explained]).result(explaining) is (explained if expected else None)
