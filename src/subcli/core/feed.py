"""Many submissions over one socket: frames in, new events of each submission out. Pure: no I/O, no clock.

A feed (docs/protocol.md, "Following many submissions") carries the events of all submissions that match. Each has a
:class:`subcli.core.watch.Watch` of its own, so what counts as new, late or missing is decided where it is for a single
socket. This module hands each frame to its watch, and knows what is followed: announced and not ended.

=============  =============================================================================================
frame          what happens
=============  =============================================================================================
``feed``       each submission that is not known joins; the cursor and the number of the latest run are kept
``feed``       of one that is known, with the name of another run's log: it joins again, after the end of the one before
``dropped``    the submission leaves, with the error that closes a single socket
an event       its watch takes it; with the verdict, or if its log was replaced, the submission leaves
a bare text    as for a single socket
=============  =============================================================================================

After a lost connection the feed tells the server its cursor and, with :meth:`Feed.positions`, where each watch is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple, TypeAlias

from subcli.core.catchup import is_over
from subcli.core.errors import SubcliError, connection_closed, name_submission, not_found, records_replaced
from subcli.core.watch import Received, Watch
from subcli.shared.decoding import MalformedMessageError, decode
from subcli.shared.encoding import encode
from subcli.shared.messages import Control, Message, Raw, Unknown
from subcli.shared.protocol import MAX_ID, CloseCode, submission_part

POSITIONS_AT_ONCE: Final = 400
"""Positions in a message: at most 150 bytes each, within 64 KB."""


class Joined(NamedTuple):
    """A submission is followed from now on."""

    watch: Watch


class News(NamedTuple):
    """New events of a submission, in order."""

    watch: Watch
    events: Sequence[Message]


class Left(NamedTuple):
    """A submission is followed no more: it has its verdict, or ``error`` says why there is none."""

    watch: Watch
    error: SubcliError | None = None


Item: TypeAlias = Joined | News | Left


class Heard(NamedTuple):
    """The outcome of frames.

    Attributes:
        items: what to show, in order.
        progress: whether any of it is news.
        reply: a text to send back.
        fault: why the last frame was skipped.
    """

    items: Sequence[Item] = ()
    progress: bool = False
    reply: str | None = None
    fault: str | None = None


class Feed:
    """The submissions of a feed.

    Attributes:
        watches: those that are followed, by id, in the order in which they joined.
        joined: how many have joined so far.
        cursor: up to where all that match are known; ``None`` until the first list is complete.
        runs: the number of a run up to which all are known that began since the first list; ``None`` until told.
        holes: those of which events are missing, to be fetched from their logs.
        output: whether what builds and tests print is followed as well.

    Args:
        page_url: the address of a submission's page, which is shown only.
    """

    def __init__(self, page_url: Callable[[int], str | None] = lambda _: None, *, output: bool = False) -> None:
        self.output = output
        self.watches: dict[int, Watch] = {}
        self.joined = 0
        self.cursor: str | None = None
        self.runs: int | None = None
        self.holes: set[int] = set()
        self._page_url = page_url
        # The name of the log of each that has left, and what was announced of those whose run before has not ended.
        self._left: dict[int, str | None] = {}
        self._next: dict[int, Raw] = {}
        self._items: list[Item] = []
        self._progress = False

    @property
    def is_over(self) -> bool:
        """Whether everything that was announced has ended."""
        return self.cursor is not None and not self.watches

    def positions(self) -> Iterator[str]:
        """The messages that tell the server where to go on. The last one asks for what is judged again."""
        followed = iter(self.watches.values())
        while len(part := list(islice(followed, POSITIONS_AT_ONCE))) == POSITIONS_AT_ONCE:
            yield self._positions_of(part)
        yield self._positions_of(part, {"runs": self.runs})

    def _positions_of(self, part: Sequence[Watch], more: Raw | None = None) -> str:
        positions = [self._position(watch) for watch in part]
        return encode({"type": "follow", "submissions": positions, **(more or {})})

    def receive_all(self, frames: deque[str | bytes]) -> Heard:
        """Process ``frames`` from the left, and stop after one that is a fault or requires a reply."""
        while frames:
            try:
                message = decode(frames.popleft())
            except MalformedMessageError as error:
                return self._heard(fault=str(error))
            if isinstance(message, Control):
                if message.reply is not None:
                    return self._heard(reply=message.reply)
                continue
            fault = self._take(message)
            if fault is not None:
                return self._heard(fault=fault)
        return self._heard()

    def fill(self, submission_id: int, events: Iterable[Message], epoch: object, last_seq: object) -> Heard:
        """Process the log of a submission after the last event seen.

        Args:
            epoch, last_seq: which log it is, and where it ends (:meth:`subcli.core.watch.Watch.recognize`).
        """
        self.holes.discard(submission_id)
        watch = self.watches.get(submission_id)
        if watch is not None:
            watch.recognize(epoch, last_seq)
            self._note(watch, watch.fill(events))
            if submission_id in self._next:
                # Its end is nowhere to be found.
                self._leave(watch, records_replaced())
        return self._heard()

    def behind(self, rows: Iterable[Raw]) -> list[int]:
        """Those that are followed and, according to ``GET /submissions``, have events that we have not seen."""
        found = []
        for row in rows:
            watch, last_seq = self._watch_of(row.get("submission_id")), row.get("last_seq")
            if watch is not None and isinstance(last_seq, int) and last_seq > watch.last_seq:
                found.append(watch.submission_id)
        return found

    def adopt(self, rows: Sequence[Raw]) -> Sequence[Item]:
        """Let join what runs according to ``GET /submissions``, newest first: no feed will announce it."""
        for row in reversed(rows):
            if not is_over(row) and not row.get("final_status"):
                self._announced(row)
        return self._heard().items

    def disconnected(self) -> None:
        """Forget the events that came too early: the next connection brings them again, in order."""
        for submission_id in self.holes:
            self.watches[submission_id].drop_held()
        self.holes.clear()
        self._next.clear()

    def _heard(self, *, reply: str | None = None, fault: str | None = None) -> Heard:
        heard = Heard(self._items, self._progress, reply, fault)
        self._items, self._progress = [], False
        return heard

    def _take(self, message: Message) -> str | None:
        """Process one message; return what is wrong with it."""
        if isinstance(message, Unknown):
            if message.type == "feed":
                return self._take_list(message.raw)
            if message.type == "dropped":
                return self._take_dropped(message)
        watch = self._watch_of(message.submission_id)
        if message.submission_id in self._next:
            # Of the next run, whose log is read when this one has ended.
            return None
        if watch is None:
            if message.submission_id in self._left:
                return None
            return f"about a submission that is not followed ({message.submission_id})"
        self._note(watch, watch.take(message))
        return None

    def _watch_of(self, number: object) -> Watch | None:
        return self.watches.get(number) if isinstance(number, int) else None

    def _note(self, watch: Watch, received: Received) -> None:
        """Add what a watch has received, and let the submission leave if it has ended."""
        if received.events:
            before = self._items[-1] if self._items else None
            if isinstance(before, News) and before.watch is watch:
                self._items[-1] = News(watch, [*before.events, *received.events])
            else:
                self._items.append(News(watch, received.events))
        self._progress = self._progress or received.progress
        if watch.verdict is not None:
            self._leave(watch, None)
        elif watch.replaced:
            self._leave(watch, records_replaced())
        elif watch.hole is not None:
            self.holes.add(watch.submission_id)

    def _take_list(self, raw: Raw) -> str | None:
        submissions, cursor = raw.get("submissions"), raw.get("cursor")
        if not isinstance(submissions, list):
            return "a list of submissions without them"
        for each in submissions:
            self._announced(each)
        if isinstance(cursor, str) and not raw.get("more"):
            self.cursor = cursor
            runs = raw.get("runs")
            self.runs = runs if type(runs) is int and 0 <= runs <= MAX_ID else self.runs
        return None

    def _announced(self, raw: object) -> None:
        number = raw.get("submission_id") if isinstance(raw, Mapping) else None
        if not isinstance(raw, Mapping) or not isinstance(number, int) or not 0 < number <= MAX_ID:
            return
        problem, language, epoch = (_text(raw.get(name)) for name in ("problem", "language", "epoch"))
        watch = self.watches.get(number)
        if watch is not None and _is_other_run(watch.epoch, epoch):
            # The connection was lost when the run before had not ended. Its log is kept: the rest of it is read there.
            self._next[number] = raw
            self.holes.add(number)
        elif watch is not None:
            # The list was interrupted, and began again.
            watch.recognize(epoch)
            if watch.replaced:
                self._leave(watch, records_replaced())
        elif number not in self._left or _is_other_run(self._left[number], epoch):
            self._left.pop(number, None)
            watch = Watch(number, epoch=epoch, problem=problem, language=language, url=self._page_url(number))
            self.watches[number] = watch
            self.joined += 1
            self._items.append(Joined(watch))
            self._progress = True

    def _take_dropped(self, message: Message) -> str | None:
        watch = self._watch_of(message.submission_id)
        code, reason = message.raw.get("code"), _text(message.raw.get("reason")) or ""
        if watch is None:
            return None
        if code == CloseCode.NOT_FOUND:
            self._leave(watch, not_found())
        elif code == CloseCode.LOG_REPLACED:
            self._leave(watch, records_replaced())
        else:
            self._leave(watch, connection_closed(code if isinstance(code, int) else None, reason))
        return None

    def _position(self, watch: Watch) -> dict[str, object]:
        position: dict[str, object] = {"submission_id": watch.submission_id, "after_seq": watch.last_seq}
        if self.output:
            position["output_after"] = watch.last_output
        return position if watch.epoch is None else {**position, "epoch": watch.epoch}

    def _leave(self, watch: Watch, error: SubcliError | None) -> None:
        number = watch.submission_id
        del self.watches[number]
        self.holes.discard(number)
        self._left[number] = watch.epoch
        self._items.append(Left(watch, None if error is None else name_submission(error, number)))
        following = self._next.pop(number, None)
        if following is not None:
            self._announced(following)
            # Events of it may have been skipped.
            self.holes.add(number)


def _is_other_run(one: str | None, other: str | None) -> bool:
    """Whether these are the names of the logs of two runs of the same submission."""
    return one is not None and other is not None and one != other and submission_part(one) == submission_part(other)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
