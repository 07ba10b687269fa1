"""A REST snapshot and its results become the equivalent events (contract, section 6)."""

from __future__ import annotations

from typing import Any

import pytest

from subcli.core.catchup import events_from_log, is_over, missed, verdict, with_output
from subcli.core.submission import Counts
from subcli.core.watch import Watch
from subcli.shared.messages import Complete, ErrorAnalysis, StatusUpdate, TestResult
from subcli.shared.protocol import TERMINAL_STATUSES

A = {"test_name": "A", "status": "passed"}
B = {"test_name": "B", "status": "failed"}
SKIPPED = {"test_name": "S", "status": "skipped"}


def events(snapshot: dict[str, Any], tests: list[Any], log: list[Any] | None = None) -> list[dict[str, Any]]:
    return [dict(event.raw) for event in missed({"id": 7, **snapshot}, tests, log)]


# -- the verdict --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tests", "expected"),
    [
        pytest.param([A], "passed", id="passed"),
        pytest.param([A, SKIPPED], "passed", id="skipped is not failed"),
        pytest.param([SKIPPED], "passed", id="all skipped"),
        pytest.param([A, B], "failed", id="one failed"),
        pytest.param([A, {"test_name": "B", "status": "error"}], "failed", id="one erred"),
        pytest.param([A, {"test_name": "B", "status": "flaky"}], "failed", id="an unknown word"),
        pytest.param([A, {"status": "failed"}], "failed", id="a failure without a name"),
        pytest.param([A, {"test_name": "B", "status": "running"}], None, id="one still runs"),
        pytest.param([A, {"test_name": "B", "status": "pending"}], None, id="one is pending"),
        pytest.param([B, {"test_name": "C", "status": "queued"}], None, id="one failed, one waits"),
        pytest.param([], None, id="no results"),
        pytest.param([{"test_name": "B", "status": "pending"}], None, id="none ended"),
        pytest.param([A, {"test_name": "B"}], None, id="one without a status"),
        pytest.param([A, {"test_name": "B", "status": ""}], None, id="one with an empty status"),
        pytest.param([A, {"test_name": "B", "status": ["passed"]}], None, id="one with a list as status"),
        pytest.param([A, "B"], None, id="one that is no object"),
        pytest.param([B, "B"], "failed", id="a failure and one that cannot be read"),
    ],
)
def test_completed_is_passed_only_with_results_and_without_failures(tests: list[Any], expected: str | None) -> None:
    """`completed` without `final_status` means passed only if every result is readable and none failed."""
    assert verdict({"status": "completed"}, tests) == expected


@pytest.mark.parametrize("status", sorted(TERMINAL_STATUSES - {"completed"}))
@pytest.mark.parametrize("tests", [[], [A], [A, B]])
def test_other_terminal_status_means_failed(status: str, tests: list[Any]) -> None:
    """Whatever the results say; `error` is the judge's own fault."""
    assert verdict({"status": status}, tests) == ("error" if status == "error" else "failed")


@pytest.mark.parametrize(
    ("snapshot", "expected"),
    [
        ({"status": "build_failed", "error_message": "gcc failed", "build_logs": "x.c:1"}, ("gcc failed", "x.c:1")),
        ({"status": "error", "error_message": "no machine"}, ("no machine", "")),
        ({"status": "failed", "build_logs": "y" * 9000}, ("", "y" * 8192)),
        ({"status": "failed", "build_logs": 7, "error_message": " "}, None),
        ({"status": "failed"}, None),
        ({"status": "building", "build_logs": "x"}, None),
        ({"status": "completed", "build_logs": "x"}, None),
    ],
)
def test_reason_in_a_snapshot_becomes_an_analysis(snapshot: dict[str, Any], expected: Any) -> None:
    """Once; the next snapshot says nothing new."""
    watch = Watch(7)
    found = [
        (event.error, event.analysis)
        for event in watch.fill(missed({"id": 7, **snapshot}, [], None)).events
        if isinstance(event, ErrorAnalysis)
    ]
    assert found == ([] if expected is None else [expected])
    assert not watch.fill(missed({"id": 7, **snapshot}, [], None)).events


@pytest.mark.parametrize(
    "status", ["pending", "queued", "submitted", "building", "built", "deploying", "testing", "running"]
)
@pytest.mark.parametrize("final_status", [None, "passed", "failed"])
def test_no_verdict_while_judging(status: str, final_status: str | None) -> None:
    """Even if one remains from an earlier attempt."""
    assert verdict({"status": status, "final_status": final_status}, [A]) is None


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "judged", None, 5, []])
@pytest.mark.parametrize("final_status", ["passed", "failed", "error", "something"])
def test_final_status_of_server_decides(status: Any, final_status: str) -> None:
    """Results and counts do not override it, and an unknown status does not hide it."""
    assert verdict({"status": status, "final_status": final_status}, [B]) == final_status


@pytest.mark.parametrize("final_status", ["", None, 0, True, ["passed"]])
def test_invalid_final_status_is_ignored(final_status: Any) -> None:
    """The verdict is then derived from the results."""
    assert verdict({"status": "completed", "final_status": final_status}, [B]) == "failed"
    assert verdict({"status": "unheard of", "final_status": final_status}, [A]) is None


@pytest.mark.parametrize(
    ("status", "over"),
    [*((status, True) for status in sorted(TERMINAL_STATUSES)), ("testing", False), (None, False), ([], False)],
)
def test_terminal_status_means_over(status: Any, over: bool) -> None:
    """With or without a verdict."""
    assert is_over({"status": status}) is over
    assert is_over({}) is False


# -- events from a snapshot ---------------------------------------------------------------------------


def test_snapshot_while_judging_gives_status_then_results() -> None:
    """In the order in which the socket would have sent them."""
    told = events({"status": "testing", "total_tests": 3, "progress": 50, "detail": "d", "attempt": 1}, [A, B])
    assert told == [
        {
            "type": "status_update",
            "submission_id": 7,
            "status": "testing",
            "total_tests": 3,
            "progress": 50,
            "detail": "d",
            "attempt": 1,
        },
        {"type": "test_result", "submission_id": 7, **A},
        {"type": "test_result", "submission_id": 7, **B},
    ]


def test_comparison_of_a_snapshot_comes_with_its_verdict() -> None:
    """Who polls learns what has changed as well."""
    compared = {"previous": 3, "newly_passing": 1}
    told = events({"status": "completed", "final_status": "passed", "summary": {}, "compared_to": compared}, [A])
    assert told[-1]["compared_to"] == compared
    told = events({"status": "completed", "final_status": "passed", "summary": {}, "compared_to": None}, [A])
    assert "compared_to" not in told[-1]


def test_terminal_snapshot_gives_results_then_status_then_verdict() -> None:
    """The summary is computed if the server sends none."""
    told = events({"status": "completed"}, [A, B, SKIPPED])
    assert [event["type"] for event in told] == ["test_result"] * 3 + ["status_update", "complete"]
    assert told[-1] == {
        "type": "complete",
        "submission_id": 7,
        "final_status": "failed",
        "summary": {"total_tests": 3, "passed": 1, "failed": 1, "skipped": 1},
    }


def test_summary_of_server_takes_precedence() -> None:
    """The computed summary is only a fallback."""
    told = events({"status": "completed", "final_status": "passed", "summary": {"total_tests": 9}}, [A])
    assert told[-1]["summary"] == {"total_tests": 9}


@pytest.mark.parametrize(
    ("row", "read_as"),
    [
        ({"name": "A", "status": "passed"}, {"test_name": "A", "status": "passed"}),
        ({"test_name": None, "name": "A", "status": "passed"}, {"test_name": "A", "status": "passed"}),
        ({"test_id": "t9", "status": "failed"}, {"test_name": "test t9", "status": "failed", "test_id": "t9"}),
        ({"id": 9, "status": "failed"}, {"test_name": "test 9", "status": "failed"}),
        ({"status": "failed"}, {"test_name": "test ?", "status": "failed"}),
        ({"name": "A", "status": "passed", "id": 40}, {"test_name": "A", "status": "passed"}),
        (
            {
                "name": "A",
                "status": "failed",
                "test_id": 1,
                "test_type": "chaos",
                "duration_ms": 5,
                "message": "m",
                "expected": 0,
                "actual": [],
                "output": "o",
                "error_category": "c",
                "timestamp": "t",
                "started_at": "unknown to us",
            },
            {
                "test_name": "A",
                "status": "failed",
                "test_id": 1,
                "test_type": "chaos",
                "duration_ms": 5,
                "message": "m",
                "expected": 0,
                "actual": [],
                "output": "o",
                "error_category": "c",
                "timestamp": "t",
            },
        ),
    ],
)
def test_row_becomes_result(row: dict[str, Any], read_as: dict[str, Any]) -> None:
    """Different field names are accepted; the row's own id may differ from the test's and is dropped."""
    assert events({}, [row]) == [{"type": "test_result", "submission_id": 7, **read_as}]


@pytest.mark.parametrize(
    "row",
    [
        {"name": "A", "status": "pending"},
        {"name": "A", "status": "queued"},
        {"name": "A", "status": "running"},
        {"name": "A"},
        {"name": "A", "status": None},
        {"name": "A", "status": {"passed": True}},
        "A",
        None,
        ["A", "passed"],
    ],
)
def test_row_without_result_is_skipped(row: Any) -> None:
    """Tests that have not ended, and unreadable rows."""
    assert events({}, [row]) == []


def test_skipped_row_does_not_hide_the_next() -> None:
    """Each row is read on its own."""
    told = events({}, [{"name": "A", "status": "pending"}, "x", {"name": "B"}, {"name": "C", "status": "passed"}])
    assert [event["test_name"] for event in told] == ["C"]


def rows_of(tests: list[Any]) -> list[tuple[str, int]]:
    found = [event.row for event in missed({"id": 7}, tests, None) if isinstance(event, TestResult)]
    return [(row.id, row.namesakes) for row in found if row is not None]


def test_result_knows_its_row() -> None:
    """By the row's own id, else by its place among its namesakes; rows that have not ended count as such."""
    x, chaos = {"name": "X", "status": "passed"}, {"name": "X", "status": "passed", "test_type": "chaos"}
    assert rows_of([{**x, "id": 1}, {**x, "id": "b"}, {**x, "status": "running"}]) == [("1", 3), ("b", 3)]
    (one, _), (other, _), (of_type, alone) = rows_of([x, {**x, "id": [1]}, chaos])
    assert len({one, other, of_type}) == 3
    assert alone == 1
    assert rows_of([{**x, "status": "pending"}, x])[0][0] == other


def test_next_listing_does_not_overwrite() -> None:
    """A test that a later listing has under the same name, in another row, is another test."""
    watch = Watch(7)
    for row in ({"id": 1, "name": "X", "status": "passed"}, {"id": 2, "name": "X", "status": "failed"}):
        watch.fill(missed({"id": 7, "status": "testing"}, [row], None))
    assert watch.snapshot().counts == Counts(passed=1, failed=1)


@pytest.mark.parametrize("status", [None, "", 5, ["testing"], {}])
def test_snapshot_without_readable_status_gives_only_results(status: Any) -> None:
    """Without a status event."""
    assert [event["type"] for event in events({"status": status}, [A])] == ["test_result"]


@pytest.mark.parametrize("snapshot", [{"submission_id": 7, "id": 3}, {"id": 7}])
def test_id_is_read_from_either_field(snapshot: dict[str, Any]) -> None:
    """`submission_id` takes precedence over `id`."""
    assert [event.submission_id for event in missed({**snapshot, "status": "testing"}, [A], None)] == [7, 7]


def test_snapshot_of_another_submission_is_ignored() -> None:
    """A watch skips events about other submissions."""
    watch = Watch(8)
    received = watch.fill(missed({"id": 7, "status": "completed"}, [A], None))
    assert received.events == ()
    assert watch.verdict is None


def test_snapshot_does_not_repeat_events_of_the_socket() -> None:
    """Even if the two identify tests differently."""
    watch = Watch(7)
    for raw in (
        {"type": "status_update", "status": "testing", "detail": "1 of 2", "progress": 50},
        {"type": "test_result", "test_name": "A", "test_id": "a", "status": "passed"},
    ):
        watch.fill(events_from_log([raw]))
    snapshot = {"id": 7, "status": "testing", "progress": 40}
    told = watch.fill(missed(snapshot, [{"id": 1, "name": "A", "status": "passed"}, {"id": 2, **B}], None))
    assert [event.raw["test_name"] for event in told.events] == ["B"]
    assert watch.snapshot().counts == Counts(passed=1, failed=1)
    assert watch.snapshot().detail == "1 of 2"


# -- events from a log --------------------------------------------------------------------------------


def test_invalid_log_entries_are_skipped() -> None:
    """One bad entry does not cost the others."""
    log = [{"type": "status_update", "status": "testing", "seq": 1}, None, {"seq": 2}, {"type": "complete"}]
    assert [type(event) for event in events_from_log(log)] == [StatusUpdate]


def test_log_takes_precedence_over_snapshot() -> None:
    """Status and results of the snapshot are not repeated without their numbers."""
    log = [{"type": "test_result", "submission_id": 7, **A, "seq": 4}]
    assert events({"status": "testing"}, [A, B], log) == log
    assert events({"status": "testing"}, [A, B], []) == []


def test_verdict_missing_from_log_is_taken_from_snapshot() -> None:
    """After `--after-seq` beyond the end, or if the log was lost."""
    (complete,) = missed({"id": 7, "status": "completed", "final_status": "passed"}, [], [])
    assert isinstance(complete, Complete)
    assert (complete.final_status, complete.seq) == ("passed", None)
    (complete,) = missed({"id": 7, "status": "completed"}, [A, B], [])
    assert isinstance(complete, Complete)
    assert complete.final_status == "failed"


def test_verdict_of_log_takes_precedence() -> None:
    """It has a number, and there is only one verdict."""
    log = [{"type": "complete", "final_status": "failed", "seq": 9}]
    assert events({"status": "completed", "final_status": "passed"}, [], log) == log


def test_rows_become_test_result_messages() -> None:
    """The same class as messages of the socket."""
    assert isinstance(missed({"id": 7}, [A], None)[0], TestResult)


# -- output -------------------------------------------------------------------------------------------


def test_output_comes_after_the_event_that_it_names() -> None:
    """In its own order; all of it before a verdict that only the snapshot tells."""
    log = events_from_log([{"type": "status_update", "status": "testing", "seq": seq} for seq in (4, 5, 6)])
    pieces = [{"type": "output", "text": "x", "output_seq": number, "after_seq": after} for number, after in TOLD]
    told = with_output(log, events_from_log(pieces))
    assert [event.seq or f"piece {getattr(event, 'output_seq', '?')}" for event in told] == [
        *("piece 1", 4, "piece 2", "piece 3", 5, 6, "piece 4")
    ]
    over = missed({"id": 7, "status": "completed"}, [A], [])
    assert [event.type for event in with_output(over, events_from_log(pieces[:1]))] == ["output", "complete"]
    assert with_output(log, ()) == log
    foreign = events_from_log([{"type": "news"}, {"type": "output", "text": "y"}])
    assert [event.type for event in with_output(log[:1], foreign)] == ["news", "output", "status_update"]


TOLD = ((1, 2), (2, 4), (3, 4), (4, 6))
