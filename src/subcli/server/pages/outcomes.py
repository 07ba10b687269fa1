"""The tests of a submission on its page, in the order of the terminal's tables. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from subcli.server.pages import words

_MOST_ROWS: Final = 300
_MOST_FAILURES: Final = 50
_MOST_CHARACTERS: Final = 4000


def listed_tests(tests: Sequence[Mapping[str, Any]], summary: Mapping[str, Any] | None) -> tuple[list[Any], int]:
    """The tests in the order in which they ran, those of a group together, and how many are left out.

    Of very many, only those that did not pass are listed.
    """
    ordered = in_order(tests, summary)
    shown = ordered
    if len(ordered) > _MOST_ROWS:
        shown = [test for test in ordered if test.get("status") != "passed"][:_MOST_ROWS]
    return [_row(test) for test in shown], len(ordered) - len(shown)


def in_order(tests: Sequence[Mapping[str, Any]], summary: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """Tests without a group, then those of each group, in the order of the groups; within it, as they ran."""
    told = (summary or {}).get("groups")
    names = [group.get("name") for group in told if isinstance(group, dict)] if isinstance(told, list) else []
    places: dict[Any, int] = {name: place for place, name in enumerate(names, 1) if isinstance(name, str)}
    for test in tests:
        if isinstance(group := test.get("group"), str) and group:
            places.setdefault(group, len(places) + 1)
    return sorted(tests, key=lambda test: places.get(test.get("group"), 0))


def analyses_of(payloads: Iterable[str]) -> list[dict[str, Any]]:
    """The analyses among encoded results, the latest for each test, and those that belong to no test."""
    found: dict[Any, dict[str, Any]] = {}
    for event in map(json.loads, payloads):
        if event["type"] == "error_analysis":
            about = event.get("test_id", event.get("test_name"))
            found[about or (event.get("error"), event.get("analysis"))] = event
    return list(found.values())


def failures_of(tests: Sequence[Mapping[str, Any]], analyses: Sequence[Mapping[str, Any]] = ()) -> list[dict[str, Any]]:
    """What went wrong, oldest first: failed tests, then what belongs to no test."""
    bad = [test for test in tests if words.is_bad(str(test.get("status")))]
    alone = [
        {"test_name": analysis.get("error"), "error_analysis": analysis}
        for analysis in analyses
        if analysis.get("test_id", analysis.get("test_name")) is None
    ]
    return [_failure(each) for each in (*bad, *alone)[:_MOST_FAILURES]]


def _row(test: Mapping[str, Any]) -> dict[str, str]:
    status = str(test.get("status"))
    return {
        "status": status,
        "counted": words.counted(status),
        "glyph": words.glyph(status),
        "name": str(test.get("test_name")),
        "points": words.points(test),
        "duration": words.duration(test.get("duration_ms")),
    }


def _failure(test: Mapping[str, Any]) -> dict[str, Any]:
    analysis = test.get("error_analysis") or {}
    location = analysis.get("location") or {}
    facts = [(label, _text(test.get(name))) for label, name in _FACTS if test.get(name) not in (None, "")]
    return {
        "name": str(test.get("test_name") or "Failure"),
        "message": str(test.get("message") or ("status" in test and analysis.get("error")) or ""),
        "facts": facts,
        "place": ":".join(str(location[part]) for part in ("file", "line") if location.get(part)),
        "analysis": str(analysis.get("analysis") or ""),
        "suggestions": [str(each) for each in analysis.get("suggestions") or []],
    }


_FACTS: Final = (("expected", "expected"), ("actual", "actual"), ("output", "output"))


def _text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"
