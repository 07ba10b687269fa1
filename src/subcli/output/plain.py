"""The view for logs and pipes: one line on stdout for each change, complete and in order (contract, section 4).

Changes of the connection go to stderr, and so does a heartbeat after 30 seconds of silence.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final, NamedTuple

from rich.console import Console

from subcli.core.submission import Connection, Submission
from subcli.output.live import summary
from subcli.output.text import parts, spoken, words
from subcli.output.text.causes import Failure, cause_of, failure_of
from subcli.output.text.ending import NAMES_MAX, compared, next_commands, next_step
from subcli.output.text.lines import Line, LineRenderer, clip, verbatim
from subcli.output.text.printed import PrintedLine, PrintedLines
from subcli.output.text.spoken import LINE_CELLS, NAME_CELLS
from subcli.output.text.theme import DIM, STRONG, WARN, test_mark, verdict_mark
from subcli.output.view import Ending, NullView, SnapshotSource, ViewEvent
from subcli.shared.messages import Complete, ErrorAnalysis, Output, StatusUpdate, TestResult

HEARTBEAT_AFTER_S: Final = 30.0
"""After this long without a line, one on stderr says what is still in progress."""

HEARTBEATS_MAX: Final = 10
"""Of more submissions than this, only the number is said."""

_INDENT: Final = 4
_CAUSES_KEPT: Final = 200


class _Held(NamedTuple):
    """Details of a failed test that are not printed yet."""

    test_name: str
    lines: list[Line]


class _Printed:
    """What has been printed about one submission."""

    def __init__(self, source: SnapshotSource, began: float) -> None:
        self.source = source
        self.began = began
        self.statuses: dict[int, str] = {}
        self.failures: dict[str, Failure] = {}
        self.causes: dict[Hashable, str] = {}
        """The first test of each cause that was printed."""
        self.explained: set[tuple[Hashable, str]] = set()
        """Causes with the tests for which they were printed."""
        self.total_tests: int | None = None
        self.status = StatusUpdate(status="")
        self.running = ""
        self.attempt = 1
        self.lines = PrintedLines()
        self.held: _Held | None = None
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
        self._names_each = False
        self._shared = Connection("connecting")
        self._was_open = False
        self._last_line_at = clock()

    def submitted(self, submission_id: int, answer: dict[str, Any]) -> None:
        """Print the id and the address of the submission's page."""
        url = answer.get("url")
        line = Line("submitted ", DIM).put(f"#{submission_id}", STRONG)
        self._write(submission_id, line.put(f": {clip(url, LINE_CELLS)}" if isinstance(url, str) and url else ""))
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
                self._write_held(printed)
                self._output(submission_id, printed.lines.add(event))
            return
        if printed.held and not isinstance(event, ErrorAnalysis):
            self._write_held(printed)
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

    def shared(self, ids: Sequence[int], connection: Connection) -> None:
        """Print one line for all submissions if their connection changes."""
        # More may join: from the first line on, each names its submission.
        self._names_each = True
        line = _connection_line(self._shared, connection, was_open=self._was_open)
        self._shared = connection
        self._was_open = self._was_open or connection.state == "open"
        if line is not None:
            self._write_stderr(None, line)

    def end(self, ending: Ending) -> None:
        """Print the verdict with its counts and the failed tests' names, or why there is no verdict."""
        printed = self._printed.get(ending.submission_id or 0)
        if printed is not None:
            printed.exit_code = ending.exit_code
            self._write_held(printed)
        snapshot = printed.source.snapshot() if printed is not None else None
        if ending.verdict is not None and snapshot is not None:
            for line in _closing(snapshot, ending, ending.verdict):
                self._write(snapshot.id, line)
            self.flush()
        elif ending.error is not None:
            for line in summary.fault_in_words(ending):
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
        running = [each for each in self._printed.items() if each[1].exit_code is None]
        if len(running) > HEARTBEATS_MAX:
            self._write_stderr(None, Line(f"still watching {words.number(len(running))} submissions", DIM))
        for submission_id, printed in running if len(running) <= HEARTBEATS_MAX else ():
            self._write_stderr(submission_id, Line(_heartbeat(printed, now), DIM))
        self._last_line_at = now

    def flush(self) -> None:
        """Pass what was written on to the reader."""
        for printed in self._printed.values():
            self._write_held(printed)
        self._stdout.file.flush()

    def close(self) -> None:
        """Print how many submissions passed, if there were several."""
        if len(self._printed) > 1:
            passed = sum(1 for printed in self._printed.values() if printed.exit_code == 0)
            self._write(None, Line(f"{passed} of {len(self._printed)} submissions passed"))
        self.flush()

    # -- changes ----------------------------------------------------------------------------------

    def _result(self, submission_id: int, printed: _Printed, result: TestResult) -> None:
        printed.running = ""
        previous = printed.statuses.get(result.number)
        printed.statuses[result.number] = result.status
        if result.status not in ("passed", "skipped"):
            printed.failures[result.test_name] = failure_of(result)
        if previous == result.status:
            return
        failed = test_mark(result.status).word in ("failed", "error")
        if self._compact and not failed:
            return
        self._write(submission_id, spoken.result(result, _position(printed)))
        if failed:
            # The analysis that follows may say that it failed as another test did.
            printed.held = _Held(result.test_name, spoken.about(result))

    def _status(self, submission_id: int, printed: _Printed, update: StatusUpdate) -> None:
        if update.total_tests is not None and update.total_tests > 0:
            printed.total_tests = update.total_tests
        if update.attempt is not None and update.attempt != printed.attempt:
            printed.attempt = update.attempt
            self._write(submission_id, Line(f"judged again, attempt {update.attempt}", WARN))
        printed.running = clip(update.running_test or "", NAME_CELLS)
        if printed.running and update.status == printed.status.status:
            return
        previous, printed.status = printed.status, update
        if _shown_fields(update) == _shown_fields(previous):
            return
        line = Line("status: ", DIM).put(clip(update.status, NAME_CELLS).replace("_", " "))
        for fact in parts.stage_facts(update, NAME_CELLS):
            line.put(f", {fact}", DIM)
        self._write(submission_id, line)

    def _analysis(self, submission_id: int, printed: _Printed, event: ErrorAnalysis) -> None:
        title, message = spoken.analysis_title(event), None
        if event.test_name:
            # A log cannot name tests to come: each that follows names the first.
            failure = printed.failures.pop(event.test_name, Failure())
            message = failure.message
            told = cause_of(event, *failure)
            if (told, event.test_name) in printed.explained:
                # Judged again, and it ended as before.
                return
            first = printed.causes.get(told, event.test_name)
            if len(printed.causes) < _CAUSES_KEPT:
                printed.causes.setdefault(told, first)
                printed.explained.add((told, event.test_name))
            if first != event.test_name:
                same = Line("the same cause as in ", DIM).put(clip(first, NAME_CELLS))
                if printed.held is not None and printed.held.test_name == event.test_name:
                    # It follows its result, and what was held would say the same again.
                    printed.held = None
                else:
                    self._write_held(printed)
                    same = title.put(": ", DIM).extend(same)
                self._write_block(submission_id, [same])
                return
        self._write_held(printed)
        lines = spoken.analysis(event, message)
        if lines or event.location is not None:
            self._write_block(submission_id, [title, *parts.indented(lines, 2)])

    def _output(self, submission_id: int, lines: Sequence[PrintedLine]) -> None:
        for line in lines:
            self._write(submission_id, Line(f"{line.label}: ", DIM).put(verbatim(line.text, LINE_CELLS)[0]))

    def _connection(self, submission_id: int, printed: _Printed, connection: Connection) -> None:
        line = _connection_line(printed.connection, connection, was_open=printed.was_open)
        printed.connection = connection
        printed.was_open = printed.was_open or connection.state == "open"
        if line is not None:
            self._write_stderr(submission_id, line)

    # -- writing ----------------------------------------------------------------------------------

    def _write_held(self, printed: _Printed) -> None:
        held, printed.held = printed.held, None
        if held is not None:
            self._write_block(printed.source.submission_id, held.lines)

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
        is_named = self._names_each or len(self._printed) > 1
        return f"#{submission_id} " if is_named and submission_id is not None else ""


def _connection_line(previous: Connection, connection: Connection, *, was_open: bool) -> Line | None:
    """What a change of the connection is worth: nothing as long as it works, or if it was said before."""
    if connection.state == "open":
        return Line("connected again", DIM) if was_open and previous.state != "open" else None
    repeated = previous.state == connection.state and connection.attempt == previous.attempt
    if repeated or connection.state in ("connecting", "closed"):
        return None
    return parts.connection_line(connection, NAME_CELLS)


def _shown_fields(update: StatusUpdate) -> tuple[object, ...]:
    return update.status, update.detail, update.queue_position, update.total_tests


def _position(printed: _Printed) -> str:
    """How many tests have a result, of how many: the progress bar of a log."""
    done = len(printed.statuses)
    return f"{done} of {max(printed.total_tests, done)}" if printed.total_tests is not None else f"test {done}"


def _heartbeat(printed: _Printed, now: float) -> str:
    """What is in progress, and since when."""
    status = clip(printed.status.status, NAME_CELLS).replace("_", " ") or "waiting"
    done = f", {_position(printed).removeprefix('test ')} tests" if printed.statuses else ""
    running = f", now {printed.running}" if printed.running else ""
    return f"still {status}{done}{running}, {words.whole_seconds(now - printed.began)} so far"


def _closing(snapshot: Submission, ending: Ending, verdict: Complete) -> list[Line]:
    """The end of a log that has shown all details: the verdict, the failed tests' names, the next command."""
    lines = [spoken.verdict(verdict_mark(verdict.final_status), summary.outcome(verdict, snapshot))]
    changed = compared(verdict.compared_to, " times")
    lines += [Line(changed)] if changed else []
    lines += [*spoken.groups(snapshot.groups), *spoken.failed_tests(snapshot, NAMES_MAX)]
    # A log has room for everything but long outputs.
    return lines + next_commands([next_step(snapshot, ending, left_out=False)])
