"""`runner = "cases"`: what `problem.toml` and the files beside it say."""

from __future__ import annotations

from pathlib import Path

import pytest

from subcli.judge import Problem, ProblemError, load_problem
from subcli.judge.cases.feedback import revealed, settled
from subcli.judge.cases.model import Case, CaseSet, Comparison, Group
from subcli.judge.cases.selection import only

HEAD = 'id = 7\nslug = "p"\ntitle = "P"\nrunner = "cases"\nlanguages = ["python"]\n'


def write(root: Path, files: dict[str, str], table: str = "") -> Path:
    """A problem with these files in `tests`."""
    (root / "description.md").write_text("P.")
    (root / "problem.toml").write_text(HEAD + table)
    (root / "tests").mkdir()
    for name, text in files.items():
        path = root / "tests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def pairs(*names: str) -> dict[str, str]:
    """An input and an answer for each name."""
    return {f"{name}{ending}": name for name in names for ending in (".in", ".ans")}


def cases_of(root: Path) -> CaseSet:
    found = load_problem(root).cases
    assert found is not None
    return found


def test_files(tmp_path: Path) -> None:
    """Cases run in the order of their numbers, samples first; `.out` is an answer too; other files are the author's."""
    files = pairs("1", "10", "2", "big/1", "sample/1") | {"3.in": "", "3.out": "", "make.py": "", "big/notes.txt": ""}
    cases = cases_of(write(tmp_path, files))
    assert [case.name for case in cases.root.cases()] == ["sample/1", "1", "2", "3", "10", "big/1"]
    first = next(cases.root.cases())
    assert (first.input.read_text(), first.answer.read_text()) == ("sample/1", "sample/1")
    assert not cases.is_scored
    assert {case.feedback for case in cases.root.cases()} == {"full"}


def test_table(tmp_path: Path) -> None:
    """Points, feedback and stop rules of groups stand in one table, which decides about their order as well."""
    table = """
feedback = "after_close"
closes = 2030-01-01T12:00:00Z
pass_score = 40
stop_on_failure = true
[comparison]
tolerance = 1e-6
[groups.large]
points = 70
requires = ["small"]
feedback = "none"
[groups.small]
points_each = 15
stop_on_failure = false
"""
    cases = cases_of(write(tmp_path, pairs("sample/1", "small/1", "small/2", "large/1"), table))
    sample, large, small = cases.root.parts
    assert isinstance(sample, Group)
    assert isinstance(large, Group)
    assert isinstance(small, Group)
    assert (large.aggregation, large.max_score, large.requires, large.stop_on_failure) == (
        "pass-fail",
        70,
        ("small",),
        True,
    )
    assert (small.aggregation, small.max_score, small.stop_on_failure) == ("sum", 30, False)
    assert (cases.root.aggregation, cases.is_scored, cases.pass_score) == ("sum", True, 40)
    assert cases.root.max_score == 100
    found = {case.name: case for case in cases.root.cases()}
    assert [found[name].feedback for name in ("sample/1", "small/1", "large/1")] == ["full", "after_close", "none"]
    assert found["small/2"].points == 15
    assert found["large/1"].comparison == Comparison(absolute_tolerance=1e-6, relative_tolerance=1e-6)
    assert cases.closes == 1893499200


def test_checker(tmp_path: Path) -> None:
    """A program of the author's decides, and then a case needs no answer."""
    write(tmp_path, {"1.in": ""}, '[checker]\nfile = "check.py"\nlanguage = "python"\narguments = ["strict"]\n')
    (tmp_path / "check.py").write_text("")
    cases = cases_of(tmp_path)
    assert cases.checker is not None
    assert (cases.checker.tool.entry, cases.checker.tool.language.name) == ("check.py", "python")
    assert [case.arguments for case in cases.root.cases()] == [("strict",)]


def test_a_checker_of_several_files(tmp_path: Path) -> None:
    """Such as one that needs testlib.h. All of them are in one directory, where it is built."""
    table = '[checker]\nfile = "c/check.cpp"\nlanguage = "cpp"\nfiles = ["c/lib/testlib.h"]\ninterface = "testlib"\n'
    write(tmp_path, pairs("1"), table)
    (tmp_path / "c/lib").mkdir(parents=True)
    for name in ("check.cpp", "lib/testlib.h"):
        (tmp_path / "c" / name).write_text("")
    checker = cases_of(tmp_path).checker
    assert checker is not None
    assert (checker.interface, checker.tool.files, checker.tool.directory) == (
        "testlib",
        ("check.cpp", "lib/testlib.h"),
        tmp_path / "c",
    )


def test_there_and_back(tmp_path: Path) -> None:
    """The process that judges gets all of it as JSON."""
    problem = load_problem(write(tmp_path, pairs("sample/1", "a/1"), "[groups.a]\npoints = 1\n"))
    assert Problem.from_json(problem.as_json()).cases == problem.cases


@pytest.mark.parametrize(
    ("files", "table", "complaint"),
    [
        ({}, "", "has no cases"),
        ({"1.in": ""}, "", r"no answer to tests/1\.in: there is no 1\.ans"),
        ({"1.ans": ""}, "", r"tests/1\.ans needs 1\.in"),
        ({"1.in": "", "1.ans": "", "1.out": ""}, "", r"two answers to tests/1\.in"),
        (pairs("1"), '[comparison]\ncase = "no"\n', r"problem\.toml:7: .*unknown key `comparison\.case`"),
        (pairs("1"), "[comparison]\ntolerance = -1\n", r":7: `comparison\.tolerance` must be a number, at least 0"),
        (pairs("1"), "[comparison]\nexact = true\ntolerance = 1\n", r":7: .*byte for byte"),
        (pairs("1"), "[comparison]\ntolerance = 1\nabsolute_tolerance = 1\n", "stands for both others"),
        (pairs("1"), '[checker]\nfile = "c.py"\nlanguage = "python"\n', r":7: `checker\.file` .*no 'c\.py'"),
        (
            {**pairs("1"), "c/c.py": ""},
            '[checker]\nfile = "tests/c/c.py"\nlanguage = "python"\nfiles = ["tests/1.in"]\n',
            r":9: `checker\.files\[0\]` must be a file in the directory of 'tests/c/c\.py': there is no 'tests/1\.in'",
        ),
        (
            {**pairs("1"), "c.py": ""},
            '[checker]\nfile = "tests/c.py"\nlanguage = "python"\ninteractive = true\ninterface = "testlib"\n',
            r":9: `checker\.interactive` is not possible with the interface `testlib`",
        ),
        (
            {**pairs("1"), "c.py": ""},
            '[checker]\nfile = "tests/c.py"\nlanguage = "python"\ninterface = "dmoj"\n',
            r":9: `checker\.interface` must be one of icpc, testlib",
        ),
        (pairs("a/1"), "[groups.b]\npoints = 1\n", r":6: `groups\.b` is no directory with cases"),
        (pairs("a/1"), '[groups.a]\npoints = "x"\n', r":7: `groups\.a\.points` must be a number of points"),
        (pairs("a/1"), "[groups.a]\npoints = 1\npoints_each = 1\n", "exclude each other"),
        (pairs("a/1"), '[groups.a]\nrequires = ["a"]\n', "leads in a circle: a → a"),
        (pairs("a/1"), '[groups.a]\nrequires = ["c"]\n', "names no other group: 'c'"),
        (
            pairs("a/1", "b/1"),
            '[groups.a]\nrequires = ["b"]\n[groups.b]\nrequires = ["a"]\n',
            "leads in a circle: a → b → a",
        ),
        (pairs("1"), 'feedback = "some"\n', r":6: `feedback` must be one of full, outcome, none, after_close"),
        (pairs("1"), 'feedback = "after_close"\n', "needs `closes`"),
        (pairs("1"), "closes = 2030-01-01T12:00:00\n", r":6: `closes` must be a date and time with an offset"),
        (pairs("1"), "pass_score = 1\n", "needs points"),
    ],
)
def test_mistakes(tmp_path: Path, files: dict[str, str], table: str, complaint: str) -> None:
    """Each is named with the file, its line and the key."""
    with pytest.raises(ProblemError, match=complaint):
        load_problem(write(tmp_path, files, table))


@pytest.mark.thorough
def test_many_groups_that_require_each_other(tmp_path: Path) -> None:
    """Each is looked at once, however many ways lead to it, and however long they are."""
    names = [f"g{number}" for number in range(1_100)]
    table = "".join(
        f"[groups.{name}]\nrequires = {names[max(0, number - 2) : number]}\n" for number, name in enumerate(names)
    )
    cases = cases_of(write(tmp_path, pairs(*(f"{name}/1" for name in names)), table))
    last = cases.root.parts[-1]
    assert isinstance(last, Group)
    assert len(last.requires) == 2
    closed = table.replace("requires = []", f'requires = ["{names[-1]}"]')
    (tmp_path / "problem.toml").write_text(HEAD + closed)
    with pytest.raises(ProblemError, match="leads in a circle: "):
        load_problem(tmp_path)


def test_other_runners(tmp_path: Path) -> None:
    """What belongs to cases has no meaning for other runners, and is refused."""
    write(tmp_path, pairs("1"), "pass_score = 1\n")
    (tmp_path / "problem.toml").write_text((tmp_path / "problem.toml").read_text().replace('"cases"', '"pytest"'))
    with pytest.raises(ProblemError, match='`pass_score` is only allowed with `runner = "cases"`'):
        load_problem(tmp_path)


def case(name: str, **fields: object) -> Case:
    return Case(name=name, input=Path(name), answer=Path(name), **fields)  # type: ignore[arg-type]


def test_feedback_in_time() -> None:
    """`after_close` shows outcomes until then, and everything afterwards; an author sees everything always."""
    group = Group(name="g", parts=(case("g/1", feedback="after_close"), case("g/2", feedback="none")))
    cases = CaseSet(Group(name="", parts=(group,)), closes=1000.0)

    def feedback(found: CaseSet) -> list[str]:
        return [case.feedback for case in found.root.cases()]

    assert feedback(settled(cases, 999.0)) == ["outcome", "none"]
    assert feedback(settled(cases, 1000.0)) == ["full", "none"]
    assert feedback(revealed(cases)) == ["full", "full"]


def test_selection() -> None:
    """Some cases alone: none of them stops the others, and there are no points."""
    group = Group(name="g", parts=(case("g/1"), case("g/2")), max_score=5)
    chosen = only(CaseSet(Group(name="", parts=(group, case("3"))), is_scored=True, pass_score=5), ["g/*", "3"])
    assert [case.name for case in chosen.root.cases()] == ["g/1", "g/2", "3"]
    assert (chosen.root.stop_on_failure, chosen.is_scored, chosen.pass_score) == (False, False, None)
