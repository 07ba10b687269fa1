"""Reads JSON leniently: an odd value loses only itself, not the message or list around it. Pure.

Servers cut texts in the middle of a character, write a byte order mark, which a reader may ignore (RFC 8259 section
8.1), or NaN and Infinity, as Python's own encoder does. They are read as U+FFFD, ignored, and read as null, in this
order. Numbers that are too large are read as null, too.
"""

from __future__ import annotations

import math
import re
from typing import Final

import msgspec

_decode: Final = msgspec.json.Decoder().decode
_LONE_SURROGATE: Final = re.compile(
    r"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\[^u])|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|[\ud800-\udfff]"
)


def read_json(content: str | bytes) -> object:
    """The value in a JSON text.

    Raises:
        ValueError: it is something else.
        RecursionError: it is absurdly nested.
    """
    try:
        return _decode(content)
    except (msgspec.DecodeError, UnicodeError) as error:
        reason = str(error)
    text = content if isinstance(content, str) else content.decode(errors="replace")
    try:
        return _decode_odd(_replace_lone_surrogates(text.removeprefix("\ufeff")))
    except ValueError:
        raise ValueError(f"not JSON: {reason}") from None


def _decode_odd(text: str) -> object:
    # Slower than msgspec, and rarely needed.
    import json

    return json.loads(text, parse_constant=lambda name: None, parse_float=_finite, parse_int=_readable)


def _finite(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None


def _readable(digits: str) -> int | None:
    try:
        return int(digits)
    except ValueError:  # more digits than the interpreter takes
        return None


def _replace_lone_surrogates(text: str) -> str:
    """``text`` with U+FFFD for lone surrogates, which servers that cut long texts leave behind."""
    return _LONE_SURROGATE.sub(lambda match: match[1] or "\ufffd", text)
