"""A stranger's repository: whatever lies in it, `subcli submit` hands in no secret of whoever runs it, and ends."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest

from subcli.cli.common import Common
from subcli.core.errors import SubcliError
from subcli.output.printable import printable
from subcli.workspace.source import read_source
from tests.cli.streams import captured

SECRET = "BEGIN PRIVATE KEY"
GOOD = "print('mine')\n"
ESCAPES = "a\x1b]0;pwned\x07\n::error::x\u202e\u200b"


Make: TypeAlias = Callable[[Path, Path], None]
"""Lays a repository out, given its directory and the victim's home."""


@dataclass(frozen=True)
class Repository:
    """One of them.

    Attributes:
        what: its trick.
        make: lays it out.
        words: what `submit` is given; nothing: the project file names the files.
        refused: words of the error; empty if something may be handed in.
        files: what is handed in otherwise.
    """

    what: str
    make: Make
    words: tuple[str, ...] = ()
    refused: str = ""
    files: tuple[str, ...] = ()


def link(name: str, target: str) -> Make:
    """A link, in which HOME stands for the victim's."""

    def make(here: Path, home: Path) -> None:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).symlink_to(target.replace("HOME", str(home)))

    return make


def write(name: str, content: str | bytes = GOOD) -> Make:
    """A file, in whose content HOME stands for the victim's."""

    def make(here: Path, home: Path) -> None:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        data = content if isinstance(content, bytes) else content.replace("HOME", str(home)).encode()
        (here / name).write_bytes(data)

    return make


def project(files: str) -> Make:
    """A project file."""
    return write(".subcli.toml", f'problem = "lru"\nlanguage = "python"\nfiles = {files}\n')


def fifo(name: str) -> Make:
    """A FIFO that nobody writes to."""
    return lambda here, home: os.mkfifo(here / name)


def both(*makers: Make) -> Make:
    """Several of these."""

    def make(here: Path, home: Path) -> None:
        for each in makers:
            each(here, home)

    return make


def deep(here: Path, home: Path) -> None:
    """Directories as deep as a path may be."""
    for _ in range(120):
        here = here / "d"
    here.mkdir(parents=True)
    (here / "a.py").write_text(GOOD)


def many(here: Path, home: Path) -> None:
    """More files than anybody submits, each small."""
    for number in range(400):
        (here / f"{number}.py").write_text("#" * 1000)


def sparse(here: Path, home: Path) -> None:
    """A terabyte that takes no room."""
    with (here / "a.py").open("wb") as file:
        file.truncate(1 << 40)


OUT = "outside"
REPOSITORIES = [
    Repository("a file is a link to a secret", link("a.py", "HOME/.ssh/id"), ("a.py",), OUT),
    Repository("the same, in the directory", link("a.py", "HOME/.ssh/id"), (".",), OUT),
    Repository("a link with dots", link("a.py", "../home/.ssh/id"), ("a.py",), OUT),
    Repository("a link to a link", both(link("b", "HOME/.ssh/id"), link("a.py", "b")), ("a.py",), OUT),
    Repository("a directory is a link", link("src", "HOME/.ssh"), ("src",), OUT),
    Repository("a link on the way", link("src", "HOME"), ("src/.ssh/id",), OUT),
    Repository("a link in a directory", both(write("src/a.py"), link("src/b", "HOME/.ssh")), ("src",), OUT),
    Repository("a link to the root", link("src", "/"), ("src",), OUT),
    Repository("a link to /proc", link("a.py", "/proc/self/environ"), ("a.py",), OUT),
    Repository("a link to stdin", link("a.py", "/dev/stdin"), ("a.py",), OUT),
    Repository("a link to a device", link("a.py", "/dev/zero"), ("a.py",), OUT),
    Repository("a link to itself", link("a.py", "a.py"), ("a.py",), "leads to itself"),
    Repository("two links in a circle", both(link("a", "b"), link("b", "a")), ("a",), "leads to itself"),
    Repository("a directory that contains itself", both(write("s/a.py"), link("s/s", "../s")), ("s",), "contains it"),
    Repository(
        "a link to .git/config", both(write(".git/config", SECRET), link("a.py", ".git/config")), ("a.py",), "hidden"
    ),
    Repository(
        "a link to what git ignores",
        both(write(".gitignore", "keys\n"), write("keys/id", SECRET), link("a.py", "keys/id")),
        ("a.py",),
        "ignored by git",
    ),
    Repository(".git is a file", both(write(".git", "gitdir: HOME"), link("a.py", "HOME/.ssh/id")), ("a.py",), OUT),
    Repository(".git is a link", both(link(".git", "HOME"), link("a.py", "HOME/.ssh/id")), ("a.py",), OUT),
    Repository("a FIFO is named", fifo("a.py"), ("a.py",), "not a regular file"),
    Repository("a FIFO among others", both(fifo("b.py"), write("a.py")), (".",), files=("a.py",)),
    Repository("a FIFO in place of .gitignore", both(fifo(".gitignore"), write("a.py")), (".",), files=("a.py",)),
    Repository("a FIFO in place of the project file", both(fifo(".subcli.toml"), write("a.py")), (), ""),
    Repository(
        "a directory in place of .gitignore", both(write(".gitignore/x"), write("a.py")), (".",), files=("a.py",)
    ),
    Repository(
        "hidden files", both(write(".env", SECRET), write(".aws/key", SECRET), write("a.py")), (".",), files=("a.py",)
    ),
    Repository("a project file names a hidden file", both(project('[".env"]'), write(".env", SECRET)), (), "hidden"),
    Repository(
        "a project file names .git/config", both(project('[".git/config"]'), write(".git/config", SECRET)), (), "hidden"
    ),
    Repository(
        "a project file names an ignored file",
        both(project('["id"]'), write(".gitignore", "id\n"), write("id", SECRET)),
        (),
        "ignored by git",
    ),
    Repository("a project file leads out", project('["../home/.ssh/id"]'), (), OUT),
    Repository("a project file names an absolute path", project('["HOME/.ssh/id"]'), (), OUT),
    Repository("a project file names a link", both(project('["a.py"]'), link("a.py", "HOME/.ssh/id")), (), OUT),
    Repository("a project file reads stdin", project('["-"]'), (), "cannot submit stdin"),
    Repository("a project file with a NUL", project(r'["a\u0000b"]'), (), "not a valid file name"),
    Repository("a project file is a link to a secret", link(".subcli.toml", "HOME/.ssh/id"), (), "not valid TOML"),
    Repository(
        "a project file names a server", write(".subcli.toml", 'server = "https://evil.example"\n'), (), "evil.example"
    ),
    Repository(
        "a project file sets ws_url", write(".subcli.toml", 'ws_url = "wss://evil.example"\n'), (), "not allowed"
    ),
    Repository("a project file without an end", write(".subcli.toml", b"a = 1\n" * 100_000), (), "larger than"),
    Repository("a project file nested deep", write(".subcli.toml", "a = " + "[" * 5_000), (), "not valid TOML"),
    Repository("a name with escapes", write(f"{ESCAPES}.py", SECRET[::-1]), (".",), files=(f"{ESCAPES}.py",)),
    Repository("a name with escapes that is refused", write(f"{ESCAPES}.py", b"\0"), (".",), "binary"),
    Repository(
        "a name that is not text", lambda here, home: write(os.fsdecode(b"\xff.py"))(here, home), (".",), "not UTF-8"
    ),
    Repository("a name like an option", write("--server=evil"), (".",), files=("--server=evil",)),
    Repository("a terabyte", sparse, ("a.py",), "larger than"),
    Repository("many small files", many, (".",), "larger than"),
    Repository("a directory as deep as can be", deep, (".",), files=("d/" * 120 + "a.py",)),
    Repository("nothing but bytes", write("a.py", b"\xff" * 100), ("a.py",), "not UTF-8"),
    Repository(
        ".gitignore that no pattern engine likes",
        both(write(".gitignore", "[" * 500 + "\n" + "**/" * 500 + "x\n!(" * 50), write("a.py")),
        (".",),
        files=("a.py",),
    ),
    Repository(".gitignore in UTF-16", both(write(".gitignore", b"\xff\xfea\0"), write("a.py")), (".",), "UTF-16"),
    Repository(
        ".gitignore of megabytes", both(write(".gitignore", "x\n" * 600_000), write("a.py")), (".",), "larger than"
    ),
]


def submitted(words: tuple[str, ...], here: Path) -> dict[str, str]:
    """What `subcli submit WORDS` would hand in."""
    settings = Common().settings(captured(here).streams)
    if words:
        return dict(read_source(list(words)).files)
    if not settings.files:
        return {}
    return dict(read_source(list(settings.files), root=settings.project_dir).files)


@pytest.mark.parametrize("case", REPOSITORIES, ids=lambda case: case.what)
def test_hostile_repository(case: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused with a reason that can be printed, or handed in without the secret."""
    home, here = tmp_path / "home", tmp_path / "repository"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id").write_text(SECRET)
    here.mkdir()
    case.make(here, home)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    said, files = "", {}
    try:
        files = submitted(case.words, here)
    except SubcliError as error:
        said = printable(f"{error.message} {error.hint}")
    assert SECRET not in "".join(files.values())
    assert SECRET not in said
    assert tuple(files) == case.files
    assert case.refused in said
