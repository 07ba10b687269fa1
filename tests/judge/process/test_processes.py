"""What is below a process, told quickly and in full."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from subcli.judge.process.processes import Process, is_crowded, kill_all, look_at, sandboxes_below

HEAD = """
import os, signal, subprocess, sys, threading, time
from subcli.judge.process.processes import become_subreaper, descendants, is_all_below, reap_adopted

become_subreaper()
SLEEP = "import time; time.sleep(60)"

def child(code):
    # It says that it is ready, and ends with its standard input.
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout.readline() == b"ready\\n"
    return process

def end():
    for process in descendants(os.getpid()):
        os.kill(process.pid, signal.SIGKILL)
"""

IDLE = "print('ready', flush=True); import sys; sys.stdin.read()"


def told(body: str) -> str:
    """What a subreaper of its own says; it must not be this process, which has children of other tests."""
    code = textwrap.dedent(HEAD) + f"IDLE = {IDLE!r}\n" + textwrap.dedent(body) + "\nend()\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


needs_lists = pytest.mark.skipif(
    not Path(f"/proc/self/task/{os.getpid()}/children").exists(), reason="the kernel lists no children (PROC_CHILDREN)"
)


@needs_lists
def test_only_child_is_detected() -> None:
    """One child without children: there is no need to read all processes."""
    assert told("print(is_all_below(child(IDLE).pid))") == "True"


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(
            "runner = child('import subprocess, sys; subprocess.Popen([sys.executable, \"-c\", '"
            "'\"import time; time.sleep(60)\"]); ' + IDLE)",
            id="its child",
        ),
        pytest.param(
            "runner = child('import os, time\\n"
            "if not os.fork():\\n"
            "    if not os.fork():\\n"
            "        os.setsid(); time.sleep(60)\\n"
            "    os._exit(0)\\n"
            "os.wait()\\n' + IDLE)",
            id="a daemon",
        ),
        pytest.param("runner = child(IDLE); child(IDLE)", id="a sibling"),
        pytest.param(
            "runner = child('import os\\nif not os.fork(): os._exit(0)\\n' + IDLE)",
            id="its zombie",
        ),
        pytest.param(
            "runner = child('import threading, time; '"
            "'threading.Thread(target=time.sleep, args=(60,), daemon=True).start(); ' + IDLE)",
            id="its second thread",
        ),
        pytest.param(
            "runner = child(IDLE); runner.kill(); os.waitid(os.P_PID, runner.pid, os.WEXITED | os.WNOWAIT)",
            id="its own end",
        ),
        pytest.param("runner = child(IDLE); runner.kill(); runner.wait()", id="collected"),
    ],
)
def test_other_processes_are_detected(more: str) -> None:
    """Another process, alive or not, below the child or beside it; or a child whose own list does not suffice."""
    assert told(f"{more}\nprint(is_all_below(runner.pid))") == "False"


@needs_lists
def test_ended_orphan_counts_until_it_is_reaped() -> None:
    """A zombie that became our child is found and reaped; then the child is alone again."""
    assert (
        told(
            """
            runner = child("import os\\nif not os.fork():\\n    if not os.fork(): os._exit(0)\\n    os._exit(0)\\n"
                           "os.wait()\\n" + IDLE)
            before = is_all_below(runner.pid)
            end_by = time.monotonic() + 30
            while not is_all_below(runner.pid) and time.monotonic() < end_by:
                reap_adopted(descendants(os.getpid()), {runner.pid})
            print(before, is_all_below(runner.pid))
            """
        )
        == "False True"
    )


@pytest.fixture
def sleepers() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two children that do nothing."""
    started = [subprocess.Popen(["sleep", "60"]) for _ in range(2)]
    yield started
    for each in started:
        each.kill()
        each.wait()


def seen(child: subprocess.Popen[bytes]) -> Process:
    found = look_at(child.pid)
    assert found is not None
    return found


def test_slow_look_does_not_prevent_killing(sleepers: list[subprocess.Popen[bytes]]) -> None:
    """Where the time is up as soon as processes are found, they are killed all the same.

    Beside a fork bomb one look took three seconds, of the two in which it was to be over: nothing was ever killed.
    """

    def find() -> list[Process]:
        return [seen(child) for child in sleepers]

    assert not kill_all(find, timeout_s=0)
    assert [child.wait(30) for child in sleepers] == [-signal.SIGKILL] * 2


def test_sandboxes_are_killed_before_anything_else(
    sleepers: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal to the sandbox ends all that is in it; signals to each process come too late for a fork bomb."""
    solution, sandbox = sleepers
    signals: list[tuple[int, int]] = []
    send = os.kill

    def note(pid: int, number: int) -> None:
        signals.append((pid, number))
        send(pid, number)

    monkeypatch.setattr(os, "kill", note)
    kill_all(list, known=[seen(solution), replace(seen(sandbox), name="bwrap")])
    assert signals == [
        (sandbox.pid, signal.SIGKILL),
        (solution.pid, signal.SIGSTOP),
        (solution.pid, signal.SIGKILL),
    ]


CROWD = """
import os, time
for number in range(6):
    child = os.fork()
    if child == 0:
        time.sleep(60 if number < 3 else 0)
        os._exit(0)
    if number >= 3:
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
print("ready", flush=True)
time.sleep(60)
"""
"""Four processes that live, and three that have ended and that nobody has waited for."""


@needs_lists
@pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap")
def test_crowd_in_a_sandbox_is_seen_from_its_first_process() -> None:
    """Both processes of bubblewrap are found, and how many live inside is known without a look at all processes."""
    words = ["bwrap", "--unshare-user", "--unshare-pid", "--die-with-parent", "--ro-bind", "/", "/", "--proc", "/proc"]
    sandbox = subprocess.Popen([*words, sys.executable, "-I", "-S", "-c", CROWD], stdout=subprocess.PIPE)
    assert sandbox.stdout is not None
    try:
        if sandbox.stdout.readline() != b"ready\n":
            pytest.skip("bubblewrap does not work here")
        ((outer, first),) = (pair for pair in sandboxes_below(os.getpid()) if pair[0].pid == sandbox.pid)
        assert (outer.is_sandbox, first.is_sandbox, first.parent) == (True, True, sandbox.pid)
        assert is_crowded(first.pid, 3)
        # What has ended does not count, waited for or not.
        assert not is_crowded(first.pid, 4)
        # This is not inside of anything: all processes of the machine are no crowd of a sandbox.
        assert not is_crowded(os.getpid(), 0)
    finally:
        sandbox.kill()
        sandbox.communicate()


def test_alone_is_known_without_a_look_at_others() -> None:
    """A supervisor asks three times whether anything is left, beside thousands of processes of others."""
    script = """
import os
from subcli.judge.process import processes
processes._all_processes = None
print(processes.descendants(os.getpid()), processes.kill_descendants(os.getpid()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[] True\n"
