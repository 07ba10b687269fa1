"""What `subcli init` leaves for `subcli test`: the table `[test]`."""

from __future__ import annotations

from pathlib import Path

import pytest

from subcli.judge import ProblemError, load_problems
from subcli.judge.local import local_problem, local_table
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
    assert local_table(load_problems()["leader-election"], "python") is None
    (tmp_path / ".subcli.toml").write_text('problem = "p"\n')
    assert local_problem(tmp_path / ".subcli.toml", "p") is None


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ('runner = "make"\n[test.languages.python]\n', r"\.subcli\.toml:2: .*one of pytest, tap"),
        ('runner = "tap"\n[test.languages.python]\n', "`test.command` is missing|command"),
        ('tests = "elsewhere"\n[test.languages.python]\n', "there is no 'elsewhere'"),
        ('tests = "../secret"\n[test.languages.python]\n', "relative path"),
        ("[test.languages.klingon]\n", "source"),
        ("[test.languages]\n", "languages"),
        ("surprise = 1\n[test.languages.python]\n", "surprise"),
    ],
)
def test_mistakes(tmp_path: Path, table: str, complaint: str) -> None:
    """Each is named with its file, its line and its key."""
    (tmp_path / "tests").mkdir()
    (tmp_path / ".subcli.toml").write_text(f"[test]\n{table}")
    with pytest.raises(ProblemError, match=complaint):
        local_problem(tmp_path / ".subcli.toml", "p")
