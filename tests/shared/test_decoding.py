"""Decoding messages (specification, "Message Protocol"; contract, section 6)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from subcli.shared.decoding import MalformedMessageError, decode, from_mapping
from subcli.shared.encoding import encode
from subcli.shared.messages import (
    MESSAGES,
    ChangedTest,
    Comparison,
    Complete,
    Control,
    ErrorAnalysis,
    Location,
    Output,
    StatusUpdate,
    Summary,
    TestResult,
    Unknown,
)
from subcli.shared.protocol import MAX_DEPTH, PING, PONG

SPECIFIED: dict[str, dict[str, Any]] = {
    "status_update": {
        "type": "status_update",
        "submission_id": 123,
        "status": "testing",
        "timestamp": "2024-01-15T10:38:00Z",
    },
    "test_result": {
        "type": "test_result",
        "submission_id": 123,
        "test_name": "Leader Election",
        "status": "passed",
        "duration_ms": 1250,
        "timestamp": "2024-01-15T10:40:00Z",
    },
    "error_analysis": {
        "type": "error_analysis",
        "submission_id": 123,
        "error": "Connection refused",
        "analysis": "The node failed to connect to peer",
        "suggestions": ["Check network configuration", "Verify port bindings"],
        "timestamp": "2024-01-15T10:41:00Z",
    },
    "complete": {
        "type": "complete",
        "submission_id": 123,
        "final_status": "passed",
        "summary": {"total_tests": 10, "passed": 8, "failed": 2, "duration_ms": 45000},
        "timestamp": "2024-01-15T10:45:00Z",
    },
    "output": {
        "type": "output",
        "submission_id": 123,
        "stream": "stderr",
        "test_id": "test_election.py::test_vote",
        "node": "n1",
        "text": "voting\n",
        "output_seq": 7,
        "after_seq": 12,
        "timestamp": "2024-01-15T10:39:00Z",
    },
}
CLASSES = {
    "status_update": StatusUpdate,
    "test_result": TestResult,
    "error_analysis": ErrorAnalysis,
    "complete": Complete,
    "output": Output,
}


def read(**fields: Any) -> Any:
    return decode(json.dumps(fields))


def test_plain_text_is_kept() -> None:
    """Only where each character of it is visible and stands for itself."""
    plain = '{"type": "test_result", "test_name": "A \\"B\\"", "status": "passed", "actual": [1e9, {}]}'
    event = decode(plain)
    assert isinstance(event, TestResult)
    assert event.frame == plain
    assert event.raw == {"type": "test_result", "test_name": 'A "B"', "status": "passed", "actual": [1e9, {}]}
    for other in ("é", "\\u202e", "\x7f", '", "schema": "1', '", "error": "no'):
        event = decode(f'{{"type":"test_result","test_name":"A{other}","status":"passed"}}')
        assert isinstance(event, TestResult)
        assert event.frame is None
    for white in "\n\r\t ":
        event = decode(f'{white}{{{white}"type":"test_result","test_name":"A","status":"passed"}}')
        assert isinstance(event, TestResult)
        assert event.frame is None


@pytest.mark.parametrize("kind", MESSAGES)
def test_examples_of_specification_are_decoded(kind: str) -> None:
    """Each example becomes an event of its class, with every field."""
    raw = SPECIFIED[kind]
    event = decode(json.dumps(raw))
    assert type(event) is CLASSES[kind]
    assert event.raw == raw
    assert event.type == kind
    assert event.submission_id == 123
    assert event.timestamp == raw["timestamp"]
    assert event.seq is None


def test_additional_fields_of_status_update() -> None:
    """`total_tests`, `queue_position`, `attempt`, `detail` and `progress`."""
    event = read(
        type="status_update",
        status="testing",
        seq=3,
        total_tests=10,
        queue_position=2,
        attempt=1,
        detail="warming up",
        progress=41.5,
    )
    assert (event.seq, event.total_tests, event.queue_position) == (3, 10, 2)
    assert (event.attempt, event.detail, event.progress) == (1, "warming up", 41.5)


def test_additional_fields_of_result() -> None:
    """`expected` and `actual` may have any type."""
    event = read(
        type="test_result",
        test_name="A",
        status="failed",
        test_id="t-1",
        test_type="chaos",
        message="no leader",
        expected={"leaders": 1},
        actual=[0],
        output="…",
        error_category="timeout",
    )
    assert (event.test_id, event.test_type, event.message) == ("t-1", "chaos", "no leader")
    assert (event.expected, event.actual, event.output, event.error_category) == ({"leaders": 1}, [0], "…", "timeout")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"details": {"error": "no leader"}}, "no leader"),
        ({"error_message": "no leader", "details": {"error": "other"}}, "no leader"),
        ({"error": "no leader"}, "no leader"),
        ({"message": "own", "error_message": "other"}, "own"),
        ({"details": {"error": 5}, "error_message": ""}, None),
        ({"details": "text"}, None),
    ],
)
def test_message_of_result_under_another_name(fields: dict[str, Any], message: str | None) -> None:
    """Another platform says why in `details.error` or `error_message`; what it sent is passed on as it was."""
    raw = {"type": "test_result", "test_name": "A", "status": "failed", **fields}
    event = from_mapping(raw)
    assert isinstance(event, TestResult)
    assert (event.message, event.raw) == (message, raw)


def test_summary_does_not_override_verdict() -> None:
    """The specification's own example: passed, with two failed tests."""
    event = read(**SPECIFIED["complete"])
    assert event.final_status == "passed"
    assert event.summary == Summary(total_tests=10, passed=8, failed=2, duration_ms=45000)


@pytest.mark.parametrize("extra", [{"next": [1, {"a": None}]}, {"type2": "x"}, {"raw": 1, "seq2": 9}])
def test_unknown_fields_are_kept(extra: dict[str, Any]) -> None:
    """They are encoded again unchanged."""
    raw = {**SPECIFIED["test_result"], **extra}
    event = read(**raw)
    assert event.raw == raw


def test_unknown_type_is_kept_with_its_fields() -> None:
    """`connected`, and any future type, is an `Unknown` event."""
    event = read(type="connected", submission_id=5, seq=1, message="hello")
    assert type(event) is Unknown
    assert (event.type, event.submission_id, event.seq) == ("connected", 5, 1)
    assert event.raw["message"] == "hello"


@pytest.mark.parametrize(("text", "reply"), [(PONG, None), (PING, PONG)])
def test_bare_texts_are_controls(text: str, reply: str | None) -> None:
    """`pong` answers our ping; a bare `ping` requires a `pong`."""
    assert decode(text) == Control(text, reply)


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(b'{"type":"complete","final_status":"passed"}', id="binary"),
        pytest.param(b"pong", id="binary pong"),
        pytest.param("", id="empty"),
        pytest.param("ping ", id="nearly a ping"),
        pytest.param("hello", id="text"),
        pytest.param("{", id="cut"),
        pytest.param('{"type":"connected"} {}', id="two objects"),
        pytest.param('{"type":"connected","n":"a\nb"}', id="a raw newline in a string"),
        pytest.param("null", id="null"),
        pytest.param("[]", id="a list"),
        pytest.param('"ping"', id="a string"),
        pytest.param("{}", id="no type"),
        pytest.param('{"type":null}', id="null type"),
        pytest.param('{"type":""}', id="empty type"),
        pytest.param('{"type":7}', id="a number as type"),
        pytest.param('{"type":["complete"],"final_status":"passed"}', id="a list as type"),
        pytest.param("[" * 100_000, id="nested without end"),
        pytest.param('{"type":"connected","n":' + "[" * 100_000 + "]" * 100_000 + "}", id="nested absurdly"),
        pytest.param('{"type":"connected","s":"\\ud800","n":' + "[" * 9_999 + "]" * 9_999 + "}", id="both"),
    ],
)
def test_invalid_message_raises(frame: str | bytes) -> None:
    """Bad JSON, binary frames, deep nesting and objects without a type raise the same exception."""
    with pytest.raises(MalformedMessageError):
        decode(frame)


@pytest.mark.parametrize("odd", ["NaN", "-Infinity", "1e999", '"\ud800"'])
def test_odd_value_does_not_cost_the_result(odd: str) -> None:
    """Nor does a byte order mark: the test has ended, whatever else the message says of it."""
    event = decode(f'\ufeff{{"type":"test_result","test_name":"A","status":"passed","duration_ms":{odd}}}')
    assert isinstance(event, TestResult)
    assert (event.test_name, event.status, event.duration_ms) == ("A", "passed", None)
    assert encode(event.raw)


@pytest.mark.parametrize("name", ["unknown", "duration_ms", "actual"])
@pytest.mark.parametrize(
    ("number", "value"),
    [
        ("1e999", None),
        ("-1E+999", None),
        ("NaN", None),
        pytest.param("9" * 5000, None, id="5000 digits"),
        ("1e3", 1000.0),
        (f"{2**64}", 2**64),
        ('0,"NAME":1e999', None),
        ('1e999,"NAME":7', 7),
    ],
)
def test_number_reads_the_same_in_any_frame(name: str, number: str, value: object) -> None:
    """Whatever else is in it, and in the field of any message. Of two fields with the same name the last one counts."""
    number = number.replace("NAME", name)
    for rest in ("", ',"actually":[]', ',"é":1', ',"suggestions":"one"'):
        fields = f'"test_name":"A","status":"passed","error":"","final_status":"passed","{name}":{number}{rest}'
        for kind in (*MESSAGES, "connected"):
            event = decode(f'{{"type":"{kind}",{fields}}}')
            assert not isinstance(event, Control)
            assert event.raw[name] == value
            assert json.loads(encode(event.raw))[name] == value
        event = decode(f'{{"type":"test_result",{fields}}}')
        assert getattr(event, name, value) == value


@pytest.mark.parametrize("place", ['"x":0', '"actual":{},"location":{}', '"type":"test_result","actually":1'])
def test_frame_with_unknown_fields_is_not_plain(place: str) -> None:
    """A decoder that skips a field does not say whether others can read it."""
    event = decode(f'{{"type":"test_result","test_name":"A","status":"passed",{place}}}')
    assert isinstance(event, TestResult)
    assert event.frame is None


@pytest.mark.parametrize(("depth", "fits"), [(2, True), (MAX_DEPTH, True), (MAX_DEPTH + 1, False), (400, False)])
@pytest.mark.parametrize("pair", ["[]", "{}"])
def test_nesting_is_bounded(depth: int, fits: bool, pair: str) -> None:
    """The limit is far below the interpreter's, so everything decoded can be encoded again."""
    inner: Any = 0
    for _ in range(depth - 1):
        inner = [inner] if pair == "[]" else {"a": inner}
    raw = {"type": "connected", "n": inner}
    frame = json.dumps(raw)
    if fits:
        for message in (decode(frame), from_mapping(raw)):
            assert isinstance(message, Unknown)
            assert encode(message.raw)
    else:
        with pytest.raises(MalformedMessageError, match="nested"):
            decode(frame)
        with pytest.raises(MalformedMessageError, match="nested"):
            from_mapping(raw)


@pytest.mark.parametrize(
    ("frame", "fault"),
    [
        (b"{}", "a binary frame"),
        ("[" * 100_000, "JSON nested too deeply"),
        ('{"type":"connected","n":' + "[" * 100 + "]" * 100 + "}", "JSON nested too deeply"),
        ("{", "not JSON: "),
        ("[]", "not a JSON object"),
        ("{}", "no type"),
        ('{"type":"complete"}', "complete without a usable final_status"),
        ('{"type":"news","submission_id":[]}', "a submission_id that is neither number nor text"),
    ],
)
def test_error_says_what_is_invalid(frame: str | bytes, fault: str) -> None:
    """`--debug` shows it."""
    with pytest.raises(MalformedMessageError) as caught:
        decode(frame)
    assert str(caught.value).startswith(fault)


def test_many_brackets_are_not_deep_nesting() -> None:
    """A flat message with many objects is valid."""
    many = [{"n": [number], "text": '[{"'} for number in range(MAX_DEPTH)]
    assert read(type="connected", many=many).raw["many"] == many


@pytest.mark.parametrize("text", ["[" * 1000, '"[' * 1000, "\\[" * 1000, '\\"{' * 1000, '["' * 1000])
def test_brackets_in_text_are_not_nesting(text: str) -> None:
    """A traceback, a diff, another program's JSON."""
    assert read(type="connected", text=text).raw["text"] == text


@pytest.mark.parametrize("frame", ['"' + "[" * 1000, "]" * 1000 + "[" * 500, '{"a":"' + "{" * 1000])
def test_unterminated_json_is_invalid(frame: str) -> None:
    """A text without its closing quote, or brackets that do not match."""
    with pytest.raises(MalformedMessageError, match="not JSON"):
        decode(frame)


@pytest.mark.parametrize(
    ("raw", "missing"),
    [
        ({"type": "status_update"}, "status"),
        ({"type": "status_update", "status": None}, "status"),
        ({"type": "status_update", "status": ""}, "status"),
        ({"type": "status_update", "status": 4}, "status"),
        ({"type": "test_result", "status": "passed"}, "test_name"),
        ({"type": "test_result", "test_name": ["A"], "status": "passed"}, "test_name"),
        ({"type": "test_result", "test_name": "A"}, "status"),
        ({"type": "test_result", "test_name": "A", "status": True}, "status"),
        ({"type": "complete"}, "final_status"),
        ({"type": "complete", "final_status": None, "summary": {"passed": 1}}, "final_status"),
        ({"type": "complete", "final_status": ""}, "final_status"),
        ({"type": "complete", "final_status": {"status": "passed"}}, "final_status"),
    ],
)
def test_required_fields_are_checked(raw: dict[str, Any], missing: str) -> None:
    """The error names the missing field."""
    with pytest.raises(MalformedMessageError, match=f"{raw['type']} without a usable {missing}"):
        from_mapping(raw)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("status_update", "total_tests", "ten"),
        ("status_update", "queue_position", 1.5),
        ("status_update", "attempt", True),
        ("status_update", "detail", {"a": 1}),
        ("status_update", "progress", "41 %"),
        ("status_update", "timestamp", 1705315080),
        ("test_result", "duration_ms", "1250"),
        ("test_result", "test_id", 1.5),
        ("test_result", "test_type", ["chaos"]),
        ("test_result", "message", 12),
        ("test_result", "output", None),
        ("test_result", "error_category", False),
        ("error_analysis", "category", 7),
        ("error_analysis", "test_id", []),
        ("error_analysis", "location", "main.py:3"),
        ("error_analysis", "location", {"line": 3}),
        ("error_analysis", "location", None),
        ("complete", "timestamp", {}),
    ],
)
def test_optional_field_of_wrong_type_counts_as_absent(kind: str, field: str, value: Any) -> None:
    """The event is not lost, and the raw mapping keeps the value."""
    raw = {**SPECIFIED[kind], field: value}
    event = read(**raw)
    assert type(event) is CLASSES[kind]
    assert getattr(event, field) is None
    assert event.raw == raw


@pytest.mark.parametrize("seq", [0, -1, 1.0, 1.5, "1", True, None, [], 2**53, 10**30])
def test_invalid_seq_counts_as_absent(seq: Any) -> None:
    """`seq` is between 1 and 2⁵³; one bad number must not hide all later events."""
    assert read(type="test_result", test_name="A", status="passed", seq=seq).seq is None


@pytest.mark.parametrize("seq", [1, 2, 2**53 - 1])
def test_valid_seq(seq: int) -> None:
    """The smallest and the largest number."""
    assert read(type="connected", seq=seq).seq == seq


@pytest.mark.parametrize("value", [True, 1.5, [123], {"id": 123}])
@pytest.mark.parametrize("kind", [*MESSAGES, "connected"])
def test_unreadable_submission_id_is_foreign(kind: str, value: Any) -> None:
    """A verdict must not be taken from a message that may concern another submission."""
    with pytest.raises(MalformedMessageError, match="submission_id"):
        read(**{**SPECIFIED.get(kind, {"type": kind}), "submission_id": value})


@pytest.mark.parametrize("value", [None, 123, "123"])
def test_submission_id_may_be_number_text_or_absent(value: Any) -> None:
    """Servers differ in this."""
    assert read(type="complete", final_status="passed", submission_id=value).submission_id == value


@pytest.mark.parametrize(
    ("summary", "read_as"),
    [
        ({"total_tests": 3, "passed": "two", "failed": None}, Summary(total_tests=3)),
        ({"total_tests": 3.5, "passed": 2, "skipped": 1, "duration_ms": 1.5}, Summary(None, 2, None, 1, 1.5)),
        ({"unknown": 1}, Summary()),
        ({}, Summary()),
        (None, Summary()),
        ("10 of 10", Summary()),
        ([1, 2], Summary()),
    ],
)
def test_valid_counts_of_summary_are_read(summary: Any, read_as: Summary) -> None:
    """An invalid count does not cost the others, nor an invalid summary the verdict."""
    event = read(type="complete", final_status="passed", summary=summary)
    assert event.summary == read_as


def test_analysis_object_is_flattened() -> None:
    """`{category, confidence, explanation, suggestions}` of the other platform; `raw` keeps it all."""
    inner = {"category": "network", "confidence": 0.8, "explanation": "No route", "suggestions": ["Bind to 0.0.0.0"]}
    event = read(type="error_analysis", error="refused", analysis=inner)
    assert (event.error, event.analysis) == ("refused", "No route")
    assert (event.suggestions, event.category) == (("Bind to 0.0.0.0",), "network")
    assert event.raw["analysis"] == inner


def test_fields_of_message_override_analysis_object() -> None:
    """Suggestions and category."""
    inner = {"category": "network", "suggestions": ["inner"]}
    event = read(type="error_analysis", analysis=inner, suggestions=["outer"], category="crash")
    assert (event.analysis, event.suggestions, event.category) == ("", ("outer",), "crash")


@pytest.mark.parametrize(
    ("suggestions", "read_as"),
    [
        (["a", 1, None, "b"], ("a", "b")),
        ("do this", ("do this",)),
        ({"a": "b"}, ()),
        ([], ()),
        (None, ()),
    ],
)
def test_invalid_suggestion_does_not_cost_the_others(suggestions: Any, read_as: tuple[str, ...]) -> None:
    """Suggestions are read one by one."""
    assert read(type="error_analysis", suggestions=suggestions).suggestions == read_as


@pytest.mark.parametrize(
    ("location", "read_as"),
    [
        ({"file": "a.py", "line": 3}, Location("a.py", 3)),
        ({"file": "a.py", "line": "3"}, Location("a.py")),
        ({"file": "a.py", "column": 3}, Location("a.py")),
    ],
)
def test_location_keeps_file_if_line_is_invalid(location: dict[str, Any], read_as: Location) -> None:
    """Even when another field is invalid too."""
    assert read(type="error_analysis", location=location, error="e", category=5).location == read_as


def test_last_duplicate_key_wins() -> None:
    """The same in state and output, and as usual in JSON."""
    event = decode('{"type":"complete","final_status":"failed","final_status":"passed"}')
    assert isinstance(event, Complete)
    assert event.final_status == event.raw["final_status"] == "passed"


@pytest.mark.parametrize(
    ("text", "read_as"),
    [
        (r"cut \ud83d", "cut \ufffd"),
        (r"\ude00 cut", "\ufffd cut"),
        (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (r"\uD83D\uDE00 \uDBFF", "\U0001f600 \ufffd"),
        (r"\\ud83d \ud83d", r"\ud83d " + "\ufffd"),
        (r"\" \/ \n \u00e9 \ud83d", '" / \n é \ufffd'),
    ],
)
def test_lone_surrogate_is_accepted(text: str, read_as: str) -> None:
    """A server that truncates a long text between two surrogates sends such an escape."""
    event = decode(f'{{"type":"test_result","test_name":"A","status":"failed","message":"{text}"}}')
    assert isinstance(event, TestResult)
    assert event.message == read_as


def test_huge_integers_round_trip() -> None:
    """Beyond 64 bits."""
    text = '{"type":"connected","n":123456789012345678901234567890}'
    event = decode(text)
    assert isinstance(event, Unknown)
    assert encode(event.raw) == text


def test_event_is_frozen() -> None:
    """It cannot be changed."""
    event = read(**SPECIFIED["complete"])
    with pytest.raises(AttributeError):
        event.final_status = "failed"


CHANGED = {"test_name": "a", "change": "slower", "before_ms": 5, "duration_ms": 50}


@pytest.mark.parametrize(
    ("compared", "read_as"),
    [
        (
            {"previous": 3, "newly_passing": 1, "newly_failing": 2, "slower": 1, "tests": [CHANGED]},
            Comparison(3, 1, 2, 1, (ChangedTest("a", "slower", 5, 50),)),
        ),
        ({"previous": 3}, Comparison(3)),
        ({"previous": 3, "slower": "many", "later": 1, "tests": "all"}, Comparison(3)),
        (
            {
                "previous": 3,
                "tests": [CHANGED, 7, {"change": "slower"}, {"test_name": "b"}, {**CHANGED, "before_ms": "x"}],
            },
            Comparison(3, tests=(ChangedTest("a", "slower", 5, 50), ChangedTest("a", "slower", None, 50))),
        ),
        ({"newly_passing": 1}, None),
        ({"previous": "x"}, None),
        (7, None),
        (None, None),
    ],
)
def test_valid_parts_of_a_comparison_are_read(compared: Any, read_as: Comparison | None) -> None:
    """An invalid part does not cost the others; a comparison with nothing is none."""
    event = read(type="complete", final_status="passed", compared_to=compared)
    assert event.compared_to == read_as
    text = encode({"type": "complete", "final_status": "passed", "compared_to": compared})
    found = decode(text)
    assert isinstance(found, Complete)
    assert found.compared_to == read_as
