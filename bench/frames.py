"""The messages sent to every contender: typical test results of about 200 bytes."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Final

TEXT: Final = 0x81
CLOSE: Final = 0x88
_STAMP: Final = "2026-01-15T10:40:00.000Z"
CHUNK_FRAMES: Final = 300


def frame(payload: bytes, first: int = TEXT) -> bytes:
    """One unmasked frame, as a server sends it (RFC 6455 section 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes([first, size]) + payload
    return struct.pack("!BBH", first, 126, size) + payload


def status(submission_id: int, seq: int | None, word: str, total: int | None = None) -> bytes:
    """A ``status_update``. ``seq``: ``None`` for a server that does not number its events."""
    more = {} if total is None else {"total_tests": total}
    fields = {"type": "status_update", "submission_id": submission_id, "status": word, **more}
    return json.dumps({**fields, "timestamp": _STAMP, **_number(seq)}).encode()


def result(submission_id: int, seq: int | None, test: int, sent_ns: int = 0) -> bytes:
    """A ``test_result``; every fifth test fails. ``sent_ns``: when, by the monotonic clock, where that is measured."""
    word = "failed" if test % 5 == 4 else "passed"
    more = f', "seq": {seq}' if seq is not None else ""
    more += f', "sent_ns": {sent_ns}' if sent_ns else ""
    return (
        f'{{"timestamp": "{_STAMP}", "type": "test_result", "test_id": "t{test:05d}", '
        f'"test_name": "Leader election, partition {test}", "status": "{word}", "duration_ms": {test % 97 + 1}, '
        f'"test_type": "functional", "submission_id": {submission_id}{more}}}'
    ).encode()


def complete(submission_id: int, seq: int | None, total: int) -> bytes:
    """The final ``complete``."""
    counts = {"total_tests": total, "passed": total, "failed": 0, "duration_ms": 1000}
    fields = {"type": "complete", "submission_id": submission_id, "final_status": "passed", "summary": counts}
    return json.dumps({**fields, "timestamp": _STAMP, **_number(seq)}).encode()


def _number(seq: int | None) -> dict[str, int]:
    return {} if seq is None else {"seq": seq}


def stream(submission_id: int, events: int, tests: int, *, numbered: bool = True) -> Iterator[bytes]:
    """All frames of a submission in pieces of some 60 KiB: a status, results of ``tests`` tests in turn, the verdict.

    Args:
        events: all of them together.
        numbered: whether they have a ``seq``.
    """
    piece = [frame(status(submission_id, 1 if numbered else None, "testing", tests))]
    for seq in range(2, events):
        piece.append(frame(result(submission_id, seq if numbered else None, seq % tests)))
        if len(piece) >= CHUNK_FRAMES:
            yield b"".join(piece)
            piece = []
    piece.append(frame(complete(submission_id, events if numbered else None, tests)))
    piece.append(frame(struct.pack("!H", 1000), CLOSE))
    yield b"".join(piece)
