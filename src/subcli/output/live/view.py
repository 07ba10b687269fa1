"""The live view: drawn on stderr at most ten times a second, and a summary on stdout at the end (section 4).

:mod:`subcli.output.live.frame` and :mod:`subcli.output.live.overview` decide what a frame shows, of bounded snapshots;
:mod:`subcli.output.live.screen` writes it. Keys change what :mod:`subcli.output.live.browser` looks at, and
:mod:`subcli.output.live.browsing` shows that instead. For this alone results are kept; other events cost nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from rich.console import Console

from subcli.core.submission import Connection
from subcli.output.live import browsing, frame, overview, summary
from subcli.output.live.browser import Browser
from subcli.output.live.keyboard import Keyboard
from subcli.output.live.screen import Screen
from subcli.output.text import parts
from subcli.output.text.lines import Block, Line
from subcli.output.view import Ending, SnapshotSource, ViewEvent
from subcli.shared.messages import StatusUpdate, TestResult

FRAME_S: Final = 0.1
"""Seconds between two frames."""

_TIMER_SLACK_S: Final = 0.001
"""A tick may come this much early and still draw: otherwise every other frame would be skipped."""

_SUMMARY_MAX_COLUMNS: Final = 100
_SUMMARY_MIN_COLUMNS: Final = 10


class Operator(Protocol):
    """Does what keys ask for beyond this view."""

    def detach(self) -> None:
        """Stop watching."""
        ...

    def open_page(self, submission_id: int, url: str) -> str:
        """Open a submission's page in the browser; return what to say about it."""
        ...


class _Watched:
    """What the view knows about one submission, besides its snapshot."""

    def __init__(self, source: SnapshotSource, now: float) -> None:
        self.source = source
        self.began = now
        self.connection = Connection("connecting")
        self.connection_since = now
        self.running: frame.Running | None = None
        self.ending: Ending | None = None
        self.ended = now

    def frame_input(self, now: float) -> frame.FrameInput:
        until = self.ended if self.ending is not None else now
        return frame.FrameInput(
            self.source.snapshot(),
            self.connection,
            self.connection_since,
            until - self.began,
            self.ending,
            self.running,
        )


class LiveView:
    """Shows submissions on the alternate screen while they are judged, and leaves a summary.

    Args:
        stdout: Where the summary goes; a terminal.
        stderr: Where the screen is drawn; the same terminal.
        clock: Returns monotonic seconds.
        compact: List only failed tests.
        operator: Does what keys ask for; ``None``: keys do nothing.

    Attributes:
        result_rows: How many rows of test results the last frame made.
    """

    tick_s: float | None = FRAME_S

    def __init__(
        self,
        stdout: Console,
        stderr: Console,
        clock: Callable[[], float],
        *,
        compact: bool = False,
        operator: Operator | None = None,
    ) -> None:
        self._stdout = stdout
        self._stderr = stderr
        self._clock = clock
        self._compact = compact
        self._operator = operator
        self._browser = Browser()
        self._screen = Screen(stderr, Keyboard(self.press if operator is not None else None))
        self._watched: dict[int, _Watched] = {}
        self._suspended = 0
        self._drawn_at: float | None = None
        self._endings_without_watch: list[Ending] = []
        self._before_summary: list[Line] = [Line()]
        self.result_rows = 0

    def submitted(self, submission_id: int, answer: dict[str, Any]) -> None:
        """Print the id and the address of the submission's page; they stay."""
        self._screen.leave()
        lines = parts.submitted(submission_id, answer, self._stdout.width - 2 * parts.MARGIN)
        self._stdout.print(Block([*parts.indented(lines), Line()]), soft_wrap=True)
        self._before_summary = []

    def begin(self, source: SnapshotSource) -> None:
        """Add a submission to the screen."""
        self._browser.begin(source.submission_id)
        self._watched[source.submission_id] = _Watched(source, self._clock())

    def event(self, submission_id: int, event: ViewEvent) -> None:
        """Note a result for who looks around, the test that runs, and a change of the connection.

        Everything else is in the snapshot.
        """
        watched = self._watched.get(submission_id)
        if watched is None:
            return
        if isinstance(event, TestResult):
            watched.running = None
            if self._operator is not None:
                self._browser.add(submission_id, event)
        elif isinstance(event, StatusUpdate):
            since = self._clock() - (event.running_ms or 0.0) / 1000
            watched.running = frame.Running(event.running_test, since) if event.running_test else None
        elif isinstance(event, Connection):
            watched.connection, watched.connection_since = event, self._clock()

    def end(self, ending: Ending) -> None:
        """Note how a submission ended; it stays on the screen."""
        watched = self._watched.get(ending.submission_id or 0)
        if watched is None:
            self._endings_without_watch.append(ending)
            return
        watched.ending, watched.ended = ending, self._clock()

    def tick(self) -> None:
        """Draw a frame, unless the last one is too recent."""
        now = self._clock()
        if self._suspended or not self._watched:
            return
        if self._drawn_at is not None and now - self._drawn_at < FRAME_S - _TIMER_SLACK_S:
            return
        self._draw(now)

    @property
    def is_held(self) -> bool:
        """Whether somebody looks around, so that the end must wait."""
        return self._browser.is_used

    def press(self, keys: Sequence[str]) -> None:
        """Take keys, and show at once what they change."""
        if self._operator is None or self._suspended or not self._watched:
            return
        for key in keys:
            match self._browser.press(key):
                case "detach":
                    self._operator.detach()
                    return
                case "open":
                    self._browser.note = self._operator.open_page(
                        self._browser.submission_id, self._selected().snapshot().url or ""
                    )
                case "copy":
                    self._copy()
        self._draw(self._clock())

    def _selected(self) -> SnapshotSource:
        return self._watched[self._browser.submission_id].source

    def _copy(self) -> None:
        result = self._browser.selected
        if result is not None:
            text = browsing.place_or_name(self._selected().snapshot(), result)
            self._screen.copy(text)
            self._browser.note = f"copied: {text}"

    def _draw(self, now: float) -> None:
        self._drawn_at = now
        inputs = [watched.frame_input(now) for watched in self._watched.values()]

        def make(viewport: frame.Viewport) -> frame.Frame:
            if self._browser.is_used:
                return browsing.browsed(inputs[self._browser.current], self._browser, now, viewport)
            if len(inputs) == 1:
                made = frame.single(inputs[0], now, viewport, compact=self._compact)
            else:
                made = overview.several(inputs, now, viewport)
            return browsing.with_note(made, self._browser.note, viewport) if self._browser.note else made

        self.result_rows = self._screen.draw(make).result_rows

    def flush(self) -> None:
        """Do nothing: the next tick draws."""

    def suspend(self) -> None:
        """Release the terminal for a prompt."""
        self._suspended += 1
        self._screen.leave()

    def resume(self) -> None:
        """Draw again from the next tick on, unless it was released more than once (Ctrl-Z during a prompt)."""
        self._suspended -= 1

    def close(self) -> None:
        """Leave the screen and print the summary."""
        self._screen.leave()
        now = self._clock()
        inputs = [watched.frame_input(now) for watched in self._watched.values()]
        width = max(min(self._stdout.width, _SUMMARY_MAX_COLUMNS) - 2 * parts.MARGIN, _SUMMARY_MIN_COLUMNS)
        lines = self._summary(inputs, width)
        if lines:
            self._stdout.print(Block([*self._before_summary, *parts.indented(lines), Line()]), soft_wrap=True)
        ended = [(each.ending, each.snapshot) for each in inputs if each.ending is not None]
        faults = summary.faults([*ended, *((ending, None) for ending in self._endings_without_watch)], width)
        if faults:
            self._stderr.print(Block([*parts.indented(faults), Line()]), soft_wrap=True)

    def _summary(self, inputs: Sequence[frame.FrameInput], width: int) -> list[Line]:
        """Return what goes to stdout: verdicts, and the results so far where there is no verdict."""
        if len(inputs) > 1:
            endings = [(each.snapshot, each.ending) for each in inputs]
            return summary.final_several(endings, width, compact=self._compact)
        for each in inputs:
            if each.ending is not None and each.ending.verdict is not None:
                return summary.final(each.snapshot, each.ending, width, compact=self._compact)
            return summary.so_far(each.snapshot, width)
        return []
