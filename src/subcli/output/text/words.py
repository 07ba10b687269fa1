"""Numbers and states in words: durations, counts, the connection. Pure."""

from __future__ import annotations

from typing import Final

from subcli.core.submission import Connection, Counts, Submission
from subcli.shared.protocol import CloseCode, Complete, Summary

_TOO_LONG_MS: Final = 1e11
_AGES: Final = ((86_400, "day"), (3600, "hour"), (60, "minute"))

_CODES: Final[dict[int, str]] = {
    CloseCode.NORMAL: "closed before the verdict",
    CloseCode.GOING_AWAY: "the server goes away",
    CloseCode.ABNORMAL: "connection lost",
    CloseCode.NO_STATUS: "connection closed",
    CloseCode.INTERNAL_ERROR: "server error",
    CloseCode.SERVICE_RESTART: "the server restarts",
    CloseCode.TRY_AGAIN_LATER: "we read too slowly",
    CloseCode.UNAUTHORIZED: "not authenticated",
    CloseCode.RATE_LIMITED: "rate limited",
    CloseCode.MESSAGE_TOO_BIG: "message too big",
}


def duration(ms: float | None) -> str:
    """Milliseconds as ``412 ms``, ``1.25 s`` or ``2m 05s``; empty where unknown or absurd."""
    if ms is None or not 0 <= ms < _TOO_LONG_MS:
        return ""
    if 0 < ms < 9.5:
        return f"{ms:.1f} ms"
    if ms < 999.5:
        return f"{ms:.0f} ms"
    if ms < 99_995:
        return f"{ms / 1000:.2f} s"
    return _minutes(ms / 1000)


def total_duration(ms: float | None) -> str:
    """A whole run's milliseconds: ``45.0 s``, ``2m 05s``."""
    if ms is None or not 0 <= ms < _TOO_LONG_MS:
        return ""
    return f"{ms / 1000:.1f} s" if ms < 99_950 else _minutes(ms / 1000)


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m" if hours else f"{minutes}m {rest:02}s"


def elapsed(seconds: float) -> str:
    """Seconds as a clock shows them: ``0:07``, ``1:02:03``."""
    minutes, rest = divmod(max(int(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def ago(seconds: float) -> str:
    """``3 minutes ago``, in the largest unit of which there is one."""
    for unit, name in _AGES:
        count = int(seconds // unit)
        if count >= 1:
            return f"{count} {name}{'' if count == 1 else 's'} ago"
    return "just now"


def number(value: int) -> str:
    """``5,000``."""
    return f"{value:,}"


def tests(count: int) -> str:
    """``1 test``, ``10 tests``."""
    return f"{count:,} test" + ("" if count == 1 else "s")


def counted(counts: Counts) -> list[tuple[str, int]]:
    """The counts that are worth a word, in the order in which they are said."""
    words = [
        ("passed", counts.passed),
        ("failed", counts.failed),
        ("error", counts.errored),
        ("skipped", counts.skipped),
    ]
    return [(word, count) for word, count in words if count]


def known_total(picture: Submission) -> int | None:
    """How many tests there will be, if that is known and can be true."""
    total = picture.total_tests
    return None if total is None or total <= 0 else max(total, picture.counts.done)


def summary_of(verdict: Complete, counts: Counts) -> Summary:
    """The counts that came with the verdict, those that did not filled in from what was seen."""
    said = verdict.summary
    seen = counts.done > 0
    return Summary(
        total_tests=said.total_tests if said.total_tests is not None else (counts.done if seen else None),
        passed=said.passed if said.passed is not None else (counts.passed if seen else None),
        failed=said.failed if said.failed is not None else (counts.not_passed if seen else None),
        skipped=said.skipped if said.skipped is not None else (counts.skipped if seen else None),
        duration_ms=said.duration_ms,
    )


def why(connection: Connection) -> str:
    """The reason of a change of connection, as far as it is known: code and words, foreign text among them."""
    words = connection.reason or _CODES.get(connection.code or 0, "")
    if connection.code is None:
        return words
    return f"{connection.code} {words}".rstrip()


def remaining(connection: Connection, since: float, now: float) -> int | None:
    """Whole seconds until the next try or poll; ``None`` where none was announced."""
    if connection.delay_s is None:
        return None
    left = connection.delay_s - (now - since)
    return max(-int(-left // 1), 0) if left == left and abs(left) < 1e9 else None
