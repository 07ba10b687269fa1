"""What `subcli init` writes, given what a server offers."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from subcli.core.errors import ServerError, UsageError
from subcli.shared.platform.files import Files
from subcli.shared.platform.windows import WindowsFiles
from subcli.workspace.scaffold import is_safe_name, make_workspace
from tests.shared.platform.model import ModelApi


def make(directory: Path, files: dict[str, str]) -> list[Path]:
    """A workspace for these files."""
    return make_workspace(directory, files, problem="p", language="c", submitted=list(files))


def test_writes_files_and_project(tmp_path: Path) -> None:
    """The files are written with their texts, and the project file names them."""
    written = make(tmp_path / "new", {"a.c": "one", "tests/b.c": "two"})
    assert [path.relative_to(tmp_path / "new").as_posix() for path in written] == ["a.c", "tests/b.c", ".subcli.toml"]
    assert (tmp_path / "new/tests/b.c").read_text() == "two"
    project = tomllib.loads((tmp_path / "new/.subcli.toml").read_text())
    assert project == {"problem": "p", "language": "c", "files": ["a.c", "tests/b.c"]}


@pytest.mark.parametrize(
    "name",
    [
        "/etc/x",
        "../x",
        "a/../../x",
        "a/./b",
        ".bashrc",
        ".git/hooks/post-checkout",
        "a//b",
        "",
        "a\\b",
        "a\nb",
        "\x1b[31m",
    ],
)
def test_names_that_lead_elsewhere(tmp_path: Path, name: str) -> None:
    """A name that is absolute, climbs, hides or cannot be printed is refused before anything is written."""
    with pytest.raises(ServerError):
        make(tmp_path / "new", {"fine.c": "", name: "evil"})
    assert not (tmp_path / "new").exists()


def test_too_many_files(tmp_path: Path) -> None:
    """A server cannot fill the disk with files."""
    with pytest.raises(ServerError):
        make(tmp_path / "new", {f"{number}.c": "" for number in range(201)})
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("link", ["new", "new/sub", "new/sub/deep", "above", "new/a.c", "new/.subcli.toml"])
@pytest.mark.parametrize("target", ["outside", "gone"])
def test_writes_through_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: str, target: str) -> None:
    """A link in the directory, of the directory or out of the working tree on the way to it is refused first."""
    (tmp_path / "outside").mkdir()
    project = tmp_path / "project"
    (project / link).parent.mkdir(parents=True)
    (project / link).symlink_to(tmp_path / target)
    monkeypatch.chdir(project)
    directory = Path("above/new" if link == "above" else "new")
    before = sorted(project.rglob("*"))
    with pytest.raises(UsageError, match=r"is a link|already exists"):
        make(directory, {"a.c": "one", "sub/deep/b.c": "two"})
    assert sorted(project.rglob("*")) == before
    assert list((tmp_path / "outside").iterdir()) == []
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize("name", ["C:/Windows/x.py", "C:x.py", "a.py:stream", "sub/nul.py", "a/con", "x.", "a /b"])
def test_names_that_mean_something_else_on_windows(name: str) -> None:
    """There, a drive, a device or a stream of another file would be written; here they are names like others."""
    assert not is_safe_name(name, WindowsFiles(ModelApi()))
    assert is_safe_name(name, Files())
    assert is_safe_name("tests/deep/node.py", WindowsFiles(ModelApi()))


def test_never_overwrites(tmp_path: Path) -> None:
    """A file that is there stays as it is, and no other is written."""
    (tmp_path / "b.c").write_text("mine")
    with pytest.raises(UsageError, match=r"b\.c"):
        make(tmp_path, {"a.c": "theirs", "b.c": "theirs"})
    assert (tmp_path / "b.c").read_text() == "mine"
    assert not (tmp_path / "a.c").exists()


def test_odd_problem_names_stay_text(tmp_path: Path) -> None:
    """What a server calls its problem cannot break out of the project file."""
    make_workspace(tmp_path, {"a.c": ""}, problem='x"\nserver = "http://evil', language="c", submitted=["a.c"])
    assert set(tomllib.loads((tmp_path / ".subcli.toml").read_text())) == {"problem", "language", "files"}


@pytest.mark.parametrize("value", [None, float("nan"), [[1]], {"a": {"b": {"c": {"d": {}}}}}])
def test_settings_that_cannot_be_written(tmp_path: Path, value: object) -> None:
    """What a server offers for `subcli test` is plain, or nothing is written."""
    with pytest.raises(ServerError, match="cannot be written"):
        make_workspace(tmp_path / "p", {"a.py": ""}, problem="p", language="python", submitted=[], test={"a": value})
    assert not (tmp_path / "p").exists()
