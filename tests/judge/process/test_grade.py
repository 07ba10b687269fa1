"""What a grader's command gets, and what becomes of its results. Where it runs in a sandbox: `grader/test_run.py`."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from subcli.judge.process.starter import GRADE


def graded(
    directory: Path, kind: str, *command: str, pattern: str = "results.json", limit: int = 1000
) -> subprocess.CompletedProcess[bytes]:
    """Run a command as a grader."""
    words = [sys.executable, "-I", "-S", str(GRADE), kind, pattern, str(limit), *command]
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(directory)}
    return subprocess.run(words, cwd=directory, env=environment, capture_output=True, check=False)


def files_of(done: subprocess.CompletedProcess[bytes]) -> dict[str, bytes]:
    return {name: base64.b64decode(text) for name, text in json.loads(done.stdout).items()}


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", -9), ("kill -6 $$", -6)])
@pytest.mark.parametrize("kind", ["printed", "exit", "files"])
def test_it_ends_as_the_command_ended(tmp_path: Path, kind: str, script: str, code: int) -> None:
    """With a code or by a signal."""
    assert graded(tmp_path, kind, "sh", "-c", f"ulimit -c 0; {script}").returncode == code


def test_only_what_is_printed_as_results_is_stdout(tmp_path: Path) -> None:
    """Otherwise it is shown with the log."""
    script = ("sh", "-c", "echo results; echo log >&2")
    printed, ended = (graded(tmp_path, kind, *script) for kind in ("printed", "exit"))
    assert (printed.stdout, printed.stderr) == (b"results\n", b"log\n")
    assert (ended.stdout, ended.stderr) == (b"", b"results\nlog\n")
    files = graded(tmp_path, "files", *script)
    assert (json.loads(files.stdout), files.stderr) == ({}, b"results\nlog\n")


def test_files_that_fit_the_pattern_are_the_results(tmp_path: Path) -> None:
    """Regular ones only, whatever is in them, also in directories that the command has made."""
    script = "mkdir -p a/b; printf 'x\\377' > a/b/r.xml; echo y > s.xml; echo n > s.txt"
    script += "; mkdir d.xml; ln -s s.txt l.xml; mkfifo f.xml"
    done = graded(tmp_path, "files", "sh", "-c", script, pattern="**/*.xml")
    assert files_of(done) == {"a/b/r.xml": b"x\xff", "s.xml": b"y\n"}


def test_what_a_solution_brings_along_are_no_results(tmp_path: Path) -> None:
    """Files, directories and links that fit the pattern are removed; what a link leads to stays."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "r1.xml").write_text("forged")
    (tmp_path / "out" / "r2.xml").mkdir()
    (tmp_path / "out" / "r2.xml" / "inner").write_text("forged")
    (tmp_path / "kept").mkdir()
    (tmp_path / "out" / "r3.xml").symlink_to(tmp_path / "kept")
    (tmp_path / "other.xml").write_text("stays")
    done = graded(tmp_path, "files", "sh", "-c", "ls out; ls", pattern="out/*.xml")
    assert (json.loads(done.stdout), done.stderr) == ({}, b"kept\nother.xml\nout\n")
    assert (tmp_path / "kept").exists()


def test_directory_of_the_results_is_made(tmp_path: Path) -> None:
    """A tool that writes a report expects it; one that is a pattern is the command's to make."""
    graded(tmp_path, "files", "true", pattern="build/reports/out.xml")
    graded(tmp_path, "files", "true", pattern="*/out.xml")
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == ["build", "build/reports"]


def test_results_are_bounded(tmp_path: Path) -> None:
    """All together; one byte more shows that there was too much."""
    script = "printf 12345 > a.xml; printf 67890 > b.xml; printf c > c.xml"
    for limit, found in ((11, 11), (10, 11), (9, 10), (3, 4)):
        files = files_of(graded(tmp_path, "files", "sh", "-c", script, pattern="*.xml", limit=limit))
        assert sum(map(len, files.values())) == found
    assert files == {"a.xml": b"1234"}


@pytest.mark.parametrize(
    ("command", "code", "why"), [("./missing", 127, "No such file or directory"), ("/etc", 126, "Permission denied")]
)
def test_command_that_cannot_be_started(tmp_path: Path, command: str, code: int, why: str) -> None:
    """It says so itself in the last line, and nobody else can have said it."""
    done = graded(tmp_path, "files", command)
    assert (done.returncode, done.stdout) == (code, b"")
    assert done.stderr.decode() == f"the grader's command cannot be started: {command}: {why}\n"


def test_command_is_at_home_in_the_submission(tmp_path: Path) -> None:
    """And `python3` is the Python beside which the packages of graders are installed."""
    done = graded(tmp_path, "printed", "sh", "-c", 'echo "$HOME"; pwd; echo "${PATH%%:*}"; echo "${PATH#*:}"')
    here = str(tmp_path)
    assert done.stdout.decode().splitlines() == [here, here, str(Path(sys.executable).parent), os.environ["PATH"]]


def test_pipe_of_the_results_cannot_be_opened_by_the_solution() -> None:
    """It runs as the same user, and would write results there. Only root may look into everybody's descriptors."""
    # Another user may not be able to read this checkout.
    with tempfile.TemporaryDirectory(dir="/tmp") as readable:
        Path(readable).chmod(0o755)
        shutil.copy(GRADE, readable)
        script = "import os; print(os.stat(f'/proc/{os.getppid()}/fd').st_uid)"
        drop = "import os, sys; os.setgroups([]); os.setresgid(9, 9, 9); os.setresuid(9, 9, 9)"
        drop += "; os.execv(sys.argv[1], sys.argv[1:])"
        command = [
            "/usr/bin/python3",
            "-I",
            "-S",
            f"{readable}/{GRADE.name}",
            "printed",
            "x",
            "9",
            "/usr/bin/python3",
            "-c",
            script,
        ]
        if os.geteuid() == 0:
            command = [sys.executable, "-I", "-S", "-c", drop, *command]
        environment = {"PATH": os.environ["PATH"], "TMPDIR": "/tmp"}
        done = subprocess.run(command, cwd="/tmp", env=environment, capture_output=True, check=False)
    assert done.stdout == b"0\n", done.stderr


AUTOGRADER = """#!/bin/sh
cd /autograder
pwd
ls
cat source/mine submission/hw.py
cp submission_metadata.json results/results.json
"""


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap")
def test_gradescope_finds_its_directories(tmp_path: Path) -> None:
    """`/autograder` with its own script, what was submitted, and what is known of the submission."""
    for name in ("source", "submission"):
        (tmp_path / name).mkdir()
    (tmp_path / "source" / "run_autograder").write_text(AUTOGRADER)
    (tmp_path / "source" / "mine").write_text("the author's\n")
    (tmp_path / "submission" / "hw.py").write_text("the learner's\n")
    command = ("/autograder/run_autograder",)
    done = graded(tmp_path, "gradescope", *command, pattern="results/results.json", limit=10_000)
    if done.returncode == 1 and b"bwrap" in done.stderr:
        pytest.skip("needs a bubblewrap that works")
    shown = "/autograder\nresults\nrun_autograder\nsource\nsubmission\nsubmission_metadata.json\n"
    assert done.stderr.decode() == f"{shown}the author's\nthe learner's\n"
    about = json.loads(files_of(done)["results/results.json"])
    created, due = (datetime.fromisoformat(text) for text in (about["created_at"], about["assignment"]["due_date"]))
    assert abs((datetime.now(UTC) - created).total_seconds()) < 600
    assert due.year == 2999
    assert about["assignment"]["release_date"] == about["created_at"]
    assert {**about, "created_at": "", "assignment": ""} == {
        "id": 1,
        "created_at": "",
        "assignment": "",
        "submission_method": "upload",
        "users": [{"id": 1, "name": "Student", "email": "student@example.com"}],
        "previous_submissions": [],
    }
    assert {**about["assignment"], "release_date": "", "due_date": ""} == {
        "id": 1,
        "course_id": 1,
        "title": "Assignment",
        "release_date": "",
        "due_date": "",
        "late_due_date": None,
        "total_points": "100.0",
        "group_size": 1,
        "group_submission": False,
        "outline": None,
    }


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap")
def test_metadata_of_the_author_is_kept(tmp_path: Path) -> None:
    """An autograder may read more than anybody else could know."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "submission_metadata.json").write_text('{"id": 77}')
    done = graded(tmp_path, "gradescope", "cat", "/autograder/submission_metadata.json", pattern="results/r.json")
    if done.returncode == 1 and b"bwrap" in done.stderr:
        pytest.skip("needs a bubblewrap that works")
    assert done.stderr == b'{"id": 77}'


def test_signal_that_the_grader_ignores_itself(tmp_path: Path) -> None:
    """SIGPIPE ends a command, and this process as well, although Python ignores it."""
    assert graded(tmp_path, "exit", "sh", "-c", "kill -13 $$").returncode == -signal.SIGPIPE
