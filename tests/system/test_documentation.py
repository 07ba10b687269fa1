"""The documentation is consistent: links resolve, pages are listed, commands exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from generate import tree

ROOT = Path(__file__).parents[2]
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    ROOT / "src/subcli/judge/problems/README.md",
]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The headings of a page, as links name them."""
    headings = re.findall(r"^#+ +(.*)$", CODE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links() -> None:
    """Each link within the repository resolves to a file, and to a heading if it names one."""
    seen = 0
    for page in PAGES:
        for target in LINK.findall(CODE.sub("", page.read_text())):
            if "://" in target or target.startswith("mailto:"):
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            assert file.exists(), f"{page.relative_to(ROOT)}: {target}"
            assert not anchor or anchor in anchors(file), f"{page.relative_to(ROOT)}: {target}"
            seen += 1
    assert seen > 15


def test_every_page_is_listed() -> None:
    """docs/index.md links to every page of docs/."""
    listed = {(ROOT / "docs" / target).resolve() for target in LINK.findall((ROOT / "docs/index.md").read_text())}
    missing = {page for page in (ROOT / "docs").rglob("*.md") if page.name != "index.md"} - listed
    assert not missing


def test_commands_in_prose_exist() -> None:
    """Each `subcli something` in the pages is a command."""
    known = {" ".join(("subcli", *command.path)) for command in tree.read().walk()}
    for page in PAGES:
        if page.name == "CHANGELOG.md":
            continue
        for words in re.findall(r"`(subcli [a-z]+)[ `]", page.read_text()):
            assert words in known, f"{page.relative_to(ROOT)}: {words}"


def test_make_targets_in_prose_exist() -> None:
    """Each `make something` in the pages is a target."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for target in re.findall(r"(?:`|\$ |^)make ([a-z-]+)", page.read_text(), re.MULTILINE):
            assert target in targets, f"{page.relative_to(ROOT)}: make {target}"


def test_paths_in_contributing_exist() -> None:
    """The files named by the ten steps exist, and so does the example test."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert len(re.findall(r"^\d+\. ", text, re.MULTILINE)) == 10
    for path in re.findall(r"(?:tests|docs|src)/[\w/.]*\w", text):
        assert (ROOT / path).exists(), path
    ignored = subprocess.run(["git", "check-ignore", ".venv/bin/subcli"], cwd=ROOT, capture_output=True, text=True)
    assert ignored.returncode in (0, 128), "what step 2 makes is not to be committed"


def test_architecture_names_every_module() -> None:
    """Every module of the package is named in docs/architecture.md."""
    text = (ROOT / "docs/architecture.md").read_text()
    parts = [path.name if path.is_file() else f"{path.name}/" for path in (ROOT / "src/subcli").iterdir()]
    named = [part for part in parts if not part.startswith("__") and part.endswith((".py", "/"))]
    assert not [part for part in named if part not in text]


def test_tests_in_prose_exist() -> None:
    """Each test that docs/testing.md names is there: those of the table of reports, and every path of a test."""
    text = (ROOT / "docs/testing.md").read_text()
    file, checked = Path(), 0
    for path, name in re.findall(r"`(?:tests/)?([\w/]+/test_\w+\.py|…)(?:::(test_\w+))?`", text):
        file = file if path == "…" else ROOT / "tests" / path
        assert file.is_file(), path
        assert not name or re.search(rf"^(?:async )?def {name}\(", file.read_text(), re.MULTILINE), f"{path}::{name}"
        checked += 1
    rows = [line for line in text.splitlines() if re.match(r"\| [\w.-]+/[\w.-]+#\d", line)]
    assert len(rows) > 60
    assert all("::test_" in row or ".py`" in row for row in rows)
    assert checked > len(rows)
