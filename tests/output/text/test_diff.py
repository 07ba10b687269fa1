"""Expected beside actual."""

from __future__ import annotations

import time
from typing import Any

import pytest

from subcli.output.text.diff import comparison, value_text
from subcli.output.text.theme import BAD_MARK, GOOD_MARK


def shown(expected: str | None, actual: str | None, width: int = 60, limit: int = 20, fold: int = 1) -> list[str]:
    return [line.text for line in comparison(expected, actual, width, limit, fold)]


def test_short_values_stand_below_each_other() -> None:
    """One line each, behind its label."""
    assert shown("one leader", "two leaders") == ["expected  one leader", "actual    two leaders"]


def test_what_differs_is_marked() -> None:
    """The part that the two do not share stands out, not by colour alone."""
    lines = comparison("term 3 of n1", "term 17 of n1", 60, 20)
    assert [text for text, style in lines[0].pieces if style == GOOD_MARK] == ["3"]
    assert [text for text, style in lines[1].pieces if style == BAD_MARK] == ["17"]
    assert all(style not in (GOOD_MARK, BAD_MARK) for line in comparison("a", "b", 60, 20) for _, style in line.pieces)


@pytest.mark.parametrize(
    ("expected", "actual", "lines"),
    [
        ("x", None, ["expected  x"]),
        (None, "x", ["actual    x"]),
        (None, None, []),
        ("", "x", ["expected  (nothing)", "actual    x"]),
        ("  ", "x", ["expected  (white space)", "actual    x"]),
        ("x\r\n", "x y", ["expected  x", "actual    x y"]),
        ("a  b", "a b", ["expected  a  b", "actual    a b"]),
        ("x\x1b", "x", ["expected  x^[", "actual    x"]),
    ],
)
def test_what_is_missing_or_empty_is_said(expected: str | None, actual: str | None, lines: list[str]) -> None:
    """Nothing, white space and a value that the server did not give are three different things."""
    assert shown(expected, actual) == lines


def test_long_values_are_a_diff() -> None:
    """What is the same is context, what was expected has a minus, what came a plus."""
    lines = shown("a\nb\nc\nd\ne\nf", "a\nb\nC\nd\ne\nf")
    assert lines == ["- expected  + actual", "  a", "  b", "- c", "+ C", "  d", "  e"]


def test_parts_far_from_each_other_are_parted() -> None:
    """Between two changes the same lines are left out."""
    expected = [str(number) for number in range(40)]
    actual = list(expected)
    actual[3], actual[30] = "x", "y"
    lines = shown("\n".join(expected), "\n".join(actual))
    assert lines[6:9] == ["  5", "  …", "  28"]


def test_a_diff_has_an_end() -> None:
    """Cut, with how much is left."""
    lines = shown("\n".join("a" * 3 + str(n) for n in range(100)), "x\ny", limit=5)
    assert len(lines) == 7
    assert lines[-1] == "… 97 more lines"


def test_an_indentation_is_kept() -> None:
    """In code and JSON it means something."""
    assert "-     deep" in shown("x\n    deep", "x\n  deep")


def test_a_long_line_is_cut_or_folded() -> None:
    """Folded where everything is to be seen."""
    assert shown("a" * 100 + "\nb", "c", width=22)[1] == "- " + "a" * 19 + "…"
    assert shown("a" * 100 + "\nb", "c", width=22, fold=9)[1:6] == ["- " + "a" * 20] * 5


def test_one_value_alone_is_folded() -> None:
    """Its further lines stand below the first."""
    assert shown("one two three four", None, width=24) == ["expected  one two three", "          four"]


def test_long_values_take_no_longer_than_reading_them() -> None:
    """Values as large as a message may be, in which nothing is the same."""
    began = time.perf_counter()
    comparison("\n".join(map(str, range(30_000))), "\n".join(map(str, range(1, 60_000, 2))), 80, 30)
    comparison("a\n" * 700, "b\n" * 700, 80, 30)
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("text", "text"),
        (None, "null"),
        (True, "true"),
        ([1, "ä"], '[1, "ä"]'),
        ({"b": 1, "a": None}, '{"b": 1, "a": null}'),
        (list(range(30)), "[\n  0,\n  1,"),
        ({1, 2}, "set"),
    ],
)
def test_values_are_text_or_json(value: Any, text: str) -> None:
    """Short ones on one line."""
    assert value_text(value).startswith(text)
