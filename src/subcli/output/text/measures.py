"""Outcomes, memory and points in few characters. Pure.

Status and verdict decide; an outcome only says more about a test that did not pass. Unknown outcomes are not shown; the
test's message explains them.
"""

from __future__ import annotations

from typing import Final

from subcli.core import groups
from subcli.core.submission import Points
from subcli.output.text import words
from subcli.shared.messages import TestResult

LABEL_CELLS: Final = 4
"""The width of the longest label."""

_LABELS: Final = {
    "wrong_answer": "WA",
    "time_limit": "TLE",
    "memory_limit": "MLE",
    "output_limit": "OLE",
    "runtime_error": "RE",
    "protocol_error": "PE",
    "judge_error": "JE",
    "skipped": "SKIP",
}
_WORDS: Final = {
    "time_limit": "time limit exceeded",
    "memory_limit": "memory limit exceeded",
    "output_limit": "output limit exceeded",
    "judge_error": "the judge failed",
}
_KB_MAX: Final = 1e12


def label(result: TestResult) -> str:
    """Return ``WA``, ``TLE`` …; empty for a test that passed, and for an unknown outcome."""
    return "" if result.status == "passed" else _LABELS.get(result.outcome or "", "")


def outcome(result: TestResult) -> str:
    """Return the label of a test in words, ``wrong answer``; empty where it has none."""
    known = result.outcome or ""
    return _WORDS.get(known, known.replace("_", " ")) if label(result) else ""


def memory(kb: float | None) -> str:
    """Return ``812 KB``, ``12.4 MB`` or ``1.5 GB`` in at most 7 characters; empty if unknown or absurd."""
    if kb is None or not 0 <= kb < _KB_MAX:
        return ""
    value, unit = kb, "KB"
    for larger in ("MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1024, larger
    return f"{value:.1f} {unit}" if unit != "KB" and value < 9.95 else f"{value:.0f} {unit}"


def score(value: float) -> str:
    """Return points: ``40``, ``62.5``; at most two decimals."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def points(some: Points) -> str:
    """Return ``40/100``, or ``40`` if the maximum is unknown."""
    return score(some.score) if some.max_score is None else f"{score(some.score)}/{score(some.max_score)}"


def points_in_words(some: Points) -> str:
    """Return ``40/100 points``, ``1 point``."""
    text = points(some)
    return f"{text} point" if text == "1" else f"{text} points"


def points_of(result: TestResult) -> str:
    """Return the points of one test, ``5/10``; empty where there are none."""
    some = groups.points(result.score, result.max_score)
    return "" if some is None else points(some)


def facts(result: TestResult) -> list[str]:
    """Return what is known of a test's time, memory and points: ``412 ms``, ``cpu 400 ms``, ``12 MB``, ``5/10``."""
    cpu = words.duration(result.cpu_ms)
    return [
        fact
        for fact in (
            words.duration(result.duration_ms),
            f"cpu {cpu}" if cpu else "",
            memory(result.memory_kb),
            points_of(result),
        )
        if fact
    ]


def labelled(result: TestResult, reason: str) -> str:
    """Return a reason with the test's label before it: ``TLE: took more than 2 s``; either alone if that is all."""
    return ": ".join(part for part in (label(result), reason) if part)
