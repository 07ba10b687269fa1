"""`subcli init --new-problem`: a problem to begin with, which passes its check."""

from __future__ import annotations

from pathlib import Path

import pytest

from subcli.cli.main import run
from subcli.judge import load_problem
from subcli.judge.new_problem import RUNNERS, new_problem
from tests.sampling import first


@pytest.mark.parametrize("runner", first(1, sorted(RUNNERS)))
def test_it_passes_its_check(tmp_path: Path, runner: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A solution passes and another fails, as the problem says; a test of its own is all that is left to write."""
    made = tmp_path / "largest"
    assert run(["init", "--new-problem", str(made), "--runner", runner]) == 0
    assert f"subcli problems check {made}" in capsys.readouterr().err
    assert run(["problems", "check", str(made)]) == 0
    shown = capsys.readouterr().out
    assert "✓ solution passing.py" in shown
    assert "✓ solution failing.py" in shown


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory with one of the files stays as it is."""
    (tmp_path / "description.md").write_text("mine")
    assert run(["init", "--new-problem", str(tmp_path)]) == 2
    assert "already exists" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["description.md"]


@pytest.mark.parametrize(
    ("name", "slug", "title"),
    [
        ("Two sums", "two-sums", "Two sums"),
        ('a"b\\c', "a-b-c", "A b c"),
        ("größte_zahl", "grote-zahl", "Größte zahl"),
        ("数", "my-problem", "数"),
        ("...", "my-problem", "My problem"),
        ("x" * 100, "x" * 64, "X" + "x" * 99),
    ],
)
def test_named_after_its_directory(tmp_path: Path, name: str, slug: str, title: str) -> None:
    """Whatever a directory may be called, its problem is valid."""
    root = tmp_path / name
    for path, text in new_problem(root, "cases").items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    problem = load_problem(root)
    assert (problem.slug, problem.title) == (slug, title)


def test_its_id_is_free(tmp_path: Path) -> None:
    """No problem beside it has it; a file that cannot be read is left out."""
    for name, text in {"a": "id = 40\n", "b": "id = \n", "c": 'id = "no"\n', "d": "id = true\n"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "problem.toml").write_text(text)
    assert new_problem(tmp_path / "new", "cases")["problem.toml"].startswith("id = 41 ")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "No problem given."),
        (["x", "--runner", "tap"], "`--runner` is for `--new-problem DIR`."),
        (["x", "--new-problem", "y"], "`--new-problem` creates a new one."),
    ],
)
def test_words_that_do_not_belong_together(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence says which."""
    assert run(["init", *words]) == 2
    assert complaint in capsys.readouterr().err
