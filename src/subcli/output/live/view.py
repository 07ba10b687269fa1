"""The live view: drawn on stderr at most ten times a second, and a summary on stdout at the end (section 4).

:mod:`subcli.output.live.frame` and :mod:`subcli.output.live.overview` decide what a frame shows, of bounded snapshots;
:mod:`subcli.output.live.screen` writes it. Keys change what :mod:`subcli.output.live.browser` looks at, and
:mod:`subcli.output.live.browsing` shows that instead. For this alone results are kept, and for
:mod:`subcli.output.live.pane` the latest lines that were printed; other events cost nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from rich.console import Console

from subcli.core.submission import Connection
from subcli.output.live import browsing, frame, overview, summary
from subcli.output.live.browser import Browser
from subcli.output.live.keyboard import Keyboard
from subcli.output.live.pane import OutputPane
from subcli.output.live.roster import Roster, Urgency
from subcli.output.live.screen import Screen
from subcli.output.text import parts
from subcli.output.text.lines import Block, Line
from subcli.output.view import Ending, SnapshotSource, ViewEvent
from subcli.shared.messages import Output, StatusUpdate, TestResult
from subcli.shared.platform.parts import Keys
from subcli.shared.protocol import STATUS_RANKS

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

    def ask_for_output(self) -> str:
        """Ask for what builds and tests print; return what to do instead if it cannot be had."""
        ...


class _Watched:
    """What the view knows about one submission, besides its snapshot."""

    def __init__(self, source: SnapshotSource, now: float) -> None:
        self.place = 0
        self.source = source
        self.is_waiting = True
        self.began = now
        self.connection = Connection("connecting")
        self.connection_since = now
        self.running: frame.Running | None = None
        self.ending: Ending | None = None
        self.ended = now

    @property
    def exit_code(self) -> int | None:
        return None if self.ending is None else self.ending.exit_code

    @property
    def urgency(self) -> Urgency:
        if self.exit_code or self.source.has_failures:
            return Urgency.FAILING
        if self.ending is not None:
            return Urgency.PASSED
        return Urgency.WAITING if self.is_waiting else Urgency.JUDGED

    def elapsed_s(self, now: float) -> float:
        return (self.ended if self.ending is not None else now) - self.began

    def frame_input(self, now: float) -> frame.FrameInput:
        return frame.FrameInput(
            self.source.snapshot(),
            self.connection,
            self.connection_since,
            self.elapsed_s(now),
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
        logs: Show what builds and tests print from the beginning.
        keys: The keyboard; by default this machine's.

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
        logs: bool = False,
        keys: Keys | None = None,
    ) -> None:
        self._stdout = stdout
        self._stderr = stderr
        self._clock = clock
        self._compact = compact
        self._operator = operator
        self._browser = Browser()
        self._pane = OutputPane(is_shown=logs)
        self._screen = Screen(stderr, Keyboard(self.press if operator is not None else None, keys))
        self._watched: dict[int, _Watched] = {}
        self._roster: Roster[_Watched] = Roster()
        self._suspended = 0
        self._drawn_at: float | None = None
        self._endings_without_watch: list[Ending] = []
        self._before_summary: list[Line] = [Line()]
        self._began: float | None = None
        self._last_ended = 0.0
        self.result_rows = 0

    def submitted(self, submission_id: int, answer: dict[str, Any]) -> None:
        """Print the id and the address of the submission's page; they stay."""
        self._screen.leave()
        lines = parts.submitted(submission_id, answer, self._stdout.width - 2 * parts.MARGIN)
        self._stdout.print(Block([*parts.indented(lines), Line()]), soft_wrap=True)
        self._before_summary = []

    def begin(self, source: SnapshotSource) -> None:
        """Add a submission to the screen; one that is there already is judged again, and keeps its place."""
        now = self._clock()
        self._began = now if self._began is None else self._began
        self._browser.begin(source.submission_id)
        watched, before = _Watched(source, now), self._watched.get(source.submission_id)
        self._watched[source.submission_id] = watched
        if before is None:
            watched.place = self._roster.add(watched)
        else:
            self._pane.settle(source.submission_id)
            watched.place = before.place
            self._roster.replace(before.place, watched)

    def event(self, submission_id: int, event: ViewEvent) -> None:
        """Note a result for who looks around, the running test, how urgent its submission is, and the connection.

        Everything else is in the snapshot.
        """
        watched = self._watched.get(submission_id)
        if watched is None:
            return
        if isinstance(event, TestResult):
            watched.running = None
            self._pane.settle(submission_id)
            if self._operator is not None:
                self._browser.add(submission_id, event)
            self._roster.changed(watched.place)
        elif isinstance(event, Output):
            self._pane.add(submission_id, event)
        elif isinstance(event, StatusUpdate):
            since = self._clock() - (event.running_ms or 0.0) / 1000
            watched.running = frame.Running(event.running_test, since) if event.running_test else None
            watched.is_waiting = STATUS_RANKS.get(event.status) == STATUS_RANKS["pending"]
            self._roster.changed(watched.place)
        elif isinstance(event, Connection):
            watched.connection, watched.connection_since = event, self._clock()

    def shared(self, ids: Sequence[int], connection: Connection) -> None:
        """Note a change of the connection that these submissions share."""
        for submission_id in ids:
            self.event(submission_id, connection)

    def end(self, ending: Ending) -> None:
        """Note how a submission ended; it stays on the screen."""
        watched = self._watched.get(ending.submission_id or 0)
        if watched is None:
            self._endings_without_watch.append(ending)
            return
        watched.ending, watched.ended = ending, self._clock()
        self._last_ended = watched.ended
        self._roster.ended(watched.place)

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
                case "output":
                    self._pane.is_shown ^= True
                    if self._pane.is_shown:
                        self._browser.note = self._operator.ask_for_output()
                        self._pane.is_shown = not self._browser.note
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
        roster = self._roster

        def make(viewport: frame.Viewport) -> frame.Frame:
            height = self._pane.height(viewport)
            made = above(viewport._replace(lines=viewport.lines - height))
            return self._pane.below(made, viewport, several=len(roster) > 1)

        def above(viewport: frame.Viewport) -> frame.Frame:
            if self._browser.is_used:
                return browsing.browsed(roster[self._browser.current].frame_input(now), self._browser, now, viewport)
            if len(roster) == 1:
                made = frame.single(roster[0].frame_input(now), now, viewport, compact=self._compact)
            else:
                made = overview.several(self._everyone, now, viewport)
            return browsing.with_note(made, self._browser.note, viewport) if self._browser.note else made

        self.result_rows = self._screen.draw(make).result_rows

    def _everyone(self, now: float, lines: int) -> overview.Everyone:
        """What a frame needs of all submissions, and those of them that fit."""
        totals = self._roster.totals
        visible = [watched.frame_input(now) for watched in self._roster.visible(lines)]
        until = now if totals.running else self._last_ended
        return overview.Everyone(totals, until - (self._began or 0.0), visible)

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
