"""JSON with an odd value in it."""

from __future__ import annotations

import pytest

from subcli.shared.lenient_json import read_json

TEXTS = [
    ("\ufeff[1]", [1]),
    ("[NaN, Infinity, -Infinity, 1]", [None, None, None, 1]),
    ("[1e999, -1e999, 1.5]", [None, None, 1.5]),
    (f"[{'9' * 5000}, -{'9' * 5000}, {2**64}]", [None, None, 2**64]),
    (r'["\ud800", "\ud83d\ude00"]', ["\ufffd", "\U0001f600"]),
    ('["cut \ud800"]', ["cut \ufffd"]),
    ('\ufeff{"a": NaN, "b": "\\udc00"}', {"a": None, "b": "\ufffd"}),
]


@pytest.mark.parametrize(("text", "value"), TEXTS)
def test_odd_values_cost_nothing_else(text: str, value: object) -> None:
    """As text and as bytes: what has no meaning is null, or U+FFFD, and the rest is read."""
    assert read_json(text) == value
    if text.isprintable() or "\ufeff" in text:
        assert read_json(text.encode()) == value


@pytest.mark.parametrize("content", [b'["cut \xe2\x82", 1]', b'["cut \xff", 1]'])
def test_bytes_that_are_not_utf_8(content: bytes) -> None:
    """Whoever cut the text counted bytes, or wrote another encoding."""
    assert read_json(content) == ["cut \ufffd", 1]


@pytest.mark.parametrize("text", ["", "\ufeff", "[1", "[1]x", "<html>", "{'a': 1}", "nan", "[01]", "\ufeff\ufeff1"])
def test_what_is_not_json(text: str) -> None:
    """It is not guessed at, and the reason is the first one."""
    for content in (text, text.encode()):
        with pytest.raises(ValueError, match=r"^not JSON: "):
            read_json(content)


def test_absurd_nesting() -> None:
    """An error that callers expect."""
    for odd in ("1", "NaN"):
        with pytest.raises(RecursionError):
            read_json("[" * 100_000 + odd + "]" * 100_000)
