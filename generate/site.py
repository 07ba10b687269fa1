"""``python -m generate.site SOURCE``: lays out the pages of the documentation site, for Sphinx to render.

The pages are Markdown files of the repository, which its host renders as well: README.md, docs/ and some others. Here
they are copied to one directory, their links are changed to match, and the reference is generated from the program.
docs/index.md is the home page. Its sections, and the links in their tables, are the site's table of contents.
"""

from __future__ import annotations

import posixpath
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from generate import reference, tree

ROOT: Final = Path(__file__).parents[1]
HOME: Final = "docs/index.md"
CHANGELOG: Final = "CHANGELOG.md"
REFERENCE: Final = "Reference"
"""The section of the home page that the generated pages belong to."""
_NAMES: Final = {
    "docs/deploy/README.md": "deploy.md",
    "src/subcli/judge/problems/README.md": "writing-problems.md",
}
"""What a page is called on the site, if it is not the name of its file in lower case."""
_LINK: Final = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_NOT_PROSE: Final = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
_SECTION: Final = re.compile(r"^## (.+)$", re.MULTILINE)


def name_of(page: str) -> str:
    """The name on the site of a page, given its path in the repository."""
    return _NAMES.get(page, posixpath.basename(page).lower())


def sections(home: str) -> dict[str, dict[str, str]]:
    """The pages that the home page links to, by section: their paths in the repository, and what it calls them."""
    found: dict[str, dict[str, str]] = {}
    _, *parts = _SECTION.split(home)
    for title, text in zip(parts[::2], parts[1::2], strict=True):
        targets = {posixpath.normpath(posixpath.join("docs", match[3])): match[2] for match in _LINK.finditer(text)}
        found[title] = {target: words for target, words in targets.items() if target.endswith(".md")}
    return found


def with_links(text: str, page: str, move: Callable[[str], str | None]) -> str:
    """Return a page with other targets in its links; code stays as it is.

    Args:
        text: The page.
        page: Its path in the repository.
        move: Gives the new target of a path in the repository; None if the words are to lose their link.
    """

    def change(match: re.Match[str]) -> str:
        target, hash_, anchor = match[3].partition("#")
        if not target or "://" in target or target.startswith("mailto:"):
            return match[0]
        moved = move(posixpath.normpath(posixpath.join(posixpath.dirname(page), target)))
        return match[2] if moved is None else f"{match[1]}[{match[2]}]({moved}{hash_}{anchor})"

    # A link may have code in it, so code is set aside, and not looked between.
    code: list[str] = []

    def put_aside(match: re.Match[str]) -> str:
        code.append(match[0])
        return f"\0{len(code) - 1}\0"

    changed = _LINK.sub(change, _NOT_PROSE.sub(put_aside, text))
    return re.sub("\0(\\d+)\0", lambda match: code[int(match[1])], changed)


def lay_out(source: Path) -> None:
    """Write all pages, and the files that they link to, to a directory, which is emptied first.

    Raises:
        ValueError: Two pages would have the same name, or a link leads nowhere.
    """
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    home = (ROOT / HOME).read_text(encoding="utf-8")
    listed = sections(home)
    pages = [HOME, *(page for group in listed.values() for page in group)]
    names = {page: name_of(page) for page in pages}
    if len(set(names.values())) != len(names):
        raise ValueError("two pages have the same name")
    generated = reference.pages(tree.read())

    def move(target: str) -> str | None:
        if target in names:
            return names[target]
        path = ROOT / target
        if path.is_dir():
            return None
        copy = source / "files" / target
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        return f"files/{target}"

    for page, name in names.items():
        text = with_links((ROOT / page).read_text(encoding="utf-8"), page, move)
        if page == HOME:
            text = _home(text, listed, names, generated)
        (source / name).write_text(text, encoding="utf-8")
    for name, text in generated.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    shutil.copyfile(ROOT / "src/subcli/schema.json", source / "reference/schema.json")


def _home(text: str, listed: dict[str, dict[str, str]], names: dict[str, str], generated: dict[str, str]) -> str:
    """The home page with the tables of contents, and with the generated pages among those of its section."""
    above = [name for name in generated if name.count("/") == 1]
    trees = []
    for title, pages in listed.items():
        entries = [f"{words} <{names[page]}>" for page, words in pages.items()] + (above if title == REFERENCE else [])
        trees.append("\n".join(["```{toctree}", ":hidden:", f":caption: {title}", "", *entries, "```"]))
    rows = [
        f"| [{reference.title(generated[name])}]({name}) | {reference.summary(generated[name])} |" for name in above
    ]
    before, heading, section = text.partition(f"## {REFERENCE}\n")
    table, end, after = section.partition("\n\n## ")
    if not heading or not end:
        raise ValueError(f"the home page has no section {REFERENCE!r} with others after it")
    return "\n\n".join([f"{before}{heading}{table}\n{chr(10).join(rows)}{end}{after}", *trees]) + "\n"


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]))
