"""One copy of the problems: whatever their authors edit meanwhile, judging and telling see one state."""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from subcli.judge import Job, Problem, ProblemError, judge, snapshot
from subcli.judge.check import checks
from subcli.judge.process.workplace import remove_leftovers
from subcli.judge.sandbox.view import view_for
from subcli.judge.scaffold import scaffold
from subcli.judge.shelf import Shelf, problem_shelf

PROBLEM = """
id = 700
slug = "sum"
title = "Sum"
runner = "tap"
command = ["{python}", "-I", "-S", "run.py"]
local_files = ["tests/run.py"]

[languages.python]
source = "main.py"
template = "templates/main.py"
run = ["{python}", "-I", "-S", "{source}"]

[[solutions]]
file = "solutions/good.py"
language = "python"
expect = "passed"
"""
RUN = """
import os, subprocess, sys
sys.path.insert(0, "../../common")
from wanted import WANTED
done = subprocess.run([os.environ["SUBCLI_SOLUTION"]], capture_output=True, text=True)
print("1..1")
print("ok" if done.stdout.strip() == WANTED == open("wanted.txt").read().strip() else "not ok", "1 - Sum", flush=True)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An operator's directory: one problem, and a module that its tests share with others."""
    tree = tmp_path / "problems"
    for name, text in {
        "sum/problem.toml": PROBLEM,
        "sum/description.md": "Print 3.",
        "sum/templates/main.py": "print()\n",
        "sum/solutions/good.py": "print(3)\n",
        "sum/tests/run.py": RUN,
        "sum/tests/wanted.txt": "3\n",
        "common/wanted.py": 'WANTED = "3"\n',
    }.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    return tree


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Where copies are made."""
    data = tmp_path / "data"
    data.mkdir()
    return data


@pytest.fixture
def taken(tree: Path, data: Path) -> Iterator[Shelf]:
    """A snapshot of the directory."""
    with problem_shelf(tree, data) as taken:
        yield taken


def contents(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


async def judged(problem: Problem, faults: list[str] | None = None) -> list[dict[str, object]]:
    faults = [] if faults is None else faults
    job = Job(problem, "python", {"main.py": "print(3)\n"})
    async with aclosing(judge(job, on_fault=faults.append)) as judging:
        return [event async for event in judging]


def overwrite(path: Path) -> None:
    path.write_text("no longer valid {")


def replace_by_rename(path: Path) -> None:
    draft = path.with_name("draft")
    draft.write_text("no longer valid {")
    draft.rename(path)


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("edit", [overwrite, replace_by_rename, remove])
async def test_edited_files_change_nothing(tree: Path, taken: Shelf, edit: Callable[[Path], None]) -> None:
    """Every file of the problem, and what it shares with others: the copy stays, and judges and tells as before."""
    problem = taken.problems["sum"]
    before, told = contents(problem.root.parent), scaffold(problem, "python").files
    for name in contents(tree):
        edit(tree / name)
    assert contents(problem.root.parent) == before
    assert scaffold(problem, "python").files == told == {"main.py": "print()\n", "tests/run.py": RUN}
    assert problem.description == "Print 3."
    assert (await judged(problem))[-1]["final_status"] == "passed"


async def test_removed_directory_changes_nothing(tree: Path, taken: Shelf) -> None:
    """It may even go away: a new version of it is often put in its place."""
    shutil.rmtree(tree)
    assert (await judged(taken.problems["sum"]))[-1]["final_status"] == "passed"


def test_bundled_problems_are_copied_too(taken: Shelf) -> None:
    """An upgrade replaces them while the server runs."""
    roots = [problem.root for problem in taken.problems.values()]
    assert len(roots) > 1
    assert all(root.is_relative_to(taken.path) for root in roots)


def test_copy_is_private_and_removed_at_the_end(tree: Path, data: Path) -> None:
    """Nobody else can read the tests; programs stay executable."""
    (tree / "sum" / "tests" / "run.py").chmod(0o755)
    with problem_shelf(tree, data) as taken:
        assert stat.S_IMODE(taken.path.stat().st_mode) == 0o700
        assert os.access(taken.problems["sum"].root / "tests" / "run.py", os.X_OK)
        assert not os.access(taken.problems["sum"].root / "tests" / "wanted.txt", os.X_OK)
    assert list(data.iterdir()) == []


def test_copy_of_a_killed_process_is_removed_by_the_next(tree: Path, data: Path) -> None:
    """And one that is in use is not."""
    with problem_shelf(tree, data) as taken:
        assert remove_leftovers(data) == 0
        killed = taken.path.with_name("killed")
        shutil.copytree(taken.path, killed)
    killed.rename(taken.path)
    assert remove_leftovers(data) == 1
    assert list(data.iterdir()) == []


def test_sandbox_hides_the_copy_and_the_original(tree: Path, taken: Shelf) -> None:
    """Wherever they are."""
    problem = taken.problems["sum"]
    view = view_for(problem, problem.languages["python"], hidden=[taken.path], readable=[tree.parent])
    assert {str(taken.path), str(tree / "sum")} <= set(view.hidden)


# -- what authors and learners read ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("problem.toml", "id = [", "problem.toml: not valid TOML"),
        ("problem.toml", PROBLEM.replace("good.py", "gone.py"), "problem.toml:15: `solutions[0].file` must be a file"),
        ("problem.toml", PROBLEM.replace('"sum"', '"lru-cache"'), "problem.toml: has the id or the slug of"),
        ("problem.toml", f'tests = "{"x" * 300}"\n{PROBLEM}', "problem.toml: names what cannot be read"),
        ("description.md", "\udcff", "description.md: cannot be read"),
    ],
    ids=["syntax", "missing file", "duplicate", "long name", "encoding"],
)
def test_errors_name_the_authors_files(tree: Path, data: Path, file: str, text: str, complaint: str) -> None:
    """A problem that is left out is named by the path that its author knows."""
    (tree / "sum" / file).write_text(text, errors="surrogateescape")
    with problem_shelf(tree, data) as taken:
        (error,) = taken.broken
        assert "sum" not in taken.problems
    assert str(error).startswith(f"{tree}/sum/{complaint}")
    assert str(data) not in str(error)


async def test_learners_see_neither_path_and_authors_their_own(tree: Path, data: Path) -> None:
    """Wherever the tests got it from: of the copy, of what is beside it, of the original."""
    (tree / "sum" / "tests" / "run.py").write_text(
        "import os, sys\n"
        'print("1..2")\n'
        f'print("not ok 1 -", __file__, os.path.abspath("../../common"), "{tree}/sum/tests", flush=True)\n'
        "sys.exit(f'it broke in {os.getcwd()}')\n"
    )
    faults: list[str] = []
    with problem_shelf(tree, data) as taken:
        events = str(await judged(taken.problems["sum"], faults))
    assert f"{tree}/sum/tests" in "".join(faults)
    assert str(data) not in "".join(faults)
    assert str(data) not in events
    assert f"{tree}/sum" not in events


# -- links and what is not a file --------------------------------------------------------------------------------


def test_links_lead_to_the_same_place_in_the_copy(tree: Path, data: Path) -> None:
    """Relative ones, absolute ones, and those of a directory that is itself reached through a link."""
    alias = tree.with_name("alias")
    alias.symlink_to(tree)
    tests = tree / "sum" / "tests"
    (tests / "relative").symlink_to("wanted.txt")
    (tests / "shared").symlink_to("../../common")
    (tests / "absolute").symlink_to(tree / "common" / "wanted.py")
    (tests / "aliased").symlink_to(alias / "common" / "wanted.py")
    (tests / "nowhere").symlink_to("user@host.123")
    (tests / "loop").symlink_to("loop")
    with problem_shelf(alias, data) as taken:
        copied = taken.problems["sum"].root / "tests"
        assert copied.is_relative_to(taken.path)
        for name, leads in {
            "relative": "sum/tests/wanted.txt",
            "shared/wanted.py": "common/wanted.py",
            "absolute": "common/wanted.py",
            "aliased": "common/wanted.py",
        }.items():
            assert os.path.realpath(copied / name) == f"{copied.parents[1]}/{leads}"
        assert os.readlink(copied / "nowhere") == "user@host.123"
        assert os.readlink(copied / "loop") == "loop"
        assert taken.remarks == ()


def test_links_out_of_the_directory_are_not_followed(tree: Path, data: Path, tmp_path: Path) -> None:
    """They still lead there, and the operator is told that this is not in the copy."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "words.txt").write_text("words")
    (tree / "sum" / "tests" / "words").symlink_to("../../../outside")
    (tree / "everything").symlink_to("/")
    with problem_shelf(tree, data) as taken:
        copied = taken.problems["sum"].root / "tests" / "words"
        assert os.readlink(copied) == str(outside)
        assert taken.remarks == (
            f"{tree}/everything leads out of {tree}: / is not copied, and may change while it is used",
            f"{tree}/sum/tests/words leads out of {tree}: {outside} is not copied, and may change while it is used",
        )


async def test_entry_may_be_a_link_to_a_problem(tree: Path, data: Path, tmp_path: Path) -> None:
    """Operators enable problems by links: they are copied like the others, and named by the link."""
    enabled = tmp_path / "enabled"
    enabled.mkdir()
    (enabled / "sum").symlink_to(tree / "sum")
    (enabled / "common").symlink_to(tree / "common")
    with problem_shelf(enabled, data) as taken:
        shutil.rmtree(tree / "sum")
        problem = taken.problems["sum"]
        assert problem.origin == enabled / "sum"
        assert (await judged(problem))[-1]["final_status"] == "passed"


def test_what_is_no_file_is_left_out(tree: Path, data: Path) -> None:
    """A pipe would be waited for without end. The history of the directory is not copied either."""
    os.mkfifo(tree / "sum" / "tests" / "pipe")
    (tree / ".git").mkdir()
    (tree / "sum" / "tests" / "__pycache__").mkdir()
    with problem_shelf(tree, data) as taken:
        root = taken.problems["sum"].root
        assert taken.remarks == (f"{tree}/sum/tests/pipe is not copied: it is neither a file nor a directory",)
        assert sorted(os.listdir(root / "tests")) == ["run.py", "wanted.txt"]
        assert sorted(os.listdir(root.parent)) == ["common", "sum"]


def test_what_is_no_file_keeps_no_problem_out(tree: Path, data: Path) -> None:
    """Beside the problems as well: an editor's socket, or a pipe, where a problem was or the languages would be."""
    os.mkfifo(tree / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tree / "socket"))
    with problem_shelf(tree, data) as taken:
        assert "sum" in taken.problems
        assert taken.remarks == tuple(
            f"{tree}/{name} is not copied: it is neither a file nor a directory" for name in ("pipe", "socket")
        )
        (tree / "pipe").unlink()
        shutil.rmtree(tree / "common")
        os.mkfifo(tree / "common")
        for _ in range(2):
            taken.look()
        assert sorted(os.listdir(taken.path / "own")) == ["sum"]
        assert len(taken.remarks) == 2


def test_data_directory_may_be_among_the_problems(tree: Path) -> None:
    """The copy does not contain itself, nor the server's data."""
    (tree / "data").mkdir()
    with problem_shelf(tree, tree / "data") as taken:
        assert sorted(os.listdir(taken.path / "own")) == ["common", "sum"]
        assert taken.remarks == ()


def test_too_many_files_are_refused(tree: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home directory, given by mistake, is not copied. Each file counts once."""
    monkeypatch.setattr(snapshot, "_MOST", 50)
    for number in range(30):
        (tree / "common" / str(number)).touch()
    with problem_shelf(tree, data) as taken:
        assert taken.broken == ()
    for number in range(30, 60):
        (tree / "common" / str(number)).touch()
    with pytest.raises(ProblemError, match="problems: has more than 50 files"), problem_shelf(tree, data):
        pass
    assert list(data.iterdir()) == []


def test_what_there_is_no_room_for_is_not_copied(tree: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is mostly a hole takes no space, but a copy of it would take all. Other problems are not affected."""
    shutil.copytree(tree / "sum", tree / "large")
    replaced = PROBLEM.replace("700", "701").replace('"sum"', '"large"')
    (tree / "large" / "problem.toml").write_text(replaced)
    os.truncate(tree / "large" / "tests" / "wanted.txt", 1 << 43)
    copied = snapshot._copy_file

    def copy(path: str, *more: Any) -> None:
        assert not path.endswith("large/tests/wanted.txt"), "the disk would be full"
        copied(path, *more)

    monkeypatch.setattr(snapshot, "_copy_file", copy)
    with problem_shelf(tree, data) as taken:
        assert set(taken.problems) >= {"sum"}
        assert "large" not in taken.problems
        (error,) = taken.broken
        assert re.fullmatch(
            r".*/large: it has [0-9,]+ MB, and there is no room for a copy: [0-9,]+ MB are free", str(error)
        )


# -- changes during the copy -------------------------------------------------------------------------------------


@pytest.fixture
def after_each_file(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[str], None]]:
    """What happens when a file has been copied: functions of its path, each of which is called once."""
    actions: list[Callable[[str], None]] = []
    copy_file = snapshot._copy_file

    def copied(path: str, *more: object) -> None:
        copy_file(path, *more)  # type: ignore[arg-type]
        if actions and "/sum/" in path:
            actions.pop(0)(path)

    monkeypatch.setattr(snapshot, "_copy_file", copied)
    return actions


def edit_again(path: str) -> None:
    Path(path).write_text(Path(path).read_text() + "\n")


def test_copy_is_of_one_moment(tree: Path, data: Path, after_each_file: list[Callable[[str], None]]) -> None:
    """Files that change, vanish or appear meanwhile: the problem is copied again."""
    new = tree / "sum" / "tests" / "new.txt"
    after_each_file += [edit_again, lambda _: remove(tree / "sum/tests/wanted.txt"), lambda _: overwrite(new)]
    with problem_shelf(tree, data) as taken:
        assert taken.broken == ()
        assert contents(taken.problems["sum"].root) == contents(tree / "sum")
    assert new.exists()


def test_problem_that_never_rests_is_left_out_and_named(
    tree: Path, data: Path, after_each_file: list[Callable[[str], None]]
) -> None:
    """The others are copied."""
    after_each_file += [edit_again] * 100
    with problem_shelf(tree, data) as taken:
        assert [str(error) for error in taken.broken] == [
            f"{tree / 'sum'}: it changed while it was copied, 3 times in a row"
        ]
        assert "lru-cache" in taken.problems
        assert "sum" not in taken.problems


def test_problem_that_vanishes_is_not_there(
    tree: Path, data: Path, after_each_file: list[Callable[[str], None]]
) -> None:
    """As if it had been removed before."""
    after_each_file.append(lambda _: shutil.rmtree(tree / "sum"))
    with problem_shelf(tree, data) as taken:
        assert taken.broken == ()
        assert "sum" not in taken.problems


def test_unreadable_problem_is_left_out_and_named(tree: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that cannot be read in full is not copied in part. Root, who may run this, can read everything."""
    opened = os.open

    def refuse(path: str | Path, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if str(path).startswith(str(tree)):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return opened(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refuse)
    with problem_shelf(tree, data) as taken:
        (error,) = taken.broken
        assert error.path == tree / "sum"
        assert error.complaint.endswith(" cannot be read: Permission denied")
        assert taken.remarks == (
            f"{tree}/common is not copied: {tree}/common/wanted.py cannot be read: Permission denied",
        )
        assert not (taken.path / "own" / "common").exists()


async def test_check_judges_one_state(tree: Path) -> None:
    """`problems check` takes minutes, and its author goes on editing. What is beside the problem can be used."""
    (tree / "sum" / "templates" / "main.py").write_text("raise NotImplementedError\n")
    found = []
    async with aclosing(checks(tree / "sum")) as checking:
        async for check in checking:
            found.append(check)
            for path in (tree / "sum").rglob("*.*"):
                overwrite(path)
    assert [(check.what, check.ok) for check in found] == [
        ("problem.toml", True),
        ("reference solution", True),
        ("template python", True),
        ("solution good.py", True),
    ], found
