"""Foreign text in lines of a given width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from subcli.output.terminal.console import make_console
from subcli.output.terminal.terminal import LinkingConsole
from subcli.output.text.lines import Block, Line, LineRenderer, as_line, clip, verbatim, wrap
from subcli.output.text.theme import BAD, GOOD, GOOD_BADGE, PLAIN, in_ascii
from tests.output.conftest import with_colours


def test_pieces_of_a_line() -> None:
    """Empty ones are none; the width is counted in cells."""
    line = Line("ab", GOOD).put("").put("中", BAD).pad_to(3).pad_to(6)
    assert line.pieces == [("ab", GOOD), ("中", BAD), ("  ", PLAIN)]
    assert (line.cells, line.text) == (6, "ab中  ")
    assert Line().extend(line).put("!").cells == 7
    assert (Line().pieces, Line("").cells) == ([], 0)


@pytest.mark.parametrize(
    ("width", "text"),
    [(9, "ab中cd"), (6, "ab中cd"), (5, "ab中c"), (4, "ab中"), (3, "ab"), (2, "ab"), (1, "a"), (0, "")],
)
def test_cut_line(width: int, text: str) -> None:
    """To what fits: a wide character is not halved."""
    line = Line("ab", GOOD).put("中", BAD).put("cd")
    assert line.cut(width).text == text
    assert line.text == "ab中cd"


def test_trimmed_line() -> None:
    """Without the spaces at its end, unless they are part of a badge."""
    assert Line("a ").pad_to(5).put("  ").trimmed().text == "a "
    assert Line("a ").pad_to(5).trimmed().cells == 2
    assert Line("a").put(" ", GOOD_BADGE).trimmed().text == "a "
    assert Line("   ").trimmed().pieces == []


@pytest.mark.parametrize(
    ("text", "cells", "clipped"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("a\n\tb ", 3, "a b"),
        ("abc", 0, ""),
        ("abc", -1, ""),
        ("abc", 1, "…"),
        ("中文", 4, "中文"),
        ("中文", 3, "中…"),
        ("中文字", 4, "中…"),
        ("a\x1bb", 4, "a^[b"),
        ("a\x1bb", 3, "a^…"),
        (" " * 99 + "a", 3, "…"),
        ("e\u0301" + "\u0301" * 9, 4, "e\u0301\u0301\u0301"),
        ("☃\ufe0f", 7, "☃\\ufe0f"),
    ],
)
def test_clipped_text(text: str, cells: int, clipped: str) -> None:
    """One harmless line; only its beginning is looked at."""
    assert clip(text, cells) == clipped


@pytest.mark.parametrize(
    ("text", "cells", "limit", "lines"),
    [
        ("one two three", 8, 9, ["one two", "three"]),
        ("one two three", 13, 9, ["one two three"]),
        ("one two three", 8, 1, ["one two…"]),
        ("a\nb\nc", 8, 2, ["a", "b…"]),
        ("a\n\n\nc", 8, 2, ["a…"]),
        ("abcdefghijklm", 8, 9, ["abcdefgh", "ijklm"]),
        ("ab cdefghijklm", 8, 9, ["ab cdefg", "hijklm"]),
        ("abc defghijklm", 8, 9, ["abc", "defghijk", "lm"]),
        ("text:\n  code is not broken", 10, 9, ["text:", "  code is…"]),
        ("text:\n> marked code goes on", 10, 9, ["text:", "> marked …"]),
        ("中文字字中文字", 8, 9, ["中文字字", "中文字"]),
        ("x" * 400, 8, 2, ["x" * 8, "x" * 7 + "…"]),
        ("a\tb", 8, 9, ["a   b"]),
        ("trailing   \nspace", 20, 9, ["trailing", "space"]),
        ("\n\n", 8, 9, [""]),
        ("abcdefghi", 3, 9, ["abcdefgh", "i"]),
    ],
)
def test_wrapped_text(text: str, cells: int, limit: int, lines: list[str]) -> None:
    """Broken at spaces if there are any, at most so many lines; an ellipsis says that there is more."""
    assert wrap(text, cells, limit) == lines


def test_folded_code() -> None:
    """Further pieces of a line of code are indented; what does not fit into them is cut."""
    assert wrap("x:\n  abcdefghijklmnopqrst", 10, 9, code=2) == ["x:", "  abcdefgh", "  ijklmno…"]
    assert wrap("x:\n  abcdefghijklmnop", 10, 9, code=2) == ["x:", "  abcdefgh", "  ijklmnop"]
    assert wrap("x:\n  abcdefgh", 10, 9, code=2) == ["x:", "  abcdefgh"]
    assert wrap("x:\n  " + "y" * 40, 20, 9, code=3) == ["x:", "  " + "y" * 18, "    " + "y" * 16, "    yyyyyy"]


@pytest.mark.parametrize(
    ("text", "cells", "pieces", "lines"),
    [
        ("    deep", 8, 1, ["    deep"]),
        ("    deeper", 8, 1, ["    dee…"]),
        ("abcdefghijk", 8, 2, ["abcdefgh", "ijk"]),
        ("abcdefghijklmnopq", 8, 2, ["abcdefgh", "ijklmno…"]),
        ("", 8, 1, [""]),
        ("x  ", 8, 1, ["x"]),
        ("a\tb", 8, 1, ["a   b"]),
        ("y" * 99, 8, 2, ["y" * 8, "y" * 7 + "…"]),
        (" " * 99, 8, 2, ["…"]),
    ],
)
def test_verbatim_text(text: str, cells: int, pieces: int, lines: list[str]) -> None:
    """With its indentation, in so many pieces."""
    assert verbatim(text, cells, pieces) == lines


def test_whole_text_as_a_line() -> None:
    """With its spaces; the caller cuts it."""
    assert as_line("a\n\tb  \x1b") == "a     b  ^["


def test_renderer_without_colours() -> None:
    """No sequences, no spaces at the end, and no margins of badges."""
    console = make_console(io.StringIO(), {})
    line = Line(" ", GOOD_BADGE).put("passed", GOOD_BADGE).put(" ", GOOD_BADGE).put("  x").pad_to(20)
    assert LineRenderer(console).render(line) == "passed  x"
    stream = io.StringIO()
    make_console(stream, {}).print(Block([line, Line()]))
    assert stream.getvalue() == "passed  x\n\n"


def test_renderer_with_colours() -> None:
    """Each piece has its style; links are left out where the terminal would print them."""
    line = Line(" ", GOOD_BADGE).put("passed", GOOD_BADGE).put(" x").put("y", BAD)
    console = make_console(io.StringIO(), {"FORCE_COLOR": "1"})
    rendered = LineRenderer(console).render(line)
    assert with_colours(rendered) == "<1;7;32> <0><1;7;32>passed<0> x<31>y<0>"
    linked = Line("z", GOOD.update_link("http://x/"))
    assert "http://x/" not in LineRenderer(console).render(linked)
    linking = LinkingConsole(file=io.StringIO(), force_terminal=True, color_system="standard")
    assert "http://x/" in LineRenderer(linking).render(linked)
    plain = Console(file=io.StringIO(), no_color=True, force_terminal=True, color_system="standard")
    assert LineRenderer(plain).render(linked) == "z"


def test_glyphs_in_ascii() -> None:
    """Each has one character, but an ellipsis that begins a line."""
    assert in_ascii("✓✗–●○↻→│·…━─⠋⠙⠹⠸") == "+x-*o@>|-~=-|/-\\"
    assert in_ascii("… 3 more …") == "... 3 more ~"
