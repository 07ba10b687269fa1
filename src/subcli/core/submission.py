"""The picture of one submission that leaves the core: frozen, and bounded whatever its size.

Views never see the dictionaries that :class:`subcli.core.watch.Watch` changes in place; they see a
:class:`Submission`, whose cost does not grow with the number of results.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec

from subcli.shared.protocol import Complete, ErrorAnalysis, Raw, Summary, TestResult, read_summary

RECENT_KEPT: Final = 200
"""How many of the latest results a picture carries."""

FAILURES_KEPT: Final = 200
"""How many failures, and how many analyses, a picture carries; the counts go on."""

STAGES_KEPT: Final = 16

ConnectionState: TypeAlias = Literal["connecting", "open", "reconnecting", "polling", "closed"]


class Connection(msgspec.Struct, frozen=True):
    """How we stand with the server. Yielded among the events, since closing is an event like any other.

    Attributes:
        attempt: number of this try, from 1, while connecting again.
        delay_s: seconds until the next try or poll.
        code: close code or HTTP status that led here.
        reason: what the other side said, or what we found.
    """

    state: ConnectionState
    attempt: int | None = None
    delay_s: float | None = None
    code: int | None = None
    reason: str | None = None

    def fields(self) -> dict[str, Any]:
        """Those that apply, for ``--json``."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}


class Stage(msgspec.Struct, frozen=True):
    """One status on the way, and when the server said it was reached."""

    status: str
    timestamp: str | None = None
    attempt: int | None = None


class Counts(msgspec.Struct, frozen=True):
    """Tests by status. ``errored`` counts as failed for every purpose but its name."""

    passed: int = 0
    failed: int = 0
    errored: int = 0
    skipped: int = 0

    @property
    def done(self) -> int:
        """How many tests have a result."""
        return self.passed + self.failed + self.errored + self.skipped

    @property
    def not_passed(self) -> int:
        """Failed and erred together."""
        return self.failed + self.errored


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """One submission at one moment.

    Attributes:
        total_tests: how many tests there will be, where the server said so.
        progress: 0 to 100, from servers that say that instead.
        recent: the latest results, oldest first; the last result of a test counts.
        failures: failed and erred tests, oldest first, at most ``FAILURES_KEPT``.
        analyses: at most ``FAILURES_KEPT``, oldest first.
        last_seq: the position reached in the event log; 0 from servers without ``seq``.
        malformed: frames that were no messages and were passed over.
    """

    id: int
    problem: str | None = None
    language: str | None = None
    url: str | None = None
    connection: Connection = Connection("connecting")
    stages: tuple[Stage, ...] = ()
    total_tests: int | None = None
    progress: float | None = None
    queue_position: int | None = None
    attempt: int | None = None
    detail: str | None = None
    counts: Counts = Counts()
    recent: tuple[TestResult, ...] = ()
    failures: tuple[TestResult, ...] = ()
    analyses: tuple[ErrorAnalysis, ...] = ()
    verdict: Complete | None = None
    last_seq: int = 0
    malformed: int = 0

    @property
    def status(self) -> str | None:
        """The stage reached last."""
        return self.stages[-1].status if self.stages else None


class SubmissionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One submission as the server lists it (``GET /submissions``).

    Servers differ in what they name and how. What is only shown is text here, whatever type it came as; ``raw`` keeps
    every field as it came, for ``--json``.
    """

    submission_id: int
    url: str | None
    problem: str | None
    language: str | None
    status: str | None
    final_status: str | None
    created_at: str | None
    summary: Summary
    raw: Raw

    def fields(self) -> dict[str, Any]:
        """All fields of the server, with the id and the page under our names."""
        ours = {"submission_id": self.submission_id, "url": self.url}
        return {"submission_id": self.submission_id, **self.raw, **ours}


def read_row(raw: Raw, *, submission_id: int, url: str | None) -> SubmissionRow:
    """The row that a JSON object stands for.

    Args:
        raw: as the server sent it.
        submission_id: found in it, under whichever name.
        url: of the submission's page.
    """
    return SubmissionRow(
        submission_id=submission_id,
        url=url,
        problem=_text(raw.get("problem", raw.get("problem_id"))),
        language=_text(raw.get("language")),
        status=_text(raw.get("status")),
        final_status=value if isinstance(value := raw.get("final_status"), str) else None,
        created_at=value if isinstance(value := raw.get("created_at"), str) else None,
        summary=read_summary(raw.get("summary")),
        raw=raw,
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
