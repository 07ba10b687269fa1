"""`subcli test`: the judge on this machine, in the place of a server."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from subcli.cli.main import run
from tests.hang import HANG_S

TESTS = """
import os, shlex, subprocess
command = shlex.split(os.environ["SUBCLI_SOLUTION"])
print("1..2", flush=True)
for number, (question, answer) in enumerate([("2", "4"), ("3", "9")], 1):
    got = subprocess.run(command, input=question, capture_output=True, text=True).stdout.strip()
    print("ok" if got == answer else "not ok", number, "- square of", question, flush=True)
"""
TABLE = """
id = 7
slug = "squares"
title = "Squares"
runner = "tap"
command = ["{python}", "run.py"]
languages = ["python"]
"""
RIGHT = "print(int(input()) ** 2)\n"
WRONG = "print(int(input()) * 2)\n"


@pytest.fixture
def problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A problem of the author's own, with two tests, beside which the command runs."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "squares"
    (root / "tests").mkdir(parents=True)
    (root / "tests/run.py").write_text(TESTS)
    (root / "description.md").write_text("Squares.")
    (root / "problem.toml").write_text(TABLE)
    return root


def test_problem_directory(problem: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The results are shown as those of a server are, and the verdict is the exit code."""
    (problem.parent / "wrong.py").write_text(WRONG)
    assert run(["test", "wrong.py", "--problem", "squares", "--plain", "--junit-xml", "report.xml"]) == 1
    out = capsys.readouterr().out
    assert "passed: square of 2 (1 of 2" in out
    assert "failed: square of 3 (2 of 2" in out
    assert "verdict: failed, 1 passed, 1 failed" in out
    # There is no submission to look at, nor anything to take up again.
    assert "subcli status" not in out
    assert "#0" not in out
    assert 'name="square of 3"' in Path(problem.parent / "report.xml").read_text()


def test_directory_of_init(problem: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What `init` left is enough, without a server; the events are in order, and the verdict is the last line."""
    work = problem.parent / "work"
    (work / "tests").mkdir(parents=True)
    (work / "tests/run.py").write_text(TESTS)
    (work / "right.py").write_text(RIGHT)
    (work / ".subcli.toml").write_text(
        'problem = "squares"\nlanguage = "python"\nfiles = ["right.py"]\n'
        '[test]\nrunner = "tap"\ncommand = ["{python}", "run.py"]\n[test.languages.python]\n'
    )
    monkeypatch.chdir(work)
    assert run(["test", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["seq"] for line in lines[:-1]] == list(range(1, len(lines)))
    assert lines[-1]["type"] == "result"
    assert (lines[-1]["final_status"], lines[-1]["exit_code"], lines[-1]["summary"]["passed"]) == ("passed", 0, 2)


def test_cases_of_init(problem: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Samples are judged offline under their names on the server; what cannot be judged or is unknown is said."""
    work = problem.parent / "work"
    (work / "samples").mkdir(parents=True)
    for name, answer in (("1", "4"), ("2", "another")):
        (work / f"samples/{name}.in").write_text("2\n")
        (work / f"samples/{name}.ans").write_text(f"{answer}\n")
    (work / "right.py").write_text(RIGHT)
    (work / ".subcli.toml").write_text(
        'problem = "squares"\nlanguage = "python"\nfiles = ["right.py"]\n'
        '[test]\nrunner = "cases"\ntests = "samples"\nexamples_only = true\nfuture = 1\n[test.languages.python]\n'
    )
    monkeypatch.chdir(work)
    assert run(["test", "--plain"]) == 0
    out, err = capsys.readouterr()
    assert "passed: sample/1 (1 of 2" in out
    assert "verdict: passed, 1 passed, 0 failed, 1 skipped" in out
    assert "squares has a checker, which only the server has" in err
    assert ".subcli.toml:8: unknown key `test.future`" in err
    assert run(["test", "--case", "sample/2", "-q"]) == 6
    out, err = capsys.readouterr()
    assert (out, "no case was decided" in err) == ("error\n", True)
    assert run(["test", "--case", "sample/3"]) == 2
    assert "There are: sample/1, sample/2." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "words_of_error"),
    [
        (["a.py"], "No problem given."),
        (["--problem", "squares"], "Nothing to judge."),
        (["a.py", "--problem", "nowhere"], "The problem cannot be used: "),
        (["a.py", "--problem", "squares", "--language", "cobol"], "squares cannot be solved in 'cobol'."),
        (["a.py", "--problem", "squares", "--case", "1"], "`--case` is for problems made of cases."),
    ],
)
def test_what_cannot_be_judged(
    problem: Path, capsys: pytest.CaptureFixture[str], words: list[str], words_of_error: str
) -> None:
    """One sentence says what is missing."""
    (problem.parent / "a.py").write_text(RIGHT)
    assert run(["test", *words]) == 2
    assert words_of_error in capsys.readouterr().err


def test_in_the_directory_of_a_problem(
    problem: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever is there already is told how to say so."""
    monkeypatch.chdir(problem)
    assert run(["test", "a.py"]) == 2
    assert "`--problem .` means the one in this directory." in capsys.readouterr().err


def test_client_alone(problem: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the extra, the command that installs it is named."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pytest" else find(name))
    assert run(["test", "a.py", "--problem", "squares"]) == 2
    assert "pip install 'subcli-watch[server]'" in capsys.readouterr().err


@pytest.mark.thorough(measured=True)
def test_interrupted(problem: Path) -> None:
    """Ctrl-C ends the judge with all that it started; nothing goes on, and stderr says so."""
    pid_file = problem.parent / "pid"
    # Written whole, in one step.
    (problem.parent / "endless.py").write_text(
        f"import os\nwith open({str(pid_file)!r} + '.new', 'w') as file: file.write(str(os.getpid()))\n"
        f"os.rename({str(pid_file)!r} + '.new', {str(pid_file)!r})\nwhile True: pass\n"
    )
    command = [sys.executable, "-m", "subcli", "test", "endless.py", "--problem", "squares", "--sandbox", "none"]
    with subprocess.Popen(command, cwd=problem.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        _until(pid_file.exists)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 130
    assert b"Nothing keeps running" in err
    assert b"subcli watch" not in err
    solution = int(pid_file.read_text())
    _until(lambda: not _is_alive(solution))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _until(is_true: object) -> None:
    assert callable(is_true)
    deadline = time.monotonic() + HANG_S
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
