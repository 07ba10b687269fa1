"""Encoding messages as JSON, and times (contract, section 6)."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from subcli.shared.encoding import encode, encode_any, timestamp


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("plain", '"plain"'),
        ("é 漢 \U0001f600", '"é 漢 \U0001f600"'),
        ("tab\tnewline\n", r'"tab\tnewline\n"'),
        ("\x00\x1b[31m", r'"\u0000\u001b[31m"'),
        ("\x7f", r'"\u007f"'),
        ("\x80\x9b\x9f", r'"\u0080\u009b\u009f"'),
        ("\u202e\u2066\u2069\u200f\u061c", r'"\u202e\u2066\u2069\u200f\u061c"'),
        ("\u200b\u200d\u2060\ufeff\u00ad", r'"\u200b\u200d\u2060\ufeff\u00ad"'),
        ("\u2028\u2029", r'"\u2028\u2029"'),
        ("\U000e0041", r'"\udb40\udc41"'),
        ("\u115f\u1160\u3164\uffa0", r'"\u115f\u1160\u3164\uffa0"'),
        ("\ufe00\ufe0f\u180b\u180f\U000e0100", r'"\ufe00\ufe0f\u180b\u180f\udb40\udd00"'),
        ("\u034f\u17b4\u17b5\U0001d173", r'"\u034f\u17b4\u17b5\ud834\udd73"'),
    ],
)
def test_json_escapes_invisible_characters(text: str, encoded: str) -> None:
    """Control, bidi and zero-width characters become `\\uXXXX`, in keys and values; nothing is lost."""
    assert encode({"a": text}) == f'{{"a":{encoded}}}'
    assert encode({text: 1}) == f"{{{encoded}:1}}"
    assert json.loads(encode({"a": text})) == {"a": text}


def test_value_without_json_form_raises() -> None:
    """The output is always valid JSON."""
    with pytest.raises(TypeError):
        encode({"a": object()})


def test_timestamps_are_rfc_3339_in_utc() -> None:
    """With milliseconds and `Z`; truncated, so that no timestamp is in the future."""
    assert timestamp(1705315080.0) == "2024-01-15T10:38:00.000Z"
    assert timestamp(1705315080.1236) == "2024-01-15T10:38:00.123Z"


@pytest.mark.parametrize("whole", [0, 1_705_315_079, 1_709_164_799, 4_102_444_799])
@pytest.mark.parametrize("fraction", [0, 0.0009996, 0.001, 0.4999995, 0.5, 0.999, 0.9994999, 0.9999994, 0.9999997])
def test_timestamps_are_those_of_datetime(whole: int, fraction: float) -> None:
    """They are put together by hand, several for each event; also where a second, a day or a year ends."""
    slowly = datetime.fromtimestamp(whole + fraction, UTC).isoformat(timespec="milliseconds")
    assert timestamp(whole + fraction) == slowly.replace("+00:00", "Z")


def test_half_a_surrogate_pair_is_escaped() -> None:
    """The name of a file that is not UTF-8 stays JSON (RFC 8259, section 8.2), and comes back as it was."""
    text = encode_any({"path": "caf\udce9 中"})
    assert text.isascii()
    assert json.loads(text) == {"path": "caf\udce9 中"}
