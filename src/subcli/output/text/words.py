"""Durations, counts and connection states in words. Pure."""

from __future__ import annotations

from typing import Final

from subcli.core.submission import Connection, Counts, Submission
from subcli.shared.messages import Complete, Summary
from subcli.shared.protocol import CloseCode

_ABSURD_MS: Final = 1e11
_AGES: Final = ((86_400, "day"), (3600, "hour"), (60, "minute"))

_CODES: Final[dict[int, str]] = {
    CloseCode.NORMAL: "closed before the verdict",
    CloseCode.GOING_AWAY: "the server is going away",
    CloseCode.ABNORMAL: "connection lost",
    CloseCode.NO_STATUS: "connection closed",
    CloseCode.INTERNAL_ERROR: "server error",
    CloseCode.SERVICE_RESTART: "the server is restarting",
    CloseCode.TRY_AGAIN_LATER: "this client read too slowly",
    CloseCode.UNAUTHORIZED: "not authenticated",
    CloseCode.RATE_LIMITED: "rate limited",
    CloseCode.MESSAGE_TOO_BIG: "message too big",
}


def duration(ms: float | None) -> str:
    """Return ``412 ms``, ``1.25 s`` or ``2m 05s``; empty if unknown or absurd."""
    if ms is None or not 0 <= ms < _ABSURD_MS:
        return ""
    if 0 < ms < 9.5:
        return f"{ms:.1f} ms"
    if ms < 999.5:
        return f"{ms:.0f} ms"
    if ms < 99_995:
        return f"{ms / 1000:.2f} s"
    return _minutes(ms / 1000)


def total_duration(ms: float | None) -> str:
    """Return the duration of a whole run: ``45.0 s``, ``2m 05s``."""
    if ms is None or not 0 <= ms < _ABSURD_MS:
        return ""
    return f"{ms / 1000:.1f} s" if ms < 99_950 else _minutes(ms / 1000)


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m" if hours else f"{minutes}m {rest:02}s"


def elapsed(seconds: float) -> str:
    """Return seconds as a clock shows them: ``0:07``, ``1:02:03``."""
    minutes, rest = divmod(max(int(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def whole_seconds(seconds: float) -> str:
    """Return ``7 s``, ``2m 05s``, ``1h 02m``."""
    return f"{max(int(seconds), 0)} s" if seconds < 60 else _minutes(int(seconds))


def ago(seconds: float) -> str:
    """Return ``3 minutes ago``, in the largest unit that fits."""
    for unit, name in _AGES:
        count = int(seconds // unit)
        if count >= 1:
            return f"{count} {name}{'' if count == 1 else 's'} ago"
    return "just now"


def number(value: int) -> str:
    """Return ``5,000``."""
    return f"{value:,}"


def byte_size(count: int) -> str:
    """A number of bytes as people read it, such as ``1.2 MB``."""
    size = float(count)
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1000:
            return f"{count} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def tests(count: int) -> str:
    """Return ``1 test``, ``10 tests``."""
    return f"{count:,} test" + ("" if count == 1 else "s")


def nonzero_counts(counts: Counts) -> list[tuple[str, int]]:
    """Return the counts that are not zero, in the order in which they are shown."""
    named = [
        ("passed", counts.passed),
        ("failed", counts.failed),
        ("error", counts.errored),
        ("skipped", counts.skipped),
    ]
    return [(word, count) for word, count in named if count]


def known_total(picture: Submission) -> int | None:
    """Return how many tests there will be, if that is known and plausible."""
    total = picture.total_tests
    return None if total is None or total <= 0 else max(total, picture.counts.done)


def summary_of(verdict: Complete, counts: Counts) -> Summary:
    """Return the counts that came with the verdict; missing ones are filled in from the results."""
    summary = verdict.summary
    has_results = counts.done > 0
    return Summary(
        total_tests=summary.total_tests if summary.total_tests is not None else (counts.done if has_results else None),
        passed=summary.passed if summary.passed is not None else (counts.passed if has_results else None),
        failed=summary.failed if summary.failed is not None else (counts.not_passed if has_results else None),
        skipped=summary.skipped if summary.skipped is not None else (counts.skipped if has_results else None),
        duration_ms=summary.duration_ms,
    )


def connection_reason(connection: Connection) -> str:
    """Return why the connection changed: code and reason, as far as known. Contains foreign text."""
    reason = connection.reason or _CODES.get(connection.code or 0, "")
    if connection.code is None or reason.startswith(f"HTTP {connection.code}"):
        return reason
    return f"{connection.code} {reason}".rstrip()


def remaining(connection: Connection, since: float, now: float) -> int | None:
    """Return whole seconds until the next attempt or poll; ``None`` if none was announced."""
    if connection.delay_s is None:
        return None
    left = connection.delay_s - (now - since)
    return max(-int(-left // 1), 0) if left == left and abs(left) < 1e9 else None
