"""The results in a submission's log, and their summary. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any


def last_results(payloads: Iterable[str]) -> list[dict[str, Any]]:
    """Return the last result of each test, in the order in which the tests first ended (contract, section 6).

    Args:
        payloads: encoded `test_result` and `error_analysis` events, in order. An analysis becomes the field
            `error_analysis` of the result that it explains.
    """
    found: dict[Any, dict[str, Any]] = {}
    for payload in payloads:
        event = json.loads(payload)
        key = _key(event)
        if event["type"] == "test_result":
            found[key] = event
        elif key in found:
            found[key]["error_analysis"] = event
    return list(found.values())


def find_test(rows: Iterable[dict[str, Any]], test: str) -> dict[str, Any] | None:
    """Return the result of the test with this id, or else this name; None if there is none."""
    found = None
    for row in rows:
        if str(row.get("test_id")) == test:
            return row
        if found is None and row.get("test_name") == test:
            found = row
    return found


def _key(event: dict[str, Any]) -> Any:
    test_id = event.get("test_id")
    return event.get("test_name") if test_id is None else ("id", test_id)


def summary_of(payloads: Iterable[str], total_tests: int | None, duration_s: float) -> dict[str, int]:
    """Summarise a judging that has no summary of its own: `error` counts as failed, `skipped` as neither."""
    statuses = [result.get("status") for result in last_results(payloads)]
    passed = statuses.count("passed")
    skipped = statuses.count("skipped")
    return {
        "total_tests": max(total_tests or 0, len(statuses)),
        "passed": passed,
        "failed": len(statuses) - passed - skipped,
        "duration_ms": max(0, round(duration_s * 1000)),
    }
