"""What a REST snapshot and its results tell, as the events that would have told it. Pure.

For servers without an event log (contract, section 6): after a reconnect, after silence, and while polling,
the snapshot stands in for the socket. What it says is put in the same event types and goes through
:meth:`subcli.core.watch.Watch.take_all`, which drops what was seen; so both ways meet in one function.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from subcli.shared.protocol import (
    STATUS_RANKS,
    TERMINAL_STATUSES,
    Complete,
    MalformedMessageError,
    Message,
    Raw,
    from_mapping,
)

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
_STATUS_FIELDS: Final = ("total_tests", "progress", "detail", "queue_position", "attempt")
# Tuples: what is looked for in them may be anything that JSON can say, a list as well.
_NOT_ENDED: Final = ("pending", "queued", "running")
_ENDED: Final = STATUS_RANKS["completed"]
_GOOD: Final = ("passed", "skipped")


def missed(snapshot: Raw, tests: Sequence[object], log: Sequence[object] | None) -> list[Message]:
    """What may have been missed, in order.

    Args:
        snapshot: of the submission; read before the other two, so that they hold all that it knows of.
        tests: its results.
        log: its events after the last one seen; ``None`` from a server that does not keep them. Where there
            is a log, it alone tells what input; only a verdict that it lacks is taken from the snapshot.
    """
    if log is None:
        return _events_from_snapshot(snapshot, tests)
    events = events_from_log(log)
    if not any(isinstance(event, Complete) for event in events):
        events.extend(_verdict_from_snapshot(snapshot, tests))
    return events


def events_from_log(log: Iterable[object]) -> list[Message]:
    """The events of ``GET …/events``; entries that are no events are passed over."""
    return [event for entry in log for event in _event(entry)]


def _events_from_snapshot(snapshot: Raw, tests: Sequence[object]) -> list[Message]:
    """A terminal status is said after the results it follows from, any other before them."""
    results, status = _results_from(snapshot, tests), _status_from(snapshot)
    first, then = (results, status) if is_over(snapshot) else (status, results)
    return [*first, *then, *_verdict_from_snapshot(snapshot, tests)]


def _results_from(snapshot: Raw, tests: Sequence[object]) -> list[Message]:
    rows = [test for test in tests if isinstance(test, dict)]
    names = Counter(_name(row) for row in rows)
    results: list[Message] = []
    for row in rows:
        if row.get("status") in _NOT_ENDED:
            continue
        result = {
            "type": "test_result",
            "submission_id": _id(snapshot),
            "test_name": _name(row),
            "status": row.get("status"),
            **{field: row[field] for field in _TEST_FIELDS if row.get(field) is not None},
        }
        if names[_name(row)] > 1 and row.get("id") is not None:
            # The row's own id may be another than the test's: it is good enough where the name is not.
            result.setdefault("test_id", row["id"])
        results.extend(_event(result))
    return results


def _status_from(snapshot: Raw) -> list[Message]:
    update = {"type": "status_update", "submission_id": _id(snapshot), "status": snapshot.get("status")}
    return _event(update | {field: snapshot[field] for field in _STATUS_FIELDS if snapshot.get(field) is not None})


def _verdict_from_snapshot(snapshot: Raw, tests: Sequence[object]) -> list[Message]:
    final_status = verdict(snapshot, tests)
    if final_status is None:
        return []
    complete = {
        "type": "complete",
        "submission_id": _id(snapshot),
        "final_status": final_status,
        "summary": snapshot.get("summary") or _summary(_statuses(tests)),
    }
    return _event(complete)


def verdict(snapshot: Raw, tests: Sequence[object]) -> str | None:
    """The verdict that a snapshot allows, if any (contract, section 6).

    While the submission is on its way there is none, whatever is left over from an earlier attempt. Then
    ``final_status`` decides where the server gives one. Else a terminal status does: ``completed`` is
    ``passed`` if there are results and none failed or erred, and no verdict at all without results, or with
    some that cannot be read; any other terminal status is ``failed``.
    """
    status, final_status = snapshot.get("status"), snapshot.get("final_status")
    if isinstance(status, str) and STATUS_RANKS.get(status, _ENDED) < _ENDED:
        return None
    if isinstance(final_status, str) and final_status:
        return final_status
    if not is_over(snapshot):
        return None
    if status != "completed":
        return "failed"
    statuses = _statuses(tests)
    if any(status is not None and status not in _GOOD for status in statuses):
        return "failed"
    return "passed" if statuses and None not in statuses else None


def is_over(snapshot: Raw) -> bool:
    """Whether nothing more will happen to this submission, verdict or not."""
    status = snapshot.get("status")
    return isinstance(status, str) and status in TERMINAL_STATUSES


def _statuses(tests: Sequence[object]) -> list[str | None]:
    """The statuses of the tests that have ended; ``None`` for one that cannot be read."""
    found = [test.get("status") if isinstance(test, dict) else None for test in tests]
    return [status if isinstance(status, str) and status else None for status in found if status not in _NOT_ENDED]


def _summary(statuses: Sequence[str | None]) -> dict[str, int]:
    passed, skipped = statuses.count("passed"), statuses.count("skipped")
    return {
        "total_tests": len(statuses),
        "passed": passed,
        "failed": len(statuses) - passed - skipped,
        "skipped": skipped,
    }


def _name(row: Raw) -> str:
    """A test's name, by whichever field the server gives it; else its id."""
    for field in ("test_name", "name"):
        if isinstance(row.get(field), str):
            return str(row[field])
    return f"test {row.get('test_id', row.get('id', '?'))}"


def _id(snapshot: Raw) -> Any:
    return snapshot.get("submission_id", snapshot.get("id"))


def _event(entry: object) -> list[Message]:
    """The event that ``entry`` is; nothing where it is none."""
    try:
        return [from_mapping(entry)]
    except MalformedMessageError:
        return []
