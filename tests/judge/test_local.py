"""What `subcli init` leaves for `subcli test`: the table `[test]`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from subcli.judge import Problem, ProblemError, load_problem, load_problems
from subcli.judge.local import cases_at_home, local_problem, local_table
from subcli.judge.scaffold import scaffold
from subcli.workspace.scaffold import make_workspace


@pytest.mark.parametrize("language", ["c", "python"])
def test_there_and_back(tmp_path: Path, language: str) -> None:
    """The problem at home is judged as it is on the server: the same commands, the same limits."""
    problem = load_problems()["lru-cache"]
    start = scaffold(problem, language)
    made = tmp_path / "lru"
    make_workspace(made, start.files, problem="lru-cache", language=language, submitted=[start.source], test=start.test)
    found = local_problem(made / ".subcli.toml", "lru-cache")
    assert found is not None
    assert (found.runner, found.command, found.limits) == (problem.runner, problem.command, problem.limits)
    ours, theirs = found.languages[language], problem.languages[language]
    assert (ours.source, ours.build, ours.run, ours.programs) == (
        theirs.source,
        theirs.build,
        theirs.run,
        theirs.programs,
    )
    assert ours.bounded_address_space == theirs.bounded_address_space


def test_nothing_to_judge_with(tmp_path: Path) -> None:
    """A problem that keeps its tests to itself leaves no table, and none is found."""
    election = load_problems()["leader-election"]
    assert local_table(replace(election, local_files=()), "python") is None
    assert local_table(election, "python") is not None
    (tmp_path / ".subcli.toml").write_text('problem = "p"\n')
    assert local_problem(tmp_path / ".subcli.toml", "p") is None


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ('runner = "make"\n[test.languages.python]\n', r"\.subcli\.toml:2: .*'make', .*install a newer one"),
        ('runner = "tap"\n[test.languages.python]\n', "`test.command` is missing|command"),
        ('tests = "elsewhere"\n[test.languages.python]\n', "there is no 'elsewhere'"),
        ('tests = "../secret"\n[test.languages.python]\n', "relative path"),
        ("[test.languages.klingon]\n", "source"),
        ("[test.languages]\n", "languages"),
    ],
)
def test_mistakes(tmp_path: Path, table: str, complaint: str) -> None:
    """Each is named with its file, its line and its key."""
    (tmp_path / "tests").mkdir()
    (tmp_path / ".subcli.toml").write_text(f"[test]\n{table}")
    with pytest.raises(ProblemError, match=complaint):
        local_problem(tmp_path / ".subcli.toml", "p")


def test_what_a_newer_server_says(tmp_path: Path) -> None:
    """What this version does not know is left out, and named with its place."""
    (tmp_path / "tests").mkdir()
    (tmp_path / ".subcli.toml").write_text(
        "[test]\nsurprise = 1\n[test.limits]\nmiracles = 3\nmemory_mb = 64\n[test.languages.python]\nspeed = 9\n"
    )
    found = local_problem(tmp_path / ".subcli.toml", "p")
    assert found is not None
    assert found.limits.memory_mb == 64
    assert [remark.partition(", and")[0].partition(".toml:")[2] for remark in found.remarks] == [
        "2: unknown key `test.surprise`",
        "4: unknown key `test.limits.miracles`",
        "7: unknown key `test.languages.python.speed`",
    ]


CASES = """
id = 7
slug = "p"
title = "P"
runner = "cases"
languages = ["python"]
"""


def made_of_cases(root: Path, table: str = "", **files: str) -> Problem:
    """A problem with one secret case, and what else `files` says."""
    for name, text in {"tests/secret/1.in": "1", "tests/secret/1.ans": "secret", **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "description.md").write_text("P.")
    (root / "problem.toml").write_text(CASES + table)
    return load_problem(root)


SAMPLE = {"tests/sample/1.in": "2 3\n", "tests/sample/1.ans": "5\n"}


def at_home(problem: Problem, root: Path) -> Problem | None:
    """What `subcli init` leaves of a problem in `root`."""
    start = scaffold(problem, "python")
    make_workspace(root, start.files, problem="p", language="python", submitted=[start.source], test=start.test)
    return local_problem(root / ".subcli.toml", "p")


def test_samples(tmp_path: Path) -> None:
    """The samples alone come along, under their names on the server, with what is compared and the limits."""
    table = "[comparison]\ntolerance = 1e-6\n[limits]\ntest_seconds = 3\n"
    problem = made_of_cases(tmp_path / "p", table, **SAMPLE)
    found = at_home(problem, tmp_path / "home")
    assert found is not None
    assert found.cases is not None
    assert problem.cases is not None
    (case,) = found.cases.root.cases()
    (sample, _) = problem.cases.root.cases()
    assert (case.name, case.comparison) == (sample.name, sample.comparison)
    assert (case.input.read_text(), case.answer.read_text()) == ("2 3\n", "5\n")
    assert found.limits == problem.limits
    assert not found.cases.examples_only
    assert cases_at_home(problem, "python") == {"sample/1"}
    texts = [path.read_text() for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert not any("secret" in text for text in texts)


@pytest.mark.parametrize(
    ("table", "files"),
    [
        ("", {}),
        ('[groups.sample]\nfeedback = "outcome"\n', SAMPLE),
        ('[groups.sample]\nfeedback = "none"\n', SAMPLE),
        ('closes = 2999-01-01T00:00:00Z\n[groups.sample]\nfeedback = "after_close"\n', SAMPLE),
        ('[checker]\nfile = "check.py"\nlanguage = "python"\ninteractive = true\n', SAMPLE | {"check.py": ""}),
        ("", {"tests/sample/1.in": "\0", "tests/sample/1.ans": ""}),
        ("", {"tests/sample/1.in": "x" * 70_000, "tests/sample/1.ans": ""}),
        ("", SAMPLE | {"tests/sample/1.in.statement": "shown instead"}),
    ],
    ids=["none", "outcome", "hidden", "not yet", "interactive", "not text", "long", "shown otherwise"],
)
def test_no_samples(tmp_path: Path, table: str, files: dict[str, str]) -> None:
    """What is not public, or cannot be given to a program as it is, does not leave the server."""
    problem = made_of_cases(tmp_path / "p", table, **files)
    assert list(scaffold(problem, "python").files) == ["main.py"]
    assert local_table(problem, "python") is None
    assert cases_at_home(problem, "python") == set()


@pytest.mark.parametrize("is_public", [False, True])
def test_checker(tmp_path: Path, *, is_public: bool) -> None:
    """A checker stays on the server unless its author gives it away; without it, answers are examples only."""
    table = f"local_files = {['check.py'] if is_public else []}\n[checker]\nfile = 'check.py'\nlanguage = 'python'\n"
    problem = made_of_cases(tmp_path / "p", table, **SAMPLE, **{"check.py": "print('checking')"})
    found = at_home(problem, tmp_path / "home")
    assert found is not None
    assert found.cases is not None
    assert (tmp_path / "home/check.py").exists() is is_public
    assert (found.cases.checker is not None, found.cases.examples_only) == (is_public, not is_public)
