"""What is below a process, told quickly and in full."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from subcli.judge.process.processes import (
    Process,
    _prctl,
    delay_s,
    is_crowded,
    is_ending,
    kill_all,
    kill_descendants,
    look_at,
    process_below,
    sandboxes_below,
    started_from,
)
from tests.hang import HANG_S

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
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_S, check=False)
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
def test_look_reads_nothing_of_other_processes() -> None:
    """What a sample costs does not depend on what else the machine runs."""
    assert (
        told(
            """
            runner = child(IDLE)
            opened = set()
            sys.addaudithook(lambda name, words: opened.add(words[0]) if name == "open" else None)
            below = descendants(os.getpid())
            numbers = {path.split("/")[2] for path in opened if isinstance(path, str) and path.startswith("/proc/")}
            print(numbers == {str(os.getpid()), str(runner.pid)}, [each.pid for each in below] == [runner.pid])
            """
        )
        == "True True"
    )


@needs_lists
def test_process_that_moves_is_found() -> None:
    """Its parent ends between the looks at the two lists in which it may be."""
    assert (
        told(
            """
            from subcli.judge.process import processes
            runner = child("import os, time\\nif not os.fork(): time.sleep(60)\\n" + IDLE)
            [moving] = [each.pid for each in descendants(os.getpid()) if each.pid != runner.pid]
            read = processes._children_of_all_threads
            def read_and_end(pid, known=None):
                listed = list(read(pid, known))
                if pid == os.getpid() and runner.returncode is None:
                    runner.kill()
                    runner.wait()
                return listed
            processes._children_of_all_threads = read_and_end
            print([each.pid for each in descendants(os.getpid())] == [moving])
            """
        )
        == "True"
    )


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


def test_what_the_kernel_says_of_a_process(tmp_path: Path) -> None:
    """Whatever its name is: it may look like the fields behind it."""
    program = tmp_path / "a) R 1 (b"
    program.symlink_to(shutil.which("sleep") or "")
    with subprocess.Popen([program, "60"], start_new_session=True) as child:
        try:
            until(lambda: seen(child).name == program.name)
            process = seen(child)
            assert (process.pid, process.parent, process.session) == (child.pid, os.getpid(), child.pid)
            assert (process.threads, process.is_alive, process.is_sandbox) == (1, True, False)
            pages = int(Path(f"/proc/{child.pid}/statm").read_text().split()[1])
            # The kernel counts the two in different ways.
            assert 0.7 < seen(child).resident_bytes / (pages * os.sysconf("SC_PAGE_SIZE")) < 1.3
        finally:
            child.kill()
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
            ended = seen(child)
            assert (ended.state, ended.is_alive, ended.is_busy) == ("Z", False, False)
    assert look_at(child.pid) is None


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.001)


def program(code: str) -> subprocess.Popen[bytes]:
    """A Python program that has said that it is ready."""
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", code], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    return child


@pytest.mark.thorough
def test_processor_time_counts_children_that_were_waited_for() -> None:
    """In seconds: its own, in its own code and in the kernel's, and theirs."""
    code = """
import os, time
def burn():
    while sum(os.times()[:2]) < 0.2: pass
if not os.fork():
    burn(); os._exit(0)
os.wait(); burn(); print("ready", flush=True); time.sleep(60)
"""
    child = program(code)
    assert 0.36 <= seen(child).cpu_s < 5
    child.kill()
    child.communicate()


def test_a_process_is_busy_if_one_of_its_threads_is() -> None:
    """The main thread's state alone does not say it."""
    head = "import threading, time\n"
    sleeping = program(f"{head}threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n{SLEEPS}")
    spin = "def spin():\n    while True: pass\n"
    spinning = program(f"{head}{spin}threading.Thread(target=spin, daemon=True).start()\n{SLEEPS}")
    try:
        until(lambda: seen(sleeping).state == "S" and not seen(sleeping).is_busy)
        assert seen(sleeping).threads == seen(spinning).threads == 2
        until(lambda: seen(spinning).state == "S" and seen(spinning).is_busy)
    finally:
        for child in (sleeping, spinning):
            child.kill()
            child.communicate()


SLEEPS = "print('ready', flush=True)\ntime.sleep(60)"


def test_delays_are_those_of_all_threads() -> None:
    """As the kernel counts them, in seconds; a process that has ended has none."""
    thread = "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
    child = program(f"import threading, time\n{thread}\n{SLEEPS}")
    until(lambda: seen(child).state == "S")

    def told() -> list[float]:
        threads = Path(f"/proc/{child.pid}/task").iterdir()
        return [int((thread / "schedstat").read_text().split()[1]) / 1e9 for thread in threads]

    until(lambda: sum(told()) == delay_s(child.pid, 2) and told()[0] == delay_s(child.pid))
    child.kill()
    child.communicate()
    assert delay_s(child.pid) == delay_s(child.pid, 2) == 0.0


def test_whether_a_process_is_ending() -> None:
    """One that has ended, waited for or not, is; one that sleeps is not."""
    child = program(f"import time\n{SLEEPS}")
    assert not is_ending(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_ending(child.pid)
    child.communicate()
    assert is_ending(child.pid)


def test_process_at_a_depth() -> None:
    """Following first children; none if there are not so many generations."""
    child = program("import subprocess, time\nsubprocess.Popen(['sleep', '60'])\n" + SLEEPS)
    try:
        assert process_below(child.pid, 0) == child.pid
        below = process_below(child.pid, 1)
        assert below is not None
        assert below != child.pid
        until(lambda: (look_at(below) or seen(child)).name == "sleep")
        assert process_below(child.pid, 2) is None
    finally:
        kill_descendants(child.pid)
        child.kill()
        child.communicate()


def test_processes_of_a_directory_are_found_by_their_environment(tmp_path: Path) -> None:
    """What a killed supervisor has left: whatever the variable is called, and nobody else's."""
    commands = [
        subprocess.Popen(["sleep", "60"], env={"PATH": os.environ["PATH"], "X": str(place)})
        for place in (tmp_path / "mine", tmp_path / "other")
    ]
    try:
        until(lambda: [each.pid for each in started_from(tmp_path / "mine")] == [commands[0].pid])
    finally:
        for each in commands:
            each.kill()
    os.waitid(os.P_PID, commands[0].pid, os.WEXITED | os.WNOWAIT)
    assert started_from(tmp_path / "mine") == []
    for each in commands:
        each.wait()


@needs_lists
def test_everything_below_is_killed() -> None:
    """Daemons as well, parents before their children, and nothing beside or above."""
    said = told(
        """
        from subcli.judge.process.processes import kill_descendants
        outer = child("import os, subprocess, sys\\n"
                      "subprocess.Popen([sys.executable, '-I', '-S', '-c', 'import time; time.sleep(60)'])\\n"
                      "if not os.fork():\\n    os.setsid()\\n    import time; time.sleep(60)\\n" + IDLE)
        beside = child(IDLE)
        below = descendants(outer.pid)
        whole = [each.pid for each in descendants(os.getpid())]
        print(len(below), all(each.parent == outer.pid for each in below),
              all(whole.index(outer.pid) < whole.index(each.pid) for each in below),
              kill_descendants(outer.pid), [each.is_alive for each in descendants(outer.pid)], beside.poll())
        """
    )
    assert said == "2 True True True [False, False] None"


def test_kernel_that_refuses_says_why() -> None:
    """An option that it does not know, as an older one does not know ours."""
    with pytest.raises(OSError, match="Invalid argument"):
        _prctl(987_654, 1)


def test_a_hidden_process_is_not_opened_by_its_peers() -> None:
    """What it holds is nobody's but its own (prctl(2), PR_GET_DUMPABLE)."""
    script = """
import ctypes
from subcli.judge.process.processes import hide_from_peers
before = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
hide_from_peers()
print(before, ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "1 0\n"


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
