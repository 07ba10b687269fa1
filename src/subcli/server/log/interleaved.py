"""Following a submission with what its build and its tests print: both in the order in which they were written.

The two have a reader each (`subcli.server.log.feed`), because they are numbered and stored apart. A piece of output
names the event that it follows. It is written in the same transaction as the events after it, so whoever has read an
event finds the output before it in the database, even if the bus has lost it or is slower with it. So events are held
until the output before them has been read, and `complete` is the last thing that a client gets.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from subcli.server.log.bus import Relay
from subcli.server.log.feed import Reader
from subcli.server.log.records import Record

_LOG_BEHIND_DELAY_S: Final = 0.05
"""Before a log that lacks an event whose output is there already is read again."""


class _Place(msgspec.Struct):
    """The only field of a piece of output that counts here."""

    after_seq: int


_place: Final = msgspec.json.Decoder(_Place).decode


class InterleavedReader:
    """Reads two readers as one, until `complete`. At most a page of each is held.

    Args:
        events: of the submission.
        output: of the same submission.
    """

    __slots__ = ("_bell", "_events", "_held_events", "_held_output", "_output")

    def __init__(self, events: Reader, output: Reader) -> None:
        self._events = events
        self._output = output
        self._held_events: deque[Record] = deque()
        self._held_output: deque[Record] = deque()
        self._bell: _Bell | None = None

    @property
    def ended(self) -> bool:
        """Whether it has read everything that there will be."""
        is_drained = not self._held_events and not self._held_output and not self._output.is_behind
        return self._events.ended and is_drained

    @property
    def position(self) -> int:
        """What it has read up to in the log."""
        return self._events.position

    @property
    def needs_log(self) -> bool:
        """Whether the events that follow can only be read from the log."""
        return not self._held_events and not self._events.ended and self._events.needs_log

    async def next(self) -> Sequence[Record]:
        """Return some of the events and pieces of output that follow; none if there are none at the moment.

        Raises what `Reader.next` does.
        """
        if not self._held_events and not self._events.ended:
            self._held_events.extend(await self._events.next())
            if self._held_events or self._events.ended:
                self._output.reread()
        if not self._held_output:
            self._held_output.extend(await self._output.next())
        ready = self._merge()
        if not ready and self._held_output:
            await asyncio.sleep(_LOG_BEHIND_DELAY_S)
        return ready

    def _merge(self) -> Sequence[Record]:
        """What is held and not to be preceded by anything that has not been read yet."""
        events, output = self._held_events, self._held_output
        ready: list[Record] = []
        while output:
            after = _place(output[0].text).after_seq
            while events and events[0].seq <= after:
                ready.append(events.popleft())
            if not events and self._events.position < after and not self._events.ended:
                # The bus was quicker with this.
                self._events.reread()
                return ready
            ready.append(output.popleft())
        if not self._output.is_behind:
            ready += events
            events.clear()
        return ready

    def took(self, records: Sequence[Record]) -> None:
        """Note events that were handed to the one that this reader has parked. It never lets that happen."""
        self._events.took(records)

    def park(self, relay: Relay) -> bool:
        """Have `relay` woken when there is something to read. False: there is already."""
        if self._held_events or self._held_output:
            return False
        bell = _Bell(self, relay)
        if not self._output.park(bell):
            return False
        if not self._events.park(bell):
            self._output.leave(bell)
            return False
        self._bell = bell
        return True

    def leave(self, relay: Relay) -> None:
        """Wake it no more, if it is parked."""
        bell, self._bell = self._bell, None
        if bell is not None:
            self._output.leave(bell)
            self._events.leave(bell)


class _Bell:
    """Parked at both channels; takes nothing itself, since what one of them has may have to wait for the other."""

    def __init__(self, reader: InterleavedReader, relay: Relay) -> None:
        self._reader = reader
        self._relay = relay

    def take(self, records: Sequence[Record], frames: bytes) -> bool:
        return False

    def wake(self) -> None:
        self._reader.leave(self._relay)
        self._relay.wake()
