"""The documentation site: its pages are laid out from the repository and the program, and its links are checked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from generate import reference, site, tree
from generate.site_links import mistakes
from subcli.output import schema


def test_every_page_and_picture_is_laid_out(tmp_path: Path) -> None:
    """The site has all pages that docs/index.md lists, what they link to, and each of them in a table of contents."""
    source = tmp_path / "source"
    site.lay_out(source)
    home = (source / "index.md").read_text()
    pages = {path.relative_to(source).as_posix() for path in source.rglob("*.md")} - {"index.md"}
    entries = set(re.findall(r"^(?:.+ <)?([\w/-]+\.md)>?$", home, re.MULTILINE))
    assert pages == entries | {page for page in pages if page.startswith("reference/commands/")}
    assert {"readme.md", "security.md", "deploy.md", "writing-problems.md", "reference/settings.md"} <= pages
    for page in pages | {"index.md"}:
        for target in re.findall(r"\]\((files/[^)]+)\)", (source / page).read_text()):
            assert (source / target).is_file(), target


def test_links_follow_the_pages() -> None:
    """A link gets the page's name on the site. One to a directory loses its link; foreign ones and code stay."""
    page = "src/subcli/judge/problems/README.md"
    text = "[a](../../../../docs/ci.md#x) [`b`](here/) [d](https://d.example) `[e](docs/ci.md)` [f](#g)"
    changed = site.with_links(text, page, {"docs/ci.md": "ci.md"}.get)
    assert changed == "[a](ci.md#x) `b` [d](https://d.example) `[e](docs/ci.md)` [f](#g)"


def test_reference_is_complete() -> None:
    """It has every command with all its options, every line of JSON with all its fields, and every setting."""
    commands = tree.read()
    pages = reference.pages(commands)
    common = pages["reference/commands.md"]
    for command in commands.commands:
        page = pages[f"reference/commands/{command.name}.md"]
        for under in command.walk():
            assert f" subcli {' '.join(under.path)}\n" in page
            for option in under.options:
                assert f"`{option.names[0]}`" in page + common, (under.path, option.names)
    json = pages["reference/json.md"]
    for name, item in schema.build()["$defs"].items():
        section = json.partition(f"### `{name}`\n")[2].partition("\n##")[0]
        for field, kind in item["properties"].items():
            assert (f"| `{field}` |" in section) == (kind is not False), (name, field)
    for setting in ("server", "files", "profiles", "SUBCLI_API_PATH", "SUBCLI_DATABASE", "NO_COLOR"):
        assert f"`{setting}`" in pages["reference/settings.md"], setting


def test_project_files_do_not_set_the_socket() -> None:
    """The table says what a project file may set: not `ws_url`, since it comes with other people's code."""
    rows = reference.pages(tree.read())["reference/settings.md"].splitlines()
    places = {row.split("|")[1].strip(): row.split("|")[3] for row in rows if row.startswith("| `")}
    assert ".subcli.toml" in places["`server`"]
    assert ".subcli.toml" not in places["`ws_url`"]


@pytest.mark.parametrize(
    ("body", "mistake"),
    [
        ('<a href="other.html#here">good</a><img src="data:,"><a href="https://far.example/">far</a>', None),
        ('<a href="none.html">', "index.html links to none.html, which does not exist"),
        ('<img src="none.svg">', "index.html links to none.svg, which does not exist"),
        ('<a href="other.html#none">', "index.html links to other.html#none, which has no such anchor"),
        ('<a href="#none">', "index.html links to #none, which has no such anchor"),
        ('<script src="https://far.example/x.js">', "index.html loads https://far.example/x.js from another host"),
        ('<link href="//far.example/x.css">', "index.html loads //far.example/x.css from another host"),
    ],
)
def test_links_of_the_built_site(body: str, mistake: str | None, tmp_path: Path) -> None:
    """A link that leads nowhere is found, and whatever a browser would ask another host for."""
    (tmp_path / "index.html").write_text(body)
    (tmp_path / "other.html").write_text('<p id="here">')
    assert mistakes(tmp_path) == ([mistake] if mistake else [])
