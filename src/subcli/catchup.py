"""What a REST snapshot and its results tell, as the events that would have told it. Pure.

For servers without an event log (contract, section 6): after a reconnect, after silence, and while polling,
the snapshot stands in for the socket. What it says is put in the same event types and goes through
:meth:`subcli.watch.Watch.take_all`, which drops what was seen; so both ways meet in one function.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from subcli.protocol import TERMINAL_STATUSES, MalformedMessageError, Message, Raw, from_mapping

_TEST_FIELDS: Final = (
    "test_id",
    "test_type",
    "duration_ms",
    "message",
    "expected",
    "actual",
    "output",
    "error_category",
    "timestamp",
)


def events_from_log(log: Iterable[object]) -> list[Message]:
    """The events of ``GET …/events``; entries that are no events are passed over."""
    return [event for entry in log if (event := _event(entry)) is not None]


def events_from_snapshot(snapshot: Raw, tests: Sequence[object]) -> list[Message]:
    """The events that a snapshot and its results stand for, in the order in which they would have come."""
    submission_id = snapshot.get("submission_id", snapshot.get("id"))
    events: list[Message | None] = []
    results: list[Raw] = []
    for test in tests:
        if isinstance(test, dict) and (result := _result(submission_id, test)) is not None:
            results.append(result)
            events.append(_event(result))
    status = snapshot.get("status")
    if isinstance(status, str):
        update = {"type": "status_update", "submission_id": submission_id, "status": status}
        for field in ("total_tests", "progress", "detail", "queue_position", "attempt"):
            if snapshot.get(field) is not None:
                update[field] = snapshot[field]
        # A terminal status is said after the results it follows from, any other before them.
        events.insert(len(events) if status in TERMINAL_STATUSES else 0, _event(update))
    final_status = verdict(snapshot, [str(result["status"]) for result in results])
    if final_status is not None:
        events.append(
            _event(
                {
                    "type": "complete",
                    "submission_id": submission_id,
                    "final_status": final_status,
                    "summary": snapshot.get("summary") or _summary(results),
                }
            )
        )
    return [event for event in events if event is not None]


def verdict(snapshot: Raw, statuses: Sequence[str]) -> str | None:
    """The verdict that a snapshot allows, if any (contract, section 6).

    ``final_status`` where the server gives one. Else a terminal status decides: ``completed`` is ``passed``
    if there are results and none failed or erred, and no verdict at all without results; any other terminal
    status is ``failed``.
    """
    final_status = snapshot.get("final_status")
    if isinstance(final_status, str) and final_status:
        return final_status
    status = snapshot.get("status")
    if status not in TERMINAL_STATUSES:
        return None
    if status != "completed":
        return "failed"
    if not statuses:
        return None
    return "passed" if all(word in ("passed", "skipped") for word in statuses) else "failed"


def is_over(snapshot: Raw) -> bool:
    """Whether nothing more will happen to this submission, verdict or not."""
    return snapshot.get("status") in TERMINAL_STATUSES


def _result(submission_id: object, test: Raw) -> dict[str, Any] | None:
    """One row of ``GET …/tests`` as a ``test_result``; ``None`` for a test that has not ended."""
    name, status = test.get("test_name", test.get("name")), test.get("status")
    if not isinstance(name, str) or not isinstance(status, str) or status in ("pending", "queued", "running"):
        return None
    result: dict[str, Any] = {
        "type": "test_result",
        "submission_id": submission_id,
        "test_name": name,
        "status": status,
    }
    if "test_id" not in test and isinstance(test.get("id"), int | str):
        result["test_id"] = test["id"]
    result.update({field: test[field] for field in _TEST_FIELDS if test.get(field) is not None})
    return result


def _summary(results: Sequence[Raw]) -> dict[str, int]:
    passed = sum(result["status"] == "passed" for result in results)
    skipped = sum(result["status"] == "skipped" for result in results)
    return {
        "total_tests": len(results),
        "passed": passed,
        "failed": len(results) - passed - skipped,
        "skipped": skipped,
    }


def _event(entry: object) -> Message | None:
    try:
        return from_mapping(entry)
    except MalformedMessageError:
        return None
