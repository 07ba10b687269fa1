"""The view for logs and pipes: one line on stdout for each change, complete and in order (contract, section 4).

Changes of the connection go to stderr, and so does a heartbeat after 30 seconds of silence.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final

from rich.console import Console

from subcli.core.submission import Connection
from subcli.output.live import summary
from subcli.output.text import details, measures, parts, words
from subcli.output.text.causes import cause_of
from subcli.output.text.lines import Line, LineRenderer, clip, verbatim
from subcli.output.text.printed import PrintedLine, PrintedLines
from subcli.output.text.theme import ACCENT, DIM, MIDDLE_DOT, WARN, test_mark
from subcli.output.view import Ending, NullView, SnapshotSource, ViewEvent
from subcli.shared.messages import ErrorAnalysis, Output, StatusUpdate, TestResult

HEARTBEAT_AFTER_S: Final = 30.0
"""After this long without a line, one on stderr says what is still in progress."""

_LINE_CELLS: Final = 2000
_NAME_CELLS: Final = 300
_INDENT: Final = 4
_CAUSES_KEPT: Final = 200
_LIMITS: Final = details.TextLimits(values=40, output=30, fold=1)


class _Printed:
    """What has been printed about one submission."""

    def __init__(self, source: SnapshotSource, began: float) -> None:
        self.source = source
        self.began = began
        self.statuses: dict[int, str] = {}
        self.messages: dict[str, str] = {}
        self.causes: dict[Hashable, str] = {}
        """The first test of each cause that was printed."""
        self.explained: set[tuple[Hashable, str]] = set()
        """Causes with the tests for which they were printed."""
        self.total_tests: int | None = None
        self.status = StatusUpdate(status="")
        self.attempt = 1
        self.lines = PrintedLines()
        self.connection = Connection("connecting")
        self.was_open = False
        self.exit_code: int | None = None


class PlainView(NullView):
    """Prints one line per change.

    Args:
        stdout: Where the changes go.
        stderr: Where the connection and heartbeats go.
        clock: Returns monotonic seconds.
        compact: Leave out tests that passed.
        logs: Print what builds and tests print as well, each line after where it was printed.
    """

    tick_s: float | None = 1.0

    def __init__(
        self,
        stdout: Console,
        stderr: Console,
        clock: Callable[[], float],
        *,
        compact: bool = False,
        logs: bool = False,
    ) -> None:
        self._stdout, self._stderr = stdout, stderr
        self._stdout_renderer, self._stderr_renderer = LineRenderer(stdout), LineRenderer(stderr)
        self._clock = clock
        self._compact = compact
        self._logs = logs
        self._printed: dict[int, _Printed] = {}
        self._last_line_at = clock()

    def submitted(self, submission_id: int, answer: dict[str, Any]) -> None:
        """Print the id and the address of the submission's page."""
        self._write(submission_id, parts.submitted(submission_id, answer, _LINE_CELLS))
        self.flush()

    def begin(self, source: SnapshotSource) -> None:
        """Add a submission. All are added before the first event, so that each line can name its own."""
        self._printed[source.submission_id] = _Printed(source, self._clock())

    def event(self, submission_id: int, event: ViewEvent) -> None:
        """Print a line if the event changes something."""
        printed = self._printed.get(submission_id)
        if printed is None:
            return
        if isinstance(event, Output):
            if self._logs:
                self._output(submission_id, printed.lines.add(event))
            return
        self._output(submission_id, printed.lines.rest())
        match event:
            case Connection():
                self._connection(submission_id, printed, event)
            case TestResult():
                self._result(submission_id, printed, event)
            case StatusUpdate():
                self._status(submission_id, printed, event)
            case ErrorAnalysis():
                self._analysis(submission_id, printed, event)

    def end(self, ending: Ending) -> None:
        """Print the verdict with its counts and the failed tests' names, or why there is no verdict."""
        printed = self._printed.get(ending.submission_id or 0)
        if printed is not None:
            printed.exit_code = ending.exit_code
        snapshot = printed.source.snapshot() if printed is not None else None
        if ending.verdict is not None and snapshot is not None:
            for line in summary.closing(snapshot, ending.verdict, ending.next_command):
                self._write(snapshot.id, line)
            self.flush()
        elif ending.error is not None:
            for line in summary.fault(ending, snapshot, width=_LINE_CELLS):
                self._write_stderr(ending.submission_id, line)

    def tick(self) -> None:
        """Print a heartbeat on stderr if there was no line for a long time."""
        for submission_id, printed in self._printed.items():
            if lines := printed.lines.rest():
                self._output(submission_id, lines)
                self.flush()
        now = self._clock()
        if now - self._last_line_at < HEARTBEAT_AFTER_S:
            return
        for submission_id, printed in self._printed.items():
            if printed.exit_code is None:
                self._write_stderr(submission_id, Line(_heartbeat(printed, now), DIM))
        self._last_line_at = now

    def flush(self) -> None:
        """Pass what was written on to the reader."""
        self._stdout.file.flush()

    def close(self) -> None:
        """Print how many submissions passed, if there were several."""
        if len(self._printed) > 1:
            passed = sum(1 for printed in self._printed.values() if printed.exit_code == 0)
            self._write(None, Line(f"{passed} of {len(self._printed)} submissions passed"))
        self.flush()

    # -- changes ----------------------------------------------------------------------------------

    def _result(self, submission_id: int, printed: _Printed, result: TestResult) -> None:
        previous = printed.statuses.get(result.number)
        printed.statuses[result.number] = result.status
        if result.status not in ("passed", "skipped"):
            printed.messages[result.test_name or ""] = result.message or ""
        if previous == result.status:
            return
        mark = test_mark(result.status)
        failed = mark.word in ("failed", "error")
        if self._compact and not failed:
            return
        line = Line(mark.glyph, mark.style).put(" ").put(_position(printed), DIM).put(" ")
        line.put(clip(result.test_name, _NAME_CELLS) or "(no name)")
        measured = measures.facts(result)
        if measured:
            line.put(f" ({', '.join(measured)})", DIM)
        if mark.word == "skipped" and not measures.label(result):
            line.put(" (skipped)", DIM)
        reason = clip(measures.labelled(result, details.reason(result)), _LINE_CELLS)
        if reason:
            line.put(": ").put(reason, mark.style)
        self._write(submission_id, line)
        if failed:
            values = details.values(result, _LINE_CELLS, _LIMITS)
            given = details.given(result.input, _LINE_CELLS, _LIMITS)
            output = details.output(result.output, _LINE_CELLS, _LIMITS)
            rerun = details.rerun(result, _LINE_CELLS, _LIMITS)
            self._write_block(submission_id, [*values, *given, *output, *rerun])

    def _status(self, submission_id: int, printed: _Printed, update: StatusUpdate) -> None:
        if update.total_tests is not None and update.total_tests > 0:
            printed.total_tests = update.total_tests
        if update.attempt is not None and update.attempt != printed.attempt:
            printed.attempt = update.attempt
            self._write(submission_id, Line(f"{MIDDLE_DOT} judged again (attempt {update.attempt})", WARN))
        previous, printed.status = printed.status, update
        if _shown_fields(update) == _shown_fields(previous):
            return
        line = Line(f"{MIDDLE_DOT} ", DIM).put(clip(update.status, _NAME_CELLS))
        for fact in parts.stage_facts(update, _NAME_CELLS):
            line.put(f", {fact}", DIM)
        self._write(submission_id, line)

    def _analysis(self, submission_id: int, printed: _Printed, event: ErrorAnalysis) -> None:
        test_name = clip(event.test_name, _NAME_CELLS) if event.test_name else ""
        title = Line(f"analysis of {test_name}" if test_name else "analysis", DIM)
        place = details.place(event.location, _NAME_CELLS)
        if place:
            title.put(f" {MIDDLE_DOT} ", DIM).put(place, ACCENT)
        message = None
        if event.test_name:
            # A log cannot name tests to come: each that follows names the first.
            message = printed.messages.pop(event.test_name, "")
            told = cause_of(event, message)
            if (told, event.test_name) in printed.explained:
                # Judged again, and it ended as before.
                return
            first = printed.causes.get(told, event.test_name)
            if len(printed.causes) < _CAUSES_KEPT:
                printed.causes.setdefault(told, first)
                printed.explained.add((told, event.test_name))
            if first != event.test_name:
                title.put(f" {MIDDLE_DOT} the same cause as in ", DIM).put(clip(first, _NAME_CELLS))
                self._write_block(submission_id, [title])
                return
        lines = details.analysis(event, _LINE_CELLS, shown_before=message)
        if lines or place:
            self._write_block(submission_id, [title, *parts.indented(lines, 2)])

    def _output(self, submission_id: int, lines: Sequence[PrintedLine]) -> None:
        for line in lines:
            self._write(submission_id, Line(f"{line.label}: ", DIM).put(verbatim(line.text, _LINE_CELLS)[0]))

    def _connection(self, submission_id: int, printed: _Printed, connection: Connection) -> None:
        previous, printed.connection = printed.connection, connection
        if connection.state == "open":
            if printed.was_open and previous.state != "open":
                self._write_stderr(submission_id, Line("connected again", DIM))
            printed.was_open = True
            return
        repeated = previous.state == connection.state and connection.attempt == previous.attempt
        if repeated or connection.state in ("connecting", "closed"):
            return
        self._write_stderr(submission_id, parts.connection_line(connection, _NAME_CELLS))

    # -- writing ----------------------------------------------------------------------------------

    def _write_block(self, submission_id: int, lines: list[Line]) -> None:
        for line in parts.indented(lines, _INDENT):
            self._write(submission_id, line)

    def _write(self, submission_id: int | None, line: Line) -> None:
        self._stdout.file.write(self._prefix(submission_id) + self._stdout_renderer.render(line) + "\n")
        self._last_line_at = self._clock()

    def _write_stderr(self, submission_id: int | None, line: Line) -> None:
        # If both are one terminal or file, earlier output must come first.
        self._stdout.file.flush()
        self._stderr.file.write(self._prefix(submission_id) + self._stderr_renderer.render(line) + "\n")
        self._stderr.file.flush()
        self._last_line_at = self._clock()

    def _prefix(self, submission_id: int | None) -> str:
        return f"#{submission_id} " if len(self._printed) > 1 and submission_id is not None else ""


def _shown_fields(update: StatusUpdate) -> tuple[object, ...]:
    return update.status, update.detail, update.queue_position, update.total_tests


def _position(printed: _Printed) -> str:
    """How many tests have a result, of how many: the progress bar of a log."""
    done = len(printed.statuses)
    if printed.total_tests is None:
        return str(done)
    total = str(max(printed.total_tests, done))
    return f"{done:>{len(total)}}/{total}"


def _heartbeat(printed: _Printed, now: float) -> str:
    """What is in progress, and since when."""
    status = clip(printed.status.status, _NAME_CELLS) or "waiting"
    done = f", {_position(printed).strip()} tests" if printed.statuses else ""
    return f"still {status}{done}, {words.elapsed(now - printed.began)} so far"
