"""What the build and the tests print, told while they run: joined, cut at characters, and bounded.

    pipe ── add() ──► pieces, one for each source ── every 0.1 s ──► events of the type `output`

Two budgets bound it: bytes in a second, and bytes in all, of which a test gets half of what is left when it begins to
print. So a loud test takes nothing from the end of a quiet one. What is beyond them is counted and thrown away at once,
and a marker says how much it was.

Complete lines are told at the next turn; an unfinished one waits for another turn, so that paths of this machine, which
are removed, are seldom cut in two.
"""

from __future__ import annotations

import asyncio
import codecs
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from subcli.judge import events

if TYPE_CHECKING:
    from subcli.judge.job import OutputLimits

TURN_S: Final = 0.1
"""How long what is printed at once may be joined."""
_PIECE_CHARS: Final = 3_500
"""The longest text of an event: 42,000 bytes of JSON at most."""
_PIECE_COST: Final = 200
"""What an event costs besides its text."""
_SLICE_BYTES: Final = 4 * 1024
"""How much is taken before it is counted what it costs."""
_REST_S: Final = 0.5
"""How long nothing more is taken once the budget of a second is used up, so that markers are few."""
_UNREAD_BYTES: Final = 256 * 1024
"""When more than this waits for the server to read it, nothing more is taken."""
_LAST_MARKERS: Final = 100
"""How many tests are told what is not shown of them once the budget is used up."""


class _Source:
    """One stream of one test.

    Attributes:
        text: What is to be told.
        skipped: How many bytes after it are not.
        is_held: Whether the unfinished line at its end has waited for a turn.
        ended_line: Whether what was told ended with a line.
    """

    def __init__(self) -> None:
        self.text = ""
        self.skipped = 0
        self.is_held = False
        self.ended_line = True
        self.restart()

    def restart(self) -> None:
        """Begin anew within the stream, perhaps within a character."""
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._is_within = True

    def take(self, data: bytes) -> int:
        """Add bytes. Returns what they take in an event, in bytes."""
        cost = 0 if self.text else _PIECE_COST
        if self._is_within and self.skipped:
            data = data[:3].lstrip(_CONTINUATION) + data[3:]
        self._is_within = False
        if self.skipped:
            self.mark()
        text = self._decoder.decode(data)
        self.text += text
        return cost + len(json.dumps(text))

    def mark(self) -> None:
        """Put the marker where something is left out."""
        ends_line = self.text.endswith("\n") if self.text else self.ended_line
        self.text += f"{'' if ends_line else chr(10)}[... {size(self.skipped)} not shown ...]\n"
        self.skipped = 0

    def due(self, *, is_final: bool) -> str:
        """Take what is to be told now."""
        if is_final:
            self.text += self._decoder.decode(b"", final=True)
        # A carriage return begins the line anew, as progress bars do.
        end = max(self.text.rfind("\n"), self.text.rfind("\r")) + 1
        if is_final or (self.is_held and not end) or len(self.text) - end > _PIECE_CHARS:
            end = len(self.text)
        told, self.text = self.text[:end], self.text[end:]
        self.is_held = bool(self.text)
        if told:
            self.ended_line = told.endswith("\n")
        return told


_CONTINUATION: Final = bytes(range(0x80, 0xC0))


class LiveOutput:
    """Takes what is printed, and tells it.

    Args:
        limits: How much.
        emit: Sends an event.
        strip: Removes paths of this machine from a text.
        unread_bytes: How much of what was sent has not been read yet.
    """

    def __init__(
        self,
        limits: OutputLimits,
        emit: Callable[[events.Event], None],
        strip: Callable[[str], str],
        unread_bytes: Callable[[], int],
    ) -> None:
        self._emit = emit
        self._strip = strip
        self._unread_bytes = unread_bytes
        self._rate = limits.bytes_per_s
        self._left = limits.total_bytes
        self._left_of_test: dict[str, int] = {}
        self._loop = asyncio.get_running_loop()
        self._bucket = float(self._rate)
        self._filled_at = self._rests_until = self._loop.time()
        self._sources: dict[tuple[str, str, str], _Source] = {}
        self._turn: asyncio.TimerHandle | None = None
        self._last_markers = _LAST_MARKERS

    @property
    def held_bytes(self) -> int:
        """How much is kept here: at most what the budget of a second allows."""
        return sum(len(source.text.encode()) for source in self._sources.values())

    def add(self, data: bytes, stream: str, test_id: str = "", node: str = "", *, skipped: int = 0) -> None:
        """Take what was printed.

        Args:
            data: The bytes.
            stream: `stdout`, `stderr`, or `build` for both of a build.
            test_id: Which test it belongs to, if any.
            node: Which of several processes printed it.
            skipped: How many bytes after it were thrown away before.
        """
        source = self._sources.get((test_id, node, stream))
        if source is None:
            source = self._sources[test_id, node, stream] = _Source()
        at = 0
        while at < len(data) and (room := self._room(test_id)) > 0:
            taken = data[at : at + min(room, _SLICE_BYTES)]
            at += len(taken)
            cost = source.take(taken)
            self._left -= cost
            self._left_of_test[test_id] -= cost
            self._bucket -= cost
        if missing := len(data) - at + skipped:
            if not source.skipped:
                source.restart()
            source.skipped += missing
        if self._turn is None:
            self._turn = self._loop.call_later(TURN_S, self._take_turn)

    def _room(self, test_id: str) -> int:
        """How many bytes of a test may be taken now."""
        now = self._loop.time()
        self._bucket = min(self._rate, self._bucket + self._rate * (now - self._filled_at))
        self._filled_at = now
        if test_id not in self._left_of_test:
            self._left_of_test[test_id] = self._left // 2
        if now >= self._rests_until and self._bucket < 1:
            self._rests_until = now + _REST_S
        if now < self._rests_until or self._unread_bytes() > _UNREAD_BYTES:
            return 0
        return min(int(self._bucket), self._left_of_test[test_id])

    def _take_turn(self) -> None:
        self._turn = None
        self.tell()
        if any(source.text for source in self._sources.values()):
            self._turn = self._loop.call_later(TURN_S, self._take_turn)

    def tell(self, *, ended: str | None = None) -> None:
        """Tell what has come, before something else is told.

        Args:
            ended: A test that has ended: of it everything is told.
        """
        for key, source in list(self._sources.items()):
            is_final = key[0] == ended
            if is_final and source.skipped and self._may_mark():
                source.mark()
            if text := source.due(is_final=is_final):
                self._tell(key, self._strip(text))
            if is_final:
                del self._sources[key]
        if ended is not None:
            self._left_of_test.pop(ended, None)

    def close(self) -> None:
        """Tell everything that is left, and take no more turns."""
        for test_id in {key[0] for key in self._sources}:
            self.tell(ended=test_id)
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def _may_mark(self) -> bool:
        if self._left > 0:
            return True
        self._last_markers -= 1
        return self._last_markers >= 0

    def _tell(self, key: tuple[str, str, str], text: str) -> None:
        test_id, node, stream = key
        for start in range(0, len(text), _PIECE_CHARS):
            self._emit(events.output(stream, text[start : start + _PIECE_CHARS], test_id=test_id, node=node))


def size(count: int) -> str:
    """A number of bytes, rounded, as people write it."""
    for unit, least in (("GB", 10**9), ("MB", 10**6), ("KB", 1000)):
        if count >= least:
            return f"{count / least:.0f} {unit}"
    return f"{count} byte{'' if count == 1 else 's'}"
