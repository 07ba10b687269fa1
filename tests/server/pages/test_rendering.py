"""What pages are made of: statements, notes in code, and words that read alike with and without scripts."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from subcli.server.pages import words
from subcli.server.pages.code import files_with_notes
from subcli.server.pages.outcomes import analyses_of, failures_of, in_order, listed_tests
from subcli.server.pages.rendering import printable
from subcli.server.pages.statement import to_html
from subcli.shared.encoding import INVISIBLE
from tests.server.pages.test_page_state import run

HARMLESS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a <b onclick=alert(1)>c</b>",
    "<svg/onload=alert(1)>",
    "<!-- --><iframe src=//evil.example>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "[x](vbscript:x)",
    "<javascript:alert(1)>",
    '[x](https://a.example "title\\" onmouseover=alert(1)")',
    "![x](https://evil.example/pixel.png)",
    '![x"><script>alert(1)</script>](y)',
    "[a]: javascript:alert(1)\n\n[a]",
    "```<script>\nx\n```",
    '```js" onclick=alert(1)\n</code></pre><script>alert(1)</script>\n```',
    "| <script> | x |\n|---|--:|\n| <img src=x onerror=y> | z |",
    "[x](ms-msdt:/id)",
    "[x](file:///etc/passwd)",
    "[x](blob:https://a.example/1)",
    "[x](view-source:https://a.example)",
    "<search-ms:query=x>",
    "[x](intent://a.example#Intent;end)",
    "[a]: JAVA&#115;CRIPT:alert(1)\n\n[a]",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_statements_run_nothing(text: str) -> None:
    """Markup in a statement is text, and no address but that of a website is a link. Nothing is loaded."""
    from html.parser import HTMLParser

    found: list[tuple[str, dict[str, str | None]]] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, dict(attrs)))

    Tags().feed(to_html(text, ""))
    for tag, attributes in found:
        assert tag in {"p", "a", "em", "pre", "code", "div", "table", "thead", "tbody", "tr", "th", "td"}
        assert set(attributes) <= {"href", "title", "tabindex", "role", "aria-label", "class"}
        assert attributes.get("class") in (None, "wide", "number")
        assert (attributes.get("href") or "https:").startswith("https:")


def test_statement() -> None:
    """The title is not repeated, headings are below that of the page, and what is wide scrolls by itself."""
    html = to_html(
        "# Two  Sum\n\nAdd `a`.\n\n## Input\n\n###### Deep\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n    x\n", "Two  Sum"
    )
    assert "Two" not in html
    assert "<h2>Input</h2>" in html
    assert "<h3>Deep</h3>" in html
    assert '<div class="wide" tabindex="0" role="group" aria-label="Table"><table>' in html
    assert '<pre tabindex="0"><code>x' in html
    assert "<th>a</th>\n<td></td>" in to_html("| a | |\n|---|---|\n| b | c |", "")
    assert "<h2>Another</h2>" in to_html("# Another", "Title")
    assert to_html("", "") == ""
    assert to_html("a\u202eb\u0000", "") == "<p>a\\u202eb\ufffd</p>\n" or "\\u0000" in to_html("a\u202eb\u0000", "")


@pytest.mark.parametrize("href", ["https://a.example/", "http://a.example/x:y", "mailto:a@b.example", "other", "a/b:c",
                                  "#part", "?q=a:b", "../problems/echo"])  # fmt: skip
def test_links_that_stay(href: str) -> None:
    """To websites and other pages of this server."""
    assert f'<a href="{href}">x</a>' in to_html(f"[x]({href})", "")


HIDDEN = "".join(filter(re.compile(f"[{INVISIBLE}]").match, map(chr, range(0x110000))))


def test_hidden_characters_are_shown() -> None:
    """Control characters, and all that reorder or hide text, as in a terminal; lines and tabs stay."""
    assert printable("a\u202e\u0007\ud800\n\tb") == "a\\u202e\\u0007\\ud800\n\tb"
    assert printable(HIDDEN).isascii()
    assert printable("\u115f\U000e0041") == "\\u115f\\U000e0041"


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_scripts_show_the_same_hidden_characters(tmp_path: Path) -> None:
    """What a script writes reads as what the server has written."""
    text = f"{HIDDEN}a\n\t\u00e9\U0001f600"
    script = f'import {{ printable }} from "./dom.js"; console.log(JSON.stringify(printable({json.dumps(text)})));'
    assert run(script, tmp_path) == printable(text)


def analysis(error: str, file: object = None, line: object = None, **more: Any) -> str:
    location = {} if file is None else {"location": {"file": file, "line": line}}
    return json.dumps({"type": "error_analysis", "error": error, **location, **more})


def test_notes_stand_at_their_lines() -> None:
    """A file is meant by its path, or by its name where only one has it. Other places are left out."""
    files = {"src/a.py": "one\ntwo\n", "src/b.py": "x", "lib/b.py": "y"}
    told = [
        analysis("E1\nmore", "src/a.py", 2, test_name="T", test_id="1"),
        analysis("E2", "/judge/a.py", 2, test_name="U", test_id="2"),
        *(analysis("E1", "a.py", 2, test_name=name, test_id=name) for name in "XY"),
        analysis("whole", "a.py", 1),
        analysis("which?", "b.py", 1),
        analysis("no line", "src/b.py"),
        analysis("strange", 7, "x", test_name="V"),
        analysis("beyond", "src/b.py", 99, test_name="W"),
    ]
    made = {file.path: file for file in files_with_notes(files, analyses_of(told))}
    assert list(made) == ["lib/b.py", "src/a.py", "src/b.py"]
    assert [(line.text, line.notes) for line in made["src/a.py"].lines] == [
        ("one", ("whole",)),
        ("two", ("T and 2 more tests: E1", "U: E2")),
    ]
    assert not any(line.notes for path in ("lib/b.py", "src/b.py") for line in made[path].lines)


def test_very_long_code_is_plain_text() -> None:
    """Thousands of lines with an element each would hardly scroll."""
    (long,) = files_with_notes({"a": "x\n" * 5001}, [])
    assert (long.lines, long.count) == ((), 5001)


def test_order_and_number_of_tests() -> None:
    """Tests without a group, then group by group as the verdict lists them. Of very many, those that did not pass."""
    tests = [{"test_name": str(n), "status": "passed", "group": group} for n, group in enumerate("babc")]
    tests.append({"test_name": "4", "status": "failed"})
    summary = {"groups": [{"name": "c"}, {"name": "a"}, None, 3]}
    assert [test["test_name"] for test in in_order(tests, summary)] == ["4", "3", "1", "0", "2"]
    assert [test["test_name"] for test in in_order(tests, None)] == ["4", "0", "2", "1", "3"]
    many = [{"test_name": str(n), "status": "failed" if n % 100 == 50 else "passed"} for n in range(1000)]
    shown, left_out = listed_tests(many, None)
    assert [test["name"] for test in shown] == [str(n) for n in range(50, 1000, 100)]
    assert left_out == 990
    assert listed_tests(many[:300], None)[1] == 0


def test_failures_with_all_that_is_known() -> None:
    """Also what belongs to no test; strange values do no harm."""
    failed = {"test_name": "T", "status": "failed", "expected": {"a": 1}, "actual": "", "output": "o" * 5000}
    told = analyses_of([analysis("E", "f.py", 3), analysis("T's", test_name="T")])
    one, alone = failures_of([failed, {"test_name": "P", "status": "passed"}], told)
    assert one["facts"] == [("expected", '{"a": 1}'), ("output", "o" * 4000 + "…")]
    assert (alone["name"], alone["message"], alone["place"]) == ("E", "", "f.py:3")


DURATIONS = [0, 0.4, 1, 999.4, 999.5, 1250, 99_994, 99_995, 125_000, 3_600_000, -1, 1e11, "x"]
SCORES: list[list[float | None]] = [
    [40, 100],
    [0, 0],
    [1, 1],
    [2.5, 10],
    [1 / 3, None],
    [None, 5],
    [1e13, 1],
    [100, 100],
]
WORDS = """
import { duration, points, glyph, words } from "./words.js";
const [durations, scores, statuses] = %s;
console.log(JSON.stringify({
  durations: durations.map(duration),
  points: scores.map(([score, max_score]) => points({ score, max_score })),
  statuses: statuses.map((each) => `${glyph(each)} ${words(each)}`) }));
"""
STATUSES = ["passed", "failed", "build_failed", "error", "skipped", "cancelled", "constructor"]


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_words_are_those_of_the_scripts(tmp_path: Path) -> None:
    """A page reads the same before and after its script has touched it."""
    seen = run(WORDS % json.dumps([DURATIONS, SCORES, STATUSES]), tmp_path)
    assert seen["durations"] == [words.duration(each) for each in DURATIONS]
    assert seen["statuses"] == [f"{words.glyph(each)} {words.words(each)}" for each in STATUSES]
    assert seen["points"] == [words.points_in_words({"score": score, "max_score": most}) for score, most in SCORES]


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"total_tests": 10, "passed": 8, "duration_ms": 4200}, "8 of 10 tests passed in 4.20 s"),
        ({"total_tests": 1, "passed": 1}, "1 of 1 test passed"),
        ({"total_tests": 8, "passed": 4, "score": 40, "max_score": 100, "pass_score": 60},
         "4 of 8 tests passed, 40 of 100 points (60 needed)"),
        ({}, ""), (None, ""), ({"total_tests": "x", "passed": None, "duration_ms": sys.maxsize}, ""),
    ],
)  # fmt: skip
def test_summary(counts: Any, said: str) -> None:
    """What follows a verdict."""
    assert words.summary(counts) == said
