"""Decoding and encoding the messages of the specification. Pure: no I/O, no clock.

Server to client, each a JSON object in one text frame (specification, "Message Protocol")::

    status_update   a stage of judging was reached
    test_result     one test ended
    error_analysis  why one test failed
    complete        the verdict; nothing follows

Anything else that has a ``type`` is an :class:`Unknown` event: kept, shown in JSON, otherwise ignored.
There are also bare texts that are not JSON: ``pong`` (the answer to our ping) and ``ping`` (ours; some platforms send
it as well and expect ``pong``).

An event keeps the mapping it was decoded from (``raw``) besides its typed fields, so that unknown fields are passed on.
Optional fields are read leniently: one of an unexpected type counts as absent, since a number in place of a text must
not cost anybody a verdict. Required fields are checked, and so is ``submission_id``: one that is neither number nor
text makes the message invalid.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import IntEnum
from typing import Annotated, Any, ClassVar, Final, TypeAlias

import msgspec

Raw: TypeAlias = Mapping[str, Any]
Seq: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
"""From 1 to the largest integer of JavaScript; anything else counts as absent."""

Word: TypeAlias = Annotated[str, msgspec.Meta(min_length=1)]

MAX_MESSAGE_BYTES: Final = 64 * 1024
"""The largest message a server sends (specification, "Server Configuration")."""

MAX_FRAME_BYTES: Final = 1024 * 1024
"""The largest frame that a client accepts (contract, section 7)."""

MAX_DEPTH: Final = 64
"""How deeply objects and lists may be nested (contract, section 7)."""

MAX_ID: Final = 2**63 - 1
"""The largest id of a submission (contract, section 1)."""

MAX_SOURCE_BYTES: Final = 256 * 1024
"""The largest submission, all files together (contract, section 2)."""

PING: Final = "ping"
"""The heartbeat as the specification's own client sends it; some servers know only this form."""

PONG: Final = "pong"

TERMINAL_STATUSES: Final = frozenset(
    {"completed", "failed", "build_failed", "deploy_failed", "validation_failed", "cancelled", "error"}
)
"""Statuses of a snapshot after which nothing changes (contract, section 6)."""

STATUS_RANKS: Final = {
    "pending": 0,
    "queued": 0,
    "submitted": 0,
    "building": 1,
    "built": 2,
    "deploying": 3,
    "testing": 4,
    "running": 4,
    **dict.fromkeys(TERMINAL_STATUSES, 9),
}
"""How far a submission with this status has come."""


class CloseCode(IntEnum):
    """Close codes (RFC 6455 section 7.4; specification, "Error Handling")."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005
    ABNORMAL = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    UNAUTHORIZED = 4003
    NOT_FOUND = 4004
    LOG_REPLACED = 4010
    RATE_LIMITED = 4029


class MalformedMessageError(ValueError):
    """A frame is not a valid message of this protocol. The text says why."""


class Summary(msgspec.Struct, frozen=True):
    """The counts that come with ``complete``. They never override the verdict."""

    total_tests: int | None = None
    passed: int | None = None
    failed: int | None = None
    skipped: int | None = None
    duration_ms: float | None = None


class Location(msgspec.Struct, frozen=True):
    """A place in the submitted code."""

    file: str
    line: int | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One server message about a submission. ``raw`` is the mapping it came as.

    Attributes:
        submission_id: as the server sent it, if it did.
        seq: position in the submission's log, from 1 without holes; ``None`` from servers without it.
        epoch: the name of that log; only the event with ``seq`` 1 has it.
        timestamp: as the server wrote it.
    """

    type_name: ClassVar[str] = ""
    submission_id: int | str | None = None
    seq: Seq | None = None
    epoch: Word | None = None
    timestamp: str | None = None

    @property
    def raw(self) -> Raw:
        """The mapping that this event was decoded from, with every field."""
        raw: Raw = self.__dict__["raw"]
        return raw

    @property
    def type(self) -> str:
        """The message's ``type``."""
        return str(self.raw["type"])


class StatusUpdate(Event, frozen=True, kw_only=True):
    """``status_update``: a stage was reached."""

    type_name: ClassVar[str] = "status_update"
    status: Word
    total_tests: int | None = None
    queue_position: int | None = None
    attempt: int | None = None
    detail: str | None = None
    progress: float | None = None


class Row(msgspec.Struct, frozen=True):
    """Where a result stands in a listing over REST, which tells apart what ids and names do not.

    Attributes:
        id: the row's own id, or its place among its namesakes.
        namesakes: how many rows of the same type and name there are, itself included, ended or not.
    """

    id: str
    namesakes: int


class TestResult(Event, frozen=True, kw_only=True):
    """``test_result``: one test ended. ``duration_ms`` in milliseconds."""

    __test__: ClassVar[bool] = False  # not a test class, whatever pytest thinks of the name
    type_name: ClassVar[str] = "test_result"
    test_name: str
    status: Word
    duration_ms: float | None = None
    test_id: int | str | None = None
    test_type: str | None = None
    message: str | None = None
    expected: Any = None
    actual: Any = None
    output: str | None = None
    error_category: str | None = None

    @property
    def row(self) -> Row | None:
        """Its row, if it was listed over REST instead of sent over the socket."""
        row: Row | None = self.__dict__.get("row")
        return row

    @property
    def number(self) -> int:
        """Which test of the submission this is, counted from 0; set by the watch that takes the result."""
        return int(self.__dict__["number"])


class ErrorAnalysis(Event, frozen=True, kw_only=True):
    """``error_analysis``: why something failed, and what to do about it."""

    type_name: ClassVar[str] = "error_analysis"
    error: str = ""
    analysis: str = ""
    suggestions: tuple[str, ...] = ()
    test_id: int | str | None = None
    test_name: str | None = None
    test_type: str | None = None
    category: str | None = None
    location: Location | None = None


class Complete(Event, frozen=True, kw_only=True):
    """``complete``: the verdict. ``final_status`` alone decides (contract, section 1)."""

    type_name: ClassVar[str] = "complete"
    final_status: Word
    summary: Summary = Summary()


class Unknown(Event, frozen=True, kw_only=True):
    """An event of an unknown type."""


class Control(msgspec.Struct, frozen=True):
    """A bare text that is not JSON. ``reply`` is what the sender expects, if anything."""

    text: str
    reply: str | None = None


Message: TypeAlias = StatusUpdate | TestResult | ErrorAnalysis | Complete | Unknown
_TYPES: Final[dict[str, type[Message]]] = {
    cls.type_name: cls for cls in (StatusUpdate, TestResult, ErrorAnalysis, Complete)
}
_CONTROLS: Final = {PONG: Control(PONG), PING: Control(PING, reply=PONG)}
_REQUIRED: Final[dict[type[msgspec.Struct], frozenset[str]]] = {
    cls: frozenset(f.encode_name for f in msgspec.structs.fields(cls) if f.required) for cls in _TYPES.values()
}
_FIELD_TYPES: Final[dict[type[msgspec.Struct], dict[str, Any]]] = {
    cls: {f.encode_name: f.type for f in msgspec.structs.fields(cls)}
    for cls in (*_TYPES.values(), Unknown, Summary, Location)
}
_decode_json: Final = msgspec.json.Decoder().decode
_encode_json: Final = msgspec.json.Encoder().encode


EVENT_TYPES: Final = tuple(_TYPES)
"""The types of the specification."""


def required_fields(kind: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """The required and the optional fields of a type in :data:`EVENT_TYPES`."""
    cls = _TYPES[kind]
    outer = ("submission_id", "timestamp")
    return _REQUIRED[cls], tuple(name for name in _FIELD_TYPES[cls] if name not in (*_REQUIRED[cls], *outer))


def decode(frame: str | bytes) -> Message | Control:
    """The message in one frame.

    Raises:
        MalformedMessageError: the frame is binary, not JSON, not an object, absurdly nested, or lacks
            what its type needs.
    """
    if not isinstance(frame, str):
        raise MalformedMessageError("a binary frame")
    control = _CONTROLS.get(frame)
    if control is not None:
        return control
    if frame.count("{") + frame.count("[") > MAX_DEPTH and _nests_too_deeply(frame):
        raise MalformedMessageError(_TOO_DEEP)
    return _event(_json(frame))


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


def _json(text: str) -> object:
    try:
        try:
            return _decode_json(text)
        except msgspec.DecodeError:
            return _decode_json(_replace_lone_surrogates(text))
    except (msgspec.DecodeError, UnicodeError) as error:
        raise MalformedMessageError(f"not JSON: {error}") from None


_LONE_SURROGATE: Final = re.compile(
    r"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\[^u])|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)


def _replace_lone_surrogates(text: str) -> str:
    """``text`` with U+FFFD for lone surrogates, which servers that cut long texts leave behind."""
    return _LONE_SURROGATE.sub(lambda match: match[1] or "\ufffd", text)


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
    cls = _TYPES.get(kind, Unknown)
    read = _with_message(raw) if cls is TestResult and raw.get("message") is None else raw
    try:
        event = msgspec.convert(read, cls)
    except msgspec.ValidationError:
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
    for name in _REQUIRED.get(cls, ()):
        if name not in fields:
            raise MalformedMessageError(f"{raw['type']} without a usable {name}")
    if raw.get("submission_id") is not None and "submission_id" not in fields:
        raise MalformedMessageError("a submission_id that is neither number nor text")
    return cls(**fields)


def _readable(raw: Raw, cls: type[msgspec.Struct]) -> dict[str, Any]:
    """The fields of ``cls`` that ``raw`` has with the right type."""
    fields: dict[str, Any] = {}
    for name, kind in _FIELD_TYPES[cls].items():
        if name not in raw:
            continue
        value = _salvage(name, raw[name])
        with contextlib.suppress(msgspec.ValidationError):
            fields[name] = msgspec.convert(value, kind)
    return fields


def _salvage(name: str, value: Any) -> Any:
    """The readable part of a composite field."""
    match name, value:
        case "summary", dict():
            return read_summary(value)
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


# C0 but tab and newline, DEL, C1, zero-width, bidi marks, embeddings, overrides and isolates, the BOM,
# line and paragraph separators; what Unicode calls default ignorable (DerivedCoreProperties.txt), among it letters
# without a shape, variation selectors and tags; lone surrogates cannot be encoded at all.
INVISIBLE: Final = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
_INVISIBLE: Final = re.compile(f"[{INVISIBLE}]")


def encode(mapping: Mapping[str, Any]) -> str:
    """``mapping`` as JSON text on one line, with control and invisible characters as ``\\uXXXX``.

    Raises:
        TypeError: JSON cannot represent a value.
        UnicodeEncodeError: a text contains half a surrogate pair.
    """
    text = _encode_json(mapping).decode()
    if text.isascii() and "\x7f" not in text:
        return text
    return _INVISIBLE.sub(_escaped, text)


def encode_any(mapping: Mapping[str, Any]) -> str:
    """As :func:`encode`, for any text: half a surrogate pair, as in a file name that is not UTF-8, becomes an escape.

    That is JSON too (RFC 8259, section 8.2).

    Raises:
        TypeError: JSON cannot represent a value.
    """
    try:
        return encode(mapping)
    except UnicodeEncodeError:
        return json.dumps(mapping, separators=(",", ":"))


def _escaped(match: re.Match[str]) -> str:
    units = match.group().encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def timestamp(seconds: float) -> str:
    """Unix time as RFC 3339 in UTC with milliseconds: ``2024-01-15T10:38:00.000Z``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
