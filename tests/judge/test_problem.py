"""What is read from `problem.toml`, and how its errors are explained."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import pytest

from subcli.judge import Language, Problem, ProblemError, load_problem, load_problems
from subcli.judge.problem_file import load_valid_problems
from tests.unmeasured import UNMEASURED

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


Write: TypeAlias = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a problem with this `problem.toml`, and returns its directory."""

    def write(text: str, name: str = "sum") -> Path:
        root = tmp_path / name
        (root / "tests").mkdir(parents=True, exist_ok=True)
        (root / "description.md").write_text("Add.", encoding="utf-8")
        (root / "problem.toml").write_text(text, encoding="utf-8")
        return root

    return write


def test_problem_is_read(write: Write) -> None:
    """Values come from the file, and defaults replace those that it leaves out."""
    problem = load_problem(write(GOOD))
    assert (problem.id, problem.slug, problem.title, problem.description) == (7, "sum", "Sum", "Add.")
    assert problem.limits.memory_mb == 64
    assert problem.limits.test_seconds == 20
    assert problem.limits.answer_seconds == 5
    assert problem.languages["python"].run == ("{python}", "{source}")
    assert problem.languages["python"].template_text() == ""


def test_deadline_and_attempts(write: Write) -> None:
    """Every kind of problem may have them; the deadline is one moment, wherever its author lives."""
    text = GOOD.replace("[limits]", "closes = 2030-01-01T12:00:00+02:00\nmax_attempts = 3\n[limits]")
    problem = load_problem(write(text))
    assert problem.closes == datetime(2030, 1, 1, 10, tzinfo=UTC)
    assert problem.max_attempts == 3
    assert Problem.from_json(json.loads(json.dumps(problem.as_json()))) == problem


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("id = 7", 'id = "7"', "2: `id` must be an integer, at least 1"),
        ("id = 7", "", " `id` is missing; it must be an integer, at least 1"),
        ("id = 7", "id = 0", "2: `id` must be an integer, at least 1"),
        ("id = 7", "id = true", "2: `id` must be an integer, at least 1"),
        ("id = 7", "id = ", " not valid TOML: "),
        ('slug = "sum"', 'slug = "Sum!"', "3: `slug` must be 1 to 64 lower-case letters"),
        ('slug = "sum"', 'slug = "-x"', "3: `slug` must be"),
        ('slug = "sum"', f'slug = "{"x" * 65}"', "3: `slug` must be"),
        ('slug = "sum"', 'slug = "x\\n"', "3: `slug` must be"),
        ('title = "Sum"', 'title = " "', "4: `title` must be a string that is not blank"),
        ('title = "Sum"', 'title = "Sum"\ntitel = "x"', "5: unknown key `titel`. Did you mean `title`?"),
        ('title = "Sum"', 'title = "Sum"\nrunner = "make"', "5: `runner` must be one of pytest, tap"),
        ('title = "Sum"', 'title = "Sum"\nrunner = "tap"', " `command` is missing; the runner `tap` needs it"),
        ('title = "Sum"', 'title = "Sum"\ncommand = "x"', "5: `command` must be a list of strings"),
        ('title = "Sum"', 'title = "Sum"\ntests = "nowhere"', "5: `tests` must be a directory: there is no 'nowhere'"),
        ('title = "Sum"', 'title = "Sum"\ntests = "../sum/tests"', "5: `tests` must be a relative path"),
        ('title = "Sum"', 'title = "Sum"\nlocal_files = ["x"]', "5: `local_files` must be a file: there is no 'x'"),
        ('title = "Sum"', 'title = "Sum"\nlocal_files = ["/x"]', "5: `local_files[0]` must be a relative path"),
        ('title = "Sum"', 'title = "Sum"\ndescription = "x.md"', "5: `description` must be a file"),
        ("memory_mb = 64", "memory_mb = 1", "6: `limits.memory_mb` must be an integer, at least 16"),
        ("memory_mb = 64", "memory_mb = 64.5", "6: `limits.memory_mb` must be an integer, at least 16"),
        ("memory_mb = 64", "memory = 64", "6: unknown key `limits.memory`. Did you mean `memory_mb`?"),
        ("memory_mb = 64", "test_seconds = -1", "6: `limits.test_seconds` must be a number of seconds"),
        ("memory_mb = 64", "test_seconds = true", "6: `limits.test_seconds` must be a number of seconds"),
        ("memory_mb = 64", "test_seconds = nan", "6: `limits.test_seconds` must be a number of seconds"),
        ("memory_mb = 64", "test_seconds = 86400", "6: `limits.test_seconds` must be a number of seconds"),
        ('source = "main.py"', 'source = "../main.py"', "8: `languages.python.source` must be a relative path"),
        ('source = "main.py"', 'source = "a/../main.py"', "8: `languages.python.source` must be a relative path"),
        ('source = "main.py"', 'source = "a\\n/.."', "8: `languages.python.source` must be a relative path"),
        ('source = "main.py"', 'source = "/main.py"', "8: `languages.python.source` must be a relative path"),
        ('source = "main.py"', 'source = ""', "8: `languages.python.source` must be a relative path"),
        ('source = "main.py"', 'source = "m.py"\ntemplate = "no.py"', "9: `languages.python.template` must be a file"),
        ('run = ["{python}", "{source}"]', 'run = "python"', "9: `languages.python.run` must be a list of strings"),
        ('run = ["{python}", "{source}"]', "run = []", "9: `languages.python.run` must be a list of strings"),
        (
            "[languages.python]",
            "[languages.python]\nmain = '('",
            "8: `languages.python.main` must be a regular expression",
        ),
        (
            "[languages.python]",
            "[languages.python]\nendings = ['py']",
            "8: `languages.python.endings` must be a list of",
        ),
        ("[languages.python]", "[languages.python]\ntraceback = 'x'", "8: `languages.python.traceback` must be one of"),
        ("[languages.python]", "[solutions]", "7: `solutions` must be written as `[[solutions]]`"),
        ('title = "Sum"', 'title = "Sum"\ncloses = 2030-01-01T12:00:00', "5: `closes` must be a date and time with an"),
        ('title = "Sum"', 'title = "Sum"\ncloses = 2030-01-01', "5: `closes` must be a date and time with an offset"),
        (
            'title = "Sum"',
            'title = "Sum"\ncloses = "2030-01-01T12:00:00Z"',
            "5: `closes` must be written without quotes",
        ),
        (
            'title = "Sum"',
            'title = "Sum"\ncloses = 0001-01-01T00:00:00+14:00',
            "5: `closes` must be in the years from 1",
        ),
        ('title = "Sum"', 'title = "Sum"\nmax_attempts = 0', "5: `max_attempts` must be an integer, at least 1"),
        ("[limits]", "limits = 3\n[other]", "5: `limits` must be a table"),
        ("[limits]", "[[limits]]", "5: `limits` must be a table"),
        ("[limits]", "solutions = 3\n[limits]", "5: `solutions` must be written as `[[solutions]]`"),
    ],
)
def test_error_names_file_line_and_key(write: Write, old: str, new: str, complaint: str) -> None:
    """An author finds every mistake without the manual."""
    with pytest.raises(ProblemError) as caught:
        load_problem(write(GOOD.replace(old, new)))
    path, _, message = str(caught.value).partition("problem.toml:")
    assert path.endswith("/sum/")
    assert complaint in message


@pytest.mark.parametrize(
    ("limits", "answer_seconds"),
    [
        ("test_seconds = 8", 2),
        ("test_seconds = 80", 5),
        ("test_seconds = 8\nanswer_seconds = 7", 7),
        ("test_seconds = 8\nanswer_seconds = 5", 5),
    ],
)
def test_answer_limit_follows_the_test_limit(write: Write, limits: str, answer_seconds: float) -> None:
    """A node has a quarter of a test's time to answer, at most 5 s, unless the author says otherwise."""
    assert load_problem(write(GOOD.replace("memory_mb = 64", limits))).limits.answer_seconds == answer_seconds


def test_description_must_be_text(write: Write) -> None:
    """The error names the file that cannot be read, not `problem.toml`."""
    root = write(GOOD)
    (root / "description.md").write_bytes(b"\xff")
    with pytest.raises(ProblemError, match=r"description\.md: cannot be read"):
        load_problem(root)


def test_description_has_an_end(write: Write) -> None:
    """A server keeps it in memory and sends it to everybody."""
    root = write(GOOD)
    os.truncate(root / "description.md", 1 << 40)
    with pytest.raises(ProblemError, match=r"description\.md: larger than 1024 KiB"):
        load_problem(root)


def test_solutions_must_exist_and_match(write: Write) -> None:
    """A solution in an unknown language, and failed tests of a passing one, are refused."""
    root = write(GOOD)
    (root / "s.py").write_text("", encoding="utf-8")
    entry = '[[solutions]]\nfile = "s.py"\nlanguage = "{}"\nexpect = "{}"\nfailed = ["x"]\n'
    write(GOOD + entry.format("cobol", "failed"))
    with pytest.raises(ProblemError, match=r"toml:12: `solutions\[0\]\.language` must be .* \(python\), not 'cobol'"):
        load_problem(root)
    write(GOOD + entry.format("python", "passed"))
    with pytest.raises(ProblemError, match=r"toml:14: `solutions\[0\]\.failed` is only allowed with"):
        load_problem(root)
    write(GOOD + entry.format("python", "failed"))
    assert load_problem(root).solutions[0].failed == ("x",)


def test_missing_problem(tmp_path: Path) -> None:
    """The error names the missing file or directory."""
    with pytest.raises(ProblemError, match=r"there is neither a problem\.toml nor a problem\.yaml"):
        load_problem(tmp_path)
    with pytest.raises(ProblemError, match="no such directory"):
        load_problems(tmp_path / "none")


def test_operator_directory_adds_to_the_bundled_problems(write: Write) -> None:
    """Both are found by slug; a slug or an id that is taken is refused."""
    root = write(GOOD.replace("id = 7", "id = 700"))
    problems = load_problems(root.parent)
    assert {"leader-election", "sum"} <= set(problems)
    write(GOOD.replace("id = 7", "id = 700").replace('"sum"', '"other"'), "other")
    with pytest.raises(ProblemError, match="has the id or the slug"):
        load_problems(root.parent)


def test_broken_problems_are_left_out_and_named(write: Write) -> None:
    """Whatever is wrong with one, the others are there; of two with the same id, the first stays."""
    good = GOOD.replace("id = 7", "id = 700")
    root = write(good)
    write("id = [", "broken")
    write(good.replace('"sum"', '"twin"'), "twin")
    write(good.replace('"sum"', '"leader-election"').replace("700", "701"), "bundled")
    write(
        good.replace('"sum"', '"long"').replace("700", "702").replace("[limits]", f'tests = "{"x" * 300}"\n[limits]'),
        "long",
    )
    problems, broken = load_valid_problems(root.parent)
    assert set(problems) == {*load_problems(), "sum"}
    assert problems["sum"].root == root
    assert [error.path.parent.name for error in broken] == ["broken", "bundled", "long", "twin"]
    with pytest.raises(ProblemError, match="no such directory"):
        load_valid_problems(root / "none")


def test_entry_is_the_declared_source_or_the_only_file_with_its_extension(write: Write) -> None:
    """A single file of any name is started; among several, the declared name decides."""
    language = load_problem(write(GOOD)).languages["python"]
    assert language.entry({"main.py": "", "util.py": ""}) == "main.py"
    assert language.entry({"mine.py": "", "notes.txt": ""}) == "mine.py"
    assert language.entry({"a.py": "", "b.py": ""}) is None
    expanded = language.expand(("cc", "-o", "x", "{sources}"), {"b.py": "", "a.py": ""}, "a.py")
    assert expanded == ("cc", "-o", "x", "a.py", "b.py")


@pytest.mark.parametrize(
    ("build", "submitted", "judged"),
    [
        (("cc", "{sources}"), "mine.py", "mine.py"),
        (("cc", "{source}"), "dir/mine.py", "mine.py"),
        (("cc", "{source}"), "mine.txt", "main.py"),
        (("cc", "{source}"), None, "main.py"),
        (("cc", "main.py"), "mine.py", "main.py"),
        (("cc", "{sources}", "./main.py"), "mine.py", "main.py"),
        (("{shims}/python_main.py", "{source}"), "mine.py", "mine.py"),
    ],
)
def test_single_file_keeps_its_name_where_the_commands_allow(
    build: tuple[str, ...], submitted: str | None, judged: str
) -> None:
    """A command that names the declared source itself needs it, and another ending would not be found."""
    language = Language(name="python", source="main.py", build=build, run=("./a.out",))
    assert language.name_of_single(submitted) == judged


def test_file_name_is_never_an_option(write: Write) -> None:
    """A name that a compiler would take for an option, or for a file of options, is given as `./NAME`."""
    language = load_problem(write(GOOD)).languages["python"]
    files = {"+x.py": "", "-c.py": "", "@opts.py": "", "a.py": "", "b/-d.py": ""}
    expanded = language.expand(("cc", "{sources}", "-I{source}", "{source}"), files, "-c.py")
    assert expanded == ("cc", "./+x.py", "./-c.py", "./@opts.py", "a.py", "b/-d.py", "-I./-c.py", "./-c.py")


def test_file_name_is_no_placeholder(write: Write) -> None:
    """A name with braces stays what it is."""
    language = load_problem(write(GOOD)).languages["python"]
    name = "{python}{shims}{sources}.py"
    assert language.expand(("{source}", "{sources}"), {name: ""}, name) == (name, name)


def test_importing_the_judge_is_light() -> None:
    """The server and the process of pytest import it: nothing heavy comes along."""
    code = """
import sys, subcli.judge
heavy = {"pytest", "_pytest", "asyncio", "subcli.judge.supervise.engine", "subcli.judge.harness"}
print(sorted(heavy & set(sys.modules)))
from subcli.judge import judge, Job
print(sorted({"pytest", "_pytest", "subcli.judge.harness", "subcli.judge.problem_file", "tomllib"} & set(sys.modules)))
assert set(subcli.judge.__all__) <= set(dir(subcli.judge))
assert all(hasattr(subcli.judge, name) for name in subcli.judge.__all__)
assert not hasattr(subcli.judge, "nothing")
"""
    environment = {**os.environ, **UNMEASURED}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "[]"]
