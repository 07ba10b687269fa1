"""What a TAP command starts in place of the solution behaves like the solution."""

from __future__ import annotations

import pytest

from subcli.judge.supervise import fronts
from tests.judge.judging import MakeProblem, Run
from tests.judge.supervise.test_tap import RUNNER, SHELL

HEAD = """
import os, signal, socket, subprocess, sys, tempfile, time
solution = os.environ["SUBCLI_SOLUTION"]
lines = []
def check(name, is_right, said=""):
    lines.append(f"{'ok' if is_right else 'not ok'} - {name}" + ("" if is_right else f" {said!r}"))
"""
TAIL = """
print(f"1..{len(lines)}", *lines, sep=chr(10), flush=True)
"""


async def passes(run: Run, tiny: MakeProblem, tests: str, source: str) -> None:
    judged = await run(tiny(HEAD + tests + TAIL, language=SHELL, runner=RUNNER), source, "sh")
    assert [event["test_name"] for event in judged.of("test_result") if event["status"] != "passed"] == []
    assert judged.verdict == "passed", judged.events


async def test_streams_are_those_of_the_command(run: Run, tiny: MakeProblem) -> None:
    """Pipes, files with their position, sockets, and streams that are closed.

    Where stdout and stderr are one file, each is passed on by itself, so their order is not that of the writes.
    """
    tests = """
def holds(said, text, ends):
    return said.replace(b"end", b"") == text and said.count(b"end") == ends

done = subprocess.run([solution], input=b"hello", capture_output=True)
check("pipes", (done.stdout, done.stderr) == (b"hello", b"end"), done)
with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as kept:
    given.write(b"one two"), given.flush(), given.seek(4)
    for _ in range(2):
        subprocess.run([solution], stdin=given, stdout=kept, stderr=subprocess.STDOUT)
    kept.seek(0)
    said = kept.read()
    check("files", holds(said, b"two", 2), said)
ours, theirs = socket.socketpair()
running = subprocess.Popen([solution], stdin=theirs, stdout=theirs, stderr=theirs)
theirs.close()
ours.sendall(b"over a socket"), ours.shutdown(socket.SHUT_WR)
said = b""
while data := ours.recv(100):
    said += data
running.wait()
check("sockets", holds(said, b"over a socket", 1), said)
done = subprocess.run(["sh", "-c", 'exec "$0" <&- 2>&-', solution], stdout=subprocess.PIPE)
check("closed", (done.returncode, done.stdout) == (0, b""), done)
"""
    await passes(run, tiny, tests, "cat\nprintf end >&2\n")


async def test_arguments_are_passed_on(run: Run, tiny: MakeProblem) -> None:
    """Whatever is in them, in the directory and environment of the solution."""
    tests = r"""
words = ["", " ", "a\nb", "'\"$x`", "é", "-n", "x" * 100_000]
done = subprocess.run([solution, *words], capture_output=True, env={}, cwd="/")
said = done.stdout.decode().split("|")[:-1]
check("arguments", said == words, said)
"""
    await passes(run, tiny, tests, "for word; do printf '%s|' \"$word\"; done\n")


@pytest.mark.thorough
async def test_ends_as_the_solution_ends(run: Run, tiny: MakeProblem) -> None:
    """With its exit code, or by its signal."""
    tests = """
for code in (0, 1, 42, 126, 255, -signal.SIGKILL, -signal.SIGSEGV, -signal.SIGTERM, -signal.SIGUSR1):
    seen = subprocess.run([solution, str(code)]).returncode
    check(str(code), seen == code, seen)
"""
    await passes(run, tiny, tests, '[ "$1" -lt 0 ] && kill "$1" $$\nexit "$1"\n')


async def test_signals_reach_the_solution(run: Run, tiny: MakeProblem) -> None:
    """What it can handle it handles; if its front is killed it is killed."""
    tests = """
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    running = subprocess.Popen([solution], stdout=subprocess.PIPE)
    running.stdout.readline()
    running.send_signal(number)
    said, code = running.stdout.read(), running.wait()
    check(number.name, (said, code) == (b"%d" % number, 7), (said, code))
running = subprocess.Popen([solution], stdout=subprocess.PIPE)
pid = int(running.stdout.readline())
running.kill()
check("killed", running.wait() == -signal.SIGKILL)
end = time.monotonic() + 30
while os.path.exists(f"/proc/{pid}") and time.monotonic() < end:
    time.sleep(0.01)
check("solution killed", not os.path.exists(f"/proc/{pid}"))
"""
    source = """
for number in 1 2 15; do trap "printf $number; exit 7" $number; done
echo $$
while :; do sleep 0.01; done
"""
    await passes(run, tiny, tests, source)


@pytest.mark.thorough
async def test_runs_may_overlap(run: Run, tiny: MakeProblem) -> None:
    """Each gets its own streams and its own code, even if two share the FIFO for their answers."""
    tests = """
def started(code):
    return subprocess.Popen([solution, str(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
running = {code: started(code) for code in range(40)}
for code, process in running.items():
    process.stdout.readline()
for code in reversed(range(40)):
    running[code].stdin.close()
codes = {code: process.wait() for code, process in running.items()}
check("codes", codes == {code: code for code in range(40)}, codes)
"""
    problem = tiny(HEAD + tests + TAIL, limits="test_seconds = 60\nprocesses = 100", language=SHELL, runner=RUNNER)
    judged = await run(problem, 'echo here\nread end\nexit "$1"\n', "sh")
    assert judged.verdict == "passed", judged.events


async def test_no_run_starts_an_interpreter(run: Run, tiny: MakeProblem) -> None:
    """A shell, one program: the launchers are forks of one process, whose parent the supervisor is."""
    tests = """
seen = []
for _ in range(3):
    running = subprocess.Popen([solution], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    launcher = int(running.stdout.readline())
    with open(f"/proc/{running.pid}/comm") as own, open(f"/proc/{launcher}/stat") as file:
        seen.append((own.read().strip(), file.read().split()[3]))
    running.stdin.close()
    running.wait()
check("one process forks all", len(set(seen)) == 1, seen)
check("a shell stands for each", seen[0][0] == "solution", seen)
"""
    await passes(run, tiny, tests, "echo $PPID\nread end\n")


@pytest.mark.thorough
async def test_where_streams_cannot_be_taken(
    run: Run, tiny: MakeProblem, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As in a container that forbids it: a launcher is started for each run, and all else is the same."""
    # Where the supervisor finds another `fronts`: one that is refused.
    overlay = tmp_path_factory.mktemp("overlay")
    (overlay / "sitecustomize.py").write_text(
        "import subcli.judge.supervise.fronts as fronts\nfronts._PIDFD_GETFD = 100_000\n", encoding="utf-8"
    )
    assert fronts._PIDFD_GETFD < 100_000
    monkeypatch.syspath_prepend(str(overlay))
    tests = """
for code in (0, 3, -signal.SIGKILL):
    done = subprocess.run([solution, str(code)], input=b"hello", capture_output=True)
    check(str(code), (done.returncode, done.stdout) == (code, b"hello"), done)
running = subprocess.Popen([solution, "0"], stdin=subprocess.PIPE)
with open(f"/proc/{running.pid}/cmdline") as own:
    while "launch.py" not in (said := own.read()) and running.poll() is None:
        own.seek(0)
check("a launcher of its own", "launch.py" in said, said)
running.communicate()
"""
    await passes(run, tiny, tests, 'cat\n[ "$1" -lt 0 ] && kill "$1" $$\nexit "$1"\n')
