"""The live screen: drawn on stderr ten times a second at most, a summary on stdout at the end (section 4).

Events only leave a mark here; a frame pulls the bounded pictures. What is drawn is :mod:`subcli.output.live.frame`'s,
how it gets to the terminal :mod:`subcli.output.live.screen`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from rich.console import Console

from subcli.core.submission import Connection
from subcli.output.live import frame, overview, summary
from subcli.output.live.screen import Region
from subcli.output.text import parts
from subcli.output.text.lines import Block, Line
from subcli.output.view import Ending, SnapshotSource, ViewEvent

FRAME_S: Final = 0.1
"""Seconds between two frames."""

SUMMARY_MAX: Final = 100
"""Columns of the summary: it is read as text."""


class _Watched:
    """One submission on the screen."""

    def __init__(self, source: SnapshotSource, now: float) -> None:
        self.source = source
        self.began = now
        self.connection = Connection("connecting")
        self.since = now
        self.ending: Ending | None = None
        self.ended = now

    def shot(self, now: float) -> frame.FrameInput:
        until = self.ended if self.ending is not None else now
        return frame.FrameInput(self.source.snapshot(), self.connection, self.since, until - self.began, self.ending)


class LiveView:
    """Shows submissions while they are judged, and leaves a summary.

    Args:
        stdout: where the summary goes; a terminal.
        stderr: where the screen is drawn; the same terminal.
        clock: gives monotonic seconds.
        compact: list only what failed.
        region: how frames get to the terminal: in place, or with ``FullScreen`` on the alternate screen.

    Attributes:
        rows: rows of results that were made for the last frame.
    """

    tick_s: float | None = FRAME_S

    def __init__(
        self,
        stdout: Console,
        stderr: Console,
        clock: Callable[[], float],
        *,
        compact: bool = False,
        region: Callable[[Console], Region] = Region,
    ) -> None:
        self._out, self._err = stdout, stderr
        self._clock = clock
        self._compact = compact
        self._watched: dict[int, _Watched] = {}
        self._region = region(stderr)
        self._suspended = False
        self._drawn_at: float | None = None
        self._faults: list[Ending] = []
        self._above: list[Line] = [Line()]
        self.rows = 0

    def submitted(self, submission_id: int, answer: dict[str, Any]) -> None:
        """The id and where its page is: they stay."""
        self._region.erase()
        line = parts.submitted(submission_id, answer, self._out.width - 2 * parts.MARGIN)
        self._out.print(Block([*parts.indented([line]), Line()]))
        self._above = []

    def begin(self, source: SnapshotSource) -> None:
        """One more submission on the screen."""
        self._watched[source.submission_id] = _Watched(source, self._clock())

    def event(self, submission_id: int, event: ViewEvent) -> None:
        """Only the connection is kept: everything else is in the picture."""
        watched = self._watched.get(submission_id)
        if watched is not None and isinstance(event, Connection):
            watched.connection, watched.since = event, self._clock()

    def end(self, ending: Ending) -> None:
        """The submission stays on the screen, with how it ended."""
        watched = self._watched.get(ending.submission_id or 0)
        if watched is None:
            self._faults.append(ending)
            return
        watched.ending, watched.ended = ending, self._clock()

    def tick(self) -> None:
        """Draw a frame, if the last one is old enough."""
        now = self._clock()
        if self._suspended or not self._watched:
            return
        if self._drawn_at is not None and now - self._drawn_at < FRAME_S / 2:
            return
        self._drawn_at = now
        self._draw(now)

    def _draw(self, now: float) -> None:
        shots = [watched.shot(now) for watched in self._watched.values()]

        def make(columns: int, room: frame.Viewport) -> frame.Frame:
            if len(shots) == 1:
                return frame.single(shots[0], now, columns, room, compact=self._compact)
            return overview.several(shots, now, columns, room)

        self.rows = self._region.draw(make).rows

    def flush(self) -> None:
        """Nothing: the next tick draws."""

    def suspend(self) -> None:
        """Leave the terminal to a prompt."""
        self._suspended = True
        self._region.erase()

    def resume(self) -> None:
        """Draw again from the next tick on."""
        self._suspended = False

    def close(self) -> None:
        """Remove the screen and print what stays."""
        self._region.erase()
        now = self._clock()
        shots = [watched.shot(now) for watched in self._watched.values()]
        width = max(min(self._out.width, SUMMARY_MAX) - 2 * parts.MARGIN, 20)
        told = self._told(shots, width)
        if told:
            self._out.print(Block([*self._above, *parts.indented(told), Line()]))
        ended = [(shot.ending, shot.picture) for shot in shots if shot.ending is not None]
        faults = summary.faults([*ended, *((ending, None) for ending in self._faults)], width)
        if faults:
            self._err.print(Block([*parts.indented(faults), Line()]))

    def _told(self, shots: Sequence[frame.FrameInput], width: int) -> list[Line]:
        """What is data: verdicts, and what was seen where there is none."""
        if len(shots) > 1:
            return summary.final_several([(shot.picture, shot.ending) for shot in shots], width)
        for shot in shots:
            if shot.ending is not None and shot.ending.verdict is not None:
                return summary.final(shot.picture, shot.ending.verdict, width, shot.ending.next_command)
            return summary.so_far(shot.picture, width)
        return []
