"""The values that the log takes and gives, and how an event is encoded: once, the same bytes for every watcher."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from subcli.shared.encoding import encode
from subcli.shared.protocol import MAX_MESSAGE_BYTES

_FIN_TEXT: Final = 0x81
_MARKER: Final = "… [{} characters cut]"
_TEXT_CAPS: Final = (16_384, 4_096, 1_024, 256, 64)
_ITEM_CAP: Final = 100
# The fields that the specification requires, and those that are worth keeping beside them.
_REQUIRED: Final = ("type", "submission_id", "seq", "timestamp", "status", "test_name", "duration_ms")
_KEPT: Final = ("error", "analysis", "suggestions", "final_status", "summary", "test_id", "attempt", "epoch")
_COMPARED: Final = ("compared_to",)
_MEASURED: Final = ("outcome", "cpu_ms", "memory_kb", "group", "score", "max_score")
_ESSENTIAL: Final = (*_REQUIRED, *_KEPT, *_COMPARED, *_MEASURED)


class UnknownSubmissionError(LookupError):
    """There is no such submission, or it is another owner's: the two look the same (contract, section 6)."""


class EndedError(Exception):
    """The submission has its verdict; nothing can be appended."""


class StaleFenceError(Exception):
    """Another worker has claimed the submission since."""


class ReplacedError(Exception):
    """The log is not the one that its reader followed, or ends before the reader's position: a backup was restored."""


class KeyReusedError(Exception):
    """The Idempotency-Key belongs to a submission with different content."""


class VersionMissingError(Exception):
    """The version of the problem that a submission would be judged by is not stored."""


class ClosedError(Exception):
    """The problem accepts no submissions any more.

    Attributes:
        problem: its slug.
        closes_at: since when, in Unix seconds.
    """

    def __init__(self, problem: str, closes_at: float) -> None:
        super().__init__(problem, closes_at)
        self.problem = problem
        self.closes_at = closes_at

    def __str__(self) -> str:
        when = datetime.fromtimestamp(self.closes_at, UTC)
        return f"{self.problem} closed on {when:%Y-%m-%d} at {when:%H:%M:%S} UTC."


class NoAttemptsLeftError(Exception):
    """The user has made as many submissions to a problem as count.

    Attributes:
        problem: its slug.
        used: how many there are.
        allowed: how many there may be.
    """

    def __init__(self, problem: str, used: int, allowed: int) -> None:
        super().__init__(problem, used, allowed)
        self.problem = problem
        self.used = used
        self.allowed = allowed

    def __str__(self) -> str:
        if self.allowed == 1:
            return f"You have used your only attempt at {self.problem}."
        return f"You have used {self.used} of {self.allowed} attempts at {self.problem}."


@dataclass(frozen=True, slots=True)
class Record:
    """An event in a submission's log.

    Attributes:
        seq: its position, from 1 without holes.
        text: the message, JSON on one line.
        frame: the message as a WebSocket frame (RFC 6455, section 5.2). A server does not mask its frames, so
            every watcher gets the same bytes.
        last: whether it is `complete`, the last event of a log.
        committed: when it was committed, in Unix seconds; None if it was read from the log later. Not compared.
        epoch: the name of the log, if the record's source knows it. Not compared.
    """

    seq: int
    text: str
    frame: bytes
    last: bool
    committed: float | None = field(default=None, compare=False)
    epoch: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class OutputRecord(Record):
    """A piece of what a build or a test has printed. It is no part of the log: `seq` counts the pieces."""


@dataclass(frozen=True, slots=True)
class NewSubmission:
    """A submission to be created. `problem` is a slug.

    Attributes:
        closes_at: from when on it is refused, in Unix seconds; None for never.
        max_attempts: how many submissions to the problem the owner may make; None for any number.
        problem_version: which version of the problem it is judged by; None for whichever the worker has.
    """

    owner_id: int
    problem: str
    language: str
    files: Mapping[str, str]
    idempotency_key: str | None = None
    closes_at: float | None = None
    max_attempts: int | None = None
    problem_version: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A submission's row without its files, which is about its latest run, or an earlier one in its place.

    Times are Unix seconds.

    Attributes:
        run: the number of its run, from 1.
        run_asked_at: when a teacher asked for it; None for the first.
        pruned_at: when its code and its results were deleted, and the verdict was kept; None if they are there.
    """

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
    epoch: str | None
    run: int = 1
    run_asked_at: float | None = None
    problem_version: str | None = None
    pruned_at: float | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One judging of a submission, in its history. Times are Unix seconds.

    Attributes:
        run: its number, from 1.
        asked_at: when it was asked for; None for the first.
        epoch: the name of its log.
        problem_version: which version of the problem judged it.
    """

    run: int
    status: str
    final_status: str | None
    summary: Mapping[str, Any] | None
    asked_at: float | None
    finished_at: float | None
    last_seq: int
    epoch: str | None
    problem_version: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to judge a submission until the lease expires; `fence` proves it, for the log named `epoch`.

    `last_seq` is the end of the log when the claim was made. Until the submission ends, only the holder of the
    claim appends, except for a cancellation.

    Attributes:
        owner: the name of the user who submitted it.
        waited_s: how long it waited for this claim, in seconds: since it was submitted, or came back into the queue.
        output_seq: how many pieces of output earlier claims have stored,
        output_bytes: and how many bytes.
        problem_version: which version of the problem it is judged by; None for whichever the worker has.
    """

    submission_id: int
    problem: str
    language: str
    files: Mapping[str, str]
    attempt: int
    fence: int
    last_seq: int
    owner: str
    waited_s: float
    epoch: str | None = None
    output_seq: int = 0
    output_bytes: int = 0
    problem_version: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """Which worker judged a submission, for operators. An attempt that nobody finished is followed by another one."""

    attempt: int
    worker: str
    started_at: float


@dataclass(frozen=True, slots=True)
class Failure:
    """A judging that ended without a verdict about the submitted code.

    Attributes:
        detail: why, a sentence for the watchers.
        ending: the judge's own last events, with the verdict `error`; none if it gave no verdict.
        is_shortage: whether this machine or process had too little of something, which is no try.
    """

    detail: str
    ending: Sequence[Mapping[str, Any]] = ()
    is_shortage: bool = False


@dataclass(frozen=True, slots=True)
class Append:
    """Events for a submission's log, and output between them, to be committed together.

    Attributes:
        batch: events without `seq` and `submission_id`; `timestamp` is added where it is missing. Those of the type
            `output` are numbered and stored apart from the others.
        fence: the claim's fence; None if no claim is needed.
        epoch: the name of the log that is meant; None if any is.
        after: the last seq, if nobody but the caller appends. A batch that is already in the log after it, because
            the answer to its COMMIT was lost, is not written again.
        output_after: the same for the number of the last piece of output.
    """

    submission_id: int
    batch: Sequence[Mapping[str, Any]]
    fence: int | None = None
    after: int | None = None
    epoch: str | None = None
    output_after: int = 0


@dataclass(frozen=True, slots=True)
class EventPage:
    """A part of a log.

    Attributes:
        more: whether the log continues after it.
        ended: whether the submission has its verdict, that is, whether the log is complete.
        last_seq: where the log ends, be it beyond this part or before it.
        epoch: the name of the log.
        is_kept: whether it is of a run that another one has followed. The bus announces nothing about it.
    """

    records: tuple[Record, ...]
    more: bool
    ended: bool
    last_seq: int
    epoch: str | None
    is_kept: bool = False


@dataclass(frozen=True, slots=True)
class LogEnd:
    """Where a log ends, and its name."""

    last_seq: int
    epoch: str | None


def record(seq: int, text: str, *, last: bool, committed: float | None = None, epoch: str | None = None) -> Record:
    """Make the record of a message that is already encoded."""
    return Record(seq, text, text_frame(text.encode()), last, committed, epoch)


def text_frame(payload: bytes) -> bytes:
    """Return a text message as one unmasked frame (RFC 6455, section 5.2).

    It is made for every event that is appended. The general `websockets.frames.Frame` would take a fifth of the
    time of an append.
    """
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", _FIN_TEXT, size) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", _FIN_TEXT, 126, size) + payload
    return struct.pack("!BBQ", _FIN_TEXT, 127, size) + payload


def encode_within(event: Mapping[str, Any], limit_bytes: int = MAX_MESSAGE_BYTES) -> str:
    """Encode `event` in at most `limit_bytes`; texts that are too long are cut with a marker.

    Specification, "Server Configuration": max message size 64KB.

    Raises:
        TypeError: a value cannot be represented in JSON.
    """
    try:
        text = encode(event)
        if len(text) * 4 <= limit_bytes or len(text.encode()) <= limit_bytes:
            return text
    except UnicodeEncodeError:
        # A lone surrogate from a solution's output; _cut replaces it.
        pass
    for cap in _TEXT_CAPS:
        text = encode(_cut(event, cap))
        if len(text.encode()) <= limit_bytes:
            return text
    essential = {key: event[key] for key in _ESSENTIAL if key in event}
    return encode(_cut(essential, _TEXT_CAPS[-1], max_items=10))


def storable(text: str) -> str:
    """Replace what a database cannot store: lone surrogates, and NUL (PostgreSQL)."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{SYMBOL FOR NULL}")


def _cut(value: Any, max_characters: int, max_items: int = _ITEM_CAP) -> Any:
    """Return `value` with texts and lists cut to these lengths."""
    if isinstance(value, str):
        value = storable(value)
        if len(value) <= max_characters:
            return value
        return value[:max_characters] + _MARKER.format(len(value) - max_characters)
    if isinstance(value, Mapping):
        return {_cut(key, max_characters): _cut(inner, max_characters, max_items) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_cut(inner, max_characters, max_items) for inner in value[:max_items]]
    return value
