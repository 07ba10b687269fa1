"""How verdicts, counts and times read on pages that no script has touched, as in `static/words.js`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_GLYPHS: Final = {"passed": "✓", "failed": "✗", "error": "!", "skipped": "–"}
_TONES: Final = {"passed": "is-good", "error": "is-warn"}
VERDICTS: Final = ("passed", "failed", "build_failed", "cancelled", "error")
"""The verdicts that our judge gives."""
_MOST: Final = 1e12


def words(status: str) -> str:
    """A status as people write it."""
    return status.replace("_", " ")


def counted(status: str) -> str:
    """Any status but the known ones counts as failed."""
    return status if status in _GLYPHS else "failed"


def glyph(status: str) -> str:
    """The sign for the end of a test or a submission."""
    return _GLYPHS[counted(status)]


def is_bad(status: str) -> bool:
    """Whether a test with this status counts as failed."""
    return counted(status) in ("failed", "error")


def tone(verdict: str | None) -> str:
    """The class of a verdict's badge."""
    return "is-going" if verdict is None else _TONES.get(verdict, "is-bad")


def duration(ms: object) -> str:
    """A duration, such as 420 ms, 1.25 s or 2m 05s; empty if it is none."""
    if not isinstance(ms, int | float) or not 0 <= ms < 1e11:
        return ""
    if ms < 999.5:
        return f"{round(ms)} ms"
    if ms < 99_995:
        return f"{ms / 1000:.2f} s"
    return f"{int(ms // 60_000)}m {round(ms / 1000) % 60:02}s"


def summary(counts: Mapping[str, Any] | None, done: int = 0, passed: int = 0) -> str:
    """What follows a verdict: `8 of 10 tests passed, 40 of 100 points (60 needed) in 9.40 s`.

    Args:
        counts: of the verdict.
        done: how many results there are, and
        passed: how many of them passed, where the verdict does not say.
    """
    said = counts or {}
    total = _whole(said.get("total_tests"), done)
    parts = []
    if total > 0:
        parts.append(f"{_whole(said.get('passed'), passed):,} of {total:,} test{'' if total == 1 else 's'} passed")
    if won := points_in_words(said):
        needed = said.get("pass_score")
        parts.append(f"{won}{f' ({_amount(needed)} needed)' if _is_points(needed) else ''}")
    text = ", ".join(parts)
    time = duration(said.get("duration_ms")) if said.get("duration_ms") else ""
    return f"{text} in {time}" if text and time else text


def points(scored: Mapping[str, Any]) -> str:
    """`40/100`; empty where there are none, or there was nothing to win."""
    return "/".join(_amounts(scored))


def points_in_words(scored: Mapping[str, Any]) -> str:
    """`40 of 100 points`; empty as above."""
    amounts = _amounts(scored)
    unit = "point" if amounts[-1:] == ["1"] else "points"
    return f"{' of '.join(amounts)} {unit}" if amounts else ""


def _amounts(scored: Mapping[str, Any]) -> list[str]:
    score, most = scored.get("score"), scored.get("max_score")
    if not _is_points(score) or (score == 0 and most == 0):
        return []
    return [_amount(score), _amount(most)] if _is_points(most) else [_amount(score)]


def _whole(value: object, otherwise: int) -> int:
    return int(value) if isinstance(value, int | float) and 0 <= value < _MOST else otherwise


def _is_points(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MOST


def _amount(value: Any) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
