"""Decodes frames into messages. Pure: no I/O, no clock.

Optional fields are read leniently: one of an unexpected type counts as absent, since a number in place of a text must
not cost anybody a verdict. Required fields are checked, and so is ``submission_id``: one that is neither number nor
text makes the message invalid.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from subcli.shared.lenient_json import read_json
from subcli.shared.messages import (
    MESSAGES,
    ChangedTest,
    Comparison,
    Complete,
    Control,
    ErrorAnalysis,
    GroupSummary,
    Location,
    Message,
    Output,
    Raw,
    Row,
    StatusUpdate,
    Summary,
    TestResult,
    Unknown,
)
from subcli.shared.protocol import MAX_DEPTH, PING, PONG

_CONTROLS: Final = {PONG: Control(PONG), PING: Control(PING, reply=PONG)}
_CONTROL_CHARS: Final = 4
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeError)
"""What ``msgspec`` raises: the latter for a text with a lone surrogate where it looks for a number."""

_decode_typed: Final = msgspec.json.Decoder(StatusUpdate | TestResult | ErrorAnalysis | Complete | Output).decode


@functools.cache
def _field_types(cls: type[msgspec.Struct]) -> dict[str, Any]:
    """The fields of a class by their names in JSON. Only frames that are not plain need them; most runs see none."""
    return {field.encode_name: field.type for field in msgspec.structs.fields(cls)}


@functools.cache
def _required(cls: type[msgspec.Struct]) -> frozenset[str]:
    return frozenset(field.encode_name for field in msgspec.structs.fields(cls) if field.required)


class MalformedMessageError(ValueError):
    """A frame is not a valid message of this protocol. The text says why."""


def decode(frame: str | bytes) -> Message | Control:
    """The message in one frame.

    Raises:
        MalformedMessageError: the frame is binary, not JSON, not an object, absurdly nested, or lacks
            what its type needs.
    """
    if not isinstance(frame, str):
        raise MalformedMessageError("a binary frame")
    if len(frame) == _CONTROL_CHARS and frame in _CONTROLS:
        return _CONTROLS[frame]
    if ("[" in frame or frame.find("{", 1) > 0) and frame.count("{") + frame.count("[") > MAX_DEPTH:
        if _nests_too_deeply(frame):
            raise MalformedMessageError(_TOO_DEEP)
    elif (event := _decode_plain(frame)) is not None:
        return event
    try:
        raw = read_json(frame)
    except ValueError as error:
        raise MalformedMessageError(str(error)) from None
    return _event(raw)


def _decode_plain(frame: str) -> Message | None:
    """The event in a frame as nearly all of them are: valid as it stands, and fit to be passed on as it came.

    A third of the cost of the general way, of which this is a special case: it decodes typed, and once. Frames with
    unknown fields are not plain: a decoder that skips a value does not see that its number is out of range.
    """
    if frame[:1] != "{" or not frame.isascii() or "\n" in frame or "\r" in frame or "\t" in frame or "\x7f" in frame:
        # White space between tokens, and DEL. Other control characters are not valid in JSON.
        return None
    if "\\" in frame and "\\u" in frame:
        return None
    try:
        event: Message = _decode_typed(frame)
    except _UNREADABLE:
        return None
    event.__dict__["frame"] = frame
    return event


_TOO_DEEP: Final = "JSON nested too deeply"
_BRACKET_OR_STRING: Final = re.compile(r'[\[{]|([\]}])|("(?:[^"\\]|\\.)*"?)', re.DOTALL)


def _nests_too_deeply(text: str) -> bool:
    """Checked before decoding: at the end of the interpreter's stack anything may fail."""
    depth = 0
    for match in _BRACKET_OR_STRING.finditer(text):
        if match[2] is None:
            depth += 1 if match[1] is None else -1
            if depth > MAX_DEPTH:
                return True
    return False


def from_mapping(raw: object, row: Row | None = None) -> Message:
    """The event in a decoded JSON value.

    Args:
        raw: the value.
        row: where it was listed, if it is a result from REST.

    Raises:
        MalformedMessageError: it is not an object, has no ``type``, lacks what its type needs, or is
            absurdly nested.
    """
    if _deeper_than(MAX_DEPTH, raw):
        raise MalformedMessageError(_TOO_DEEP)
    event = _event(raw)
    if row is not None:
        event.__dict__["row"] = row
    return event


def _deeper_than(depth: int, value: object) -> bool:
    if isinstance(value, dict):
        inner: Iterable[object] = value.values()
    elif isinstance(value, list):
        inner = value
    else:
        return False
    return depth == 0 or any(_deeper_than(depth - 1, part) for part in inner)


def _event(raw: object) -> Message:
    if not isinstance(raw, dict):
        raise MalformedMessageError("not a JSON object")
    kind = raw.get("type")
    if not isinstance(kind, str) or not kind:
        raise MalformedMessageError("no type")
    cls = MESSAGES.get(kind, Unknown)
    read = _with_message(raw) if cls is TestResult and raw.get("message") is None else raw
    known = _field_types(cls)
    try:
        event = msgspec.convert({name: value for name, value in read.items() if name in known}, cls)
    except _UNREADABLE:
        event = _decode_leniently(read, cls)
    event.__dict__["raw"] = raw
    return event


def _with_message(raw: Raw) -> Raw:
    """A ``test_result`` with its message, which some platforms send under other names (contract, section 6)."""
    details = raw.get("details")
    said = (raw.get("error_message"), raw.get("error"), details.get("error") if isinstance(details, dict) else None)
    message = next((text for text in said if isinstance(text, str) and text), None)
    return raw if message is None else {**raw, "message": message}


def _decode_leniently(raw: Raw, cls: type[Message]) -> Message:
    """``raw`` as a ``cls``, ignoring optional fields of unexpected types."""
    flat = _flattened_analysis(raw) if cls is ErrorAnalysis else raw
    fields = _readable(flat, cls)
    for name in _required(cls):
        if name not in fields:
            raise MalformedMessageError(f"{raw['type']} without a usable {name}")
    if raw.get("submission_id") is not None and "submission_id" not in fields:
        raise MalformedMessageError("a submission_id that is neither number nor text")
    return cls(**fields)


def _readable(raw: Raw, cls: type[msgspec.Struct]) -> dict[str, Any]:
    """The fields of ``cls`` that ``raw`` has with the right type."""
    fields: dict[str, Any] = {}
    for name, kind in _field_types(cls).items():
        if name not in raw:
            continue
        value = _salvage(name, raw[name])
        with contextlib.suppress(*_UNREADABLE):
            fields[name] = msgspec.convert(value, kind)
    return fields


def _salvage(name: str, value: Any) -> Any:
    """The readable part of a composite field."""
    match name, value:
        case "summary", dict():
            return read_summary(value)
        case "groups", list():
            groups = [_readable(entry, GroupSummary) for entry in value if isinstance(entry, dict)]
            return [group for group in groups if "name" in group]
        case "compared_to", dict():
            known = _readable(value, Comparison)
            return Comparison(**known) if "previous" in known else None
        case "tests", list():
            tests = [_readable(entry, ChangedTest) for entry in value if isinstance(entry, dict)]
            return [test for test in tests if "test_name" in test and "change" in test]
        case "location", {"file": str(file)}:
            return Location(file, _readable(value, Location).get("line"))
        case "suggestions", str():
            return [value]
        case "suggestions", list():
            return [entry for entry in value if isinstance(entry, str)]
        case _:
            return value


def read_summary(value: object) -> Summary:
    """The readable counts of a JSON value that should be a summary; none of them if it is not even an object."""
    return Summary(**_readable(value, Summary)) if isinstance(value, dict) else Summary()


def _flattened_analysis(raw: Raw) -> Raw:
    """An ``error_analysis`` whose ``analysis`` is an object (contract, section 6), in the usual shape."""
    inner = raw.get("analysis")
    if not isinstance(inner, dict):
        return raw
    return {
        **raw,
        "analysis": inner.get("explanation"),
        "suggestions": raw.get("suggestions") or inner.get("suggestions"),
        "category": raw.get("category") or inner.get("category"),
    }
