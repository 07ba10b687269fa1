"""How a log is stored once nobody adds to it any more: in a twentieth of the bytes. Pure.

The events of a submission repeat each other, and those of other submissions to the same problem: field names, names of
tests, its own id. `zlib` finds the former by itself, and the latter in a preset dictionary (RFC 1950, section 2.2). The
dictionary of a problem is made of one of its logs, and stored beside the logs, which cannot be read without it. It
contains what the problem's author wrote, and nothing of what a solution printed: it stays when a submission is deleted.

An event is kept to the byte. A log is cut into parts of bounded size, so that a reader in its middle need not hold all
of it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from subcli.shared.encoding import encode

Event: TypeAlias = tuple[str, str]
"""Its type, and the encoded message."""
PART_BYTES: Final = 256 * 1024
"""A part of a log ends with the event that reaches this size."""
_LEVEL: Final = 9
_DICTIONARY_BYTES: Final = 16 * 1024
"""`zlib` looks back 32 KiB, of which the log itself needs a part."""
_AUTHORED: Final = frozenset(
    {"type", "status", "final_status", "test_id", "test_name", "test_type", "group", "category", "total_tests"}
)
"""The fields whose values come from the judge or from the problem's author, not from a solution."""
_NAME_CHARS: Final = 200
_KNOWN_SHARE: Final = 0.5
"""A dictionary fits a log if it has this share of the names of its tests."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[tuple[str, str]]).decode


class DamagedError(Exception):
    """What was stored of a log cannot be read."""


def pack(events: Sequence[Event], dictionary: bytes) -> bytes:
    """Compress a part of a log."""
    compressor = zlib.compressobj(_LEVEL, zdict=dictionary)
    return compressor.compress(_encode(events)) + compressor.flush()


def unpack(packed: bytes, dictionary: bytes) -> list[Event]:
    """Undo `pack`.

    Raises:
        DamagedError: it was not packed so, or with another dictionary.
    """
    decompressor = zlib.decompressobj(zdict=dictionary)
    try:
        content = decompressor.decompress(packed)
        if not decompressor.eof or decompressor.unused_data:
            raise DamagedError("it ends too early or too late")
        return _decode(content)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise DamagedError(str(error)) from error


def parts(events: Iterable[Event]) -> Iterator[list[Event]]:
    """Cut a log into parts, in order."""
    part: list[Event] = []
    size = 0
    for event in events:
        part.append(event)
        size += len(event[1])
        if size >= PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def dictionary_of(events: Iterable[Event]) -> bytes:
    """What the logs of other submissions to the same problem will have in common with this one."""
    seen: dict[bytes, bool] = {}
    size = 0
    for kind, payload in events:
        example = encode({name: _example(name, value) for name, value in _fields(payload).items()}).encode()
        if example not in seen:
            seen[example] = kind == "test_result"
            size += len(example)
        if size >= _DICTIONARY_BYTES:
            break
    # A repetition costs less, the nearer it is, so results come last. Without anything `zlib` would want no dictionary.
    in_order = [text for is_result in (False, True) for text, of_result in seen.items() if of_result is is_result]
    return b"".join(in_order)[-_DICTIONARY_BYTES:] or b"{}"


def fits(dictionary: bytes, events: Iterable[Event]) -> bool:
    """Whether a dictionary was made for the tests of this log, so that another one would hardly be better."""
    results = (_fields(payload) for kind, payload in events if kind == "test_result")
    names = {encode({"test_name": _example("test_name", each.get("test_name"))}).encode()[1:-1] for each in results}
    return sum(name in dictionary for name in names) >= _KNOWN_SHARE * len(names)


def _fields(payload: str) -> Mapping[str, Any]:
    fields = json.loads(payload)
    return fields if isinstance(fields, dict) else {}


def _example(name: str, value: object) -> object:
    """The value in a dictionary: the author's, or nothing of the same kind."""
    if name in _AUTHORED and isinstance(value, str | int | float | None):
        return value[:_NAME_CHARS] if isinstance(value, str) else value
    if isinstance(value, str):
        return ""
    if isinstance(value, Mapping):
        return {inner: _example("", each) for inner, each in value.items() if isinstance(each, int | float)}
    return 0
