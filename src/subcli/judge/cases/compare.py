"""The built-in comparison of an output with an answer.

It accepts what the default output validator of Kattis accepts (problem package format, "Default output validator"),
down to what that leaves to C: tokens end at a NUL, and numbers are what `scanf` reads with `%lf`, such as `1e`, `.5`
and `0x1p3`, but neither infinite nor `nan`. Any bytes are compared; nothing raises.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import compress
from operator import ne, sub
from typing import Final

from subcli.judge.cases.difference import LONG_BYTES, Difference, Kind, Place, place
from subcli.judge.cases.model import Comparison

_WITHOUT_EXPONENT: Final = re.compile(rb"([+-]?[0-9.]+)[eE][+-]?")
"""A number whose exponent is missing: the C library reads it, Python does not."""
_HEXADECIMAL: Final = re.compile(
    rb"[+-]?0[xX]([0-9a-fA-F]+(?:\.[0-9a-fA-F]*)?|\.[0-9a-fA-F]+|\.(?![pP]))(?:[pP]([+-]?[0-9]*))?"
)

_NO_EXPONENT: Final = (b"", b"+", b"-")
_TOKEN: Final = re.compile(rb"\S*")
_MASK: Final = bytes(byte if bytes([byte]).isspace() else ord("x") for byte in range(256))
_CHUNK: Final = 2048
"""Tokens that are looked at together."""


def compare(output: bytes, answer: bytes, comparison: Comparison) -> Difference | None:
    """Compare an output with the answer.

    Args:
        output: What the solution printed.
        answer: The answer.
        comparison: What counts.

    Returns:
        The first difference; None if the output is accepted.
    """
    if output == answer:
        return None
    if comparison.exact:
        return _bytes_differ(output, answer)
    if not comparison.space_change_sensitive and output.strip() == answer.strip():
        return None
    got, wanted = _tokens(output, comparison), _tokens(answer, comparison)
    index = _mismatch(got, wanted, comparison)
    if comparison.space_change_sensitive:
        # Where a token is missing, so is the white space before it: the token says more.
        both = min(len(got), len(wanted))
        difference = _space_differs(output, answer, before=None if index is None else index + (index < both))
        if difference is not None:
            return difference
    if index is None:
        return None
    kind, note = _kind(got, wanted, index, comparison)
    same = _common_length(got[index], wanted[index]) if kind == "token" else 0
    if same > LONG_BYTES:
        note = f"they differ from byte {same + 1:,} on"
    expected, actual = place(answer, _offset(answer, index), same), place(output, _offset(output, index), same)
    if kind == "missing" and index and expected.number == 1:
        actual = _next_line(output)
    elif kind == "extra" and actual.number == 1:
        expected = _next_line(answer)
    return Difference(
        kind,
        expected,
        actual,
        note,
        before=index,
        tokens=len(wanted),
        lines=answer.rstrip().count(b"\n") + 1,
    )


def _tokens(text: bytes, comparison: Comparison) -> list[bytes]:
    tokens = (text if comparison.case_sensitive else text.lower()).split()
    return tokens if b"\0" not in text else [token.partition(b"\0")[0] for token in tokens]


def _mismatch(got: Sequence[bytes], wanted: Sequence[bytes], comparison: Comparison) -> int | None:
    """The index of the first token that is not accepted, or that only one of the two has."""
    if got == wanted:
        return None
    absolute, relative = _tolerances(comparison)
    with_numbers = absolute >= 0 or relative >= 0
    both = min(len(got), len(wanted))
    for start in range(0, both, _CHUNK):
        stop = min(start + _CHUNK, both)
        some, other = wanted[start:stop], got[start:stop]
        if some == other:
            continue
        if with_numbers:
            differ = list(map(ne, some, other))
            if _are_close(list(compress(some, differ)), list(compress(other, differ)), absolute, relative):
                continue
        for index, (a, b) in enumerate(zip(some, other, strict=True), start):
            if a != b and not (with_numbers and _is_close(a, b, absolute, relative)):
                return index
    return None if len(got) == len(wanted) else both


def _are_close(wanted: Sequence[bytes], got: Sequence[bytes], absolute: float, relative: float) -> bool:
    """Whether all are ordinary numbers that are close enough. False means: look at each.

    Where the absolute tolerance suffices, nothing runs in Python for each number: there may be millions.
    """
    try:
        numbers = list(map(float, wanted))
        errors = list(map(abs, map(sub, numbers, map(float, got))))
    except ValueError:
        return False
    # Infinite numbers, and those that Python alone reads, are none. What is not a number is close to nothing.
    if not math.isfinite(sum(errors) + sum(map(abs, numbers))) or any(b"_" in b"".join(some) for some in (wanted, got)):
        return False
    if max(errors) <= absolute:
        return True
    return all(error <= absolute or error <= relative * abs(a) for error, a in zip(errors, numbers, strict=True))


def _tolerances(comparison: Comparison) -> tuple[float, float]:
    """The absolute and the relative tolerance; -1 where there is none."""
    absolute, relative = comparison.absolute_tolerance, comparison.relative_tolerance
    return -1.0 if absolute is None else absolute, -1.0 if relative is None else relative


def _is_close(wanted: bytes, got: bytes, absolute: float, relative: float) -> bool:
    """Whether two different tokens are numbers that are close enough."""
    a = _number(wanted)
    b = None if a is None else _number(got)
    if a is None or b is None:
        return False
    return (error := abs(a - b)) <= absolute or error <= relative * abs(a)


def _number(token: bytes) -> float | None:
    """The finite number that `scanf` reads from the whole token."""
    if b"x" in token or b"X" in token:
        return _hexadecimal(token)
    if found := _WITHOUT_EXPONENT.fullmatch(token):
        token = found[1]
    try:
        value = float(token)
    except ValueError:
        return None
    # What is not a number is not equal to itself. Python allows underscores between digits.
    return value if value - value == 0 and b"_" not in token else None


def _hexadecimal(token: bytes) -> float | None:
    found = _HEXADECIMAL.fullmatch(token)
    if not found:
        return None
    digits, exponent = found.groups()
    if digits == b".":
        return 0.0
    try:
        # Without the `p` of an exponent that is missing.
        return float.fromhex(token[: found.end(1)].decode() if exponent in _NO_EXPONENT else token.decode())
    except OverflowError:
        return None


def _kind(got: Sequence[bytes], wanted: Sequence[bytes], index: int, comparison: Comparison) -> tuple[Kind, str]:
    """What is wrong with a token, and what else is to be said about it."""
    if index >= len(got):
        return "missing", ""
    if index >= len(wanted):
        return "extra", ""
    absolute, relative = _tolerances(comparison)
    a = _number(wanted[index]) if absolute >= 0 or relative >= 0 else None
    if a is None:
        return "token", ""
    b = _number(got[index])
    if b is None:
        return "not_a_number", ""
    allowed = f"{absolute:g}" if absolute >= 0 else f"{relative:g} of the answer"
    if absolute >= 0 and relative >= 0:
        allowed += ", absolute or relative," if absolute == relative else f" or {relative:g} of the answer"
    return "number", f"{abs(a - b):.3g} off; {allowed} is allowed"


def _next_line(text: bytes) -> Place:
    """The line after the last one, which is not there."""
    ended = text.rstrip() + b"\n"
    return place(ended, len(ended))


def _offset(text: bytes, index: int) -> int:
    """Where a token begins; behind the last one, where the text ends but for white space."""
    parts = text.split(None, index)
    return len(text) - len(parts[index]) if index < len(parts) else len(text.rstrip())


def _bytes_differ(output: bytes, answer: bytes) -> Difference:
    offset = _common_length(output, answer)
    wanted, got = (_name(text[offset : offset + 1]) for text in (answer, output))
    return Difference("bytes", place(answer, offset), place(output, offset), f"expected {wanted}, got {got}")


def _space_differs(output: bytes, answer: bytes, before: int | None) -> Difference | None:
    """The first white space that differs.

    Args:
        output: What the solution printed.
        answer: The answer.
        before: Only white space before this token counts; None: all of it.
    """
    masks = _mask(answer), _mask(output)
    common = _common_length(*masks)
    tokens = masks[0].count(b"x", 0, common)
    if common == len(masks[0]) == len(masks[1]) or (before is not None and tokens >= before):
        return None
    into_space = common - (masks[0].rfind(b"x", 0, common) + 1)
    wanted, got = (_end(text, tokens) + into_space for text in (answer, output))
    names = _name(answer[wanted : wanted + 1]), _name(output[got : got + 1])
    return Difference("space", place(answer, wanted), place(output, got), "expected {}, got {}".format(*names))


def _mask(text: bytes) -> bytes:
    """Its white space, with one `x` for each token."""
    text = text.translate(_MASK)
    while b"xx" in text:
        text = text.replace(b"xx", b"x")
    return text


def _end(text: bytes, tokens: int) -> int:
    """Where so many tokens end."""
    if not tokens:
        return 0
    token = _TOKEN.match(text, _offset(text, tokens - 1))
    assert token is not None
    return token.end()


def _common_length(one: bytes, other: bytes) -> int:
    """How many bytes at the beginning are the same."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _name(byte: bytes) -> str:
    """One byte of a text, for a sentence; empty: its end."""
    names = {b"": "the end of the output", b" ": "a space", b"\n": "the end of the line", b"\t": "a tab"}
    if byte in names:
        return names[byte]
    return byte.decode() if byte.isascii() and byte.decode().isprintable() else f"byte 0x{byte.hex()}"
