"""The plain view: one line per change on stdout, everything else on stderr."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import pytest

from subcli.core.errors import NetworkError
from subcli.output.plain import PlainView
from subcli.output.terminal.console import make_console
from tests.output.conftest import with_colours
from tests.output.playhouse.scenes import SCENES
from tests.output.playhouse.script import SPLIT, TWICE, Clock, Stage, ten


class Log:
    """A plain view and its output."""

    def __init__(self, *, compact: bool = False, logs: bool = False, env: dict[str, str] | None = None) -> None:
        self.stdout, self.stderr = io.StringIO(), io.StringIO()
        self.both: list[str] = []
        self.clock = Clock()
        consoles = [make_console(stream, env or {}) for stream in (self.stdout, self.stderr)]
        self.view = PlainView(consoles[0], consoles[1], self.clock, compact=compact, logs=logs)
        self.stage = Stage(self.view, self.clock)

    @property
    def out(self) -> list[str]:
        return self.stdout.getvalue().splitlines()

    @property
    def err(self) -> list[str]:
        return self.stderr.getvalue().splitlines()


@pytest.mark.parametrize(
    "scene",
    [
        "passed-end",
        "failed-end",
        "build-failed-end",
        "six-end",
        "lost-end",
        "left-end",
        "again",
        "reconnecting",
        "points-end",
        "same-cause-end",
    ],
)
def test_approved_log(approved: Callable[[str, str], None], scene: str) -> None:
    """A whole run: stdout, then stderr."""
    log = Log()
    SCENES[scene](log.stage)
    log.view.close()
    approved(f"log-{scene}", log.stdout.getvalue() + "--- stderr\n" + log.stderr.getvalue())


@pytest.mark.parametrize("scene", ["failed-end", "build-failed-end", "points-end"])
def test_approved_colours_of_a_log(approved: Callable[[str, str], None], scene: str) -> None:
    """With colours, what failed is red and what only accompanies it is dim."""
    log = Log(env={"FORCE_COLOR": "1"})
    SCENES[scene](log.stage)
    log.view.close()
    approved(f"colours-log-{scene}", with_colours(log.stdout.getvalue() + "--- stderr\n" + log.stderr.getvalue()))


@pytest.mark.parametrize("scene", [name for name in SCENES if name.endswith("-end")])
def test_log_can_be_read_aloud(scene: str) -> None:
    """Each line begins with a word; no symbol stands for a state, and nothing is aligned in columns.

    What programs print, and code, is theirs: it stands indented below its title.
    """
    log = Log()
    SCENES[scene](log.stage)
    log.view.close()
    ours = [line for line in log.out + log.err if not re.match(r" {6}|(#\d+ )? {5,}", line)]
    assert ours
    for line in ours:
        text = re.sub(r"^#\d+ ", "", line).strip()
        assert not text or re.match(r"[\w(]", text), line
        assert not set(text) & set("✓✗–●○↻→│·…━─×"), line
        assert "  " not in text or re.match("(expected|actual|same):", text), line


def test_log_without_colour_has_no_escapes() -> None:
    """A pipe gets plain text."""
    log = Log()
    SCENES["failed-end"](log.stage)
    assert "\x1b" not in log.stdout.getvalue() + log.stderr.getvalue()


def test_forced_colour_changes_colours_only() -> None:
    """With FORCE_COLOR, a log has the same lines."""
    plain, coloured = Log(), Log(env={"FORCE_COLOR": "1"})
    for log in (plain, coloured):
        SCENES["failed-end"](log.stage)
    text = coloured.stdout.getvalue()
    assert "\x1b[" in text
    stripped = [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()]
    assert stripped == [line.rstrip() for line in plain.out]


def test_unchanged_result_is_not_printed_again() -> None:
    """When a submission is judged again, only results that differ are printed."""
    log = Log()
    log.stage.begin()
    ten(log.stage, 3)
    before = len(log.out)
    log.stage.status("testing", attempt=2, total_tests=10)
    log.stage.result("Leader Election")
    log.stage.result("Re-election after a crash", "failed", message="no leader")
    again = log.out[before:]
    assert again == [
        "judged again, attempt 2",
        "failed: Re-election after a crash (3 of 10, 1.25 s): no leader",
    ]


def test_another_attempt_is_told_once() -> None:
    """However many updates of it follow; a server that does not count attempts changes nothing."""
    log = Log()
    log.stage.begin()
    for status, attempt in (("building", 2), ("testing", 2), ("testing", None), ("testing", 2)):
        log.stage.status(status, attempt=attempt)
    assert log.out == ["judged again, attempt 2", "status: building", "status: testing"]


def test_position_counts_each_test_once() -> None:
    """The number before the slash is how many tests have a result."""
    log = Log()
    log.stage.begin()
    log.stage.status("testing", total_tests=2)
    log.stage.result("a", "failed")
    log.stage.result("a", "passed")
    log.stage.result("b", "skipped", None)
    assert log.out[1:] == ["failed: a (1 of 2, 1.25 s)", "passed: a (1 of 2, 1.25 s)", "skipped: b (2 of 2)"]


def test_namesakes_are_printed_each() -> None:
    """Three tests of one name, told apart by their types, then listed over REST: no line too few or too many."""
    log = Log()
    log.stage.begin()
    for _ in range(2):
        for kind, status in (("functional", "passed"), ("chaos", "failed"), ("performance", "passed")):
            log.stage.result("Basic", status, None, test_type=kind, seq=False)
    assert log.out == ["passed: Basic (test 1)", "failed: Basic (test 2)", "passed: Basic (test 3)"]


def test_heartbeat_after_thirty_seconds_of_silence() -> None:
    """One line on stderr per 30 s without output, and none after the end."""
    log = Log()
    log.stage.begin()
    ten(log.stage, 2, failing=False)
    for _ in range(29):
        log.stage.pass_time(1)
    assert log.err == []
    log.stage.pass_time(1)
    assert log.err == ["still testing, 2 of 10 tests, 35 s so far"]
    for _ in range(30):
        log.stage.pass_time(1)
    assert len(log.err) == 2
    log.stage.complete("passed")
    for _ in range(100):
        log.stage.pass_time(1)
    assert len(log.err) == 2


def test_connection_changes_go_to_stderr() -> None:
    """Each change is reported once; the first successful connection is not."""
    log = Log()
    log.stage.begin()
    log.stage.connection("connecting")
    log.stage.connection("open")
    assert log.err == []
    log.stage.connection("reconnecting", attempt=1, delay_s=1.9, code=1006)
    log.stage.connection("connecting")
    log.stage.connection("reconnecting", attempt=2, delay_s=4.2, code=1012, reason="restarting")
    log.stage.connection("open")
    log.stage.connection("polling", delay_s=2.0)
    log.stage.connection("polling", delay_s=3.0)
    log.stage.connection("open")
    log.stage.connection("closed", code=1000)
    assert log.err == [
        "reconnecting in 2 s (attempt 1): 1006 connection lost",
        "reconnecting in 5 s (attempt 2): 1012 restarting",
        "connected again",
        "no live connection, polling instead",
        "connected again",
    ]
    assert log.out == []


def test_lines_of_several_submissions_begin_with_their_id() -> None:
    """Every line names its submission if there are several."""
    log = Log()
    SCENES["six-end"](log.stage)
    log.view.close()
    lines = log.out[:-1] + log.err
    assert lines
    assert all(line.startswith("#1") for line in lines)
    assert log.out[-1] == "3 of 6 submissions passed"


def test_compact_leaves_out_passed_tests() -> None:
    """Failures and the verdict remain."""
    log = Log(compact=True)
    SCENES["failed-end"](log.stage)
    assert not any(line.startswith("passed") for line in log.out)
    assert sum(line.startswith("failed: ") for line in log.out) == 2


def test_long_output_is_cut() -> None:
    """The last lines are printed, with the number of lines above them."""
    log = Log()
    log.stage.begin()
    log.stage.result("x", "failed", **{**SPLIT, "output": "\n".join(map(str, range(1000)))})
    log.view.flush()
    assert "    output, without the first 970 lines:" in log.out
    assert log.out[-1] == "      999"


def test_error_without_a_submission_is_printed() -> None:
    """An error before there is an id goes to stderr, with its hint."""
    log = Log()
    log.stage.fail(NetworkError("nobody at 127.0.0.1:8000", hint="subcli serve"), 6, None)
    assert log.err == ["no verdict: nobody at 127.0.0.1:8000", "subcli serve"]
    assert log.out == []


def test_unknown_events_and_submissions_are_ignored() -> None:
    """Unknown event types appear in JSON only."""
    log = Log()
    log.stage.begin()
    log.stage.send("news", text="x")
    log.view.event(99, log.stage.watches[12].snapshot().connection)
    log.stage.send("error_analysis", error="", analysis="")
    assert log.out == log.err == []


def test_analysis_without_a_test_names_its_place() -> None:
    """The heading holds the place; text and suggestions follow."""
    log = Log()
    log.stage.begin()
    log.stage.send("error_analysis", **TWICE)
    assert log.out[0] == "    analysis, at node.py:48"
    assert log.out[-1] == "      advice: Clear voted_for only when a higher term is seen."


def test_prompt_changes_nothing() -> None:
    """The plain view does not occupy the terminal."""
    log = Log()
    log.view.suspend()
    log.view.resume()
    assert log.out == log.err == []


def test_attempts_to_reconnect_are_reported_each() -> None:
    """A new attempt is a change, the same attempt again is not."""
    log = Log()
    log.stage.begin()
    for attempt in (1, 2, 2):
        log.stage.connection("reconnecting", attempt=attempt, delay_s=2.0)
    assert log.err == ["reconnecting in 2 s (attempt 1)", "reconnecting in 2 s (attempt 2)"]


def test_changed_details_of_a_status_are_printed() -> None:
    """Queue position, detail and number of tests are changes even if the status stays; a repetition is not."""
    log = Log()
    log.stage.begin()
    log.stage.status("pending", queue_position=3)
    log.stage.status("pending", queue_position=2)
    log.stage.status("pending", queue_position=2)
    log.stage.status("pending", queue_position=2, detail="waiting for a worker")
    log.stage.status("testing", total_tests=4)
    assert log.out == [
        "status: pending, position 3 in the queue",
        "status: pending, position 2 in the queue",
        "status: pending, position 2 in the queue, waiting for a worker",
        "status: testing, 4 tests",
    ]


def test_absurd_total_does_not_replace_a_known_one() -> None:
    """A server that later reports 0 tests does not change the position."""
    log = Log()
    log.stage.begin()
    log.stage.status("testing", total_tests=2)
    log.stage.status("testing", total_tests=0)
    log.stage.result("a")
    assert log.out[-1] == "passed: a (1 of 2, 1.25 s)"


class Recorder(io.StringIO):
    """Records what has been flushed, in the order of both streams."""

    def __init__(self, name: str, flushed: list[str]) -> None:
        super().__init__()
        self._name = name
        self._flushed = flushed
        self._end = 0

    def flush(self) -> None:
        text, self._end = self.getvalue()[self._end :], len(self.getvalue())
        if text:
            self._flushed.append(f"{self._name}: {text}")


def test_output_reaches_the_reader_in_order() -> None:
    """The id and the verdict are flushed at once; stderr never overtakes stdout."""
    flushed: list[str] = []
    clock = Clock()
    out, err = Recorder("out", flushed), Recorder("err", flushed)
    view = PlainView(make_console(out, {}), make_console(err, {}), clock)
    stage = Stage(view, clock)
    view.submitted(12, {})
    stage.begin()
    stage.status("pending")
    stage.connection("polling")
    stage.result("a")
    view.flush()
    stage.complete("passed", ms=1000)
    assert flushed == [
        "out: submitted #12\n",
        "out: status: pending\n",
        "err: no live connection, polling instead\n",
        "out: passed: a (test 1, 1.25 s)\n",
        "out: verdict: passed, 1 of 1 test in 1.0 s\n",
    ]


def test_details_wait_for_the_analysis_that_makes_them_superfluous() -> None:
    """Ten failures with one cause print its details once: the others name the first."""
    log = Log()
    log.stage.begin()
    for name in ("a", "b"):
        facts: dict[str, Any] = {"message": f"{name} is missing", "expected": name, "actual": "none"}
        log.stage.result(name, "failed", None, **facts)
        log.stage.send("error_analysis", test_name=name, error="KeyError", suggestions=["Look."])
    log.view.flush()
    assert log.out == [
        "failed: a (test 1): a is missing",
        "    expected: a",
        "    actual: none",
        "    analysis of a",
        "      KeyError",
        "      advice: Look.",
        "failed: b (test 2): b is missing",
        "    the same cause as in a",
    ]


def test_details_are_printed_when_nothing_more_is_waiting() -> None:
    """An analysis may never come; and one of another cause does not take their place."""
    log = Log()
    log.stage.begin()
    log.stage.result("a", "failed", None, expected="1", actual="2")
    assert log.out == ["failed: a (test 1)"]
    log.view.flush()
    assert log.out[1:] == ["    expected: 1", "    actual: 2"]
    log.stage.result("b", "failed", None, expected="3", actual="4")
    log.stage.result("c", "passed", None)
    assert log.out[3:] == ["failed: b (test 2)", "    expected: 3", "    actual: 4", "passed: c (test 3)"]


def test_long_values_are_compared_in_words() -> None:
    """Each line says which value it belongs to, or that it belongs to both."""
    log = Log()
    log.stage.begin()
    log.stage.result("a", "failed", None, expected="1\n2\n\n3", actual="1\n2\n\n4")
    log.stage.result("b", "failed", None, expected="1\n2 3\n4", actual="1\n2 5\n4", expected_at=4, actual_at=4)
    log.stage.result("c", "failed", None, expected="1", actual="", expected_at=0, actual_at=0)
    log.stage.result("d", "failed", None, expected=None, actual="x")
    log.view.flush()
    blocks = "\n".join(log.out).split("failed: ")[1:]
    details = {block[0]: [line.strip() for line in block.splitlines()[1:]] for block in blocks}
    assert details["a"] == ["same: 2", "same: (empty line)", "expected: 3", "actual: 4"]
    assert details["b"] == [
        "same: 1",
        "expected: 2 3",
        "actual: 2 5",
        "they differ from here on: 3 and 5",
        "same: 4",
    ]
    assert details["c"] == ["expected: 1", "actual: (empty line)"]
    assert details["d"] == ["expected: null", "actual: x"]


def test_heartbeat_names_the_test_that_runs() -> None:
    """A silent log says what it is waiting for."""
    log = Log()
    log.stage.begin()
    log.stage.status("testing", total_tests=2)
    log.stage.status("testing", running_test="Split vote", running_ms=1000)
    assert log.out == ["status: testing, 2 tests"]
    log.stage.pass_time(31)
    assert log.err == ["still testing, now Split vote, 31 s so far"]


def test_approved_log_with_output(approved: Callable[[str, str], None]) -> None:
    """Each line after where it was printed, in order with the changes, harmless."""
    log = Log(logs=True)
    SCENES["printing-end"](log.stage)
    log.view.close()
    approved("log-printing-end", log.stdout.getvalue() + "--- stderr\n" + log.stderr.getvalue())


PRINTED = re.compile("(build|test_split_vote n[123] stderr|test 4 stdout): ")


def test_output_is_printed_only_on_request() -> None:
    """Another platform may send it unasked."""
    logs, plain, silent = Log(logs=True), Log(), Log()
    for log, scene in ((logs, "printing-end"), (plain, "printing-end"), (silent, "half")):
        SCENES[scene](log.stage)
    assert not any(map(PRINTED.match, plain.out))
    assert plain.out[: len(silent.out)] == silent.out
    assert sum(PRINTED.match(line) is not None for line in logs.out) == 98


def test_unfinished_line_is_printed_when_nothing_follows() -> None:
    """At the next tick, or before the next change; what follows then begins a line."""
    log = Log(logs=True)
    log.stage.begin()
    log.stage.printed("name? ", "1")
    assert log.out == []
    log.stage.pass_time(1.0)
    assert log.out == ["test 1 stdout: name?"]
    log.stage.printed("Ada\nage? ", "1")
    log.stage.result("Asks", "passed")
    assert log.out[1:3] == ["test 1 stdout: Ada", "test 1 stdout: age?"]
    assert log.out[3].startswith("passed: Asks")


def test_lines_of_several_submissions_name_theirs() -> None:
    """Like every other line."""
    log = Log(logs=True)
    log.stage.begin(12)
    log.stage.begin(13)
    log.stage.printed("one\n", "1", id=12)
    log.stage.printed("two\n", None, "build", id=13)
    assert log.out == ["#12 test 1 stdout: one", "#13 build: two"]
