"""A hostile WebSocket: every field of every message is replaced by everything that JSON can hold, for every view.

Frames go through the real watch, as the session passes them on. A message that cannot be used is dropped; no view
fails, and nothing that a terminal obeys is written.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from subcli.core.submission import Connection
from subcli.core.watch import Watch
from subcli.output.github.view import GithubView
from subcli.output.junit import JunitView
from subcli.output.live.view import LiveView
from subcli.output.ndjson import NdjsonView
from subcli.output.plain import PlainView
from subcli.output.terminal.attention import WindowStatus
from subcli.output.terminal.console import make_console
from subcli.output.view import CompositeView, Ending, QuietView, View
from subcli.shared.encoding import INVISIBLE
from tests.output.playhouse.script import Clock
from tests.output.test_hostile import OURS, Tape
from tests.sampling import every_third

HARMFUL = re.compile(f"[{INVISIBLE}\ud800-\udfff]")
TITLES = re.compile(r"\x1b\](?:2;[^\x00-\x1f\x7f-\x9f]*|9;4;[0-9;]*)\x1b\\|\x1b\[2[23];2t")
"""Of the window, and progress in the task bar."""

MESSAGES: list[dict[str, Any]] = [
    {"type": "connected", "submission_id": 12, "message": "hello"},
    {"type": "status_update", "submission_id": 12, "seq": 1, "epoch": "e", "timestamp": "2024-01-15T10:40:00Z",
     "status": "testing", "total_tests": 3, "queue_position": 1, "attempt": 1, "detail": "now", "progress": 50,
     "message": "hello"},
    {"type": "test_result", "submission_id": 12, "seq": 2, "timestamp": "2024-01-15T10:40:00Z", "test_name": "One",
     "test_id": "1", "test_type": "functional", "status": "failed", "duration_ms": 5, "message": "no", "expected": 1,
     "actual": 2, "output": "out", "error_category": "wrong", "error_message": "no", "error": "no",
     "details": {"error": "no"}, "outcome": "wrong_answer", "cpu_ms": 4, "memory_kb": 3400, "group": "g", "score": 1,
     "max_score": 2},
    {"type": "error_analysis", "submission_id": 12, "seq": 3, "error": "no", "analysis": "because",
     "suggestions": ["try"], "test_id": "1", "test_name": "One", "test_type": "functional", "category": "wrong",
     "location": {"file": "a.py", "line": 3}},
    {"type": "error_analysis", "submission_id": 12, "seq": 4, "error": "no",
     "analysis": {"category": "wrong", "confidence": 0.5, "explanation": "because", "suggestions": ["try"]}},
    {"type": "output", "submission_id": 12, "stream": "stdout", "text": "printed\n", "test_id": "1", "node": "n1",
     "output_seq": 1, "after_seq": 4, "timestamp": "2024-01-15T10:40:00Z"},
    {"type": "news", "submission_id": 12, "seq": 5, "word": "a"},
    {"type": "complete", "submission_id": 12, "seq": 6, "final_status": "failed", "timestamp": "2024-01-15T10:41:00Z",
     "summary": {"total_tests": 3, "passed": 1, "failed": 2, "skipped": 0, "duration_ms": 5, "score": 1,
                 "max_score": 2}},
]  # fmt: skip
ESCAPES = "\x1b]0;pwned\x07\x1b[2J\u009b31m\x1b]52;c;cm0=\x07\u202e\u200b\x7f\r\n::error::x\n##[group]\t`subcli x`"
RAW: dict[str, str] = {
    "escapes": json.dumps(ESCAPES),
    "markup": r'"[bold red][/x][link=javascript:x]:smile: {0} %s \\ ]]><x a=\"b\"/>&amp; \ud83d\ude00"',
    "huge": json.dumps("a\u00e9 \x1b[2J[/x]" * 3_000),
    "null": "null",
    "true": "true",
    "negative": "-1",
    "long": "1" + "0" * 400,
    "large": "1e308",
    "small": "0.5",
    "empty": '""',
    "list": "[]",
    "object": "{}",
    "mixed": r'[null, 1, "a", {"a": [1e308]}, ["\u001b[2J"]]',
    "deep": "[" * 100 + "]" * 100,
    "half": r'"\ud800"',
    "word": "NaN",
}
"""As it stands in the frame."""

Place: TypeAlias = tuple[Any, ...]
"""Keys and indexes, from the top of a message."""

MARK = "here \N{SNOWMAN}"


def places(value: Any, path: Place = ()) -> Iterator[Place]:
    """The places of all values in a message."""
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


def is_leaf(number: int, place: Place) -> bool:
    """Whether a message has no further value inside this one."""
    value: Any = MESSAGES[number]
    for key in place:
        value = value[key]
    return not isinstance(value, dict | list)


def replaced(value: Any, place: Place) -> Any:
    """The message, with the mark at one place."""
    if not place:
        return MARK
    if isinstance(value, dict):
        return {key: replaced(each, place[1:]) if key == place[0] else each for key, each in value.items()}
    return [replaced(each, place[1:]) if number == place[0] else each for number, each in enumerate(value)]


class Audience:
    """Every view at once.

    Attributes:
        clock: that the views read.
        tape: what the live screen wrote.
        logs: what the other views wrote.
    """

    def __init__(self, summary: Path) -> None:
        self.clock = Clock()
        self.tape, self.logs = Tape(), [io.StringIO() for _ in range(4)]
        plain, ndjson, quiet, github = self.logs
        screen = make_console(self.tape, {"COLUMNS": "80", "LINES": "24"})

        def log(stream: io.StringIO) -> PlainView:
            console = make_console(stream, {})
            return PlainView(console, console, self.clock, logs=True)

        self.junit = JunitView("2024-01-15T10:40:00Z")
        others: list[View] = [
            log(plain),
            NdjsonView(ndjson, lambda: "2024-01-15T10:40:00Z"),
            QuietView(quiet, several=True),
            GithubView(log(github), github, summary, lambda name: name, github),
            self.junit,
            WindowStatus(self.tape, self.clock, progress=True),
        ]
        self.view = CompositeView(LiveView(screen, screen, self.clock, logs=True), others)

    def watch(self, frames: list[str]) -> Watch:
        """Pass a submission on, as the session does."""
        watch = Watch(12, problem="lru", language="python")
        self.view.begin(watch)
        self.view.event(12, watch.connection)
        for frame in frames:
            for event in watch.receive(frame).events:
                self.view.event(12, event)
            self.clock.now += 1
            self.view.tick()
        self.view.event(12, Connection("closed"))
        self.view.end(Ending(submission_id=12, exit_code=1, verdict=watch.verdict))
        self.view.tick()
        self.view.close()
        return watch

    def check(self, summary: Path) -> None:
        """Nothing that a terminal obeys but what we write ourselves; JSON is JSON, and XML is XML."""
        from xml.etree import ElementTree

        assert not HARMFUL.search(OURS.sub("", TITLES.sub("", self.tape.getvalue()))), "live"
        for name, log in zip(("plain", "ndjson", "quiet", "github"), self.logs, strict=True):
            assert not HARMFUL.search(log.getvalue()), name
        for line in self.logs[1].getvalue().splitlines():
            assert isinstance(json.loads(line), dict)
        ElementTree.fromstring(self.junit.document())
        assert not HARMFUL.search(summary.read_text()), "summary"


def played(tmp_path: Path, number: int, frames: dict[str, str]) -> str:
    """What went wrong with each of these in place of one message; the others are good."""
    summary = tmp_path / "summary"
    good = [json.dumps(message) for message in MESSAGES]
    faults = []
    for what, frame in frames.items():
        audience = Audience(summary)
        summary.unlink(missing_ok=True)
        try:
            watch = audience.watch([*good[:number], frame, *good[number:]])
            audience.check(summary)
            # With another epoch, what follows is of another log.
            assert watch.verdict is not None or watch.replaced
        except Exception as error:
            faults.append(f"{what}: {type(error).__name__}: {str(error)[:200]}")
    return "\n".join(faults)


def hostile(message: Any, wanted: list[Place], raw: str) -> str:
    """The frame, with this in some places."""
    for place in wanted:
        message = replaced(message, place)
    return json.dumps(message).replace(json.dumps(MARK), raw)


NUMBERS = pytest.mark.parametrize(
    "number", range(len(MESSAGES)), ids=lambda number: f"{number}-{MESSAGES[number]['type']}"
)


@NUMBERS
def test_every_field_at_once(tmp_path: Path, number: int) -> None:
    """All but the type and the submission, without which nobody would look at the rest."""
    kept = ("type", "submission_id", "seq")
    leaves = [place for place in places(MESSAGES[number]) if place and place[0] not in kept and is_leaf(number, place)]
    assert not played(tmp_path, number, {what: hostile(MESSAGES[number], leaves, raw) for what, raw in RAW.items()})


@pytest.mark.thorough
@NUMBERS
def test_every_field(tmp_path: Path, number: int) -> None:
    """One field after the other."""
    every = [(place, what) for place in places(MESSAGES[number]) for what in RAW]
    frames = {f"{place} {what}": hostile(MESSAGES[number], [place], RAW[what]) for place, what in every_third(every)}
    assert not played(tmp_path, number, frames)
