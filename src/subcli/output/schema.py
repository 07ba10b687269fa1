"""The JSON Schema of everything that ``--json`` prints, built from the messages themselves.

``make generate`` writes it to ``subcli/schema.json``, which ``subcli schema`` prints; a test fails where the
two differ. Of server events only what a type *needs* is constrained: every other field passes through as the
server wrote it, so its type is documented and not promised.
"""

from __future__ import annotations

from typing import Any, Final, get_args

from subcli.core.errors import SubcliError
from subcli.core.submission import Connection, ConnectionState
from subcli.output.ndjson import SCHEMA
from subcli.shared.protocol import EVENT_TYPES, Unknown, required_fields

_ANY: Final[dict[str, Any]] = {}
_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "number"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_EXIT: Final = {"type": "integer", "minimum": 0, "maximum": 143}
_OBJECT: Final = {"type": "object"}
_OBJECTS: Final = {"type": "array", "items": {"type": "object"}}
_OPTIONAL_TEXT: Final = {"type": ["string", "null"]}
_OPTIONAL_OBJECT: Final = {"type": ["object", "null"]}

_NOTES: Final = {
    "seq": "Position in the submission's log, from 1 without holes. From servers that number their events.",
    "duration_ms": "Milliseconds.",
    "total_tests": "How many tests there will be.",
    "queue_position": "1 is next.",
    "attempt": "Above 1 where a worker died and the submission is judged again.",
    "progress": "0 to 100, from servers that say that.",
    "expected": "What the test expected, in any form.",
    "actual": "What it got instead.",
    "location": "Place in the submitted code: {file, line}.",
    "final_status": "The verdict: passed, failed, build_failed, cancelled or error. It alone decides.",
    "summary": "Counts: {total_tests, passed, failed, skipped, duration_ms}.",
}


def build() -> dict[str, Any]:
    """The schema (JSON Schema 2020-12)."""
    events = {name: _event(name) for name in EVENT_TYPES}
    own = {
        "submitted": _line("submitted", {"url": _OPTIONAL_TEXT, "status": _TEXT, "created_at": _TEXT}, ["url"]),
        "connection": _line("connection", _connection_fields(), ["state"]),
        "result": _line(
            "result",
            {"final_status": _TEXT, "summary": {"type": "object"}, "exit_code": _EXIT},
            ["final_status", "summary", "exit_code"],
        ),
        "error": _error(),
        "ready": _line(
            "ready",
            {"url": _TEXT, "data_dir": _TEXT, "database": _TEXT, "pid": _COUNT},
            ["url", "data_dir", "database", "pid"],
            base=("schema", "type"),
        ),
        "working": _line(
            "working",
            {"database": _TEXT, "redis": _TEXT, "concurrency": _COUNT, "pid": _COUNT},
            ["database", "redis", "concurrency", "pid"],
            base=("schema", "type"),
        ),
    }
    objects = {
        "status": _status(),
        "list": _object({"submissions": _OBJECTS}),
        "cancel": _object({"cancel": _OBJECT}),
        "open": _object({"open": _OBJECT}),
        "problems": _object({"problems": _OBJECTS}),
        "problem": _object({"problem": {"type": "object"}}),
        "auth": _object({"auth": {"type": "object"}}),
        "login": _object({"login": {"type": "object"}}),
        "logout": _object({"logout": {"type": "object"}}),
        "token": _object({"token": _TEXT}),
        "user": _object({"user": {"type": "object"}}),
        "users": _object({"users": _OBJECTS}),
        "init": _object({"directory": _TEXT, "files": {"type": "array", "items": _TEXT}}),
        "doctor": _object({"doctor": _doctor()}),
        "check": _object({"check": {"type": "object"}}),
        "completion": _object({"completion": {"type": "object"}}),
    }
    definitions = {**own, **events, "other_event": _other_event([*own, *events]), **objects}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Everything that subcli --json prints",
        "description": "Lines of submit and watch, the one object of the other commands. Version: `schema`.",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in definitions],
        "$defs": definitions,
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"schema": {"const": SCHEMA}, "type": False, **properties},
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
        "schema": {"const": SCHEMA},
        "type": {"const": kind},
        "timestamp": _TEXT,
        "submission_id": {"type": "integer"},
    }
    return {
        "type": "object",
        "properties": {**{name: known[name] for name in base}, **properties},
        "required": [*base, *required],
    }


def _event(kind: str) -> dict[str, Any]:
    required, optional = required_fields(kind)
    properties: dict[str, Any] = {name: {"description": _NOTES[name]} if name in _NOTES else _ANY for name in optional}
    properties |= {
        name: {**_TEXT, **({"description": _NOTES[name]} if name in _NOTES else {})} for name in sorted(required)
    }
    return _line(kind, properties, sorted(required))


def _other_event(known: list[str]) -> dict[str, Any]:
    event = _line("", {"seq": {"description": _NOTES["seq"]}}, [])
    event["properties"]["type"] = {"type": "string", "not": {"enum": known}}
    event["description"] = f"An event of a type not known to this version ({Unknown.__name__} in the library)."
    return event


def _connection_fields() -> dict[str, Any]:
    forms = {
        "state": {"enum": list(get_args(ConnectionState))},
        "attempt": {**_COUNT, "description": "Number of this try while connecting again."},
        "delay_s": {**_NUMBER, "minimum": 0, "description": "Seconds until the next try or poll."},
        "code": {"type": "integer", "description": "Close code or HTTP status that led here."},
        "reason": {**_TEXT, "description": "What the other side said, or what was found."},
    }
    return {name: forms[name] for name in Connection.__struct_fields__}


def _error() -> dict[str, Any]:
    kinds = sorted({cls.kind for cls in SubcliError.__subclasses__()})
    detail = {
        "type": "object",
        "properties": {"kind": {"enum": kinds}, "message": _TEXT, "hint": _TEXT},
        "required": ["kind", "message", "hint"],
    }
    line = _line("error", {"error": detail, "exit_code": _EXIT}, ["error", "exit_code"])
    line["required"].remove("submission_id")
    line["description"] = (
        "Without submission_id where there is none yet, and from commands other than submit and watch."
    )
    return line


def _doctor() -> dict[str, Any]:
    states = ["ok", "warning", "failed", "skipped"]
    finding = {
        "type": "object",
        "properties": {"name": _TEXT, "state": {"enum": states}, "detail": _TEXT, "cure": _TEXT},
        "required": ["name", "state", "detail", "cure"],
    }
    properties = {"findings": {"type": "array", "items": finding}, "exit_code": _EXIT}
    return {"type": "object", "properties": properties, "required": list(properties)}


def _status() -> dict[str, Any]:
    fields: dict[str, Any] = {
        "submission_id": {"type": "integer"},
        "problem": {"type": ["string", "integer", "null"]},
        "language": _OPTIONAL_TEXT,
        "status": _OPTIONAL_TEXT,
        "final_status": _OPTIONAL_TEXT,
        "summary": _OPTIONAL_OBJECT,
        "created_at": _OPTIONAL_TEXT,
        "finished_at": _OPTIONAL_TEXT,
        "url": _OPTIONAL_TEXT,
        "build_log": _OPTIONAL_TEXT,
        "tests": {"type": "array", "items": {"type": "object"}},
    }
    return _object(fields)
