"""Converts a REST snapshot and its results into the equivalent events. Pure.

On servers without an event log (contract, section 6) the snapshot stands in for the socket: after a reconnect, after
silence, and while polling. Its content becomes events of the same types and goes through
:meth:`subcli.core.watch.Watch.fill`, which drops what was seen.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Any, Final

from subcli.shared.decoding import MalformedMessageError, from_mapping
from subcli.shared.messages import Complete, Message, Output, Raw, Row
from subcli.shared.protocol import STATUS_RANKS, TERMINAL_STATUSES

_TEST_FIELDS: Final = (
    "test_id",
    "test_type",
    "duration_ms",
    "message",
    "expected",
    "actual",
    "expected_at",
    "actual_at",
    "input",
    "output",
    "rerun",
    "seed",
    "has_trace",
    "error_category",
    "outcome",
    "cpu_ms",
    "memory_kb",
    "group",
    "score",
    "max_score",
    "error_message",
    "error",
    "details",
    "timestamp",
)
_STATUS_FIELDS: Final = ("total_tests", "progress", "detail", "queue_position", "attempt")
# Tuples, because the value to look up may be any JSON value, even an unhashable list.
_REASONS: Final = ("error_message", "build_logs")
_LOG_CHARS: Final = 8 * 1024
"""The end of a build log says why it failed."""
_NOT_ENDED: Final = ("pending", "queued", "running")
_ENDED: Final = STATUS_RANKS["completed"]
_GOOD: Final = ("passed", "skipped")


def missed(snapshot: Raw, tests: Sequence[object], log: Sequence[object] | None) -> list[Message]:
    """Return the events that may have been missed, in order.

    Args:
        snapshot: The submission, fetched before the other two so that they are at least as recent.
        tests: Its results.
        log: Its events after the last one seen; ``None`` from a server without a log. A log takes precedence; only
            a verdict missing from it is taken from the snapshot.
    """
    if log is None:
        return _events_from_snapshot(snapshot, tests)
    events = events_from_log(log)
    if not any(isinstance(event, Complete) for event in events):
        events.extend(_verdict_from_snapshot(snapshot, tests))
    return events


def events_from_log(log: Iterable[object]) -> list[Message]:
    """The events of ``GET …/events``; invalid entries are skipped."""
    return [event for entry in log for event in _event(entry)]


def with_output(events: Sequence[Message], output: Sequence[Message]) -> list[Message]:
    """Events of the log and what was printed beside them, each piece after the event that it names."""
    merged: list[Message] = []
    pieces = deque(output)
    for event in events:
        while pieces and (event.seq is None or _after(pieces[0]) < event.seq):
            merged.append(pieces.popleft())
        merged.append(event)
    return [*merged, *pieces]


def _after(piece: Message) -> int:
    return (piece.after_seq or 0) if isinstance(piece, Output) else 0


def _events_from_snapshot(snapshot: Raw, tests: Sequence[object]) -> list[Message]:
    """A terminal status comes after the results, any other status before them."""
    results, status = _results_from(snapshot, tests), _status_from(snapshot)
    first, then = (results, status) if is_over(snapshot) else (status, results)
    return [*first, *then, *explanation(snapshot), *_verdict_from_snapshot(snapshot, tests)]


def explanation(snapshot: Raw) -> list[Message]:
    """Why it failed before any test, as an ``error_analysis``: the snapshot's ``error_message`` and ``build_logs``.

    Empty if it did not fail, or the snapshot does not say why.
    """
    if not is_over(snapshot) or snapshot.get("status") == "completed":
        return []
    error, log = (text if isinstance(text := snapshot.get(name), str) else "" for name in _REASONS)
    if not error.strip() and not log.strip():
        return []
    analysis = {"type": "error_analysis", "submission_id": _id(snapshot), "category": snapshot["status"]}
    return _event({**analysis, "error": error, "analysis": log[-_LOG_CHARS:]})


def _results_from(snapshot: Raw, tests: Sequence[object]) -> list[Message]:
    rows = [test for test in tests if isinstance(test, dict)]
    kinds = [(_name(row), row.get("test_type") if isinstance(row.get("test_type"), str) else None) for row in rows]
    namesakes = Counter(kinds)
    before: Counter[tuple[str, str | None]] = Counter()
    results: list[Message] = []
    for row, kind in zip(rows, kinds, strict=True):
        before[kind] += 1
        if row.get("status") in _NOT_ENDED:
            continue
        result = {
            "type": "test_result",
            "submission_id": _id(snapshot),
            "test_name": _name(row),
            "status": row.get("status"),
            **{field: row[field] for field in _TEST_FIELDS if row.get(field) is not None},
        }
        # A row without an id uses its position, which cannot be mistaken for an id.
        row_id = f"{row['id']}" if _is_id(row.get("id")) else f"{kind} {before[kind]}"
        results.extend(_event(result, Row(row_id, namesakes[kind])))
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
    if snapshot.get("compared_to") is not None:
        complete["compared_to"] = snapshot["compared_to"]
    return _event(complete)


def verdict(snapshot: Raw, tests: Sequence[object]) -> str | None:
    """Return the verdict implied by a snapshot, if any (contract, section 6).

    During judging there is none, even if one remains from an earlier attempt. After that ``final_status`` decides
    if the server sends it, else a terminal status: ``completed`` means ``passed`` if there are results, all have ended
    and none failed or erred, and no verdict without results, with unreadable ones, or with some that have not ended;
    ``error`` is the judge's own fault; any other terminal status means ``failed``.
    """
    status, final_status = snapshot.get("status"), snapshot.get("final_status")
    if isinstance(status, str) and STATUS_RANKS.get(status, _ENDED) < _ENDED:
        return None
    if isinstance(final_status, str) and final_status:
        return final_status
    if not is_over(snapshot):
        return None
    if status != "completed":
        return "error" if status == "error" else "failed"
    if any(isinstance(test, dict) and test.get("status") in _NOT_ENDED for test in tests):
        return None
    statuses = _statuses(tests)
    if any(status is not None and status not in _GOOD for status in statuses):
        return "failed"
    return "passed" if statuses and None not in statuses else None


def is_over(snapshot: Raw) -> bool:
    """Whether nothing more will happen to this submission, verdict or not."""
    status = snapshot.get("status")
    return isinstance(status, str) and status in TERMINAL_STATUSES


def _statuses(tests: Sequence[object]) -> list[str | None]:
    """The statuses of the tests that have ended; ``None`` for an unreadable one."""
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
    """A test's name, under any of the fields that servers use; else its id."""
    for field in ("test_name", "name"):
        if isinstance(row.get(field), str):
            return str(row[field])
    return f"test {row.get('test_id', row.get('id', '?'))}"


def _id(snapshot: Raw) -> Any:
    return snapshot.get("submission_id", snapshot.get("id"))


def _is_id(value: object) -> bool:
    return isinstance(value, int | str) and value != ""


def _event(entry: object, row: Row | None = None) -> list[Message]:
    """``entry`` as an event, in a list; an empty list if it is not a valid one."""
    try:
        return [from_mapping(entry, row)]
    except MalformedMessageError:
        return []
