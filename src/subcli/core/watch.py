"""The state of one watched submission: frames in, new events out. Pure: no I/O, no clock.

A frame is processed in four steps: decode it; drop events that were seen; hold early ones and report the gap; apply the
rest. If the server numbers its events, ``seq`` decides whether one was seen (contract, section 1), so that
reconnecting, catching up and duplicates need no care elsewhere:

=====================  =====================================================================
``seq``                what happens
=====================  =====================================================================
≤ the last applied     dropped: it was seen
the last applied + 1   applied, then what was held and now follows
beyond that            held; ``Watch.hole`` names what is missing, to fetch from the log
absent                 applied if it is news
=====================  =====================================================================

There are two exceptions. The verdict is never dropped, since there is only one. And if a server numbers its events but
does not replay them, an event already known from a snapshot counts as seen.

After a restored backup the log may be another one, or shorter. Event 1, snapshots and pages of the log carry its name,
the ``epoch``, and the latter two say where it ends. If that does not fit what was seen, the watch is ``replaced`` and
takes nothing more: two logs are never mixed.

An event without ``seq`` is news if it is

=====================  =====================================================================
``test_result``        of a test without a result, or with another status
``status_update``      of a status not reached yet in this attempt nor behind the current one,
                       or with other details about the current one
``error_analysis``     about another test, error or explanation
``complete``           always; after it everything is dropped
another type           never: it is shown, but a greeting at every connect is not progress
=====================  =====================================================================

An ``output`` is no part of the log and changes no state. It has a number of its own, ``output_seq``, which the server
counts for those that ask for output: a number that is not higher than the last one was seen. One that is missing is not
waited for, because output is deleted some time after the verdict. But it names the event that it follows: if that is
missing, the two are fetched together, like any other hole.

State changes in place, in :meth:`Watch._apply` only; what leaves is frozen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TypeVar

from subcli.core.groups import points_of
from subcli.core.submission import FAILURES_KEPT, STAGES_KEPT, Connection, Stage, Submission
from subcli.core.tally import Tally
from subcli.shared.decoding import MalformedMessageError, decode
from subcli.shared.messages import (
    Complete,
    Control,
    ErrorAnalysis,
    Message,
    Output,
    Raw,
    StatusUpdate,
    TestResult,
    Unknown,
)
from subcli.shared.protocol import STATUS_RANKS, submission_part

T = TypeVar("T")

HELD_MAX: Final = 1000
"""How many early events are held; the log has the others."""

_ENDED: Final = STATUS_RANKS["completed"]


class Hole(NamedTuple):
    """Events with ``after < seq < before`` are missing."""

    after: int
    before: int


class Received(NamedTuple):
    """The outcome of a frame.

    Attributes:
        events: what to show, in order.
        progress: whether any of them is news.
        reply: a text to send back.
        fault: why the frame was skipped.
    """

    events: Sequence[Message] = ()
    progress: bool = False
    reply: str | None = None
    fault: str | None = None


_NOTHING: Final = Received()


class Watch:
    """Everything known about one submission.

    Args:
        submission_id: the one watched; messages about others are skipped.
        after_seq: events up to this one count as seen.
        output_after: the same for pieces of output.
        epoch: the name of the log that they belong to, if it is known.
        origin: the name that a log of this submission once had, if it is known: it may have another one since it was
            judged again, but not one that belongs to another submission.
        problem, language, url: shown only.
    """

    def __init__(
        self,
        submission_id: int,
        *,
        after_seq: int = 0,
        output_after: int = 0,
        epoch: str | None = None,
        origin: str | None = None,
        problem: str | None = None,
        language: str | None = None,
        url: str | None = None,
    ) -> None:
        self.submission_id = submission_id
        self.last_seq = after_seq
        self.last_output = output_after
        self.epoch = epoch
        self._origin = origin
        self.replaced = False
        self.problem = problem
        self.language = language
        self.url = url
        self.connection = Connection("connecting")
        self.verdict: Complete | None = None
        self.malformed = 0
        self._id_text = str(submission_id)
        self._held: dict[int, Message] = {}
        self._is_behind_output = False
        self._sought = 0
        self._has_events_without_seq = False
        self._tally = Tally()
        self._stages: list[Stage] = []
        self._reached: set[str] = set()
        self._rank = 0
        self._now = StatusUpdate(status="")
        self._analyses: list[ErrorAnalysis] = []
        self._analysed: set[int] = set()

    # -- in ---------------------------------------------------------------------------------------

    def receive_all(self, frames: deque[str | bytes]) -> Received:
        """Process ``frames`` from the left, and stop after one that requires more than being shown.

        That is a fault, a text to send back, a hole, the verdict, or another log.
        """
        events: list[Message] = []
        progress = False
        while frames:
            try:
                message = decode(frames.popleft())
            except MalformedMessageError as error:
                self.malformed += 1
                return Received(events, progress, fault=str(error))
            if isinstance(message, TestResult) and message.seq == self.last_seq + 1 and self._is_plain(message):
                # Nearly all messages are results that follow; this spares them the questions that others raise.
                self.last_seq += 1
                message.__dict__["number"] = self._tally.put(message)
                events.append(message)
                progress = True
                continue
            if isinstance(message, Control):
                if message.reply is not None:
                    return Received(events, progress, reply=message.reply)
                continue
            received = self.take(message)
            events += received.events
            progress = progress or received.progress
            if received.fault is not None or self.hole or self.verdict is not None or self.replaced:
                return Received(events, progress, fault=received.fault)
        return Received(events, progress)

    def _is_plain(self, result: TestResult) -> bool:
        return (
            self.last_seq > 0
            and not (self._held or self._has_events_without_seq or self.replaced)
            and self.verdict is None
            and result.submission_id in (self.submission_id, None)
        )

    def receive(self, frame: str | bytes) -> Received:
        """Process one frame. Bad input never raises: it is counted, and ``fault`` says what is wrong."""
        return self.receive_all(deque((frame,)))

    def take(self, event: Message) -> Received:
        """Process one event, from the socket, the log or a snapshot."""
        if event.submission_id not in (self.submission_id, None) and str(event.submission_id) != self._id_text:
            return self._skip(f"about another submission ({event.submission_id})")
        seq = event.seq
        if seq == 1:
            self._meet(event.epoch)
        if self.verdict is not None or self.replaced:
            return _NOTHING
        if seq is None:
            if isinstance(event, Output) and event.output_seq is not None:
                return self._take_output(event, event.output_seq)
            return self._take_without_seq(event)
        if seq <= self.last_seq:
            return self._take_late(event, seq)
        if seq == self.last_seq + 1 and not self._held:
            return self._take_next(event)
        if len(self._held) < HELD_MAX or seq == self.last_seq + 1:
            self._held[seq] = event
        return self._release()

    def fill(self, events: Iterable[Message]) -> Received:
        """Process all events of the log or a snapshot. Events that the log lacks do not exist."""
        self._is_behind_output = False
        numbered: list[Message] = []
        others: list[Message] = []
        for event in events:
            (others if event.seq is None and not isinstance(event, Output) else numbered).append(event)
        received = [self.take(event) for event in numbered]
        while self._held:
            received.append(self._skip_hole())
        return _joined([*received, *(self.take(event) for event in others)])

    def recognize(self, epoch: object, last_seq: object = None) -> None:
        """Compare the log that a snapshot or a page of the log describes with the one followed; see ``replaced``.

        Args:
            epoch: the log's name; anything but a text is none.
            last_seq: where the log, or its page, ends; anything but an integer counts as unknown.
        """
        if self.epoch is None and epoch:
            # Held events may belong to another log; if not, this log has them.
            self._held.clear()
        self._meet(epoch)
        if isinstance(last_seq, int) and last_seq < self.last_seq:
            self._replace()

    def _meet(self, epoch: object) -> None:
        """Take the name of the log if none is known yet; otherwise it must be the same."""
        if not isinstance(epoch, str) or not epoch:
            return
        if self.epoch is None and self._is_ours(epoch):
            self.epoch = epoch
        elif self.epoch != epoch:
            self._replace()

    def _is_ours(self, epoch: str) -> bool:
        return self._origin is None or submission_part(epoch) == submission_part(self._origin)

    def _replace(self) -> None:
        self.replaced = self.verdict is None
        self.drop_held()

    @property
    def hole(self) -> Hole | None:
        """What to fetch from the log before anything more can be applied."""
        if self._held:
            return Hole(self.last_seq, min(self._held))
        return Hole(self.last_seq, self._sought + 1) if self._is_behind_output else None

    def drop_held(self) -> None:
        """Forget the events that came too early: a replay will bring them again, in order."""
        self._held.clear()
        self._is_behind_output = False
        self._sought = 0

    def _skip_hole(self) -> Received:
        """Continue with the first held event."""
        self.last_seq = min(self._held) - 1
        return self._release()

    def _release(self) -> Received:
        """Apply the held events that follow without a hole."""
        received: list[Received] = []
        while (event := self._held.pop(self.last_seq + 1, None)) is not None:
            received.append(self._take_next(event))
        return _joined(received)

    def _take_next(self, event: Message) -> Received:
        """Apply the event that follows in the log."""
        assert event.seq is not None
        self.last_seq = event.seq
        if self._has_events_without_seq and not self._apply_news(event):
            return _NOTHING
        if not self._has_events_without_seq:
            self._apply(event)
        return Received((event,), progress=True)

    def _take_late(self, event: Message, seq: int) -> Received:
        """Process an event at a position that was passed."""
        if not isinstance(event, Complete):
            return _NOTHING
        if self.epoch is not None and seq < self.last_seq:
            # Nothing follows a verdict, so this is not the log whose later events were seen.
            self._replace()
            return _NOTHING
        return self._take_without_seq(event)

    def _take_output(self, event: Output, number: int) -> Received:
        if number <= self.last_output:
            return _NOTHING
        if self._is_behind_output:
            # Those before it come with what is fetched.
            return _NOTHING
        if (event.after_seq or 0) > max(self.last_seq, self._sought):
            # If the log has no such event either, the piece is shown the next time that it comes.
            self._is_behind_output, self._sought = True, event.after_seq or 0
            return _NOTHING
        self.last_output = number
        return Received((event,), progress=True)

    def _take_without_seq(self, event: Message) -> Received:
        if isinstance(event, Unknown | Output):
            return Received((event,))
        if not self._apply_news(event):
            return _NOTHING
        self._has_events_without_seq = True
        return Received((event,), progress=True)

    def _skip(self, fault: str) -> Received:
        self.malformed += 1
        return Received(fault=fault)

    # -- what is new ------------------------------------------------------------------------------

    def _apply_news(self, event: Message) -> bool:
        """Apply an event if it is news, regardless of its place in the log; return whether it was."""
        if isinstance(event, TestResult):
            return self._put(event, is_listed=False)
        if isinstance(event, StatusUpdate) and not self._advances(event):
            return False
        if isinstance(event, ErrorAnalysis) and _fingerprint(event) in self._analysed:
            return False
        self._apply(event)
        return True

    def _advances(self, update: StatusUpdate) -> bool:
        now = self._now
        attempt = now.attempt if update.attempt is None else update.attempt
        if attempt != now.attempt and now.attempt is not None:
            return attempt is not None and attempt > now.attempt
        if update.status != now.status:
            rank = STATUS_RANKS.get(update.status, min(self._rank, _ENDED - 1))
            return update.status not in self._reached and rank >= self._rank
        return (
            update.detail not in (None, now.detail)
            or update.total_tests not in (None, now.total_tests)
            or update.queue_position not in (None, now.queue_position)
            or (update.progress or 0) > (now.progress or 0)
        )

    # -- state ------------------------------------------------------------------------------------

    def _apply(self, event: Message) -> None:
        match event:
            case TestResult():
                self._put(event)
            case StatusUpdate():
                self._apply_status(event)
            case ErrorAnalysis():
                self._analysed.add(_fingerprint(event))
                if len(self._analyses) < FAILURES_KEPT:
                    self._analyses.append(event)
            case Complete():
                self.verdict = event
                self._held.clear()

    def _put(self, result: TestResult, *, is_listed: bool = True) -> bool:
        """Record a result; return whether it is an event of its own."""
        number = self._tally.put(result, is_listed=is_listed)
        # Tell the views which test it belongs to, so that they need not decide again.
        result.__dict__["number"] = number
        return number is not None

    def _apply_status(self, update: StatusUpdate) -> None:
        """Update the status; fields that an update leaves out stay as they were while the stage is the same."""
        before = self._now
        again = update.attempt is not None and update.attempt != before.attempt
        same = update.status == before.status and not again
        if again:
            self._reached.clear()
            self._rank = 0
        if again and before.attempt is not None:
            # They explain an earlier attempt.
            self._analysed.clear()
            self._analyses.clear()
        if not same:
            self._stages.append(Stage(update.status, update.timestamp, _first(update.attempt, before.attempt)))
            del self._stages[:-STAGES_KEPT]
        self._reached.add(update.status)
        self._rank = max(self._rank, STATUS_RANKS.get(update.status, 0))
        self._now = StatusUpdate(
            status=update.status,
            attempt=_first(update.attempt, before.attempt),
            total_tests=_first(update.total_tests, before.total_tests),
            progress=_first(update.progress, None if again else before.progress),
            detail=_first(update.detail, before.detail if same else None),
            queue_position=_first(update.queue_position, before.queue_position if same else None),
        )

    def describe(self, snapshot: Raw) -> None:
        """Take problem, language and page, which are only shown, from a REST snapshot, and the name of the log."""
        self.recognize(snapshot.get("epoch"))
        self.problem, self.language, self.url = (
            value if isinstance(value := snapshot.get(name), str) else known
            for name, known in (("problem", self.problem), ("language", self.language), ("url", self.url))
        )

    # -- out --------------------------------------------------------------------------------------

    @property
    def has_failures(self) -> bool:
        """Whether a test does not pass at present: the part of a snapshot that sorts many submissions."""
        return self._tally.has_failures

    def snapshot(self) -> Submission:
        """The present state. Its cost does not depend on the number of results."""
        now, summary = self._now, self.verdict.summary if self.verdict is not None else None
        return Submission(
            id=self.submission_id,
            problem=self.problem,
            language=self.language,
            url=self.url,
            connection=self.connection,
            stages=tuple(self._stages),
            total_tests=now.total_tests,
            progress=now.progress,
            queue_position=now.queue_position,
            attempt=now.attempt,
            detail=now.detail,
            counts=self._tally.counts,
            recent=self._tally.recent,
            failures=self._tally.failures,
            analyses=tuple(self._analyses),
            groups=self._tally.groups.all(summary),
            points=None if summary is None else points_of(summary),
            verdict=self.verdict,
            last_seq=self.last_seq,
            malformed=self.malformed,
        )


def _joined(received: Iterable[Received]) -> Received:
    parts = list(received)
    return Received(tuple(event for part in parts for event in part.events), any(part.progress for part in parts))


def _first(value: T | None, otherwise: T | None) -> T | None:
    return otherwise if value is None else value


def _fingerprint(event: ErrorAnalysis) -> int:
    test = (event.test_type or "", event.test_name or "") if event.test_id is None else str(event.test_id)
    return hash((test, event.error, event.analysis))
