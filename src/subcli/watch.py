"""The state of one watched submission: frames in, news out. Pure: no I/O, no clock.

Theory. A frame becomes news in four steps: decode it; drop what was seen; hold what came too early and
report the hole; apply the rest. Whether an event was seen is decided by its ``seq`` where the server numbers
its events (contract, section 1), so that reconnecting, catching up and duplicates need no care elsewhere.
Servers without ``seq`` get the next best thing: a result is known by its test and status, a status by its
rank on the way, an analysis by its text.

=====================  =====================================================================
``seq``                what happens
=====================  =====================================================================
≤ the last applied     dropped: seen
the last applied + 1   applied, and then what was held and now follows
beyond that            held; ``Received.hole`` names what is missing, to be had from the log
absent                 applied unless it tells nothing new
=====================  =====================================================================

Dictionaries change in place, in :meth:`Watch._apply` alone; what leaves is frozen.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from subcli.protocol import (
    TERMINAL_STATUSES,
    Complete,
    Control,
    ErrorAnalysis,
    MalformedMessageError,
    Message,
    Raw,
    StatusUpdate,
    TestResult,
    decode,
)
from subcli.submission import (
    FAILURES_KEPT,
    RECENT_KEPT,
    STAGES_KEPT,
    Connection,
    Counts,
    Stage,
    Submission,
)

HELD_MAX: Final = 1000
"""How many early events are held; further ones come from the log as well."""

_RANK: Final = {
    "pending": 0,
    "queued": 0,
    "submitted": 0,
    "building": 1,
    "built": 2,
    "deploying": 3,
    "testing": 4,
    "running": 4,
    **dict.fromkeys(TERMINAL_STATUSES, 9),
}


class Hole(NamedTuple):
    """Events with ``after < seq < before`` are missing."""

    after: int
    before: int


class Received(NamedTuple):
    """What came of a frame.

    Attributes:
        events: what is new, in order.
        hole: what has to be fetched before anything more can be applied.
        reply: a text to send back.
        fault: why the frame was passed over.
    """

    events: tuple[Message, ...] = ()
    hole: Hole | None = None
    reply: str | None = None
    fault: str | None = None


_NOTHING: Final = Received()


class Watch:
    """Everything known about one submission.

    Args:
        submission_id: the one watched; messages about another are passed over.
        after_seq: events up to this one are taken as seen.
        problem, language, url: for the picture only.
    """

    def __init__(
        self,
        submission_id: int,
        *,
        after_seq: int = 0,
        problem: str | None = None,
        language: str | None = None,
        url: str | None = None,
    ) -> None:
        self.submission_id = submission_id
        self.last_seq = after_seq
        self.problem = problem
        self.language = language
        self.url = url
        self.connection = Connection("connecting")
        self.verdict: Complete | None = None
        self.malformed = 0
        self._id_text = str(submission_id)
        self._held: dict[int, Message] = {}
        self._stages: list[Stage] = []
        self._latest = StatusUpdate(status="")
        self._total: int | None = None
        self._progress: float | None = None
        self._attempt: int | None = None
        self._statuses: dict[str, str] = {}
        self._counts = {"passed": 0, "failed": 0, "error": 0, "skipped": 0}
        self._recent: dict[str, TestResult] = {}
        self._failures: dict[str, TestResult] = {}
        self._analyses: dict[tuple[str, str, str], ErrorAnalysis] = {}

    # -- in ---------------------------------------------------------------------------------------

    def receive(self, frame: str | bytes) -> Received:
        """What is new in one frame. Never raises on bad input: that is counted and named in ``fault``."""
        try:
            message = decode(frame)
        except MalformedMessageError as error:
            return self._pass_over(str(error))
        if isinstance(message, Control):
            return Received(reply=message.reply) if message.reply else _NOTHING
        return self.take(message)

    def take(self, event: Message) -> Received:
        """What is new in one event, from the socket, the log or a snapshot."""
        if event.submission_id is not None and str(event.submission_id) != self._id_text:
            return self._pass_over(f"about another submission ({event.submission_id})")
        if self.verdict is not None:
            return _NOTHING
        seq = event.seq
        if seq is None:
            if not self._tells_something(event):
                return _NOTHING
            self._apply(event)
            return Received((event,))
        if seq <= self.last_seq:
            return _NOTHING
        if seq > self.last_seq + 1:
            if len(self._held) < HELD_MAX:
                self._held[seq] = event
            return Received(hole=Hole(self.last_seq, min(self._held)))
        if not self._held:
            self._apply(event)
            return Received((event,))
        self._held[seq] = event
        return self._release()

    def take_all(self, events: Iterable[Message]) -> Received:
        """What is new in several events, with the first hole that is left."""
        new: list[Message] = []
        hole: Hole | None = None
        for event in events:
            received = self.take(event)
            new.extend(received.events)
            hole = received.hole
        return Received(tuple(new), hole=hole)

    def skip_hole(self) -> Received:
        """Give up what is missing before the first held event: the log does not have it either."""
        if not self._held:
            return _NOTHING
        self.last_seq = min(self._held) - 1
        return self._release()

    def _release(self) -> Received:
        """Apply what is held and follows without a hole."""
        new: list[Message] = []
        while self.verdict is None and (event := self._held.pop(self.last_seq + 1, None)) is not None:
            self._apply(event)
            new.append(event)
        for seen in [seq for seq in self._held if seq <= self.last_seq]:
            del self._held[seen]
        hole = Hole(self.last_seq, min(self._held)) if self._held and self.verdict is None else None
        return Received(tuple(new), hole=hole)

    def _pass_over(self, fault: str) -> Received:
        self.malformed += 1
        return Received(fault=fault)

    def _tells_something(self, event: Message) -> bool:
        """Whether an event without ``seq`` is new."""
        match event:
            case TestResult():
                return self._statuses.get(event.key) != event.status
            case StatusUpdate():
                before = self._latest
                if event.status != before.status:
                    unranked = 99
                    return _RANK.get(event.status, unranked) >= _RANK.get(before.status, -1)
                # The same stage: news only where something else is said of it.
                return (event.detail, event.progress, event.total_tests, event.queue_position) != (
                    before.detail,
                    before.progress,
                    before.total_tests,
                    before.queue_position,
                )
            case ErrorAnalysis():
                return _analysis_key(event) not in self._analyses
            case _:
                return True

    # -- state ------------------------------------------------------------------------------------

    def _apply(self, event: Message) -> None:
        if event.seq is not None:
            self.last_seq = event.seq
        match event:
            case TestResult():
                self._apply_result(event)
            case StatusUpdate():
                self._apply_status(event)
            case ErrorAnalysis():
                if len(self._analyses) < FAILURES_KEPT:
                    self._analyses[_analysis_key(event)] = event
            case Complete():
                self.verdict = event
                self._held.clear()

    def _apply_result(self, result: TestResult) -> None:
        key = result.key
        before = self._statuses.get(key)
        if before is not None:
            self._counts[_counted(before)] -= 1
            self._recent.pop(key, None)
            self._failures.pop(key, None)
        status = _counted(result.status)
        self._statuses[key] = result.status
        self._counts[status] += 1
        self._recent[key] = result
        if len(self._recent) > RECENT_KEPT:
            del self._recent[next(iter(self._recent))]
        if status in ("failed", "error") and len(self._failures) < FAILURES_KEPT:
            self._failures[key] = result

    def _apply_status(self, update: StatusUpdate) -> None:
        again = update.attempt is not None and update.attempt != self._attempt
        self._attempt = update.attempt if update.attempt is not None else self._attempt
        if update.status != self._latest.status or again:
            self._stages.append(Stage(update.status, update.timestamp, self._attempt))
            del self._stages[:-STAGES_KEPT]
        self._latest = update
        self._total = update.total_tests if update.total_tests is not None else self._total
        self._progress = update.progress if update.progress is not None else self._progress

    def describe(self, snapshot: Raw) -> None:
        """Take from a REST snapshot what is only shown: problem, language, page."""
        self.problem, self.language, self.url = (
            value if isinstance(value := snapshot.get(name), str) else known
            for name, known in (("problem", self.problem), ("language", self.language), ("url", self.url))
        )

    def status_of(self, key: str) -> str | None:
        """The status of the test with this key, if it has one."""
        return self._statuses.get(key)

    # -- out --------------------------------------------------------------------------------------

    @property
    def status(self) -> str | None:
        """The stage reached last."""
        return self._latest.status or None

    @property
    def counts(self) -> Counts:
        """Tests by status."""
        count = self._counts
        return Counts(count["passed"], count["failed"], count["error"], count["skipped"])

    def snapshot(self) -> Submission:
        """The picture at this moment. Its cost does not depend on the number of results."""
        return Submission(
            id=self.submission_id,
            problem=self.problem,
            language=self.language,
            url=self.url,
            connection=self.connection,
            stages=tuple(self._stages),
            total_tests=self._total,
            progress=self._progress,
            queue_position=self._latest.queue_position,
            attempt=self._attempt,
            detail=self._latest.detail,
            counts=self.counts,
            recent=tuple(self._recent.values()),
            failures=tuple(self._failures.values()),
            analyses=tuple(self._analyses.values()),
            verdict=self.verdict,
            last_seq=self.last_seq,
            malformed=self.malformed,
        )


def _counted(status: str) -> str:
    """The count that a test status belongs to; an unknown word counts as failed."""
    return status if status in ("passed", "failed", "error", "skipped") else "failed"


def _analysis_key(event: ErrorAnalysis) -> tuple[str, str, str]:
    test = event.test_name or "" if event.test_id is None else f"#{event.test_id}"
    return (test, event.error, event.analysis)
