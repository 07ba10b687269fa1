"""The built-in comparison, and what it says of a wrong answer.

`bench.default_validator` compares it with the default validator of Kattis; the table here holds what that one answers.
"""

from __future__ import annotations

import ctypes
import math
from dataclasses import replace
from itertools import product

import pytest

from subcli.judge.cases.compare import compare
from subcli.judge.cases.difference import Difference, Kind
from subcli.judge.cases.model import Comparison

TOKENS = Comparison()
CASE = Comparison(case_sensitive=True)
SPACE = Comparison(space_change_sensitive=True)
EXACT = Comparison(exact=True)
CLOSE = Comparison(absolute_tolerance=1e-3, relative_tolerance=1e-3)
RELATIVE = Comparison(relative_tolerance=1e-3)
ABSOLUTE = Comparison(absolute_tolerance=1e-3)
SPACE_CLOSE = Comparison(space_change_sensitive=True, absolute_tolerance=1e-3)
WIDE = Comparison(absolute_tolerance=1e200)
LIBC = ctypes.CDLL(None)


@pytest.mark.parametrize(
    ("answer", "output", "comparison"),
    [
        (b"1 2\n", b"  1\r\n\x0b2\x0c\t", TOKENS),
        (b"", b" \n", TOKENS),
        (b"Yes", b"yEs", TOKENS),
        (b"Yes", b"Yes\n", CASE),
        (b"a b\n", b"A b\n", SPACE),
        (b"1.0 x\n", b"1.00 x\n", SPACE_CLOSE),
        (b"1000", b"1000.9", RELATIVE),
        (b"0", b"-0.001", ABSOLUTE),
        (b"0", b"-0", RELATIVE),
        (b"0.0314", b"3.14000000e-2", CLOSE),
        (b"inf", b"INF", CLOSE),
        (b"1e400", b"1E400", CLOSE),
        (b"a\0b", b"a\0c", TOKENS),
        (b"\0b", b"\0c", TOKENS),
        *((b"1e199", number, WIDE) for number in (b"1e", b"1E+", b"1.5e-", b".5", b"5.", b"1e-400", b"0e" + b"9" * 99)),
        *(
            (b"1e199", number, WIDE)
            for number in (b"0x.", b"-0x1", b"0X.8", b"0x1.p1", b"0x1p", b"0x1p+", b"+0x1p-99999")
        ),
    ],
)
def test_accepted(answer: bytes, output: bytes, comparison: Comparison) -> None:
    """White space, letters and digits may differ as far as the comparison allows."""
    assert compare(output, answer, comparison) is None


@pytest.mark.parametrize(
    ("answer", "output", "comparison", "kind"),
    [
        (b"1 2", b"1 3", TOKENS, "token"),
        (b"\xc3\x84", b"\xc3\xa4", TOKENS, "token"),
        (b"Yes", b"yes", CASE, "token"),
        (b"1 2", b"12", TOKENS, "token"),
        (b"1 2", b"1", TOKENS, "missing"),
        (b"1", b"1 2", TOKENS, "extra"),
        (b"1 2", b"1", SPACE, "missing"),
        (b"1", b"1 2", SPACE, "extra"),
        (b"1", b"12", SPACE, "token"),
        (b"1 2", b"1\n2", SPACE, "space"),
        (b"1 2", b"1 2\n", SPACE, "space"),
        (b"1 2", b"1  3", SPACE, "space"),
        (b"1 2 3", b"1 3  3", SPACE, "token"),
        (b"1.0 x\n", b"1.00 x", SPACE_CLOSE, "space"),
        (b"1.0", b"1", TOKENS, "token"),
        (b"1000", b"1001.1", RELATIVE, "number"),
        (b"0", b"0.0011", CLOSE, "number"),
        (b"0", b"1e-300", RELATIVE, "number"),
        (b"1\n", b"1", EXACT, "bytes"),
        *(
            (b"1", word, WIDE, "not_a_number")
            for word in (b"nan", b"-inf", b"infinity", b"1e400", b"1_0", b".", b"+", b"e5")
        ),
        *(
            (b"1", word, WIDE, "not_a_number")
            for word in (b"0x", b"0xp1", b"0x.p", b"0x_1", b"0x1p99999", b"1e5e", b"1\x1c")
        ),
        *(
            (b"1", word, WIDE, "not_a_number")
            for word in (b"\xef\xbc\x91", b"\0", b"1,0", b"++1", b"1e1.5", b"1" * 400)
        ),
        (b"nan", b"1", CLOSE, "token"),
        (b"1e308", b"-1e308", RELATIVE, "number"),
    ],
)
def test_refused(answer: bytes, output: bytes, comparison: Comparison, kind: Kind) -> None:
    """Whatever differs otherwise is a wrong answer, and what differs is said."""
    difference = compare(output, answer, comparison)
    assert difference is not None
    assert difference.kind == kind


def test_many_numbers() -> None:
    """Numbers are compared in chunks; one wrong, infinite or oddly written one among them is still seen."""
    answer = b"1.5\n" * 5000
    close = b"1.5001\n" * 4500
    assert compare(close + b"0x1.8\n" * 500, answer, CLOSE) is None
    for number in (b"1.6", b"inf", b"nan", b"1_5e-1", b"1e999", b"x"):
        difference = compare(close + number + b"\n" + b"1.5001\n" * 499, answer, CLOSE)
        assert difference is not None
        assert (difference.actual.line, difference.actual.column) == (4501, 1)


@pytest.mark.parametrize("odd", ["1e 1E+ 1.e-", "0x1 0X1p 0x.8p1 0x1p-", "0x. -0X.", "1.5e308 -1e308", "1e 0x1 1e0 +1"])
def test_oddly_written_numbers_are_read_together(odd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However numbers are written, nothing looks at each of them: a learner may print millions."""
    monkeypatch.setattr("subcli.judge.cases.compare._is_close", None)
    output = f"{odd} ".encode() * 2000
    wide = Comparison(absolute_tolerance=2.0, relative_tolerance=2.0)
    for answer in (b"1e308 " if "308" in odd else b"1 ", output.lower() + b"\n"):
        assert compare(output, answer * (len(output.split()) // len(answer.split())), wide) is None


@pytest.mark.thorough
def test_numbers_are_those_of_the_c_library() -> None:
    """Every short text is a number if `scanf` reads the whole of it, and the same one."""
    words = ["".join(each) for length in range(1, 6) for each in product("05.exp+-", repeat=length)]
    numbers: dict[bytes, float] = {}
    for word in (word.encode() for word in words):
        value, end = ctypes.c_double(), ctypes.c_int()
        is_read = LIBC.sscanf(word, b"%lf%n", ctypes.byref(value), ctypes.byref(end)) == 1
        if is_read and end.value == len(word) and math.isfinite(value.value):
            numbers[word] = value.value
    refused = [word for word in map(str.encode, words) if compare(word, b"7", WIDE) and word not in numbers]
    assert len(refused) + len(numbers) == len(words)
    exact = Comparison(absolute_tolerance=0.0)
    assert compare(b" ".join(numbers), " ".join(value.hex() for value in numbers.values()).encode(), exact) is None


def differing(output: bytes, answer: bytes, comparison: Comparison = TOKENS) -> Difference:
    difference = compare(output, answer, comparison)
    assert difference is not None
    return difference


@pytest.mark.parametrize(
    ("answer", "output", "comparison", "message"),
    [
        (b"1 2\n3 4\n", b"1 2\n3 5\n", TOKENS, "Line 2, token 2: expected 4, got 5"),
        (b"1 2\n3 4\n", b"1\n2\n3\nx", TOKENS, "Line 4, token 1 (line 2, token 2 of the answer): expected 4, got x"),
        ("ö ä".encode(), "ö ü".encode(), TOKENS, "Line 1, token 2: expected ä, got ü"),
        (b"7", b"", TOKENS, "No output; expected 7"),
        (b"7 8\n", b"", TOKENS, "No output; expected 1 line, beginning with 7"),
        (b"7\n8\n", b" \n", TOKENS, "No output but white space; expected 2 lines, beginning with 7"),
        (b"7 8\n", b"7\n", TOKENS, "Output ends after token 1 of line 1; expected 8 next"),
        (b"1\n2\n3\n4\n5\n", b"1\n2\n3", TOKENS, "Output ends after line 3 of 5; expected 4 next"),
        (b"1\n2\n3\n4\n5\n", b"1 2 3", TOKENS, "Output ends after 3 of 5 tokens; expected 4 next"),
        (b"7", "\ufeff7".encode(), TOKENS, "Line 1, token 1: expected 7, got \\ufeff7"),
        (b"7", b"\xc2\xa07", TOKENS, "Line 1, token 1: expected 7, got \\xa07"),
        ("e\u0301".encode(), b"\x00", TOKENS, "Line 1, token 1: expected e\u0301, got \\x00"),
        (b"7\n", b"7\n8\n", TOKENS, "Line 2, token 1: expected the end of the output, got 8"),
        (b"7", b"seven", CLOSE, "Line 1, token 1: expected a number, 7, got seven"),
        (
            b"x" * 99 + b"1",
            b"x" * 99 + b"2",
            TOKENS,
            f"Line 1, token 1: expected …{'x' * 20}1, got …{'x' * 20}2 (they differ from byte 100 on)",
        ),
        (
            b"2",
            b"2.1",
            RELATIVE,
            "Line 1, token 1: expected 2, got 2.1 (0.1 off; 0.001 of the answer is allowed)",
        ),
        (
            b"2",
            b"2.1",
            CLOSE,
            "Line 1, token 1: expected 2, got 2.1 (0.1 off; 0.001, absolute or relative, is allowed)",
        ),
        (b"a b", b"a  b", SPACE, "Line 1, column 3: expected b, got a space"),
        (b"a b\n", b"a b", SPACE, "Line 1, column 4: expected the end of the line, got the end of the output"),
        (b"ab", b"a\x01", EXACT, "Line 1, column 2: expected b, got byte 0x01"),
    ],
)
def test_message(answer: bytes, output: bytes, comparison: Comparison, message: str) -> None:
    """One sentence says where the first difference is, and what was expected there."""
    assert differing(output, answer, comparison).message == message


@pytest.mark.parametrize(
    ("answer", "output", "comparison", "explanation"),
    [
        (b"1 2 3", b"1 2 4", TOKENS, "The 2 tokens before it are right."),
        (b"1 2", b"1 3", TOKENS, "The token before it is right."),
        (b"Yes", b"yes", replace(TOKENS, case_sensitive=True), "Only upper and lower case differ."),
        (b"1 2", b"", TOKENS, "It printed no answer."),
        (b"1 2", b"1", TOKENS, "What it printed is right, and the rest is missing."),
        (b"1", b"1 2", TOKENS, "The whole answer is there, and then more follows."),
    ],
)
def test_explanation(answer: bytes, output: bytes, comparison: Comparison, explanation: str) -> None:
    """A second sentence says what the difference means for the rest of the output."""
    assert differing(output, answer, comparison).explanation == explanation


@pytest.mark.parametrize(
    ("answer", "output", "wanted", "got"),
    [
        (b"1\n2 3\n4", b"1\n2 x\n4", "3", "x"),
        (b"a" * 500 + b" 3 " + b"b" * 500, b"a" * 500 + b" x " + b"b" * 500, "3", "x"),
        ("ö ä ü".encode(), "ö x".encode(), "ä", "x"),
        (b"1 2\n3\n", b"1 2\n", "3", ""),
        (b"1 2 3\n", b"1 2\n", "3", ""),
        (b"1\n", b"1\n2", "", "2"),
        (b"x" * 500 + b"1", b"x" * 500 + b"2", "1", "2"),
        (f"{'ö' * 50}ä".encode(), f"{'ö' * 50}ü".encode(), "ä", "ü"),
    ],
)
def test_places_in_windows(answer: bytes, output: bytes, wanted: str, got: str) -> None:
    """Where the texts differ is counted in the characters that are shown."""
    difference = differing(output, answer)
    for spot, token in ((difference.expected, wanted), (difference.actual, got)):
        assert next(iter(spot.window[spot.at :].splitlines()), "").split(" ")[0] == token


def test_window() -> None:
    """The lines around the difference are shown, not all of them."""
    answer = b"".join(b"%d\n" % number for number in range(1000))
    difference = differing(answer.replace(b"\n500\n", b"\n5xx\n"), answer)
    assert difference.expected.window == "498\n499\n500\n501\n502\n503\n504\n"
    assert difference.actual.window == "498\n499\n5xx\n501\n502\n503\n504\n"
    assert (difference.actual.line, difference.actual.token) == (501, "5xx")


def test_window_of_a_long_line() -> None:
    """A long line is cut around the difference, in whole characters."""
    difference = differing("ä".encode() * 10_000 + b" b " + "ö".encode() * 10_000, "ä".encode() * 10_000 + b" c")
    assert difference.actual.window == "…" + "ä" * 79 + " b " + "ö" * 158 + "…"
    assert difference.expected.window == "…" + "ä" * 79 + " c"
    assert difference.actual.column == 10_002


@pytest.mark.parametrize(
    "output",
    [
        b"\0" * 10**6,
        b"\xff" * 10**6,
        b"1 " * 10**6,
        b"\n" * 10**6,
        b"0x" + b"f" * 10**6,
        b"0x" + b"f" * 10**6 + b"z",
        b"1e" + b"9" * 10**6,
    ],
)
@pytest.mark.parametrize("comparison", [TOKENS, SPACE, EXACT, CLOSE])
def test_hostile_output(output: bytes, comparison: Comparison) -> None:
    """Whatever is printed, the comparison does not raise, and what it keeps is small."""
    difference = differing(output, b"1\n2\n", comparison)
    kept = (difference.message, difference.actual.window, difference.expected.window)
    assert max(len(text) for text in kept) < 3000
