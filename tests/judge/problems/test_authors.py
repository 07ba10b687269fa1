"""What authors of problems and `subcli init` need: checking a problem, and the files to begin with."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from subcli.judge import load_problems
from subcli.judge.check import check_problem, checks
from subcli.judge.sandbox.probe import probe
from subcli.judge.scaffold import UnknownLanguage, scaffold
from tests.hang import HANG_S
from tests.judge.judging import Run

GOOD = """
id = 901
slug = "yes"
title = "Yes"
runner = "tap"
command = ["sh", "run.sh"]
total_tests = 2

[languages.sh]
source = "a.sh"
template = "template.sh"
build = ["sh", "-n", "{source}"]
run = ["sh", "{source}"]

[[solutions]]
file = "right.sh"
language = "sh"
expect = "passed"

[[solutions]]
file = "wrong.sh"
language = "sh"
expect = "failed"
failed = ["says yes"]

[[solutions]]
file = "broken.sh"
language = "sh"
expect = "build_failed"
"""
FILES = {
    "description.md": "Say yes.",
    "template.sh": "read x\n",
    "right.sh": "echo yes\n",
    "wrong.sh": "echo no\n",
    "broken.sh": "if\n",
    "tests/run.sh": """
echo 1..2
said=$("$SUBCLI_SOLUTION")
if [ "$said" = yes ]; then echo "ok 1 - says yes"; else echo "not ok 1 - says yes"; fi
if [ -n "$said" ]; then echo "ok 2 - says something"; else echo "not ok 2 - says something"; fi
""",
}


Author = Callable[..., Path]


@pytest.fixture
def author(tmp_path: Path) -> Author:
    """A problem as its author has it, with some of its text replaced."""

    def make(*changes: tuple[str, str]) -> Path:
        root = tmp_path / "yes"
        described = GOOD
        for old, new in changes:
            described = described.replace(old, new)
        for name, text in {**FILES, "problem.toml": described}.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return root

    return make


@pytest.mark.thorough
def test_good_problem_passes_all_checks(author: Author) -> None:
    """The template starts and fails, the reference solution passes, the others fail as declared."""
    report = check_problem(author())
    assert report.ok, report
    told: dict[str, Any] = report.as_dict()
    assert told["ok"] is True
    assert [(item["what"], item["ok"]) for item in told["items"]] == [
        ("problem.toml", True),
        ("reference solution", True),
        ("template sh", True),
        ("solution right.sh", True),
        ("solution wrong.sh", True),
        ("solution broken.sh", True),
    ]


@pytest.mark.thorough
def test_mistakes_of_an_author_are_found(author: Author) -> None:
    """Each by the check that is meant for it, with what it saw."""
    root = author(
        ('failed = ["says yes"]', 'failed = ["says something"]'),
        ('template = "template.sh"', 'template = "right.sh"'),
        ("total_tests = 2", "total_tests = 3"),
    )
    wrong = {check.what: check.detail for check in check_problem(root).checks if not check.ok}
    assert wrong == {
        "template sh": "it already passes every test",
        "solution right.sh": "2 tests ran, but total_tests is 3",
        "solution wrong.sh": "fails says yes, but declares says something",
    }


@pytest.mark.thorough(measured=True)
def test_problem_that_nobody_can_solve(author: Author) -> None:
    """No reference solution, a solution that passes against its declaration, a template that does not start."""
    root = author(
        ('expect = "passed"', 'expect = "failed"'),
        ('template = "template.sh"', 'template = "broken.sh"'),
    )
    report = check_problem(root)
    wrong = {check.what: check.detail for check in report.checks if not check.ok}
    assert "nothing proves it can be solved" in wrong["reference solution"]
    assert wrong["solution right.sh"] == "passed instead of failed."
    assert wrong["template sh"].startswith("build_failed")
    assert not report.ok


def test_problem_that_cannot_be_read(author: Author) -> None:
    """No other check is made."""
    report = check_problem(author(('slug = "yes"', 'slug = "YES"')))
    assert [check.what for check in report.checks] == ["problem.toml"]
    assert "`slug` must be" in report.checks[0].detail


async def test_check_that_cannot_run_here_is_skipped(author: Author) -> None:
    """A language whose tools are not installed is not a mistake."""
    found = [
        check async for check in checks(author(('source = "a.sh"', 'source = "a.sh"\nrequires = ["no-such-tool"]')))
    ]
    assert all(check.ok for check in found)
    assert [check.what for check in found if check.skipped] == [
        "template sh",
        "solution right.sh",
        "solution wrong.sh",
        "solution broken.sh",
    ]
    assert "no-such-tool is not installed" in found[-1].detail


def why(root: Path, what: str) -> str:
    """What a check that failed says."""
    [check] = [check for check in check_problem(root).checks if check.what == what]
    assert not check.ok, check
    return check.detail


@pytest.mark.thorough
def test_words_of_the_compiler_are_shown(author: Author) -> None:
    """A reference solution that does not build: all that the build printed, not the last line alone."""
    detail = why(author(('build = ["sh", "-n", "{source}"]', BUILD)), "solution right.sh")
    assert detail.startswith("build_failed instead of passed.")
    assert "a.sh:1: the first error\nnote: and a note" in detail


BUILD = """build = ["sh", "-c", "echo a.sh:1: the first error; echo note: and a note; exit 1"]"""


@pytest.mark.thorough
def test_error_of_the_test_module_is_shown(author: Author) -> None:
    """A module that the tests import and that is not there is named, with the line that imports it."""
    root = author(('runner = "tap"\ncommand = ["sh", "run.sh"]', ""))
    (root / "tests" / "test_it.py").write_text("import no_such_module\n")
    detail = why(root, "solution right.sh")
    assert detail.startswith("error instead of passed.")
    assert "test_it.py:1" in detail
    assert "No module named 'no_such_module'" in detail


@pytest.mark.thorough
def test_error_of_a_single_test_is_shown(author: Author) -> None:
    """The test raises something that is no assertion: it is named, with what it raised."""
    root = author(('runner = "tap"\ncommand = ["sh", "run.sh"]', ""))
    (root / "tests" / "test_it.py").write_text("def test_it():\n    {}['key']\n\ndef test_two():\n    pass\n")
    assert "It: KeyError: 'key'" in why(root, "solution right.sh")


@pytest.mark.thorough(measured=True)
def test_stderr_of_the_test_command_is_shown(author: Author) -> None:
    """All of it: the cause is rarely in the last line."""
    root = author()
    (root / "tests" / "run.sh").write_text("echo 'unrecognized arguments: -q' >&2\necho 'rootdir: /x' >&2\nexit 4\n")
    detail = why(root, "solution right.sh")
    assert "the test command exited with code 4, and it reported no test" in detail
    assert "unrecognized arguments: -q\nrootdir: /x" in detail


@pytest.mark.thorough
def test_solution_keeps_its_name(author: Author) -> None:
    """It is judged under the name of its file, which some languages depend on."""
    root = author()
    (root / "right.sh").write_text('[ "${0##*/}" = right.sh ] && echo yes\n')
    assert check_problem(root).ok


PYTHON = (
    ('source = "a.sh"', 'source = "a.py"'),
    ('build = ["sh", "-n", "{source}"]\nrun = ["sh", "{source}"]', 'run = ["{python}", "{source}"]'),
    ("template.sh", "template.py"),
)


@pytest.mark.thorough
def test_template_may_raise_not_implemented(author: Author, tmp_path: Path) -> None:
    """That is what a template is for. Any other exception means that it does not run."""
    (tmp_path / "yes").mkdir()
    (tmp_path / "yes" / "template.py").touch()
    root = author(*PYTHON, ('runner = "tap"\ncommand = ["sh", "run.sh"]', ""))
    (root / "tests" / "test_it.py").write_text("def test_one(make_cluster):\n    make_cluster(1).run(10)\n")
    unfinished = "def f():\n    raise NotImplementedError('write f')\n\nf()\n"
    for text, ok in ((unfinished, True), ("raise KeyError('x')\n", False)):
        (root / "template.py").write_text(text)
        [check] = [check for check in check_problem(root).checks if check.what == "template sh"]
        assert check.ok is ok, check


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap")
def test_sandbox_is_chosen_as_for_a_server(author: Author) -> None:
    """With `--sandbox bwrap` the solutions run in it; without, as the author."""
    if probe(cpus=1.0).starter is None:
        pytest.skip("needs a bubblewrap that works")
    root = author()
    (root / "right.sh").write_text('[ "$(uname -n)" = sandbox ] && echo yes\n')
    codes = {}
    for sandbox in ("bwrap", "none"):
        words = [sys.executable, "-m", "subcli", "problems", "check", str(root), "--sandbox", sandbox]
        done = subprocess.run(words, capture_output=True, text=True)
        codes[sandbox] = done.returncode
    assert codes == {"bwrap": 0, "none": 2}


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_bundled_cache_problem_passes_all_checks() -> None:
    """The second bundled problem, in C and Python, with all of its solutions."""
    report = check_problem(load_problems()["lru-cache"].root)
    assert report.ok, report


def test_scaffold() -> None:
    """The template under the name to submit, and the tests if the problem provides them."""
    problems = load_problems()
    made = scaffold(problems["lru-cache"], "c")
    assert (made.problem, made.language, made.source) == ("lru-cache", "c", "lru.c")
    assert set(made.files) == {"lru.c", "tests/run.py"}
    assert made.test is not None
    assert made.test["command"] == ["{python}", "-I", "-S", "run.py"]
    assert "fgets" in made.files["lru.c"]
    election = problems["leader-election"]
    assert set(scaffold(election, "python").files) == {"node.py", "tests/election.py", "tests/test_election.py"}
    assert set(scaffold(replace(election, local_files=()), "python").files) == {"node.py"}
    with pytest.raises(UnknownLanguage, match=r"this problem does not offer 'cobol'; it offers c, python"):
        scaffold(problems["lru-cache"], "cobol")


@pytest.mark.thorough
def test_local_tests_run_on_a_python_file(tmp_path: Path) -> None:
    """The tests that `init` provides take `lru.py` as it is; without a name they ask for one."""
    root = load_problems()["lru-cache"].root
    for name, text in scaffold(load_problems()["lru-cache"], "python").files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "lru.py").write_text((root / "solutions" / "passing.py").read_text())
    words = [sys.executable, "tests/run.py"]
    done = subprocess.run(words, cwd=tmp_path, env={"SUBCLI_SOLUTION": "lru.py"}, capture_output=True, text=True)
    assert (done.returncode, done.stdout.count("\nok ")) == (0, 9), done
    nameless = subprocess.run(words, cwd=tmp_path, env={}, capture_output=True, text=True)
    assert "SUBCLI_SOLUTION" in nameless.stderr
    assert "Traceback" not in nameless.stderr


SPINNING = """
import os, sys
if os.fork():
    sys.stderr.write("I am at a loss\\n")
    print("no", flush=True)
open("pid.%d" % os.getpid(), "w").close()
while True:
    pass
"""


@pytest.mark.thorough
async def test_program_that_never_ends_is_explained_alike_in_every_test(run: Run) -> None:
    """What earlier tests left is not counted as the program's processes; its stderr is shown."""
    judged = await run(load_problems()["lru-cache"], SPINNING)
    assert len(judged.failed) == 9
    assert {event["category"] for event in judged.of("error_analysis")} == {"wrong_answer"}, judged.events
    shown = [event["output"] for event in judged.of("test_result")]
    assert [text for text in shown if "I am at a loss" not in text] == []


def _alive(directory: Path) -> list[int]:
    """The processes of `SPINNING` that still run."""
    pids = [int(path.suffix[1:]) for path in directory.glob("pid.*")]
    return [pid for pid in pids if Path(f"/proc/{pid}/stat").exists() and " Z " not in _stat(pid)]


def _stat(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text()
    return " Z "


@pytest.fixture
def spinning(tmp_path: Path) -> Iterator[list[str]]:
    """The command that runs the tests of lru-cache at home, on a program that never ends."""
    (tmp_path / "lru.py").write_text(SPINNING)
    yield [sys.executable, str(load_problems()["lru-cache"].root / "tests" / "run.py")]
    for pid in _alive(tmp_path):
        os.kill(pid, signal.SIGKILL)


def test_local_tests_leave_no_process(tmp_path: Path, spinning: list[str]) -> None:
    """Whatever the program answered to the first command."""
    done = subprocess.run(
        spinning, cwd=tmp_path, env={"SUBCLI_SOLUTION": "lru.py"}, capture_output=True, text=True, timeout=HANG_S
    )
    assert done.stdout.count("\nnot ok ") == 9, done
    assert "I am at a loss" in done.stdout
    assert list(tmp_path.glob("pid.*"))
    assert _alive(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL])
def test_local_tests_take_their_program_with_them(tmp_path: Path, spinning: list[str], number: int) -> None:
    """However they end: closed with the terminal, interrupted, killed."""
    (tmp_path / "lru.py").write_text("import os\nopen(f'pid.{os.getpid()}', 'w').close()\nwhile True: pass\n")
    environment = {"SUBCLI_SOLUTION": "lru.py"}
    with subprocess.Popen(spinning, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as tests:
        while not list(tmp_path.glob("pid.*")):
            time.sleep(0.01)
        tests.send_signal(number)
        tests.wait(timeout=HANG_S)
    deadline = time.monotonic() + HANG_S
    while _alive(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert _alive(tmp_path) == []
