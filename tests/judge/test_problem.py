"""problem.toml: what is read, and how it complains."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from subcli.judge import ProblemError, load_problem, load_problems

GOOD = """
id = 7
slug = "sum"
title = "Sum"
[limits]
memory_mb = 64
[languages.python]
source = "main.py"
run = ["{python}", "{source}"]
"""


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str, name: str = "sum") -> Path:
        root = tmp_path / name
        (root / "tests").mkdir(parents=True, exist_ok=True)
        (root / "description.md").write_text("Add.", encoding="utf-8")
        (root / "problem.toml").write_text(text, encoding="utf-8")
        return root

    return write


def test_problem_is_read_completely(write: Write) -> None:
    """Values from the file, defaults for the rest."""
    problem = load_problem(write(GOOD))
    assert (problem.id, problem.slug, problem.title, problem.description) == (7, "sum", "Sum", "Add.")
    assert problem.limits.memory_mb == 64
    assert problem.limits.test_seconds == 20
    assert problem.languages["python"].run == ("{python}", "{source}")
    assert problem.languages["python"].template_text() == ""


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("id = 7", 'id = "7"', "id: must be an integer, at least 1"),
        ("id = 7", "", "id: must be an integer, at least 1"),
        ("id = 7", "id = 0", "id: must be an integer, at least 1"),
        ('slug = "sum"', 'slug = "Sum!"', "slug: must be lower-case letters"),
        ('title = "Sum"', 'title = " "', "title: must be a text"),
        ('title = "Sum"', 'title = "Sum"\ntitel = "x"', "titel: unknown key"),
        ('title = "Sum"', 'title = "Sum"\nrunner = "make"', "runner: must be one of pytest, tap"),
        ('title = "Sum"', 'title = "Sum"\nrunner = "tap"', "command: is missing"),
        ('title = "Sum"', 'title = "Sum"\ntests = "nowhere"', "tests: there is no directory 'nowhere'"),
        ("memory_mb = 64", "memory_mb = 1", "limits.memory_mb: must be an integer, at least 16"),
        ("memory_mb = 64", "memory = 64", "limits.memory: unknown key"),
        ("memory_mb = 64", "test_seconds = -1", "limits.test_seconds: must be a number of seconds"),
        ("memory_mb = 64", "test_seconds = true", "limits.test_seconds: must be a number of seconds"),
        ('source = "main.py"', 'source = "../main.py"', "languages.python.source: must be a path inside"),
        ('source = "main.py"', 'source = "/main.py"', "languages.python.source: must be a path inside"),
        ('source = "main.py"', 'source = "main.py"\ntemplate = "no.py"', "there is no file 'no.py'"),
        ('run = ["{python}", "{source}"]', 'run = "python"', "languages.python.run: must be a list of texts"),
        ('run = ["{python}", "{source}"]', "", "languages.python.run: is missing"),
        ("[languages.python]", "[languages]\n[other]", "languages: needs at least one language"),
        ("[limits]", "limits = 3\n[other]", "limits: must be a table"),
        ("[limits]", "[[limits]]", "limits: must be a table"),
        ("[limits]", "solutions = 3\n[limits]", "solutions: must be written as [[solutions]]"),
        ("id = 7", "id = ", "problem.toml"),
    ],
)
def test_mistake_is_named_with_its_key(write: Write, old: str, new: str, complaint: str) -> None:
    """Every message names the file and the key, so that an author finds it without the manual."""
    with pytest.raises(ProblemError) as caught:
        load_problem(write(GOOD.replace(old, new)))
    assert complaint in str(caught.value)
    assert "problem.toml" in str(caught.value)


def test_declared_solutions_must_exist_and_be_consistent(write: Write) -> None:
    """A solution in an unknown language, or failed tests of a passing one, are errors."""
    root = write(GOOD)
    (root / "s.py").write_text("", encoding="utf-8")
    entry = '[[solutions]]\nfile = "s.py"\nlanguage = "{}"\nexpect = "{}"\nfailed = ["x"]\n'
    write(GOOD + entry.format("cobol", "failed"))
    with pytest.raises(ProblemError, match="no language 'cobol'"):
        load_problem(root)
    write(GOOD + entry.format("python", "passed"))
    with pytest.raises(ProblemError, match="goes with expect"):
        load_problem(root)
    write(GOOD + entry.format("python", "failed"))
    assert load_problem(root).solutions[0].failed == ("x",)


def test_directory_without_a_problem_is_an_error(tmp_path: Path) -> None:
    """The message names the missing file."""
    with pytest.raises(ProblemError, match=r"problem\.toml: no such file"):
        load_problem(tmp_path)
    with pytest.raises(ProblemError, match="no such directory"):
        load_problems(tmp_path / "none")


def test_operators_directory_adds_to_the_bundled_problems(write: Write) -> None:
    """Both are there, by slug; a slug or an id that is used twice is an error."""
    root = write(GOOD.replace("id = 7", "id = 700"))
    problems = load_problems(root.parent)
    assert {"leader-election", "sum"} <= set(problems)
    write(GOOD.replace("id = 7", "id = 700").replace('"sum"', '"other"'), "other")
    with pytest.raises(ProblemError, match="has the id or the slug"):
        load_problems(root.parent)


def test_entry_is_the_declared_source_or_the_only_file_with_its_ending(write: Write) -> None:
    """A single file of any name is run; among several the declared name decides."""
    language = load_problem(write(GOOD)).languages["python"]
    assert language.entry({"main.py": "", "util.py": ""}) == "main.py"
    assert language.entry({"mine.py": "", "notes.txt": ""}) == "mine.py"
    assert language.entry({"a.py": "", "b.py": ""}) is None
    expanded = language.expand(("cc", "-o", "x", "{sources}"), {"b.py": "", "a.py": ""}, "a.py")
    assert expanded == ("cc", "-o", "x", "a.py", "b.py")


def test_importing_the_judge_is_cheap() -> None:
    """The server imports it at startup and pytest's process imports parts of it: nothing else comes along."""
    code = """
import sys, subcli.judge
heavy = {"pytest", "_pytest", "asyncio", "subcli.judge.supervise.engine", "subcli.judge.harness"}
print(sorted(heavy & set(sys.modules)))
from subcli.judge import judge, Job
print(sorted({"pytest", "_pytest", "subcli.judge.harness", "msgspec"} & set(sys.modules)))
assert set(subcli.judge.__all__) <= set(dir(subcli.judge))
assert all(hasattr(subcli.judge, name) for name in subcli.judge.__all__)
assert not hasattr(subcli.judge, "nothing")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "[]"]
