"""Expected and actual: labelled lines or a diff."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.cells import cell_len

from subcli.output.terminal.console import make_console
from subcli.output.text.details import TextLimits, given, values
from subcli.output.text.diff import Spot, comparison, first_difference, value_text
from subcli.output.text.lines import Line, LineRenderer
from subcli.output.text.theme import BAD_MARK, GOOD_MARK
from subcli.shared.decoding import from_mapping
from subcli.shared.messages import TestResult
from tests.output.conftest import with_colours


def shown(expected: str | None, actual: str | None, width: int = 60, limit: int = 20, fold: int = 1) -> list[str]:
    return [line.text for line in comparison(expected, actual, width, limit, fold)]


def test_short_values_get_a_line_each() -> None:
    """Each value stands after its label."""
    assert shown("one leader", "two leaders") == ["expected  one leader", "actual    two leaders"]


def test_difference_is_marked() -> None:
    """The part that differs is underlined, not just coloured."""
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
def test_missing_and_empty_values_differ(expected: str | None, actual: str | None, lines: list[str]) -> None:
    """An empty value, white space, and a value that the server did not send are shown differently."""
    assert shown(expected, actual) == lines


def test_long_values_become_a_diff() -> None:
    """Common lines are context; a minus marks expected lines, a plus actual ones."""
    lines = shown("a\nb\nc\nd\ne\nf", "a\nb\nC\nd\ne\nf")
    assert lines == ["- expected  + actual", "  a", "  b", "- c", "+ C", "  d", "  e"]


def test_distant_changes_are_separated() -> None:
    """Common lines between two distant changes are left out."""
    expected = [str(number) for number in range(40)]
    actual = list(expected)
    actual[3], actual[30] = "x", "y"
    lines = shown("\n".join(expected), "\n".join(actual))
    assert lines[6:9] == ["  5", "  …", "  28"]


def test_long_diff_is_cut() -> None:
    """The last line says how many lines are left out."""
    lines = shown("\n".join("a" * 3 + str(n) for n in range(100)), "x\ny", limit=5)
    assert len(lines) == 7
    assert lines[-1] == "… 97 more lines"


def test_indentation_is_kept() -> None:
    """Indentation is significant in code and JSON."""
    assert "-     deep" in shown("x\n    deep", "x\n  deep")


def test_long_line_is_cut_or_folded() -> None:
    """It is cut to one screen line, or folded into as many as allowed."""
    assert shown("a" * 100 + "\nb", "c", width=22)[1] == "- " + "a" * 19 + "…"
    folded = shown("a" * 100 + "\nb", "c", width=22, fold=9)[1:6]
    assert folded == ["- " + "a" * 20, *["  " + "a" * 20] * 4], "one line, so one sign"


def test_single_value_is_wrapped() -> None:
    """Its further lines are aligned with the first."""
    assert shown("one two three four", None, width=24) == ["expected  one two three", "          four"]


def test_very_long_values_are_not_compared() -> None:
    """Matching thousands of lines would take seconds: the values are shown one after the other."""
    lines = [str(number) for number in range(1000)]
    expected, actual = "\n".join(lines), "\n".join([*lines, "more"])
    assert shown(expected, actual, limit=3000)[1:] == [
        *(f"- {line}" for line in lines),
        *(f"+ {line}" for line in lines),
        "+ more",
    ]
    assert shown("\n".join(lines[:700]), "\n".join([*lines[:700], "more"]))[1:] == ["  698", "  699", "+ more"]


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
    """Strings stay as they are; short JSON fits on one line."""
    assert value_text(value).startswith(text)


def around(expected: str, wanted: str, actual: str, got: str, width: int = 60) -> list[str]:
    """What is shown of two texts that differ where `wanted` and `got` begin."""
    spots = Spot(expected, expected.index(wanted)), Spot(actual, actual.index(got) if got else len(actual))
    return [line.text.rstrip() for line in first_difference(*spots, width, 20)]


@pytest.mark.parametrize(
    ("expected", "wanted", "actual", "got", "lines"),
    [
        ("7", "7", "8", "8", ["expected  7", "actual    8"]),
        ("7", "7", "", "", ["expected  7", "actual    (nothing)"]),
        ("1 2 3", "2", "1 x 3", "x", ["expected  1 2 3", "actual    1 x 3", "            ^"]),
        ("日本 語", "語", "日本 x", "x", ["expected  日本 語", "actual    日本 x", "               ^"]),
        # A number within its tolerance is no difference.
        (
            "1.0\n2\n3\n4\n",
            "3",
            "1.00001\n2\nxyz\n4\n",
            "xyz",
            ["- expected  + actual", "  1.00001", "  2", "- 3", "+ xyz", "  ^^^", "  4"],
        ),
        ("1\n2\n3\n", "2", "1\n", "", ["- expected  + actual", "  1", "- 2", "+ (nothing)", "- 3"]),
        ("a b\nc\n", "b", "a\n", "\n", ["- expected  + actual", "- a b", "+ a (ends here)", "   ^", "- c"]),
    ],
)
def test_first_difference(expected: str, wanted: str, actual: str, got: str, lines: list[str]) -> None:
    """The token that differs is under a caret, and what stands before it is context."""
    assert around(expected, wanted, actual, got) == lines


@pytest.mark.parametrize("head", ["1 " * 500, "語 " * 500, "\x1b" * 500])
def test_first_difference_far_to_the_right(head: str) -> None:
    """However long the line, the token is to be seen, and nothing is wider than the screen."""
    lines = first_difference(Spot(f"{head}good {head}", len(head)), Spot(f"{head}bad {head}", len(head)), 40, 20)
    assert all(line.cells <= 40 for line in lines)
    wanted, got, caret = (line.text for line in lines[-3:])
    assert "good" in wanted
    assert "bad" in got
    assert cell_len(got.partition("bad")[0]) == len(caret) - len(caret.lstrip())


@pytest.mark.parametrize("at", [-1, 0, 5, 10**9])
@pytest.mark.parametrize("text", ["", "\n", "\r\n" * 4, "x\r\ny", "a" * 100_000, "\n" * 100_000])
def test_places_of_a_hostile_server(text: str, at: int) -> None:
    """Whatever a server says about the place, something short is shown."""
    assert len(first_difference(Spot(text, at), Spot("1\n2", 0), 40, 10)) < 20


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        ({"expected": 0, "actual": 10}, ["expected  0", "actual    10"]),
        ({"expected": False, "actual": 0.0}, ["expected  false", "actual    0.0"]),
        ({"expected": [], "actual": None}, ["expected  []", "actual    null"]),
        ({"actual": 0}, ["actual    0"]),
        ({"expected": 0, "actual": 10, "expected_at": 0, "actual_at": 0}, ["expected  0", "actual    10"]),
        ({"expected": True, "actual": False, "expected_at": 0, "actual_at": 0}, ["expected  true", "actual    false"]),
        ({"expected": 0, "expected_at": 0, "actual_at": 0}, ["expected  0", "actual    (nothing)"]),
    ],
)
def test_zero_and_false_are_values(fields: dict[str, Any], lines: list[str]) -> None:
    """So is an empty list, whether the server says where they differ or not."""
    event = from_mapping({"type": "test_result", "test_name": "A", "status": "failed", **fields})
    assert isinstance(event, TestResult)
    assert [line.text for line in values(event, 60, TextLimits())] == lines


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("1\n2\n", ["input", "│ 1", "│ 2"]),
        ("1\n2\n3\n4\n5\n", ["input", "│ 1", "│ 2", "│ 3", "│ … 2 more lines"]),
        ("1\n2\n3\n4\n", ["input", "│ 1", "│ 2", "│ 3", "│ … 1 more line"]),
        ("1\n2\n3\n4…\n… 9,999 bytes in all", ["input", "│ 1", "│ 2", "│ 3", "│ … 9,999 bytes in all"]),
        (" \n", []),
        (None, []),
    ],
)
def test_input(text: str | None, lines: list[str]) -> None:
    """The first lines are shown, and how much there is."""
    assert [line.text for line in given(text, 40, TextLimits(input=3))] == lines


COMPARED = (
    ("one leader", "two leaders"),
    ("term 3 of n1", "term 17 of n1"),
    ("  spaces around  ", "spaces around"),
    ("same", "same"),
    ("x" * 58, "x" * 57 + "y"),
    ("", "x"),
    ("\t", "x"),
    ("x", None),
    (None, "x y " * 40),
    ("a\nb\nc\nd\ne\nf", "a\nb\nC\nd\ne\nf\ng"),
    ("\n".join(str(n) for n in range(60)), "\n".join(str(n) for n in range(60) if n not in (3, 40))),
    ("\n".join("a" * n for n in range(40)), "b"),
)
MARKED = (
    ("7", 0, "8", 0),
    ("7", 0, "", 0),
    ("1 2 3", 2, "1 x 3", 2),
    ("1.0\n2\n3\n4\n5\n6\n", 6, "1.00001\n2\nxyz\n4\n5\n6\n", 10),
    ("1\n2\n3\n", 2, "1\n", 2),
    ("a b\nc\n", 2, "a\n", 1),
    ("x" * 100 + " good tail", 101, "x" * 100 + " bad tail", 101),
    ("k " * 10 + "g" * 90 + " end", 20, "k " * 10 + "b" * 90 + " end", 20),
    ("1\n2\n3\n4\n5\n6\n7\n", 4, "1\n2\n9\n4\n5\n66\n7\n8\n9\n10\n11\n12\n13\n", 4),
    ("a  b\n", 1, "a b\n", 2),
)


def test_approved_values(approved: Callable[[str, str], None]) -> None:
    """What was expected is green, what came instead is red, and only the part that differs is underlined."""
    renderer = LineRenderer(make_console(io.StringIO(), {"FORCE_COLOR": "1"}))
    blocks = [comparison(expected, actual, 60, 12, fold=2) for expected, actual in COMPARED]
    blocks += [first_difference(Spot(one, at), Spot(other, there), 60, 9) for one, at, other, there in MARKED]
    text = "".join("".join(f"{renderer.render(line)}\n" for line in [*block, Line()]) for block in blocks)
    approved("colours-values", with_colours(text))
