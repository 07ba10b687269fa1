"""The JSON Schema of everything that ``--json`` prints, built from the message types.

``make generate`` writes it to ``subcli/schema.json``, which ``subcli schema`` prints; a test fails if the two differ.
Server events are constrained only in the fields that their type requires: every other field passes through as the
server sent it, so its type is documented but not promised.
"""

from __future__ import annotations

from typing import Any, Final, get_args

import msgspec

from subcli.core.errors import SubcliError
from subcli.core.submission import Connection, ConnectionState
from subcli.output.ndjson import SCHEMA_VERSION
from subcli.shared.messages import MESSAGES, ChangedTest, Comparison, GroupSummary, Summary, Unknown, required_fields
from subcli.shared.run_trace import RunTrace

_ANY: Final[dict[str, Any]] = {}
_INTEGER: Final = {"type": "integer"}
_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "number"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_EXIT_CODE: Final = {"type": "integer", "minimum": 0, "maximum": 143}
_OBJECT: Final = {"type": "object"}
_OBJECTS: Final = {"type": "array", "items": {"type": "object"}}
_OPTIONAL_TEXT: Final = {"type": ["string", "null"]}
_OPTIONAL_OBJECT: Final = {"type": ["object", "null"]}

_NOTES: Final = {
    "seq": "Position in the submission's log, from 1 without gaps; only from servers that number their events.",
    "epoch": "The name of that log, in the event with seq 1; only from servers that name it.",
    "stream": "Where it was printed: build, stdout or stderr.",
    "text": "A piece of what was printed. It may begin and end anywhere.",
    "node": "Which of several processes printed it.",
    "output_seq": "The number of the piece, from 1 without gaps.",
    "after_seq": "The seq of the event that it follows.",
    "duration_ms": "Milliseconds.",
    "total_tests": "How many tests there will be.",
    "queue_position": "1 is next.",
    "attempt": "Above 1 if it is judged again: a worker died, or time ran out on a busy machine.",
    "running_test": "The name of the test that runs, if it takes long; only from servers that tell.",
    "running_ms": "How long it had been running then, in milliseconds.",
    "progress": "0 to 100; only from servers that report it.",
    "expected": "What the test expected; any JSON value.",
    "actual": "What the test got instead; any JSON value.",
    "expected_at": "Where `expected` begins to differ, in characters (code points); only from servers that report it.",
    "actual_at": "Where `actual` begins to differ.",
    "input": "The beginning of the program's input.",
    "rerun": "The command that runs this test locally.",
    "seed": "The seed of the simulated network in which it failed; the same seed gives the same failure.",
    "has_trace": "Whether `subcli status ID --test NAME --diagram` shows how it failed.",
    "outcome": "passed, wrong_answer, time_limit, memory_limit, output_limit, runtime_error, protocol_error, skipped "
    "or judge_error; only from servers that report it.",
    "cpu_ms": "Processor time of the solution in milliseconds.",
    "memory_kb": "The solution's peak memory use, in KiB.",
    "group": "The innermost group of tests that this one belongs to; in a summary: `groups`.",
    "score": "Points: of this test, of the submission or of a group of tests. They do not have to add up.",
    "max_score": "The maximum points.",
    "pass_score": "The points needed to pass, if not all are needed.",
    "location": "Location in the submitted code: {file, line}.",
    "final_status": "The verdict: passed, failed, build_failed, cancelled or error. It alone determines the exit code.",
    "summary": "Counts, and points and groups if there are any: "
    "{total_tests, passed, failed, skipped, duration_ms, score, max_score, pass_score, groups}.",
    "compared_to": "The verdict compared with your previous submission to the same problem that was judged to its end; "
    "only from servers that compare, and not for the first one.",
    "previous": "The id of that submission.",
    "previous_run": "If the submission was judged again: its own run that this one is compared with.",
    "newly_passing": "How many tests pass now and did not before.",
    "newly_failing": "How many tests passed before and fail now.",
    "slower": "How many tests pass as before, but take at least twice as long, and 50 ms longer.",
    "change": "newly_passing, newly_failing or slower.",
    "before_ms": "How long the test took before, in milliseconds.",
    "groups": "The outcome of each group of tests, if there are groups: [{name, outcome, score, max_score}]. "
    "Subgroups follow their group; hidden groups are left out.",
}


def build() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12)."""
    events = {name: _event(name) for name in MESSAGES}
    lines = _own_lines()
    definitions = {**lines, **events, "other_event": _other_event([*lines, *events]), **_objects()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Everything that subcli --json prints",
        "description": "The lines of submit and watch, and the object of every other command. `schema` is the version.",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in definitions],
        "$defs": definitions,
    }


def _own_lines() -> dict[str, Any]:
    """The lines of subcli itself: of `submit` and `watch`, and the first one of `serve` and `worker`."""
    ready = {"url": _TEXT, "data_dir": _TEXT, "database": _TEXT, "pid": _COUNT}
    working = {"database": _TEXT, "redis": _TEXT, "concurrency": _COUNT, "pid": _COUNT}
    result = {"final_status": _TEXT, "summary": _summary("object"), "exit_code": _EXIT_CODE}
    compared = {"compared_to": _comparison("object")}
    return {
        "submitted": _line(
            "submitted", {"url": _OPTIONAL_TEXT, **dict.fromkeys(("status", "created_at", "epoch"), _TEXT)}, ["url"]
        ),
        "connection": _line("connection", _connection_fields(), ["state"]),
        "result": _line("result", {**result, **compared}, list(result)),
        "error": _error(),
        "ready": _line("ready", ready, list(ready), base=("schema", "type")),
        "working": _line("working", working, list(working), base=("schema", "type")),
    }


def _objects() -> dict[str, Any]:
    """The single object of every command that does not watch."""
    return {
        "status": _status(),
        "trace": _object({"trace": _trace()}),
        "list": _list(),
        "cancel": _object({"cancel": _OBJECT}),
        "rejudge": _object({"rejudge": _rejudge()}),
        "results": _object({"problem": _TEXT, "results": _OBJECTS}),
        "source": _object({"source": _source()}),
        "open": _object({"open": _OBJECT}),
        "problems": _object({"problems": _OBJECTS}),
        "languages": _object({"languages": _OBJECTS}),
        "problem": _object({"problem": _OBJECT}),
        "auth": _object({"auth": _OBJECT}),
        "login": _object({"login": _OBJECT}),
        "logout": _object({"logout": _OBJECT}),
        "token": _object({"token": _TEXT}),
        "access_token": _object({"access_token": _OBJECT}),
        "access_tokens": _object({"access_tokens": _OBJECTS}),
        "password": _object({"password": _OBJECT}),
        "share": _object({"share": _OBJECT}),
        "user": _object({"user": _OBJECT}),
        "users": _object({"users": _OBJECTS}),
        "group": _object({"group": _OBJECT}),
        "groups": _object({"groups": _OBJECTS}),
        "database_check": _object({"database_check": _OBJECT}),
        "backup": _object({"backup": _OBJECT}),
        "prune": _object({"prune": _OBJECT}),
        "compact": _object({"compact": _OBJECT}),
        "init": _object({"directory": _TEXT, "files": {"type": "array", "items": _TEXT}}),
        "doctor": _object({"doctor": _doctor()}),
        "check": _object({"check": _OBJECT}),
        "completion": _object({"completion": _OBJECT}),
    }


def _list() -> dict[str, Any]:
    cursor = {**_TEXT, "description": "For `--cursor`, if there are more; only with filters, `--all` or `--user`."}
    listed = _object({"submissions": _OBJECTS})
    return {**listed, "properties": {**listed["properties"], "next_cursor": cursor}}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"schema": {"const": SCHEMA_VERSION}, "type": False, **properties},
        "required": ["schema", *properties],
    }


def _line(
    kind: str,
    properties: dict[str, Any],
    required: list[str],
    *,
    base: tuple[str, ...] = ("schema", "type", "timestamp", "submission_id"),
) -> dict[str, Any]:
    known = {
        "schema": {"const": SCHEMA_VERSION},
        "type": {"const": kind},
        "timestamp": _TEXT,
        "submission_id": {**_INTEGER, "description": "0 for what `subcli test` judges on this machine."},
    }
    return {
        "type": "object",
        "properties": {**{name: known[name] for name in base}, **properties},
        "required": [*base, *required],
    }


def _event(kind: str) -> dict[str, Any]:
    required, optional = required_fields(kind)
    properties = {name: note for name, note in _described(MESSAGES[kind]).items() if name in optional}
    if "summary" in properties:
        properties["summary"] = {**_summary(), **properties["summary"]}
    if "compared_to" in properties:
        properties["compared_to"] = _comparison()
    properties |= {
        name: {**_TEXT, **({"description": _NOTES[name]} if name in _NOTES else {})} for name in sorted(required)
    }
    return _line(kind, properties, sorted(required))


def _summary(*types: str) -> dict[str, Any]:
    """The summary of a verdict; it comes from a server, so its fields are documented but not promised."""
    known = {"type": types[0] if len(types) == 1 else list(types)} if types else {}
    groups = {"items": {"properties": _described(GroupSummary)}, "description": _NOTES["groups"]}
    return {**known, "properties": {**_described(Summary), "groups": groups}}


def _comparison(*types: str) -> dict[str, Any]:
    """What a verdict is compared to; it comes from a server, like its summary."""
    known = {"type": types[0] if len(types) == 1 else list(types)} if types else {}
    tests = {"items": {"properties": _described(ChangedTest)}, "description": "The first of them, failures first."}
    return {**known, "properties": {**_described(Comparison), "tests": tests}, "description": _NOTES["compared_to"]}


def _described(cls: type[msgspec.Struct]) -> dict[str, Any]:
    names = [field.encode_name for field in msgspec.structs.fields(cls)]
    return {name: {"description": _NOTES[name]} if name in _NOTES else _ANY for name in names}


def _other_event(known: list[str]) -> dict[str, Any]:
    event = _line("", {"seq": {"description": _NOTES["seq"]}}, [])
    event["properties"]["type"] = {"type": "string", "not": {"enum": known}}
    event["description"] = f"An event of a type that this version does not know ({Unknown.__name__} in the library)."
    return event


def _connection_fields() -> dict[str, Any]:
    forms = {
        "state": {"enum": list(get_args(ConnectionState))},
        "attempt": {**_COUNT, "description": "Number of the attempt while reconnecting."},
        "delay_s": {**_NUMBER, "minimum": 0, "description": "Seconds until the next attempt or poll."},
        "code": {"type": "integer", "description": "Close code or HTTP status that caused this state."},
        "reason": {**_TEXT, "description": "What the server said, or what was observed."},
    }
    return {name: forms[name] for name in Connection.__struct_fields__}


def _error() -> dict[str, Any]:
    kinds = sorted({cls.kind for cls in SubcliError.__subclasses__()})
    detail = {
        "type": "object",
        "properties": {"kind": {"enum": kinds}, "message": _TEXT, "hint": _TEXT},
        "required": ["kind", "message", "hint"],
    }
    line = _line("error", {"error": detail, "exit_code": _EXIT_CODE}, ["error", "exit_code"])
    line["required"].remove("submission_id")
    line["description"] = (
        "Without submission_id before there is one, and in the output of commands other than submit and watch."
    )
    return line


def _doctor() -> dict[str, Any]:
    states = ["ok", "warning", "failed", "skipped"]
    finding = {
        "type": "object",
        "properties": {"name": _TEXT, "state": {"enum": states}, "detail": _TEXT, "cure": _TEXT},
        "required": ["name", "state", "detail", "cure"],
    }
    properties = {"findings": {"type": "array", "items": finding}, "exit_code": _EXIT_CODE}
    return {"type": "object", "properties": properties, "required": list(properties)}


def _rejudge() -> dict[str, Any]:
    required: dict[str, Any] = {
        "dry_run": {"type": "boolean"},
        "matched": {**_COUNT, "description": "Submissions with a verdict."},
        "unfinished": {**_COUNT, "description": "Submissions without one, which are left alone."},
        "queued": {**_COUNT, "description": "How many wait for their new judging now."},
    }
    optional: dict[str, Any] = {
        "verdicts": {**_OBJECT, "description": "How many with each verdict."},
        "users": {**_COUNT, "description": "Whose they are."},
        "key": {**_TEXT, "description": "For `--key`, to repeat the command."},
    }
    return {"type": "object", "properties": {**required, **optional}, "required": list(required)}


def _source() -> dict[str, Any]:
    fields = {"submission_id": _INTEGER, "directory": _TEXT, "files": {"type": "array", "items": _TEXT}}
    return {"type": "object", "properties": fields, "required": list(fields)}


def _trace() -> dict[str, Any]:
    """How a test on several nodes failed; it comes from a server, so its fields are documented but not promised."""
    ours = {"submission_id": _INTEGER, "test_id": _OPTIONAL_TEXT, "test_name": _TEXT}
    fields = {field.encode_name: _ANY for field in msgspec.structs.fields(RunTrace)}
    return {"type": "object", "properties": {**fields, **ours}, "required": list(ours)}


def _status() -> dict[str, Any]:
    fields: dict[str, Any] = {
        "submission_id": _INTEGER,
        "problem": {"type": ["string", "integer", "null"]},
        "problem_version": _OPTIONAL_TEXT,
        "language": _OPTIONAL_TEXT,
        "status": _OPTIONAL_TEXT,
        "final_status": _OPTIONAL_TEXT,
        "summary": _summary("object", "null"),
        "created_at": _OPTIONAL_TEXT,
        "finished_at": _OPTIONAL_TEXT,
        "url": _OPTIONAL_TEXT,
        "build_log": _OPTIONAL_TEXT,
        "compared_to": _comparison("object", "null"),
        "tests": _OBJECTS,
    }
    runs = {
        "run": {"type": ["integer", "null"], "description": "Which judging this is about, from 1."},
        "runs": {"type": ["array", "null"], "items": _OBJECT, "description": "All judgings, oldest first."},
    }
    status = _object(fields)
    return {**status, "properties": {**status["properties"], **runs}}
