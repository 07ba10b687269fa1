"""`/ws/feed`: the events of many submissions over one socket (docs/protocol.md, "Following many submissions").

A feed is a reader of many logs for one :class:`Watcher`. Each submission has a reader of its own, with its position, so
order and resumption are those of a single watch. A reader that has everything is parked at its submission's channel; it
hands what comes to the socket at once, as the same bytes, while the socket's task sleeps. If that task is at work, or
there is no room, the reader is queued and read in turn. So a feed has one task at most, and what it does for an event
does not depend on how many submissions it follows.

New submissions are a stream on the bus like any other (`ARRIVALS`), and so are those that are judged again (`RUNS`).
They only wake the feed, which asks the database. A client that can follow a submission a second time asks for the
latter. If the run before has not been read to its end, its successor waits for it.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, Final, NamedTuple

from subcli.server.gateway.new_runs import LOOKED_FOR_AT_ONCE, NewRuns
from subcli.server.gateway.watcher import RefusedError
from subcli.server.log.bus import Relay, Subscription
from subcli.server.log.feed import Journal, Reader
from subcli.server.log.interleaved import InterleavedReader
from subcli.server.log.matching import Cursor, Found, Wanted
from subcli.server.log.records import EventPage, Record, ReplacedError, UnknownSubmissionError, record
from subcli.server.log.store import Store
from subcli.shared.encoding import encode, timestamp
from subcli.shared.protocol import MAX_ID, CloseCode

_BATCH_BYTES: Final = 64 * 1024
_FOUND_AT_ONCE: Final = 1000
_PAGES_AT_ONCE: Final = 100
_NAMED_AT_ONCE: Final = 200
"""How many submissions a message announces: fewer than fit."""
_RETRY_S: Final = 30


class _Position(NamedTuple):
    """Where a client wants to go on in a submission's log, and in what it has printed."""

    submission_id: int
    after: int
    epoch: str | None
    output_after: int = 0


class _Said(NamedTuple):
    """What a client says with `follow`.

    Attributes:
        wants_runs: whether it is to be told what is judged again,
        runs: after the run with this number; None: from the first list on.
    """

    positions: Sequence[_Position]
    wants_runs: bool
    runs: int | None


class _Prefetched(NamedTuple):
    """A page of a log that was read with others.

    Attributes:
        position: that it follows.
        version: of the subscription, before it was read.
    """

    position: int
    version: int
    page: EventPage


class _Member:
    """A submission of a feed. Parked at its channel, it hands on what comes, while the feed is parked as well."""

    __slots__ = ("_feed", "_leave", "prefetched", "reader", "submission_id", "subscription")

    def __init__(
        self,
        feed: FeedReader,
        submission_id: int,
        subscription: Subscription,
        reader: Reader | InterleavedReader,
        leave: ExitStack,
    ) -> None:
        self.submission_id = submission_id
        self.subscription = subscription
        self.reader = reader
        self.prefetched: _Prefetched | None = None
        self._feed = feed
        self._leave = leave

    def take(self, records: Sequence[Record], frames: bytes) -> bool:
        if not self._feed.pass_on(records, frames):
            return False
        self.reader.took(records)
        if self.reader.ended:
            self._feed.forget(self)
        return True

    def wake(self) -> None:
        self._feed.is_behind(self)

    def close(self) -> None:
        """Leave its channel."""
        self.reader.leave(self)
        self._leave.close()


class _Stream:
    """Wakes a feed when its user has made a submission, or one is judged again; or anybody has, and anybody's.

    Attributes:
        position: up to which all are known.

    Args:
        subscription: to the stream, whose records have the ids of users as texts.
        wake: called if there is something new.
    """

    def __init__(self, subscription: Subscription, owner_id: int | None, wake: Callable[[], None]) -> None:
        self.position = 0
        self._subscription = subscription
        self._owner = None if owner_id is None else str(owner_id)
        self._wake = wake

    def take(self, records: Sequence[Record], frames: bytes) -> bool:
        if self._owner is None or any(each.text == self._owner for each in records):
            return False
        self.position = records[-1].seq
        return True

    def wake(self) -> None:
        self._wake()

    def park(self) -> bool:
        """Wait for what is new. False: there is something."""
        return self._subscription.park(self.position, self)

    def leave(self) -> None:
        """Wait no longer."""
        self._subscription.leave(self)


class FeedReader:
    """Reads the events of all submissions that match, each log in order, for one watcher.

    Attributes:
        ended: never: new submissions may come.

    Args:
        wanted: what matches.
        cursor: announce only what came after it; None: begin with what is running.
        limit: the most submissions to follow at the same time.
        with_output: also read what builds and tests print.
    """

    ended = False

    def __init__(
        self,
        store: Store,
        journal: Journal,
        wanted: Wanted,
        cursor: Cursor | None,
        limit: int,
        *,
        with_output: bool = False,
    ) -> None:
        self._store = store
        self._journal = journal
        self._wanted = wanted
        self._cursor = cursor
        self._limit = limit
        self._with_output = with_output
        self._asked_for = 0
        self._owes_cursor = True
        self._must_look = True
        self._relay: Relay | None = None
        self._members: dict[int, _Member] = {}
        # The name of the log that was followed last. Also of those that have ended: a position that arrives late must
        # not begin them again.
        self._followed: dict[int, str | None] = {}
        self._behind: deque[_Member] = deque()
        self._asked: deque[_Position] = deque()
        self._messages: deque[Record] = deque()
        self._stack = ExitStack()
        arrivals = self._stack.enter_context(journal.arrivals())
        self._arrivals = _Stream(arrivals, wanted.owner_id, self._look_again)
        self._new_runs = NewRuns()
        self._runs: _Stream | None = None

    def close(self) -> None:
        """Let go of every submission."""
        self._relay = None
        for member in self._members.values():
            member.close()
        self._members.clear()
        self._arrivals.leave()
        if self._runs is not None:
            self._runs.leave()
        self._stack.close()

    # -- as a reader ---------------------------------------------------------------------------------

    async def next(self) -> Sequence[Record]:
        """Return what is to be sent next; nothing if there may be something the next time.

        Raises:
            RefusedError: the feed would follow too many submissions, or a backup was restored under it.
        """
        if self._must_look:
            await self._look()
        elif self._asked:
            await self._add_asked()
        elif self._new_runs.must_look:
            await self._look_for_runs()
        elif self._new_runs.may_announce:
            self._announce_runs()
        if self._messages:
            messages = list(self._messages)
            self._messages.clear()
            return messages
        return await self._read()

    def park(self, relay: Relay) -> bool:
        """Have `relay` told what comes next. False: there is something to read already."""
        if not (self._must_look or self._arrivals.park()):
            self._must_look = True
        if self._runs is not None and not (self._new_runs.is_stale or self._runs.park()):
            self._new_runs.is_stale = True
        has_news = self._must_look or self._new_runs.must_look or self._new_runs.may_announce
        if has_news or self._asked or self._messages or self._behind:
            return False
        self._relay = relay
        return True

    def leave(self, relay: Relay) -> None:
        """Tell it no more, if it is parked."""
        self._relay = None

    def took(self, records: Sequence[Record]) -> None:
        """Do nothing: each member notes its own position."""

    # -- what comes while it is parked ---------------------------------------------------------------

    def pass_on(self, records: Sequence[Record], frames: bytes) -> bool:
        """Send a member's events at once. False: they have to wait for others, or for room."""
        return self._relay is not None and self._relay.take(records, frames)

    def is_behind(self, member: _Member) -> None:
        """Read a member in turn."""
        self._behind.append(member)
        self._wake()

    def _look_again(self) -> None:
        """Look for new submissions."""
        self._must_look = True
        self._wake()

    def _look_for_runs_again(self) -> None:
        self._new_runs.is_stale = True
        self._wake()

    def hear(self, message: str | bytes) -> None:
        """Take what the client says. Everything but `follow` is ignored.

        Raises:
            RefusedError: it is not a valid `follow`, or it asks for too many submissions.
        """
        said = _said(message)
        if said is None:
            return
        self._asked_for += len(said.positions)
        if self._asked_for > self._limit:
            raise RefusedError(CloseCode.POLICY_VIOLATION, f"follow at most {self._limit} submissions")
        self._asked.extend(said.positions)
        if said.wants_runs and self._runs is None:
            runs = self._stack.enter_context(self._journal.runs())
            self._runs = _Stream(runs, self._wanted.owner_id, self._look_for_runs_again)
            self._new_runs.begin(said.runs)
        self._wake()

    def _wake(self) -> None:
        relay, self._relay = self._relay, None
        if relay is not None:
            relay.wake()

    # -- who is followed -----------------------------------------------------------------------------

    async def _look(self) -> None:
        """Find what has come, and announce it; the first time, say so even if there is nothing.

        Raises:
            RefusedError: a backup was restored, or there are too many.
        """
        self._must_look = False
        # Before the query: what arrives meanwhile is looked for again.
        self._arrivals.position = self._journal.latest_arrival()
        matching = self._store.matching
        try:
            if self._new_runs.known_at_first is None:
                # Before the list: a run that begins meanwhile is in both.
                self._new_runs.known_at_first = await self._store.run(matching.newest_run)
            if self._cursor is None:
                found, cursor = await self._store.run(matching.running, self._wanted, self._limit + 1)
            else:
                found, cursor = await self._store.run(matching.since, self._wanted, self._cursor, _FOUND_AT_ONCE)
                self._must_look = self._must_look or len(found) == _FOUND_AT_ONCE
        except ReplacedError:
            raise RefusedError(CloseCode.LOG_REPLACED, "the server's records were replaced") from None
        new = [each for each in found if each.id not in self._followed]
        self._cursor = cursor
        if new or self._owes_cursor:
            self._announce(new, cursor)
        for each in new:
            self._add(_Position(each.id, 0, each.epoch))

    def _announce(self, found: Sequence[Found], cursor: Cursor) -> None:
        for start in range(0, max(len(found), 1), _NAMED_AT_ONCE):
            part = found[start : start + _NAMED_AT_ONCE]
            named = [
                {"submission_id": each.id, "problem": each.problem, "language": each.language}
                | ({} if each.epoch is None else {"epoch": each.epoch})
                for each in part
            ]
            self._owes_cursor = self._must_look or start + len(part) < len(found)
            runs = {} if self._new_runs.announced_up_to is None else {"runs": self._new_runs.announced_up_to}
            more = {"more": True} if self._owes_cursor else {"cursor": str(cursor), **runs}
            self._say("feed", {"submissions": named, **more})

    async def _look_for_runs(self) -> None:
        """Find what is judged again."""
        assert self._runs is not None
        self._new_runs.is_stale = False
        # Before the query, as with new submissions.
        self._runs.position = self._journal.latest_run()
        is_first, after = self._new_runs.announced_up_to is None, self._new_runs.looked_up_to
        answer = await self._store.run(self._store.matching.judged_again, self._wanted, after, LOOKED_FOR_AT_ONCE)
        self._new_runs.found(*answer)
        self._announce_runs(owed=is_first)

    def _announce_runs(self, *, owed: bool = False) -> None:
        """Announce what is judged again and need not wait.

        Args:
            owed: say up to which number even if there is nothing.
        """
        # New submissions need room as well.
        room = max(self._limit // 2, 1) - len(self._members)
        ready = self._new_runs.take(self._members, self._followed, room)
        if ready or owed:
            assert self._cursor is not None
            self._announce(ready, self._cursor)
        for each in ready:
            self._add(_Position(each.id, 0, each.epoch))

    async def _add_asked(self) -> None:
        asked = [self._asked.popleft() for _ in range(min(len(self._asked), _FOUND_AT_ONCE))]
        ids = [each.submission_id for each in asked]
        found = await self._store.run(self._store.matching.among, self._wanted.owner_id, ids)
        for each in asked:
            if each.submission_id not in found:
                self._drop(each.submission_id, CloseCode.NOT_FOUND, "submission not found")
            elif each.submission_id not in self._followed:
                self._add(each)
                if each.epoch is None:
                    self._followed[each.submission_id] = found[each.submission_id].epoch

    def _add(self, position: _Position) -> None:
        """Follow a submission: subscribe now, read the log in turn.

        Raises:
            RefusedError: there are too many.
        """
        if len(self._members) >= self._limit:
            raise RefusedError(CloseCode.RATE_LIMITED, f"retry_after={_RETRY_S}")
        number = position.submission_id
        self._followed[number] = position.epoch
        leave = ExitStack()
        subscription = leave.enter_context(self._journal.subscribe(number))
        events = Reader(subscription, partial(self._page, number), position.after, position.epoch)
        reader: Reader | InterleavedReader = events
        if self._with_output:
            printed = leave.enter_context(self._journal.subscribe_to_output(number))
            pieces = self._journal.output_reader(printed, number, position.output_after, position.epoch)
            reader = InterleavedReader(events, pieces)
        member = self._members[number] = _Member(self, number, subscription, reader, leave)
        self._behind.append(member)

    def forget(self, member: _Member) -> None:
        """Follow a submission no more."""
        if self._members.pop(member.submission_id, None) is not None:
            member.close()
            self._new_runs.one_ended()
            if self._new_runs.may_announce:
                self._wake()

    def _drop(self, submission_id: int, code: CloseCode, reason: str) -> None:
        self._followed.pop(submission_id, None)
        self._say("dropped", {"submission_id": submission_id, "code": int(code), "reason": reason})

    def _say(self, kind: str, fields: Mapping[str, Any]) -> None:
        text = encode({"type": kind, "timestamp": timestamp(time.time()), **fields})
        self._messages.append(record(0, text, last=False))

    # -- what they tell ------------------------------------------------------------------------------

    async def _read(self) -> list[Record]:
        """Read members in turn until there is enough for one write, and park those that have everything."""
        batch: list[Record] = []
        size = 0
        while self._behind and size < _BATCH_BYTES:
            member = self._behind.popleft()
            if self._members.get(member.submission_id) is not member:
                continue
            try:
                if self._reads_log(member):
                    await self._prefetch(member)
                records = await member.reader.next()
            except ReplacedError:
                self.forget(member)
                self._drop(member.submission_id, CloseCode.LOG_REPLACED, "its records were replaced")
                continue
            except UnknownSubmissionError:
                self.forget(member)
                self._drop(member.submission_id, CloseCode.NOT_FOUND, "submission not found")
                continue
            batch += records
            size += sum(len(each.frame) for each in records)
            if member.reader.ended:
                self.forget(member)
            elif not member.reader.park(member):
                self._behind.append(member)
        return batch

    def _reads_log(self, member: _Member) -> bool:
        """Whether a member's next events are in its log, and can be read with others'."""
        return member.prefetched is None and member.reader.needs_log

    async def _prefetch(self, first: _Member) -> None:
        """Read the logs of the next members in one query, if there are several."""
        members = [first]
        for member in self._behind:
            if len(members) == _PAGES_AT_ONCE:
                break
            if self._reads_log(member):
                members.append(member)
        if len(members) == 1:
            return
        versions = [member.subscription.version for member in members]
        positions = {member.submission_id: member.reader.position for member in members}
        pages = await self._store.run(self._store.matching.pages, positions)
        for member, version in zip(members, versions, strict=True):
            number = member.submission_id
            if number in pages:
                member.prefetched = _Prefetched(positions[number], version, pages[number])

    async def _page(self, submission_id: int, position: int, limit: int, epoch: str | None) -> EventPage:
        """A page of a log: the one that was read with others, unless it is of another log than the one wanted."""
        member = self._members[submission_id]
        prefetched, member.prefetched = member.prefetched, None
        is_fresh = prefetched is not None and prefetched[:2] == (position, member.subscription.version)
        if prefetched is not None and is_fresh and epoch in (None, prefetched.page.epoch):
            return prefetched.page
        return await self._store.run(self._store.lookup.page, submission_id, position, limit, epoch)


def _said(message: str | bytes) -> _Said | None:
    """What a `follow` says; None for any other message.

    Raises:
        RefusedError: it is not valid.
    """
    if not isinstance(message, str) or '"follow"' not in message:
        return None
    try:
        said = json.loads(message)
        if not isinstance(said, dict) or said.get("type") != "follow":
            return None
        runs = said.get("runs")
        if runs is not None and not _is_number(runs):
            raise ValueError("not the number of a run")
        return _Said([_position(each) for each in said["submissions"]], "runs" in said, runs)
    except (ValueError, RecursionError, KeyError, TypeError):
        raise RefusedError(CloseCode.POLICY_VIOLATION, "not a valid message of type follow") from None


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_ID


def _position(said: Mapping[str, Any]) -> _Position:
    submission_id, epoch = said["submission_id"], said.get("epoch")
    numbers = (submission_id, said.get("after_seq", 0), said.get("output_after", 0))
    are_numbers = all(_is_number(each) for each in numbers)
    if not (are_numbers and submission_id > 0 and isinstance(epoch, str | None)):
        raise ValueError("not a position")
    return _Position(submission_id, numbers[1], epoch or None, numbers[2])
