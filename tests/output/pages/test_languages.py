"""The page of ``languages``."""

from __future__ import annotations

from typing import Any

from subcli.output.pages.languages import languages_table
from tests.output.pages.test_problems import printed

ROWS: list[dict[str, Any]] = [
    {"name": "cpp", "title": "C++", "endings": [".cpp", ".cc"], "version": "g++ 12.2.0", "available": True},
    {"name": "go", "title": "Go", "endings": ".go", "version": "1.19", "available": False},
    {"name": "x\x1b[2J", "version": 7},
]


def test_languages() -> None:
    """A line per language; one that cannot be judged now says so, and fields that are missing are a dash."""
    assert printed(languages_table(ROWS)).splitlines() == [
        "NAME    LANGUAGE  FILES     VERSION",
        "cpp     C++       .cpp .cc  g++ 12.2.0",
        "go      Go        .go       not available now",
        "x^[[2J  –         –         7",
    ]


def test_no_languages() -> None:
    """A sentence instead of a bare heading."""
    assert printed(languages_table([])) == "This server has no languages.\n"


def test_languages_on_a_narrow_terminal() -> None:
    """Long versions and lists of endings are folded, not cut: all of them can be read."""
    row = {**ROWS[0], "endings": [f".{letter * 7}" for letter in "abcdef"], "version": "v" * 100}
    text = printed(languages_table([row]), 40)
    assert "…" not in text
    assert text.count("v") == 100
    assert all(letter * 7 in text for letter in "abcdef")
    assert max(map(len, text.splitlines())) <= 40
    assert len(printed(languages_table([{"title": "x" * 10_000}]))) < 1_000
