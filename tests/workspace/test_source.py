"""What a submission is read from, what is left out of it, and what is warned of."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from subcli.core.errors import UsageError
from subcli.workspace.history import MAX_ENTRIES, History, digest
from subcli.workspace.source import Source, read_source
from tests.system.conftest import needs

IGNORE = """\
# a comment
build/
*.o
!keep.o
/top.py
docs/**/draft.md
trailing\\ space
\\#hash.py
lib/[ab].py
sub/inner/*
!sub/inner/yes.py
"""
NESTED = "*.md\n!c.py\n/only-here.py\n"
FILES = [
    "a.py",
    "a.o",
    "keep.o",
    "top.py",
    "sub/top.py",
    "build/x.py",
    "sub/build/y.py",
    "docs/draft.md",
    "docs/a/b/draft.md",
    "docs/other.md",
    "#hash.py",
    "lib/a.py",
    "lib/c.py",
    "sub/inner/no.py",
    "sub/inner/yes.py",
    "sub/readme.md",
    "sub/only-here.py",
    "sub/deep/only-here.py",
    "ünï.py",
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Files, and two `.gitignore` that name some of them."""
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n")
    (tmp_path / ".gitignore").write_text(IGNORE)
    (tmp_path / "sub" / ".gitignore").write_text(NESTED)
    return tmp_path


def test_directory_leaves_out_what_git_does(project: Path) -> None:
    """A directory is what `git ls-files` would list of it, without hidden files: also from below its root."""
    needs("git", shutil.which("git"))

    def git(*words: str, at: Path = project) -> str:
        return subprocess.run(
            ["git", "-c", "core.quotePath=false", *words], cwd=at, check=True, capture_output=True, text=True
        ).stdout

    git("init", "-q")
    for at in (project, project / "sub", project / "docs"):
        listed = git("ls-files", "--cached", "--others", "--exclude-standard", at=at).splitlines()
        wanted = {name for name in listed if not any(part.startswith(".") for part in name.split("/"))}
        assert set(read_source([str(at)]).files) == wanted


def test_without_git_the_directory_itself_counts(project: Path) -> None:
    """Where there is no repository, the `.gitignore` of the directory and those below it count."""
    names = set(read_source([str(project)]).files)
    assert "a.o" not in names
    assert "keep.o" in names
    assert "sub/readme.md" not in names
    # Nobody says that the directory above has to do with it.
    assert "top.py" in read_source([str(project / "sub")]).files


def test_named_files_are_handed_in_all_the_same(project: Path) -> None:
    """What is named on the command line is meant."""
    assert set(read_source([str(project / "a.o"), str(project / "top.py")]).files) == {"a.o", "top.py"}


def test_library_is_not_loaded_without_a_gitignore(tmp_path: Path) -> None:
    """The library that reads `.gitignore` costs nothing where there is none."""
    (tmp_path / "a.py").write_text("x")
    read = "from subcli.workspace.source import read_source; read_source(['.'])"
    code = f"import sys; {read}; print('pathspec' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_two_files_of_one_name(tmp_path: Path) -> None:
    """Two directories with a file of the same name are no submission: one would replace the other."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.py").write_text(name)
    with pytest.raises(UsageError, match=r"Two files would both be named a\.py"):
        read_source([str(tmp_path / "one"), str(tmp_path / "two")])


def test_origins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is known by the path that it was read from; a single one by whatever the server calls it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src").mkdir()
    for name in ("a.py", "b.py"):
        (tmp_path / "src" / name).write_text("x")
    directory = read_source(["src"])
    assert (directory.origin("a.py"), directory.origin("nope.py")) == ("src/a.py", None)
    assert read_source(["src/a.py"]).origin("solution.py") == "src/a.py"
    assert read_source(["src/a.py", "src/b.py"]).origin("src/b.py") == "src/b.py"
    assert Source({"<stdin>": "x"}, single=True).origin("solution.py") is None


def test_warnings(tmp_path: Path) -> None:
    """Files that are empty among others, and little room left; a package's empty `__init__.py` is as it should be."""
    (tmp_path / "a.py").write_text("x = 1")
    (tmp_path / "b.py").write_text("\n \n")
    (tmp_path / "__init__.py").write_text("")
    assert read_source([str(tmp_path)]).warnings() == ["b.py is empty."]
    (tmp_path / "b.py").write_text("é" * 120_000)
    (warning,) = read_source([str(tmp_path)]).warnings()
    assert "234 KiB" in warning
    assert "256 KiB" in warning


# -- the latest submission ----------------------------------------------------------------------------

CODE = Source({"node.py": "x = 1"}, single=True)


def test_same_code_is_noticed(tmp_path: Path) -> None:
    """The same code to the same problem of the same server, in the same language."""
    history = History(tmp_path / "state" / "submitted.json")
    assert history.find_same("http://a", "p", "python", CODE) is None
    history.add("http://a", "p", "python", CODE, 12, 1000.0)
    entry = history.find_same("http://a", "p", "python", CODE)
    assert entry is not None
    assert (entry.submission_id, entry.at) == (12, 1000.0)
    assert history.find_same("http://a", "p", "python", Source({"other.py": "x = 1"}, single=True)) is not None
    assert history.find_same("http://a", "p", "python", Source({"node.py": "x = 2"}, single=True)) is None
    assert history.find_same("http://a", "p", "c", CODE) is None
    assert history.find_same("http://a", "q", "python", CODE) is None
    assert history.find_same("http://b", "p", "python", CODE) is None
    assert "x = 1" not in (tmp_path / "state" / "submitted.json").read_text()


def test_name_of_a_log_is_remembered(tmp_path: Path) -> None:
    """That of the latest submission with an id: a restored server gives one out again."""
    history = History(tmp_path / "submitted.json")
    assert history.epoch_of("http://s", 343) is None
    history.add("http://s", "p", "c", CODE, 343, 1.0, "old")
    history.add("http://s", "other", "c", CODE, 343, 2.0, "new")
    history.add("http://s2", "p", "c", CODE, 343, 3.0, "elsewhere")
    history.add("http://s", "older server", "c", CODE, 344, 1.0)
    assert history.epoch_of("http://s", 343) == "new"
    assert history.epoch_of("http://s", 344) is None
    assert history.epoch_of("http://s", 345) is None


def test_files_are_told_apart() -> None:
    """The same texts under other names, or parted elsewhere, are another submission; their order is not."""
    one = Source({"a": "1", "b": "2"}, single=False)
    assert digest("c", one) == digest("c", Source({"b": "2", "a": "1"}, single=False))
    assert digest("c", one) != digest("c", Source({"a": "2", "b": "1"}, single=False))
    assert digest("c", one) != digest("c", Source({"a": "12", "b": ""}, single=False))


def test_history_is_bounded_and_bears_everything(tmp_path: Path) -> None:
    """The oldest entries go; a file that is broken, not there or not writable is passed over."""
    path = tmp_path / "submitted.json"
    path.write_text("{broken")
    history = History(path)
    for number in range(MAX_ENTRIES + 5):
        history.add("s", f"p{number}", "c", CODE, number, 0.0)
    assert history.find_same("s", "p4", "c", CODE) is None
    assert history.find_same("s", "p5", "c", CODE) is not None
    History(None).add("s", "p", "c", CODE, 1, 0.0)
    assert History(None).find_same("s", "p", "c", CODE) is None
    History(tmp_path / "submitted.json" / "below").add("s", "p", "c", CODE, 1, 0.0)
    assert [entry.name for entry in tmp_path.iterdir()] == ["submitted.json"]


def test_history_follows_no_planted_link(tmp_path: Path) -> None:
    """Where others may write to the directory: what they planted is not written through, and nobody else reads it."""
    victim, path = tmp_path / "victim", tmp_path / "submitted.json"
    victim.write_text("precious")
    (tmp_path / f".submitted.json.{os.getpid()}").symlink_to(victim)
    History(path).add("s", "p", "c", CODE, 1, 0.0)
    assert victim.read_text() == "precious"
    assert path.stat().st_mode & 0o777 == 0o600
    assert History(path).find_same("s", "p", "c", CODE) is not None
