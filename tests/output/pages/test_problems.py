"""The pages of ``problems``."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rich.console import RenderableType

from subcli.output.pages.languages import languages_table
from subcli.output.pages.problems import check_line, problem_page, problems_table
from subcli.output.terminal.console import make_console
from tests.output.conftest import with_colours

NOW = 1_800_000_000.0
"""15 January 2027."""


def printed(page: RenderableType, columns: int = 80) -> str:
    stream = io.StringIO()
    make_console(stream, {"COLUMNS": str(columns)}).print(page)
    return "".join(f"{line.rstrip()}\n" for line in stream.getvalue().splitlines())


def test_list() -> None:
    """A line per problem; fields that are missing are a dash."""
    rows: list[dict[str, Any]] = [
        {"id": 1, "slug": "kv-store", "title": "Store", "total_tests": 4, "languages": ["c", "python"]},
        {"id": 12, "slug": "clock", "languages": "c"},
        {"id": 13, "slug": "sum", "languages": ["c", "cpp", "go", "java"]},
        {"id": 14, "slug": "sort", "languages": ["c", "cpp", "go", "java", "rust"]},
    ]
    assert printed(problems_table(rows, NOW)).splitlines() == [
        "ID  PROBLEM   TITLE  TESTS  LANGUAGES",
        " 1  kv-store  Store      4  c, python",
        "12  clock     –          –  c",
        "13  sum       –          –  c, cpp, go, java",
        "14  sort      –          –  c, cpp, go and 2 more",
    ]


def test_deadline_and_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the time zone of this machine; a column only where a problem closes."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    rows: list[dict[str, Any]] = [
        {"id": 1, "slug": "a", "closes": "2027-01-31T22:59:00.000Z", "max_attempts": 3},
        {"id": 2, "slug": "b", "closes": "2026-01-31T22:59:00.000Z"},
        {"id": 3, "slug": "c", "closes": "soon"},
    ]
    assert printed(problems_table(rows, NOW)).splitlines() == [
        "ID  PROBLEM  TITLE  TESTS  LANGUAGES  CLOSES",
        " 1  a        –          –  –          2027-01-31 23:59",
        " 2  b        –          –  –          closed",
        " 3  c        –          –  –",
    ]
    open_, closed = (printed(problem_page(row, NOW, quiet=False, next_command="")) for row in rows[:2])
    assert "closes    2027-01-31 23:59 CET\n" in open_
    assert "attempts  at most 3\n" in open_
    assert "closed   2026-01-31 23:59 CET\n" in closed


def test_version_that_stays_in_service() -> None:
    """Whoever lists the problems learns that one is not as its author left it."""
    row = {"id": 1, "slug": "a", "version": "0123456789abcdef" * 2, "outdated": True}
    said = "its files are not valid as they are now; the version before stays in service (see the server's log)"
    assert printed(problems_table([row, {**row, "outdated": False}], NOW), 120).endswith(f"\n\na: {said}\n")
    page = printed(problem_page(row, NOW, quiet=False, next_command=""), 120)
    assert f"version  0123456789ab\n         {said}\n" in page


@pytest.fixture(autouse=True)
def time_zone() -> Iterator[None]:
    """Some tests change it."""
    yield
    time.tzset()


def test_approved_colours_of_the_pages(approved: Callable[[str, str], None]) -> None:
    """Headings are dim, names that one types are bold; what an author has to mend is red."""
    rows: list[dict[str, Any]] = [{"id": 1, "slug": "kv-store", "title": "Store", "languages": ["c"]}]
    problem = {**rows[0], "samples": [{"name": "sample/1", "input": "1", "answer": "2"}]}
    full = {
        "slug": "sum",
        "title": "Sum of two numbers",
        "languages": ["c", "python"],
        "total_tests": 12,
        "limits": {"test_seconds": 2.5, "memory_mb": 256, "output_kb": 64, "max_nodes": 3},
        "description": "# Sum of two numbers\n\nAdd *both*.\n\n- one\n- two\n",
        "samples": [
            {"name": f"sample/{n}", "input": f"{n} 1\n" * (9 * n), "answer": f"{n + 1}\n"} for n in range(1, 8)
        ],
    }
    pages = [
        problems_table(rows, NOW),
        problem_page(problem, NOW, quiet=False, next_command="subcli init kv-store"),
        problem_page(full, NOW, quiet=False, next_command="subcli init sum"),
        *(check_line("a check", ok, "took 3 s") for ok in (True, False, None)),
        languages_table([{"name": "c"}, {"name": "go", "available": False}]),
    ]
    stream = io.StringIO()
    console = make_console(stream, {"COLUMNS": "80", "FORCE_COLOR": "1"})
    for page in pages:
        console.print(page)
    approved("colours-pages", with_colours(stream.getvalue()))


def test_title_of_a_problem_comes_first() -> None:
    """The page begins with it, then a blank line and the name."""
    text = printed(problem_page({"title": "A Store", "slug": "kv-store"}, NOW, quiet=False, next_command=""))
    assert text.splitlines()[:3] == ["A Store", "", "problem  kv-store"]


def test_title_is_said_once() -> None:
    """A description often begins with the title as its heading; another heading stays."""
    for heading, count in (("# A Store", 1), ("# A Store of Keys", 2), ("## A Store", 2)):
        problem = {"title": "A Store", "description": f"{heading}\n\nKeep it."}
        text = printed(problem_page(problem, NOW, quiet=False, next_command=""))
        assert text.count("A Store") == count
        assert "Keep it." in text


def test_empty_list() -> None:
    """A sentence instead of a bare heading."""
    assert printed(problems_table([], NOW)) == "This server has no problems.\n"


def test_problem_page() -> None:
    """Title, properties, description, and the command that begins."""
    problem = {
        "slug": "kv-store",
        "title": "Store",
        "languages": ["c"],
        "total_tests": 4,
        "limits": {"test_seconds": 20.0, "memory_mb": 256, "output_kb": 64, "nodes": 3, "note": "x"},
        "description": "# Heading\n\nKeep *values*.",
    }
    text = printed(problem_page(problem, NOW, quiet=False, next_command="subcli init kv-store"), 120)
    assert "limits     test 20 s, memory 256 MB, output 64 KB, nodes 3, note x\n" in text
    assert "languages  c\n" in text
    assert "tests      4\n" in text
    assert "Keep values." in text
    assert text.endswith("\nsubcli init kv-store\n")


def test_samples() -> None:
    """Samples follow the description, cut, unless it shows them itself; what is no sample is left out."""
    samples = [
        {"name": "sample/1", "input": "1 2\n\x1b[2J\n", "answer": "3\n"},
        {"name": "sample/2", "input": "in the text", "answer": "this too"},
        {"name": "sample/3", "input": "a\n" * 30, "answer": ""},
        {"name": "sample/4", "input": None},
        7,
    ]
    problem = {"description": "in the text, this too", "samples": samples}
    text = printed(problem_page(problem, NOW, quiet=False, next_command="next"))
    assert "sample/1\n  input\n  │ 1 2\n  │ ^[[2J\n  output\n  │ 3\n" in text
    assert "sample/2" not in text
    assert text.endswith("  │ a\n  │ … 10 more lines\n\nnext\n")


def test_quiet_problem_page_is_the_description() -> None:
    """As the author wrote it, but harmless."""
    assert (
        printed(problem_page({"description": "# A\n\n*b*\x1b[2J"}, NOW, quiet=True, next_command=""))
        == "# A\n\n*b*^[[2J\n"
    )


def test_problem_page_without_fields() -> None:
    """A server may omit everything."""
    assert printed(problem_page({}, NOW, quiet=False, next_command="subcli init 2")).endswith("subcli init 2\n")


@pytest.mark.parametrize(("ok", "mark"), [(True, "✓"), (False, "✗"), (None, "–")])
def test_check_line(ok: bool | None, mark: str) -> None:
    """Passed, failed, or impossible to check on this machine."""
    assert printed(check_line("bundled\nsolution", ok, "took 3 s")) == f"{mark} bundled solution         took 3 s\n"


@pytest.mark.thorough
def test_texts_of_many_megabytes() -> None:
    """They are cut: a list of so many megabytes, rendered as Markdown, would take minutes."""
    huge = "word " * 500_000
    rows = [{"id": 1, "slug": huge, "title": huge, "languages": [huge] * 5, "total_tests": huge}]
    assert len(printed(problems_table(rows, NOW))) < 5_000
    text = printed(problem_page({**rows[0], "description": huge}, NOW, quiet=False, next_command=""))
    assert len(text) < 200_000
    assert "… cut here; --json prints all of it." in text
