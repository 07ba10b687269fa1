"""The judge's events as mappings (section 6 of the contract), bounded in size."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from subcli.judge.evidence import Site
from subcli.judge.process.text import cut

Event = dict[str, object]

MAX_BYTES = 48_000
"""A message may have 64 KB (specification, "Server Configuration"); the server adds fields of its own."""


def status_update(status: str, **more: object) -> Event:
    return _without_empty({"type": "status_update", "status": status, **more})


def result(
    *,
    test_id: str,
    test_name: str,
    test_type: str,
    status: str,
    duration_ms: int,
    message: str = "",
    expected: str = "",
    actual: str = "",
    output: str = "",
) -> Event:
    return _without_empty(
        {
            "type": "test_result",
            "test_id": test_id,
            "test_name": test_name,
            "test_type": test_type,
            "status": status,
            "duration_ms": duration_ms,
            "message": message,
            "expected": expected,
            "actual": actual,
            "output": output,
        }
    )


def error_analysis(
    *,
    error: str,
    analysis: str,
    suggestions: Sequence[str],
    category: str,
    location: Site | None,
    test_id: str = "",
    test_name: str = "",
) -> Event:
    place = {"file": location.file, "line": location.line} if location else None
    event = _without_empty(
        {
            "type": "error_analysis",
            "test_id": test_id,
            "test_name": test_name,
            "error": error,
            "analysis": analysis,
            "category": category,
            "location": place,
        }
    )
    return {**event, "suggestions": list(suggestions)}


def complete(final_status: str, summary: Mapping[str, int]) -> Event:
    return {"type": "complete", "final_status": final_status, "summary": dict(summary)}


def encode(event: Event) -> bytes:
    """The event as one line of at most `MAX_BYTES`: the longest texts are halved until it fits."""
    line = json.dumps(event).encode()
    while len(line) > MAX_BYTES:
        key = max((key for key, value in event.items() if isinstance(value, str)), key=lambda key: len(str(event[key])))
        event = {**event, key: cut(str(event[key]), len(str(event[key])) // 2)}
        line = json.dumps(event).encode()
    return line + b"\n"


def _without_empty(event: Event) -> Event:
    return {key: value for key, value in event.items() if value not in ("", None)}
