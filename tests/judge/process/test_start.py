"""What starting a process of a solution costs: counted in programs and imports, which no busy machine changes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from subcli.judge.languages.language import SHIMS
from subcli.judge.process import starter
from subcli.judge.process.starter import HOST, StartPlan, spawn

NO_INTERPRETER = ("/nowhere/python", "-I", "-S", "/nowhere/confine.py")
HEAVY = {"argparse", "contextlib", "enum", "json", "re", "runpy", "signal", "socket", "traceback", "typing"}


def _plan(tmp_path: Path, *words: str, file_size: int = 1 << 20) -> StartPlan:
    return StartPlan(
        (*words, f"--file-size={file_size}", "--"), {"PATH": os.environ["PATH"], "X": "here"}, str(tmp_path)
    )


@pytest.fixture
def _confining(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starter, "CONFINING", NO_INTERPRETER)


@pytest.mark.usefixtures("_confining")
def test_one_thread_confines_without_an_interpreter(tmp_path: Path) -> None:
    """The only program that is executed is the solution's, with its limits, environment, directory and session."""
    script = 'ulimit -f -H; echo "$X"; pwd; ls /proc/self/fd; cut -d" " -f6 /proc/self/stat; echo $$'
    # The test runner may have threads.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading, "active_count", lambda: 1)
        with spawn(_plan(tmp_path, *NO_INTERPRETER), ("/bin/sh", "-c", script)) as process:
            output, errors = process.communicate()
    size, variable, directory, *descriptors, session, shell = output.decode().split()
    assert (size, variable, directory) == ("2048", "here", str(tmp_path))
    # `ls` has the directory open that it lists.
    assert descriptors == ["0", "1", "2", "3"]
    assert session == shell
    assert errors == b""


@pytest.mark.usefixtures("_confining")
def test_process_with_threads_does_not_run_python_in_a_fork(tmp_path: Path) -> None:
    """There an interpreter of its own confines the process."""
    ending = threading.Event()
    thread = threading.Thread(target=ending.wait)
    thread.start()
    try:
        with pytest.raises(FileNotFoundError, match="nowhere"):
            spawn(_plan(tmp_path, *NO_INTERPRETER), ("/bin/true",))
    finally:
        ending.set()
        thread.join()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("command", "code", "complaint"),
    [("no-such-program", 127, "no-such-program: command not found\n"), ("/etc", 126, "/etc: Permission denied\n")],
)
def test_program_that_cannot_be_started(
    tmp_path: Path, threads: int, command: str, code: int, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends as a shell's would, in whichever way it is confined."""
    monkeypatch.setattr(threading, "active_count", lambda: threads)
    # Where coverage is measured, the fork writes down what it has executed.
    with spawn(_plan(tmp_path, *starter.CONFINING, file_size=1 << 28), (command,)) as process:
        output, errors = process.communicate()
    assert (output, errors.decode(), process.returncode) == (b"", complaint, code)


def _imported(*words: str, directory: Path) -> set[str]:
    """The modules that a script imports."""
    command = [sys.executable, "-I", "-S", "-X", "importtime", *words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=directory, check=False)
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


@pytest.mark.parametrize("script", [HOST, SHIMS / "python_compile.py", SHIMS / "python_node.py"], ids=lambda s: s.name)
def test_scripts_import_little(tmp_path: Path, script: Path) -> None:
    """Each submission, or each case in Python, waits for these to start."""
    (tmp_path / "a.py").write_text("print(1)\n")
    imported = _imported(str(script), "a.py", directory=tmp_path)
    assert imported.isdisjoint(HEAVY)
    assert len(imported - _imported("-c", "", directory=tmp_path)) <= 16


def test_solution_in_python_starts_with_no_import(tmp_path: Path) -> None:
    """And with little to compile, as the file that starts it is compiled for each run."""
    (tmp_path / "a.py").write_text("print(1)\n")
    script = SHIMS / "python_node.py"
    assert _imported(str(script), "a.py", directory=tmp_path) <= _imported("-c", "", directory=tmp_path)
    assert len(script.read_text().splitlines()) < 90


def test_python_keeps_what_it_has_compiled(tmp_path: Path) -> None:
    """As `py_compile` does, although the environment says not to write any."""
    (tmp_path / "a.py").write_text("print(1)\n")
    command = [sys.executable, "-s", "-S", "-P", str(SHIMS / "python_compile.py"), "a.py"]
    environment = {"PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    assert [path.name for path in (tmp_path / "__pycache__").iterdir()] == [f"a.{sys.implementation.cache_tag}.pyc"]


@pytest.mark.parametrize("text", ["a = (\n", "a\0b\n", "(" * 500 + ")" * 500])
def test_python_says_of_errors_what_py_compile_says(tmp_path: Path, text: str) -> None:
    """So the analysis reads both alike."""
    (tmp_path / "a.py").write_text(text)
    ours, theirs = (
        subprocess.run(
            [sys.executable, "-s", "-S", "-P", *words, "a.py"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        for words in ((str(SHIMS / "python_compile.py"),), ("-m", "py_compile"))
    )
    assert (ours.returncode, ours.stderr.strip()) == (1, theirs.stderr.strip())


def test_python_shows_the_line_of_a_wrong_indent(tmp_path: Path) -> None:
    """`py_compile` names it only in passing."""
    (tmp_path / "a.py").write_text("def f():\nreturn 1\n")
    command = [sys.executable, "-s", "-S", "-P", str(SHIMS / "python_compile.py"), "a.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr.startswith('  File "a.py", line 2\n    return 1\n')
