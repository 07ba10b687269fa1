"""What goes into the store and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from subcli.server.log.records import Record


class UnknownSubmissionError(LookupError):
    """No such submission, or another owner's: the two are not told apart (contract, section 6)."""


class EndedError(Exception):
    """The submission has its verdict; nothing can be added."""


class StaleFenceError(Exception):
    """Somebody else has claimed the submission since."""


class KeyReusedError(Exception):
    """The Idempotency-Key belongs to a submission with another content."""


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
class Page:
    """A piece of a log.

    Attributes:
        more: whether the log goes on behind it.
        ended: whether the submission has its verdict, that is, whether the log is complete.
    """

    records: tuple[Record, ...]
    more: bool
    ended: bool
