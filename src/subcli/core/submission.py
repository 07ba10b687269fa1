"""One submission as the views see it: frozen, and bounded whatever its size.

Views do not see the state that :class:`subcli.core.watch.Watch` changes in place, but a :class:`Submission`, whose cost
does not grow with the number of results.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec

from subcli.shared.decoding import read_summary
from subcli.shared.messages import Complete, ErrorAnalysis, Raw, Summary, TestResult

RECENT_KEPT: Final = 200
"""How many of the latest results a :class:`Submission` has."""

FAILURES_KEPT: Final = 200
"""How many failures, and how many analyses, it has; the counts include all."""

STAGES_KEPT: Final = 16

LOCAL_ID: Final = 0
"""The id of a submission judged on this machine, without a server (`subcli test`); servers start at 1."""

GROUPS_KEPT: Final = 50
"""How many groups of tests it has."""

ConnectionState: TypeAlias = Literal["connecting", "open", "reconnecting", "polling", "closed"]


class Connection(msgspec.Struct, frozen=True):
    """The state of the connection. Yielded among the events, since closing is an event like any other.

    Attributes:
        attempt: number of this reconnect attempt, from 1.
        delay_s: seconds until the next attempt or poll.
        code: close code or HTTP status that caused it.
        reason: the reason from the server, or our own.
    """

    state: ConnectionState
    attempt: int | None = None
    delay_s: float | None = None
    code: int | None = None
    reason: str | None = None

    def fields(self) -> dict[str, Any]:
        """The fields that apply, for ``--json``."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}


class Stage(msgspec.Struct, frozen=True):
    """One stage of judging, and when the server says it was reached."""

    status: str
    timestamp: str | None = None
    attempt: int | None = None


class Counts(msgspec.Struct, frozen=True):
    """Tests by status. ``errored`` counts as failed everywhere but in its name."""

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
        """Failed and errored together."""
        return self.failed + self.errored


class Points(msgspec.Struct, frozen=True):
    """Points, and the maximum if it is known."""

    score: float
    max_score: float | None = None


class Group(msgspec.Struct, frozen=True):
    """A group of tests: its name, which is foreign text, its counts, and its outcome according to the server."""

    name: str
    counts: Counts
    points: Points | None = None
    outcome: str | None = None


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """One submission at one moment.

    Attributes:
        total_tests: how many tests there will be, if the server said so.
        progress: 0 to 100, from servers that send it instead.
        recent: the latest results, oldest first; the last result of a test counts.
        failures: failed and errored tests, oldest first, at most ``FAILURES_KEPT``. Those that are recent as well are
            the same objects.
        analyses: at most ``FAILURES_KEPT``, oldest first.
        groups: the groups of tests so far, at most ``GROUPS_KEPT``. Their points and outcomes come with the verdict.
        points: those of the verdict.
        last_seq: the position reached in the event log; 0 from servers without ``seq``.
        malformed: how many invalid frames were skipped.
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
    groups: tuple[Group, ...] = ()
    points: Points | None = None
    verdict: Complete | None = None
    last_seq: int = 0
    malformed: int = 0

    @property
    def name(self) -> str:
        """The display name."""
        return "this machine" if self.id == LOCAL_ID else f"#{self.id}"

    @property
    def status(self) -> str | None:
        """The latest stage."""
        return self.stages[-1].status if self.stages else None


class SubmissionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One submission as the server lists it (``GET /submissions``).

    Servers use different fields and types. Fields that are only displayed are converted to text; ``raw`` keeps every
    field unchanged, for ``--json``.
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
    user: str | None = None

    def fields(self) -> dict[str, Any]:
        """All fields of the server, with the id and the page URL under our names."""
        ours = {"submission_id": self.submission_id, "url": self.url}
        return {"submission_id": self.submission_id, **self.raw, **ours}


def read_row(raw: Raw, *, submission_id: int, url: str | None) -> SubmissionRow:
    """Parse a row.

    Args:
        raw: The JSON object that the server sent.
        submission_id: The id found in it.
        url: The URL of the submission's page.
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
        user=value if isinstance(value := raw.get("user"), str) else None,
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
