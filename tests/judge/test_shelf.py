"""Versions of problems: found, changed and retired while a process runs, and always whole."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from subcli.judge import ProblemError
from subcli.judge.manifest import Manifest, ManifestError, read_chunks
from subcli.judge.problem import versioned
from subcli.judge.shelf import Shelf

PROBLEM = """
id = 700
slug = "sum"
title = "{title}"
runner = "tap"
command = ["sh", "run.sh"]
languages = ["python"]
"""
MANY = 1 << 40


def write(tree: Path, name: str = "sum", title: str = "Sum", text: str = PROBLEM) -> Path:
    """A problem."""
    root = tree / name
    (root / "tests").mkdir(parents=True, exist_ok=True)
    (root / "problem.toml").write_text(text.format(title=title))
    (root / "description.md").write_text("Print 3.")
    (root / "tests" / "run.sh").write_text("echo 1..0\n")
    return root


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An operator's directory with one problem."""
    write(tmp_path / "problems")
    (tmp_path / "problems" / "common").mkdir()
    (tmp_path / "problems" / "common" / "wanted.txt").write_text("3")
    return tmp_path / "problems"


@pytest.fixture
def shelf(tree: Path, tmp_path: Path) -> Shelf:
    """With the problems that there are at first."""
    (tmp_path / "shelf").mkdir()
    shelf = Shelf(tmp_path / "shelf", tree)
    shelf.look(at_once=True)
    return shelf


def settle(shelf: Shelf) -> bool:
    """Look as often as a change needs. Returns whether there was one."""
    first = shelf.look()
    return shelf.look() or first


def test_new_problem_is_found(tree: Path, shelf: Shelf) -> None:
    """Once two looks have found the same."""
    write(tree, "other", text=PROBLEM.replace("sum", "other").replace("700", "701"))
    assert not shelf.look()
    assert "other" not in shelf.problems
    assert shelf.look()
    assert shelf.problems["other"].title == "Sum"
    assert not settle(shelf)


def test_changed_problem_is_a_new_version_beside_the_old_one(tree: Path, shelf: Shelf) -> None:
    """What is judged by the old one finds all its files as they were."""
    old = shelf.problems["sum"]
    write(tree, title="Total")
    (tree / "sum" / "tests" / "run.sh").write_text("echo 1..1\n")
    assert settle(shelf)
    new = shelf.problems["sum"]
    assert (old.title, new.title) == ("Sum", "Total")
    assert old.version != new.version
    assert (old.root / "tests" / "run.sh").read_text() == "echo 1..0\n"
    assert (new.root / "tests" / "run.sh").read_text() == "echo 1..1\n"
    assert shelf.judgeable["sum"] is new
    assert shelf.judgeable[versioned("sum", old.version)] is old


def test_the_same_content_is_the_same_version(tree: Path, shelf: Shelf, tmp_path: Path) -> None:
    """Wherever and whenever: times, owners and the place do not matter. Going back is the old version again."""
    version = shelf.problems["sum"].version
    shutil.copytree(tree, tmp_path / "again")
    (tmp_path / "shelf2").mkdir()
    again = Shelf(tmp_path / "shelf2", tmp_path / "again")
    again.look(at_once=True)
    assert again.problems["sum"].version == version
    os.utime(tree / "sum" / "problem.toml", (1, 1))
    settle(shelf)
    assert shelf.problems["sum"].version == version
    for title in ("Total", "Sum"):
        write(tree, title=title)
        settle(shelf)
    assert shelf.problems["sum"].version == version


@pytest.mark.parametrize("name", ["common/wanted.txt", "sum/tests/run.sh", "sum/description.md", "languages.toml"])
def test_everything_that_matters_is_part_of_the_version(tree: Path, shelf: Shelf, name: str) -> None:
    """The problem's files, what lies beside it, and the languages."""
    version = shelf.problems["sum"].version
    (tree / name).write_text("\n")
    settle(shelf)
    assert shelf.problems["sum"].version != version
    assert shelf.broken == ()


def test_other_problems_keep_their_versions(tree: Path, shelf: Shelf) -> None:
    """A version changes only with what belongs to it."""
    write(tree, "other", text=PROBLEM.replace("sum", "other").replace("700", "701"))
    settle(shelf)
    version = shelf.problems["other"].version
    write(tree, title="Total")
    settle(shelf)
    assert shelf.problems["other"].version == version


def test_copy_in_progress_is_not_used(tree: Path, shelf: Shelf) -> None:
    """As long as something changes between two looks, nothing of it is in service."""
    root = write(tree, title="Total")
    for number in range(3):
        (root / "tests" / f"{number}.txt").write_text("x")
        assert not shelf.look()
        assert shelf.problems["sum"].title == "Sum"
    assert shelf.look()
    assert (shelf.problems["sum"].root / "tests" / "2.txt").exists()


def test_hidden_directories_are_left_alone(tree: Path, shelf: Shelf) -> None:
    """So one can copy into one of them, and rename it into place."""
    write(tree, ".incoming", title="Total")
    assert not settle(shelf)
    shutil.rmtree(tree / "sum")
    (tree / ".incoming").rename(tree / "sum")
    settle(shelf)
    assert shelf.problems["sum"].title == "Total"


def test_retired_problem_can_still_be_judged(tree: Path, shelf: Shelf) -> None:
    """What waits for its version is judged by it."""
    old = shelf.problems["sum"]
    shutil.rmtree(tree / "sum")
    assert not shelf.look()
    assert "sum" in shelf.problems
    assert shelf.look()
    assert "sum" not in shelf.problems
    assert shelf.judgeable[versioned("sum", old.version)] is old


def test_broken_version_keeps_the_old_one_in_service(tree: Path, shelf: Shelf) -> None:
    """And says so, until it is mended."""
    old = shelf.problems["sum"]
    (tree / "sum" / "problem.toml").write_text("id = [")
    assert settle(shelf)
    assert shelf.problems["sum"] is old
    assert [str(error).partition(":")[0] for error in shelf.broken] == [f"{tree}/sum/problem.toml"]
    assert shelf.outdated == {"sum"}
    assert (old.root / "tests" / "run.sh").exists()
    write(tree, title="Total")
    settle(shelf)
    assert (shelf.broken, shelf.outdated, shelf.problems["sum"].title) == ((), frozenset(), "Total")


def test_broken_languages_keep_the_old_ones(tree: Path, shelf: Shelf) -> None:
    """Nothing changes until they are valid."""
    version = shelf.problems["sum"].version
    (tree / "languages.toml").write_text("[lua")
    settle(shelf)
    assert shelf.problems["sum"].version == version
    assert str(shelf.broken[0]).startswith(f"{tree}/languages.toml: not valid TOML")
    (tree / "languages.toml").write_text('[python]\ntitle = "Snake"\n')
    settle(shelf)
    assert shelf.problems["sum"].languages["python"].title == "Snake"
    assert shelf.broken == ()


@pytest.mark.parametrize(
    ("leads", "complaint"),
    [
        ("/dev/zero", "is not a file"),
        ("pipe", "is not a file"),
        ("common", "is not a file"),
        ("long", "larger than 64 KiB"),
    ],
)
def test_languages_that_have_no_end(tree: Path, shelf: Shelf, tmp_path: Path, leads: str, complaint: str) -> None:
    """They are neither read into memory nor waited for, and are named as their author does."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "common").mkdir()
    (tmp_path / "long").touch()
    os.truncate(tmp_path / "long", 1 << 40)
    (tree / "languages.toml").symlink_to(tmp_path / leads)
    settle(shelf)
    assert [str(error) for error in shelf.broken] == [f"{tree}/languages.toml: {complaint}"]
    assert "sum" in shelf.problems


def test_new_problem_cannot_take_a_name(tree: Path, shelf: Shelf) -> None:
    """The one in service keeps it, even if the other's directory comes first; once it is gone, the name is free."""
    write(tree, "a-copy", title="Copy")
    settle(shelf)
    assert shelf.problems["sum"].title == "Sum"
    assert "has the id or the slug of the problem in" in str(shelf.broken[0])
    assert shelf.outdated == frozenset()
    shutil.rmtree(tree / "sum")
    settle(shelf)
    assert shelf.problems["sum"].title == "Copy"
    assert shelf.broken == ()


def test_directory_that_is_away_changes_nothing(tree: Path, shelf: Shelf) -> None:
    """As when a network file system is away for a while."""
    tree.rename(tree.with_name("away"))
    for _ in range(3):
        with pytest.raises(ProblemError, match="cannot be read"):
            shelf.look()
    assert "sum" in shelf.problems
    tree.with_name("away").rename(tree)
    assert not settle(shelf)


def test_links_between_problems_come_along(tree: Path, shelf: Shelf) -> None:
    """A version has what its links lead to, even in another problem."""
    write(tree, "other", text=PROBLEM.replace("sum", "other").replace("700", "701"))
    (tree / "other" / "tests" / "theirs").symlink_to("../../sum/tests/run.sh")
    settle(shelf)
    assert (shelf.problems["other"].root / "tests" / "theirs").read_text() == "echo 1..0\n"


# -- versions from elsewhere -------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path: Path) -> Shelf:
    """A process without the directory."""
    (tmp_path / "elsewhere").mkdir()
    shelf = Shelf(tmp_path / "elsewhere", None)
    shelf.look(at_once=True)
    return shelf


def package(shelf: Shelf, slug: str = "sum") -> tuple[str, Manifest, dict[str, bytes]]:
    version = shelf.problems[slug].version
    manifest = shelf.manifest(version)
    assert manifest is not None
    return version, manifest, dict(read_chunks(manifest, shelf.place(version), manifest.chunks))


def test_version_is_put_together_elsewhere(tree: Path, shelf: Shelf, elsewhere: Shelf) -> None:
    """With all files, links and bits that matter, and the languages of the operator."""
    (tree / "languages.toml").write_text('[python]\ntitle = "Snake"\n')
    (tree / "sum" / "tests" / "run.sh").chmod(0o755)
    (tree / "sum" / "tests" / "empty").touch()
    (tree / "sum" / "tests" / "shared").symlink_to("../../common")
    (tree / "sum" / "tests" / "large").write_bytes(os.urandom(3 << 20))
    settle(shelf)
    version, manifest, chunks = package(shelf)
    problem = elsewhere.add(version, manifest, chunks.__getitem__, MANY)
    assert elsewhere.judgeable[versioned("sum", version)] is problem
    assert "sum" not in elsewhere.problems
    assert problem.languages["python"].title == "Snake"
    tests = problem.root / "tests"
    assert os.access(tests / "run.sh", os.X_OK)
    assert (tests / "shared" / "wanted.txt").read_text() == "3"
    assert (tests / "large").read_bytes() == (tree / "sum" / "tests" / "large").read_bytes()
    assert elsewhere.add(version, manifest, chunks.__getitem__, MANY) is problem


def test_damaged_version_is_refused(shelf: Shelf, elsewhere: Shelf) -> None:
    """Nothing of it stays."""
    version, manifest, chunks = package(shelf)
    before = sorted(os.listdir(elsewhere.path / "versions"))
    with pytest.raises(ManifestError, match="is damaged"):
        elsewhere.add(version, manifest, lambda name: chunks[name] + b"x", MANY)
    with pytest.raises(ManifestError, match="not the one that its name says"):
        elsewhere.add("0" * 32, manifest, chunks.__getitem__, MANY)
    with pytest.raises(ManifestError, match="bytes, more than 3"):
        elsewhere.add(version, manifest, chunks.__getitem__, 3)
    assert sorted(os.listdir(elsewhere.path / "versions")) == before


def test_versions_that_nobody_needs_go_first(tree: Path, tmp_path: Path) -> None:
    """Those that were not used for longest, if they take too much space; what is used or needed stays."""
    now = 0.0
    (tmp_path / "shelf").mkdir()
    shelf = Shelf(tmp_path / "shelf", tree, clock=lambda: now)
    shelf.look(at_once=True)
    versions = []
    for number in range(4):
        now = 100.0 * number
        write(tree, title=f"Sum {number}")
        settle(shelf)
        versions.append(shelf.problems["sum"].version)
    now = 1000.0
    size = shelf.manifest(versions[0]).size  # type: ignore[union-attr]
    with shelf.hold(versions[0]):
        assert shelf.tidy([versions[1]], size) == 1
        assert [shelf.manifest(each) is not None for each in versions] == [True, True, True, True]
        assert shelf.tidy([versions[1]], 0) == 1
        assert [shelf.manifest(each) is not None for each in versions] == [True, True, False, True]
        assert not shelf.place(versions[2]).exists()
    assert shelf.tidy([], 0) == 1
    now += 100
    assert shelf.tidy([], 0) == 1
    assert list(shelf.judgeable) == list(shelf.problems)
