"""A verdict compared with the owner's previous one at the same problem: what passes, fails or is slower now.

Pure. Only submissions that were judged to their end are compared: a build that failed, or a cancelled judging, says
nothing about single tests.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

JUDGED: Final = ("passed", "failed")
"""The verdicts of submissions that were judged to their end."""

SLOWER_RATIO: Final = 2.0
NOISE_MS: Final = 50.0
"""A test that takes less than this much longer is not called slower, however short it was."""

TESTS_MAX: Final = 30
"""How many tests a comparison names; it counts all."""

_FAILED: Final = ("failed", "error")


class Outcome(NamedTuple):
    """How a test ended last."""

    name: str
    status: str
    duration_ms: float | None


def outcomes(results: Iterable[str | Mapping[str, Any]]) -> dict[Any, Outcome]:
    """Return how each test ended last.

    Args:
        results: `test_result` events in order, encoded or not; other events are ignored.
    """
    found: dict[Any, Outcome] = {}
    for each in results:
        event = json.loads(each) if isinstance(each, str) else each
        if event["type"] == "test_result":
            test_id, took = event.get("test_id"), event.get("duration_ms")
            name, status = str(event.get("test_name")), str(event.get("status"))
            key = ("name", name) if test_id is None else ("id", test_id)
            found[key] = Outcome(name, status, took if isinstance(took, int | float) else None)
    return found


def compare(previous: int, before: Mapping[Any, Outcome], now: Mapping[Any, Outcome]) -> dict[str, Any]:
    """Return `compared_to`, as `complete` carries it.

    Args:
        previous: the id of the earlier submission.
        before: its tests.
        now: those of the submission that has ended.
    """
    pairs = [(before[key], each) for key, each in now.items() if key in before]
    failing = [each for was, each in pairs if each.status in _FAILED and was.status == "passed"]
    passing = [each for was, each in pairs if each.status == "passed" and was.status != "passed"]
    slower = sorted((slow for pair in pairs if (slow := _slower(*pair)) is not None), key=_ratio, reverse=True)
    changed = [
        *({"test_name": each.name, "change": "newly_failing"} for each in failing),
        *slower,
        *({"test_name": each.name, "change": "newly_passing"} for each in passing),
    ]
    return {
        "previous": previous,
        "newly_passing": len(passing),
        "newly_failing": len(failing),
        "slower": len(slower),
        "tests": changed[:TESTS_MAX],
    }


def _slower(was: Outcome, now: Outcome) -> dict[str, Any] | None:
    """A test that passes as it did, but takes much longer; one that fails may have waited for its time limit."""
    if was.status != "passed" or now.status != "passed" or was.duration_ms is None or now.duration_ms is None:
        return None
    if now.duration_ms < SLOWER_RATIO * was.duration_ms or now.duration_ms - was.duration_ms < NOISE_MS:
        return None
    return {
        "test_name": now.name,
        "change": "slower",
        "before_ms": was.duration_ms,
        "duration_ms": now.duration_ms,
    }


def _ratio(slow: Mapping[str, Any]) -> float:
    return float(slow["duration_ms"]) / max(float(slow["before_ms"]), 1.0)
