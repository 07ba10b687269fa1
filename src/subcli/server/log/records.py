"""One event as it lies in the log and goes over the wire: encoded once, the same bytes for every watcher."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from subcli.shared.protocol import MAX_MESSAGE_BYTES, encode

_FIN_TEXT: Final = 0x81
_MARKER: Final = "… [{} characters cut]"
_TEXT_CAPS: Final = (16_384, 4_096, 1_024, 256, 64)
_ITEM_CAP: Final = 100
# Without these a message of the specification is not one.
_ESSENTIAL: Final = ("type", "submission_id", "seq", "timestamp", "status", "test_name", "duration_ms")
_ESSENTIAL_TOO: Final = ("error", "analysis", "suggestions", "final_status", "summary", "test_id", "attempt")


class UnknownSubmissionError(LookupError):
    """No such submission, or another owner's: the two are not told apart (contract, section 6)."""


class EndedError(Exception):
    """The submission has its verdict; nothing can be added."""


class StaleFenceError(Exception):
    """Somebody else has claimed the submission since."""


class KeyReusedError(Exception):
    """The Idempotency-Key belongs to a submission with another content."""


@dataclass(frozen=True, slots=True)
class Record:
    """An event of a submission's log.

    Attributes:
        seq: its position, from 1 without holes.
        text: the message, JSON on one line.
        frame: the message as a WebSocket frame (RFC 6455 section 5.2; a server does not mask, so it is the
            same for every watcher).
        last: whether nothing follows, that is, whether it is `complete`.
        committed: when it was, in Unix seconds; None for one that was read from the log later.
    """

    seq: int
    text: str
    frame: bytes
    last: bool
    committed: float | None = None


@dataclass(frozen=True, slots=True)
class NewSubmission:
    """What is handed in. `problem` is a slug."""

    owner_id: int
    problem: str
    language: str
    files: Mapping[str, str]
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One submission's row, without its files. Times in Unix seconds."""

    id: int
    owner_id: int
    problem: str
    language: str
    status: str
    final_status: str | None
    summary: Mapping[str, Any] | None
    build_log: str | None
    total_tests: int | None
    created_at: float
    finished_at: float | None
    last_seq: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to judge a submission until the lease runs out; `fence` proves it.

    `last_seq` is where its log ended then; until it ends only whoever has the claim appends, or a cancelling.
    """

    submission_id: int
    problem: str
    language: str
    files: Mapping[str, str]
    attempt: int
    fence: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class Append:
    """Events for a submission's log, to be committed as one.

    Attributes:
        batch: without `seq` and `submission_id`; `timestamp` is added where it is missing.
        fence: the claim's; None for what needs no claim.
        after: the last seq, if nobody but the caller appends. A batch that stands behind it already, because
            the answer to its COMMIT was lost, is not written again.
    """

    submission_id: int
    batch: Sequence[Mapping[str, Any]]
    fence: int | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True)
class EventPage:
    """A piece of a log.

    Attributes:
        more: whether the log goes on behind it.
        ended: whether the submission has its verdict, that is, whether the log is complete.
    """

    records: tuple[Record, ...]
    more: bool
    ended: bool


def record(seq: int, text: str, *, last: bool, committed: float | None = None) -> Record:
    """The record of a message that is already encoded."""
    return Record(seq, text, text_frame(text.encode()), last, committed)


def text_frame(payload: bytes) -> bytes:
    """A whole text message in one frame, as a server sends it: RFC 6455, section 5.2.

    Made for every event that is appended, where `websockets.frames.Frame`, which knows all frames, takes a fifth
    of the time that an append takes.
    """
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", _FIN_TEXT, size) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", _FIN_TEXT, 126, size) + payload
    return struct.pack("!BBQ", _FIN_TEXT, 127, size) + payload


def encode_within(event: Mapping[str, Any], limit: int = MAX_MESSAGE_BYTES) -> str:
    """`event` encoded in at most `limit` bytes, its texts cut with a marker where they are too long.

    Specification, "Server Configuration": max message size 64KB.

    Raises:
        TypeError: a value that JSON has no form for.
    """
    try:
        text = encode(event)
        if len(text) * 4 <= limit or len(text.encode()) <= limit:
            return text
    except UnicodeEncodeError:
        # Half of a surrogate pair, from a solution's output; _cut replaces it.
        pass
    for cap in _TEXT_CAPS:
        text = encode(_cut(event, cap))
        if len(text.encode()) <= limit:
            return text
    essential = {key: event[key] for key in _ESSENTIAL + _ESSENTIAL_TOO if key in event}
    return encode(_cut(essential, _TEXT_CAPS[-1], items=10))


def storable(text: str) -> str:
    """`text` without what a database cannot keep: halves of surrogate pairs, and NUL (PostgreSQL)."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{SYMBOL FOR NULL}")


def _cut(value: Any, cap: int, items: int = _ITEM_CAP) -> Any:
    """`value` with no text longer than `cap` characters and no list longer than `items`."""
    if isinstance(value, str):
        value = storable(value)
        if len(value) <= cap:
            return value
        return value[:cap] + _MARKER.format(len(value) - cap)
    if isinstance(value, Mapping):
        return {_cut(key, cap): _cut(inner, cap, items) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_cut(inner, cap, items) for inner in value[:items]]
    return value
