"""The view for logs and pipes: one line on stdout for each change, complete and in order (section 4).

What is not data goes to stderr: changes of the connection, and a sign of life after 30 s of silence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from rich.console import Console

from subcli.core.submission import Connection
from subcli.output.live import summary
from subcli.output.text import details, parts, words
from subcli.output.text.lines import Line, LineRenderer, clip
from subcli.output.text.theme import ACCENT, MID, QUIET, WARN, test_mark
from subcli.output.view import Ending, SnapshotSource, ViewEvent
from subcli.shared.protocol import ErrorAnalysis, StatusUpdate, TestResult

SILENCE_S: Final = 30.0
"""After this long without a line, one on stderr says that it is still going on."""

_LONG: Final = 2000
_NAME: Final = 300
_INDENT: Final = 4
_LIMITS: Final = details.TextLimits(values=40, output=30, fold=1)


class _Told:
    """What has been printed about one submission."""

    def __init__(self, source: SnapshotSource, began: float) -> None:
        self.source = source
        self.began = began
        self.statuses: dict[str, str] = {}
        self.total: int | None = None
        self.stage = StatusUpdate(status="")
        self.attempt = 1
        self.connection = Connection("connecting")
        self.open_before = False
        self.exit_code: int | None = None


class PlainView:
    """Prints one line a change.

    Args:
        stdout: where the changes go.
        stderr: where the connection and the signs of life go.
        clock: gives monotonic seconds.
        compact: leave out tests that passed.
    """

    tick_s: float | None = 1.0

    def __init__(self, stdout: Console, stderr: Console, clock: Callable[[], float], *, compact: bool = False) -> None:
        self._out, self._err = stdout, stderr
        self._out_ink, self._err_ink = LineRenderer(stdout), LineRenderer(stderr)
        self._clock = clock
        self._compact = compact
        self._told: dict[int, _Told] = {}
        self._spoke = clock()

    def submitted(self, submission_id: int, answer: dict[str, Any]) -> None:
        """The id and where its page is."""
        self._write(submission_id, parts.submitted(submission_id, answer, _LONG))
        self.flush()

    def begin(self, source: SnapshotSource) -> None:
        """What is watched. All are begun before the first event, so that each line can name its own."""
        self._told[source.submission_id] = _Told(source, self._clock())

    def event(self, submission_id: int, event: ViewEvent) -> None:
        """One line, if it is a change."""
        told = self._told.get(submission_id)
        if told is None:
            return
        match event:
            case Connection():
                self._connection(submission_id, told, event)
            case TestResult():
                self._result(submission_id, told, event)
            case StatusUpdate():
                self._status(submission_id, told, event)
            case ErrorAnalysis():
                self._analysis(submission_id, event)

    def end(self, ending: Ending) -> None:
        """The verdict with its counts and the names of what failed, or why there is none."""
        told = self._told.get(ending.submission_id or 0)
        if told is not None:
            told.exit_code = ending.exit_code
        picture = told.source.snapshot() if told is not None else None
        if ending.verdict is not None and picture is not None:
            for line in summary.closing(picture, ending.verdict, ending.next_command):
                self._write(picture.id, line)
            self.flush()
        elif ending.error is not None:
            for line in summary.fault(ending, picture, width=_LONG):
                self._tell(ending.submission_id, line)

    def tick(self) -> None:
        """A sign of life on stderr, if nothing was said for long."""
        now = self._clock()
        if now - self._spoke < SILENCE_S:
            return
        for submission_id, told in self._told.items():
            if told.exit_code is None:
                self._tell(submission_id, Line(self._still(told, now), QUIET))
        self._spoke = now

    def flush(self) -> None:
        """Hand what was written to the reader."""
        self._out.file.flush()

    def suspend(self) -> None:
        """Nothing: what was printed stays."""

    def resume(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """How many passed, if there were several; and hand the last line over."""
        if len(self._told) > 1:
            passed = sum(1 for told in self._told.values() if told.exit_code == 0)
            self._write(None, Line(f"{passed} of {len(self._told)} submissions passed"))
        self.flush()

    # -- changes ----------------------------------------------------------------------------------

    def _result(self, submission_id: int, told: _Told, result: TestResult) -> None:
        before = told.statuses.get(result.key)
        told.statuses[result.key] = result.status
        if before == result.status:
            return
        mark = test_mark(result.status)
        failed = mark.word in ("failed", "error")
        if self._compact and not failed:
            return
        line = Line(mark.glyph, mark.style).put(" ").put(self._position(told), QUIET).put(" ")
        line.put(clip(result.test_name, _NAME) or "(no name)")
        took = words.duration(result.duration_ms)
        if took:
            line.put(f" ({took})", QUIET)
        if mark.word == "skipped":
            line.put(" (skipped)", QUIET)
        why = clip(details.reason(result), _LONG)
        if why:
            line.put(": ").put(why, mark.style)
        self._write(submission_id, line)
        if failed:
            values = details.values(result, _LONG, _LIMITS)
            self._block(submission_id, values + details.output(result.output, _LONG, _LIMITS))

    def _position(self, told: _Told) -> str:
        """How many tests have a result, of how many: the progress bar of a log."""
        done = len(told.statuses)
        if told.total is None:
            return str(done)
        total = str(max(told.total, done))
        return f"{done:>{len(total)}}/{total}"

    def _status(self, submission_id: int, told: _Told, update: StatusUpdate) -> None:
        if update.total_tests is not None and update.total_tests > 0:
            told.total = update.total_tests
        if update.attempt is not None and update.attempt != told.attempt:
            told.attempt = update.attempt
            self._write(submission_id, Line(f"{MID} judged again (attempt {update.attempt})", WARN))
        before, told.stage = told.stage, update
        news = (update.detail, update.queue_position, update.total_tests)
        if update.status == before.status and news == (
            before.detail,
            before.queue_position,
            before.total_tests,
        ):
            return
        line = Line(f"{MID} ", QUIET).put(clip(update.status, _NAME))
        for fact in parts.stage_facts(update, _NAME):
            line.put(f", {fact}", QUIET)
        self._write(submission_id, line)

    def _analysis(self, submission_id: int, event: ErrorAnalysis) -> None:
        about = clip(event.test_name, _NAME) if event.test_name else ""
        title = Line(f"analysis of {about}" if about else "analysis", QUIET)
        where = details.place(event.location, _NAME)
        if where:
            title.put(f" {MID} ", QUIET).put(where, ACCENT)
        lines = details.analysis(event, _LONG)
        if lines or where:
            self._block(submission_id, [title, *parts.indented(lines, 2)])

    def _connection(self, submission_id: int, told: _Told, connection: Connection) -> None:
        before, told.connection = told.connection, connection
        if connection.state == "open":
            if told.open_before and before.state != "open":
                self._tell(submission_id, Line("connected again", QUIET))
            told.open_before = True
            return
        repeated = before.state == connection.state and connection.attempt == before.attempt
        if repeated or connection.state in ("connecting", "closed"):
            return
        self._tell(submission_id, parts.connection_line(connection, _NAME))

    def _still(self, told: _Told, now: float) -> str:
        """What is going on, for how long."""
        stage = clip(told.stage.status, _NAME) or "waiting"
        done = f", {self._position(told).strip()} tests" if told.statuses else ""
        return f"still {stage}{done}, {words.elapsed(now - told.began)} so far"

    # -- out --------------------------------------------------------------------------------------

    def _block(self, submission_id: int, lines: list[Line]) -> None:
        for line in parts.indented(lines, _INDENT):
            self._write(submission_id, line)

    def _write(self, submission_id: int | None, line: Line) -> None:
        self._out.file.write(self._prefix(submission_id) + self._out_ink.render(line) + "\n")
        self._spoke = self._clock()

    def _tell(self, submission_id: int | None, line: Line) -> None:
        """A line on stderr, after all that was written to stdout before it."""
        self._out.file.flush()
        self._err.file.write(self._prefix(submission_id) + self._err_ink.render(line) + "\n")
        self._err.file.flush()
        self._spoke = self._clock()

    def _prefix(self, submission_id: int | None) -> str:
        return f"#{submission_id} " if len(self._told) > 1 and submission_id is not None else ""
