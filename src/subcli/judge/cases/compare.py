"""The built-in comparison of an output with an answer.

It accepts what the default output validator of Kattis accepts (problem package format, "Default output validator"),
down to what that leaves to C: tokens end at a NUL, and numbers are what `scanf` reads with `%lf`, such as `1e`, `.5`
and `0x1p3`, but neither infinite nor `nan`. Any bytes are compared; nothing raises.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import compress, repeat
from operator import le, mul, ne, not_, sub
from typing import Final

from subcli.judge.cases.difference import LONG_BYTES, Difference, Kind, Place, place
from subcli.judge.cases.model import Comparison

_TWO_EXPONENTS: Final = re.compile(rb"e[^\n]*e")
_HEXADECIMALS: Final = re.compile(rb"(?:[+-]?0x(?:[0-9a-f]+(?:\.[0-9a-f]*)?|\.[0-9a-f]+|\.(?!p))(?:p[+-]?[0-9]*)?\n)+")
"""One on each line, in small letters."""
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
        numbers = _numbers(wanted)
        errors = list(map(abs, map(sub, numbers, _numbers(got))))
    except ValueError:
        return False
    if max(errors) <= absolute or all(map(le, errors, map(mul, repeat(relative), map(abs, numbers)))):
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
    try:
        return _numbers([token])[0]
    except ValueError:
        return None


def _numbers(tokens: Sequence[bytes]) -> list[float]:
    """The finite numbers that `scanf` reads from whole tokens, of which there is at least one.

    Raises:
        ValueError: It does not from one of them.
    """
    try:
        numbers = list(map(float, tokens))
    except ValueError:
        numbers = _odd_numbers(tokens)
    # Python allows underscores between digits.
    if not all(map(math.isfinite, numbers)) or b"_" in b"".join(tokens):
        raise ValueError
    return numbers


def _odd_numbers(tokens: Sequence[bytes]) -> list[float]:
    """The numbers where not all are written as in Python. As above, nearly nothing runs in Python for each of them.

    Raises:
        ValueError: One is no number.
    """
    lines = b"\n".join([*tokens, b""]).lower()
    if b"x" not in lines:
        return _decimals(lines)
    if _HEXADECIMALS.fullmatch(lines):
        return _hexadecimals(lines)
    words = lines.splitlines(keepends=True)
    are_hexadecimal = [b"x" in word for word in words]
    hexadecimals = b"".join(compress(words, are_hexadecimal))
    if not _HEXADECIMALS.fullmatch(hexadecimals):
        raise ValueError
    found = iter(_hexadecimals(hexadecimals))
    others = iter(_decimals(b"".join(compress(words, map(not_, are_hexadecimal)))))
    return [next(found) if is_hexadecimal else next(others) for is_hexadecimal in are_hexadecimal]


def _decimals(lines: bytes) -> list[float]:
    """Numbers, one on each line, of which the exponent may be missing: the C library reads `1e`, Python does not.

    Raises:
        ValueError: One is no number.
    """
    text = _without(lines, b"e")
    if b"e" in text and _TWO_EXPONENTS.search(lines):
        raise ValueError
    return list(map(float, text.split(b"\n")[:-1]))


def _hexadecimals(lines: bytes) -> list[float]:
    """Numbers such as `0x1p3`, one on each line, of which digits or the exponent may be missing.

    Raises:
        ValueError: One is not finite.
    """
    text = _without(lines, b"p").replace(b"x.\n", b"x0\n").decode()
    try:
        return list(map(float.fromhex, text.split("\n")[:-1]))
    except OverflowError:
        raise ValueError from None


def _without(lines: bytes, exponent: bytes) -> bytes:
    """Lines without this letter, and a sign behind it, at their ends."""
    end = exponent + b"\n"
    for sign in (b"+", b"-"):
        lines = lines.replace(exponent + sign + b"\n", end)
    return lines.replace(end, b"\n")


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
