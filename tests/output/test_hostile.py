"""Hostile text from a server is shown, and has no effect on the terminal."""

from __future__ import annotations

import contextlib
import io
import os
import re
from typing import Any

import pyte
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from subcli.core.submission import read_row
from subcli.output.live.frame import FrameInput, Viewport, single
from subcli.output.live.overview import Everyone, several
from subcli.output.live.roster import Totals
from subcli.output.live.view import LiveView
from subcli.output.pages.tables import submission_page, submissions_table
from subcli.output.plain import PlainView
from subcli.output.terminal.console import make_console
from subcli.output.text.lines import Line, LineRenderer, clip, verbatim, wrap
from subcli.shared.decoding import MalformedMessageError
from subcli.shared.encoding import INVISIBLE
from tests.output.playhouse.calls import calls_of
from tests.output.playhouse.script import Clock, Stage
from tests.output.playhouse.terminal import terminal

NASTY = [
    "\x1b[2J", "\x1b]0;owned\x07", "\x1b]52;c;cm0=\x07", "\x9b2J", "\x07", "\x08\x08", "\r", "\n", "\r\n", "\t", "\x7f",
    "\u202e", "\u2066", "\u200b", "\u200d", "\ufeff", "\u2028", "\x85", "\U000e0041", "\ufe0f", "\ud800",
    "[/x]", "[bold red]", "[link=http://x]", ":smile:", "中文字", "👩‍👩‍👧", "🇩🇪", "é", "e\u0301" * 30, "\u0300" * 200,
    "a" * 500, " " * 300, "", "…", "━", "{", "%s",
]  # fmt: skip
TEXTS = st.lists(st.one_of(st.sampled_from(NASTY), st.text(max_size=12)), max_size=6).map("".join)
ANYTHING = st.one_of(st.none(), TEXTS, st.integers(), st.floats(allow_nan=False), st.lists(TEXTS, max_size=3))
OUTCOMES = st.sampled_from(["passed", "wrong_answer", "time_limit", "memory_limit", "output_limit", "runtime_error",
    "protocol_error", "skipped", "judge_error"])  # fmt: skip
NUMBERS = st.one_of(st.integers(), st.floats(), st.sampled_from([0, -0.0, 1e-9, 0.005, 1e12, 1e300, 10**400]))
POINTS = {"score": NUMBERS | ANYTHING, "max_score": NUMBERS | ANYTHING}
GROUPS = st.lists(st.fixed_dictionaries({"name": ANYTHING}, optional={"outcome": ANYTHING, **POINTS}), max_size=3)
SUMMARIES = st.fixed_dictionaries({}, optional={"groups": GROUPS | ANYTHING, "pass_score": NUMBERS, **POINTS})
RESULTS = st.fixed_dictionaries(
    {"test_name": TEXTS, "status": st.one_of(st.sampled_from(["passed", "failed", "error", "skipped"]), TEXTS)},
    optional={
        "duration_ms": st.one_of(st.none(), st.floats(allow_nan=False)), "message": TEXTS, "output": TEXTS,
        "expected": ANYTHING, "actual": ANYTHING, "test_id": TEXTS, "error_category": TEXTS,
        "outcome": OUTCOMES | ANYTHING, "group": TEXTS | ANYTHING, "cpu_ms": NUMBERS | ANYTHING,
        "memory_kb": NUMBERS | ANYTHING, "score": NUMBERS | ANYTHING, "max_score": NUMBERS | ANYTHING,
    },
)  # fmt: skip
STATUSES = st.fixed_dictionaries(
    {"status": TEXTS},
    optional={
        "detail": TEXTS, "total_tests": st.integers(), "progress": st.floats(allow_nan=False), "timestamp": TEXTS,
        "attempt": st.integers(), "queue_position": st.integers(),
    },
)  # fmt: skip
ANALYSES = st.fixed_dictionaries(
    {"error": TEXTS, "analysis": TEXTS},
    optional={
        "suggestions": st.lists(TEXTS, max_size=7), "test_name": TEXTS, "category": TEXTS,
        "location": st.fixed_dictionaries({"file": TEXTS}, optional={"line": st.integers()}),
    },
)  # fmt: skip
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("test_result"), RESULTS),
        st.tuples(st.just("status_update"), STATUSES),
        st.tuples(st.just("error_analysis"), ANALYSES),
    ),
    max_size=8,
)
FIELDS = [
    "submission_id", "problem", "language", "status", "final_status", "created_at", "url", "build_log", "test_name",
    "message", "expected", "actual", "output", "outcome", "cpu_ms", "memory_kb", "group", "score", "max_score",
]  # fmt: skip
SIZES = st.tuples(st.integers(1, 210), st.integers(1, 62))
OURS = re.compile(r"\x1b\[(?:\?(?:2026|25|7|1049)[hl]|[0-9;]*m|\d*[HJK]|2K|2J)|\r\n|\r|\n")
HARMFUL = re.compile(f"[{INVISIBLE}\ud800-\udfff]")
CASES = max(40, int(os.environ.get("SUBCLI_FUZZ", "0")) // 4)
"""Examples per property; `make soak` runs more. A screen takes longer than a case of `tests/fuzz`."""
BOUNDED = settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))


class Tape(io.StringIO):
    """Records what is written to a terminal."""

    def isatty(self) -> bool:
        return True


def console(stream: io.StringIO, columns: int, lines: int) -> Console:
    return make_console(stream, {"COLUMNS": str(columns), "LINES": str(lines)})


def play(
    stage: Stage,
    events: list[tuple[str, dict[str, Any]]],
    verdict: str,
    problem: str,
    summary: dict[str, Any] | None = None,
) -> None:
    stage.begin(problem=problem, language=problem)
    stage.connection("open")
    for kind, fields in events:
        send(stage, kind, fields)
        stage.pass_time(0.1)
    stage.connection("reconnecting", delay_s=3.0, reason=verdict)
    stage.pass_time(0.1)
    stage.complete(verdict or "passed", **(summary or {}))


def send(stage: Stage, kind: str, fields: dict[str, Any]) -> None:
    """Send an event, unless it is malformed."""
    with contextlib.suppress(MalformedMessageError):
        stage.send(kind, seq=False, **fields)


def check_harmless(text: str) -> None:
    """Check that the text consists of our own sequences and printable characters."""
    rest = OURS.sub("", text)
    assert not HARMFUL.search(rest), repr(rest)


@pytest.mark.thorough(measured=True)
@BOUNDED
@given(EVENTS, TEXTS, TEXTS, SUMMARIES, SIZES)
def test_nothing_harmful_reaches_the_terminal(
    events: list[tuple[str, dict[str, Any]]],
    verdict: str,
    problem: str,
    summary: dict[str, Any],
    size: tuple[int, int],
) -> None:
    """Whatever the server sends, the live view writes only its own sequences and printable text."""
    tape, clock = Tape(), Clock()
    screen = console(tape, *size)
    view = LiveView(screen, screen, clock)
    stage = Stage(view, clock)
    stage.view.submitted(12, {"url": verdict})
    play(stage, events, verdict, problem, summary)
    view.close()
    check_harmless(tape.getvalue())


@pytest.mark.thorough
@BOUNDED
@given(EVENTS, TEXTS, TEXTS, SUMMARIES)
def test_nothing_harmful_reaches_a_log(
    events: list[tuple[str, dict[str, Any]]], verdict: str, problem: str, summary: dict[str, Any]
) -> None:
    """So does the plain view, without carriage returns."""
    tape, clock = Tape(), Clock()
    view = PlainView(console(tape, 80, 24), console(tape, 80, 24), clock)
    play(Stage(view, clock), events, verdict, problem, summary)
    view.close()
    check_harmless(tape.getvalue())
    assert "\r" not in tape.getvalue()


@pytest.mark.thorough
@BOUNDED
@given(EVENTS, TEXTS, SIZES)
def test_no_line_of_a_frame_is_wider_than_the_terminal(
    events: list[tuple[str, dict[str, Any]]], problem: str, size: tuple[int, int]
) -> None:
    """Nor are there more lines than fit, and each is as wide as it claims."""
    columns, lines = size
    stage = Stage(LiveView(console(Tape(), 80, 24), console(Tape(), 80, 24), Clock()), Clock())
    stage.begin(problem=problem)
    for kind, fields in events:
        send(stage, kind, fields)
    snapshot = stage.watches[12].snapshot()
    submission = FrameInput(snapshot, snapshot.connection, 0.0, 12.0)
    viewport = Viewport(columns, lines, lines >= 20)
    both = Everyone(Totals(2, 1, 0), 12.0, [submission] * 2)
    for frame in (single(submission, 3.0, viewport, compact=False), several(lambda *_: both, 3.0, viewport)):
        assert len(frame.lines) <= lines
        assert frame.result_rows <= lines
        for line in frame.lines:
            assert line.cells == cell_len(line.text)
            if columns >= 12:
                assert line.cells <= columns
            assert "\n" not in line.text


@pytest.mark.thorough
@BOUNDED
@given(st.lists(st.dictionaries(st.sampled_from(FIELDS), ANYTHING), max_size=4))
def test_nothing_harmful_reaches_the_terminal_from_a_snapshot(rows: list[dict[str, Any]]) -> None:
    """Nor through ``list`` and ``status``, whatever types the fields have."""
    tape = Tape()
    screen = console(tape, 80, 24)
    screen.print(submissions_table([read_row(row, submission_id=12, url=str(row.get("url"))) for row in rows], 1e9))
    for row in rows:
        screen.print(submission_page({**row, "submission_id": 12}, rows))
    check_harmless(tape.getvalue())


@BOUNDED
@given(TEXTS, st.integers(-1, 90), st.integers(1, 9))
def test_cut_text_fits(text: str, cells: int, limit: int) -> None:
    """Clipped, wrapped or verbatim text fits and is harmless."""
    assert cell_len(clip(text, cells)) <= max(cells, 0)
    folded = wrap(text, cells, limit)
    assert len(folded) <= limit
    pieces = verbatim(text.replace("\n", ""), cells, limit)
    assert len(pieces) <= limit
    for line in (clip(text, cells), *folded, *pieces):
        check_harmless(line)
        assert "\n" not in line
        assert cell_len(line) <= max(cells, 8)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_hostile_names_do_not_move_other_rows(encoding: str) -> None:
    """On a real terminal, the next row stands where it should, and the screen has not scrolled."""
    with terminal(60, 15, encoding=encoding) as tty:
        clock = Clock()
        view = LiveView(tty.console(), tty.console(), clock)
        stage = Stage(view, clock)
        stage.begin()
        stage.connection("open")
        stage.status("testing", total_tests=40)
        for text in NASTY:
            stage.result(f"{text}x", "failed", message=text)
        stage.result("the last one")
        stage.pass_time(0.1)
        lines = tty.text().splitlines()
        assert not tty.scrollback()
        assert lines[0].startswith(" leader-election")
        assert lines[-1].split()[1:] == ["the", "last", "one", "1.25", "s"]
        view.close()


@pytest.mark.thorough
def test_cost_of_a_frame_does_not_grow_with_its_texts() -> None:
    """Of a long text, only as much is processed as can be shown: a megabyte takes no more calls than 10 kB,
    but for a few that depend on what is cached."""
    calls = {}
    for length in (10_000, 1_000_000):
        clock = Clock()
        view = LiveView(console(Tape(), 80, 24), console(Tape(), 80, 24), clock)
        stage = Stage(view, clock)
        stage.begin(problem="中" * length)
        long = "\u0300\x1b" * (length // 2)
        for number in range(5):
            stage.result(f"{number}{long}", "failed", message=long, output=long, expected=long, actual="x" + long,
                         group=f"{number}{long}", outcome=long, score=number, memory_kb=5)  # fmt: skip
            stage.send("error_analysis", error=long, analysis=long, suggestions=[long] * 5, test_name=f"{number}{long}")
        view.tick()
        clock.now += 0.1
        calls[length] = calls_of(view.tick)
    assert calls[1_000_000] <= 1.01 * calls[10_000]


def test_our_glyphs_are_one_cell_wide() -> None:
    """The terminal and Rich agree on their width."""
    screen = pyte.Screen(80, 1)
    pyte.Stream(screen).feed("✓✗–!●○↻→│·…━─⠋⠏")
    assert screen.cursor.x == cell_len("✓✗–!●○↻→│·…━─⠋⠏") == 15


def test_line_in_another_encoding_keeps_its_columns() -> None:
    """Each glyph is replaced by one character."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    renderer = LineRenderer(make_console(stream, {}))
    assert renderer.render(Line("✓ ").put("name").pad_to(10).put("━─")) == "+ name    =-"
