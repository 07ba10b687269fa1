"""The view for scripts: one JSON object per line, with every field of the server's events (contract, section 4)."""

from __future__ import annotations

import io
import json
from operator import itemgetter
from typing import Any

import jsonschema
import pytest

from subcli.core.errors import NetworkError, SubcliError
from subcli.core.submission import Connection
from subcli.output.ndjson import NdjsonView
from subcli.output.schema import build
from subcli.output.view import Ending
from subcli.shared.decoding import decode
from subcli.shared.messages import Control, TestResult
from tests.output.playhouse.scenes import SCENES
from tests.output.playhouse.script import Clock, Stage

NOW = "2026-03-01T12:00:00.000Z"
SCHEMA = jsonschema.Draft202012Validator(build())


class Recorder(io.StringIO):
    """Records what has been flushed, which is what a pipe's reader has."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed = ""

    def flush(self) -> None:
        self.flushed = self.getvalue()


class Script:
    """The view, and the lines that it wrote."""

    def __init__(self) -> None:
        self.stream = Recorder()
        self.view = NdjsonView(self.stream, lambda: NOW)
        self.stage = Stage(self.view, Clock())

    @property
    def lines(self) -> list[dict[str, Any]]:
        """All lines, each valid by the published schema."""
        self.view.flush()
        text = self.stream.getvalue()
        assert text.endswith("\n") or not text
        lines = [json.loads(line) for line in text.splitlines()]
        for line in lines:
            SCHEMA.validate(line)
        return lines


@pytest.fixture
def script() -> Script:
    """A new view."""
    return Script()


@pytest.mark.parametrize("scene", ["passed-end", "failed-end", "build-failed-end", "six-end", "lost-end", "left-end"])
def test_every_line_follows_the_schema(script: Script, scene: str) -> None:
    """Exactly one last line per submission: ``result`` or ``error``."""
    SCENES[scene](script.stage)
    script.view.close()
    last = [line["submission_id"] for line in script.lines if line["type"] in ("result", "error")]
    assert sorted(last) == sorted(script.stage.watches)
    assert script.lines[-1]["type"] in ("result", "error")


def test_events_keep_all_their_fields(script: Script) -> None:
    """Unknown fields and unknown types pass through; ``schema`` and ``submission_id`` are ours."""
    script.stage.begin()
    script.stage.send("test_result", test_name="x", status="passed", extra={"deep": [1]}, schema=99, timestamp="then")
    script.stage.send("news", seq=False, text="hello")
    result, news = script.lines
    assert (result["extra"], result["schema"], result["timestamp"]) == ({"deep": [1]}, 1, "then")
    assert (news["type"], news["text"], news["submission_id"]) == ("news", "hello", 12)


def test_submission_id_is_added_to_events_without_one(script: Script) -> None:
    """Every line of a submission names it, even if the server's event does not."""
    script.stage.begin()
    script.stage.send("status_update", status="pending", submission_id=None)
    assert script.lines[0]["submission_id"] == 12


@pytest.mark.parametrize("timestamp", [None, 17, {"at": 1}])
def test_missing_timestamp_is_added(script: Script, timestamp: object) -> None:
    """Every line has a timestamp that is a string."""
    script.stage.begin()
    script.stage.send("status_update", status="pending", timestamp=timestamp)
    assert script.lines[0]["timestamp"] == NOW


def test_submitted_line(script: Script) -> None:
    """``url`` is always there; other fields only if the server sent them."""
    script.view.submitted(12, {"id": 12, "status": "pending", "created_at": None, "secret": "x"})
    script.view.submitted(13, {"id": 13, "url": "u", "epoch": "e"})
    common = {"schema": 1, "type": "submitted", "timestamp": NOW}
    assert script.lines == [
        {**common, "submission_id": 12, "url": None, "status": "pending"},
        {**common, "submission_id": 13, "url": "u", "epoch": "e"},
    ]


def test_connection_line_has_the_fields_that_apply(script: Script) -> None:
    """State, and of attempt, delay, code and reason what is known."""
    script.stage.begin()
    script.view.event(12, Connection("open"))
    script.view.event(12, Connection("reconnecting", attempt=2, delay_s=4.0, code=1012, reason="restarting"))
    common = {"schema": 1, "type": "connection", "timestamp": NOW, "submission_id": 12}
    assert script.lines == [
        {**common, "state": "open"},
        {**common, "state": "reconnecting", "attempt": 2, "delay_s": 4.0, "code": 1012, "reason": "restarting"},
    ]


def test_result_line_keeps_the_summary_as_it_came(script: Script) -> None:
    """Unknown fields of the summary too; without one, the known fields are there."""
    script.stage.begin()
    script.stage.complete("failed", passed=8, flaky=3)
    assert script.lines[-1]["summary"]["flaky"] == 3
    assert (script.lines[-1]["final_status"], script.lines[-1]["exit_code"]) == ("failed", 1)
    script.stage.begin(13)
    script.stage.send("complete", 13, final_status="passed")
    script.view.end(Ending(submission_id=13, exit_code=0, verdict=script.stage.watches[13].verdict))
    assert script.lines[-1]["summary"] == dict.fromkeys(("total_tests", "passed", "failed", "skipped", "duration_ms"))


@pytest.mark.parametrize("submission_id", [12, None])
def test_error_line(script: Script, submission_id: int | None) -> None:
    """Kind, message, hint and exit code; the id only if there is one."""
    error: SubcliError = NetworkError("nobody answers", hint="is it there?")
    script.view.end(Ending(submission_id=submission_id, exit_code=6, error=error))
    (line,) = script.lines
    assert line["error"] == {"kind": "network", "message": "nobody answers", "hint": "is it there?"}
    assert line["exit_code"] == 6
    assert line.get("submission_id") == submission_id
    assert ("submission_id" in line) == (submission_id is not None)


def test_flush_and_close_pass_the_lines_on(script: Script) -> None:
    """A pipe's reader has each line after ``flush``, and the last one after ``close``."""
    script.stage.begin()
    script.stage.status("pending")
    script.view.flush()
    assert script.stream.flushed == script.stream.getvalue() != ""
    script.stage.complete("passed")
    script.view.close()
    assert script.stream.flushed == script.stream.getvalue()
    assert '"result"' in script.stream.flushed


def test_hostile_text_is_escaped(script: Script) -> None:
    """Control, bidi and zero-width characters are written as ``\\uXXXX``; the parsed text is unchanged."""
    evil = "\x1b[2J\x7f\x9b\u202e\u200b"
    script.stage.begin()
    script.stage.status(evil)
    assert script.lines[0]["status"] == evil
    assert not set(evil) - set("[2J") & set(script.stream.getvalue())


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "9" * 5000])
def test_any_reader_can_read_numbers(script: Script, number: str) -> None:
    """What is beyond the range of a double, or of the integers that Python reads, is null."""
    event = decode(
        f'{{"type":"test_result","submission_id":7,"test_name":"A","status":"passed","timestamp":"t","x":[{number}]}}'
    )
    assert isinstance(event, TestResult)
    script.view.event(7, event)
    assert script.lines[0]["x"] == [None]


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ('{"type":"test_result","status":"failed","test_name":"A","status":"passed"', "status", "passed"),
        ('{"type":"test_result","status":"passed","test_name":"A","score":1,"score":null', "score", None),
        ('{"type":"test_result","status":"passed","test_name":"A","expected":{"a":1,"a":2}', "expected", {"a": 2}),
        ('{"type":"status_update","status" : "x","status"  :"y"', "status", "y"),
        ('{"type":"status_update","type":"status_update","status":"y"', "type", "status_update"),
        ('{"type":"error_analysis","error":"one","error":"two"', "error", "two"),
        ('{"type":"error_analysis","location":{"file":"a","file":"b"}', "location", {"file": "b"}),
        ('{"type":"complete","final_status":"failed","final_status":"passed"', "final_status", "passed"),
        ('{"type":"complete","final_status":"passed","summary":{"passed":1,"passed":2}', "summary", {"passed": 2}),
    ],
)
def test_no_name_is_there_twice(script: Script, text: str, name: str, value: object) -> None:
    """Readers disagree about which one counts: what subcli has read is what every other reader gets."""
    event = decode(f'{text},"submission_id":7,"timestamp":"t"}}')
    assert not isinstance(event, Control)
    assert event.frame is not None
    script.view.event(7, event)
    script.view.flush()
    seen: list[str] = []
    line = json.loads(script.stream.getvalue(), object_pairs_hook=lambda pairs: seen.extend(map(itemgetter(0), pairs)))
    assert line is None
    assert len(seen) == len(set(seen))
    assert script.lines[0][name] == value


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"test_result","status":"passed","test_name":"A","score":null,"message":"a \\"status\\": b : c"',
        '{"type":"test_result","status":"passed","test_name":"A","expected":{"status":[{"status":"x"}]}',
        '{"type":"status_update","status":"testing","total_tests":3',
        '{"type":"complete","final_status":"passed","summary":{"passed":2,"groups":[{"name":"a"},{"name":"b"}]}',
    ],
)
def test_other_events_pass_through_as_they_came(script: Script, text: str) -> None:
    """Not one character of them changes, apart from our field."""
    event = decode(f'{text},"submission_id":7,"timestamp":"t"}}')
    assert not isinstance(event, Control)
    script.view.event(7, event)
    script.view.flush()
    assert script.stream.getvalue() == f'{{"schema":1,{text[1:]},"submission_id":7,"timestamp":"t"}}\n'
