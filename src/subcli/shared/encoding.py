"""Encodes messages as JSON that shows every character, and times as the specification writes them. Pure."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

_encode_json: Final = msgspec.json.Encoder().encode

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
    whole = int(seconds // 1)
    # To the microsecond, as `datetime` does, and then cut: no timestamp is in the future.
    milliseconds = round((seconds - whole) * 1_000_000) // 1000
    if milliseconds == 1000:
        whole, milliseconds = whole + 1, 0
    return f"{_to_the_second(whole)}.{milliseconds:03d}Z"


@functools.lru_cache(maxsize=8)
def _to_the_second(whole: int) -> str:
    return datetime.fromtimestamp(whole, UTC).isoformat()[:19]
