"""What starting a process of a solution costs: counted in programs, which no busy machine changes."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from subcli.judge.process import starter
from subcli.judge.process.starter import StartPlan, spawn

NO_INTERPRETER = ("/nowhere/python", "-I", "-S", "/nowhere/confine.py")


def _plan(tmp_path: Path, *words: str) -> StartPlan:
    return StartPlan((*words, "--file-size=1048576", "--"), {"PATH": os.environ["PATH"], "X": "here"}, str(tmp_path))


@pytest.fixture
def _confining(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starter, "_CONFINING", NO_INTERPRETER)


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
    with spawn(_plan(tmp_path, *starter._CONFINING), (command,)) as process:
        output, errors = process.communicate()
    assert (output, errors.decode(), process.returncode) == (b"", complaint, code)
