"""The launcher of one run: what it passes on, what it tells, and how it ends."""

from __future__ import annotations

import json
import marshal
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from subcli.judge.process.launch import _KeepingPump, _Pump
from subcli.judge.process.starter import CONFINING, LAUNCH
from tests.hang import HANG_S

PYTHON = (sys.executable, "-I", "-S", "-c")


def test_what_was_only_kept_is_still_to_be_passed_on() -> None:
    """Else a launcher that ends in this moment loses it: the traceback of a program that has just failed."""
    source, solution = os.pipe()
    target, passed_on = os.pipe()
    copy = os.memfd_create("copy")
    pump = _KeepingPump(source, passed_on, 1024, lambda: None, copy)
    assert pump.is_empty()
    os.write(solution, b"Traceback\n")
    pump.keep()
    assert not pump.is_empty()
    os.close(solution)
    pump.run()
    assert pump.is_empty()
    assert os.read(target, 1024) == os.pread(copy, 1024, 0) == b"Traceback\n"
    for descriptor in (source, target, passed_on, copy):
        os.close(descriptor)


def test_two_streams_that_are_one_file_overwrite_nothing(tmp_path: Path) -> None:
    """splice(2) does not lock the position of a file, so that what one stream had written was lost."""
    rounds = 200
    with open(tmp_path / "both", "wb", buffering=0) as both:
        sides = []
        for _ in range(2):
            source, solution = os.pipe()
            target = os.dup(both.fileno())
            pump = _Pump(source, target, 1 << 20, lambda: None, lambda: None)
            sides.append((threading.Thread(target=pump.run), pump, source, solution, target))
        for side in sides:
            side[0].start()
        for _ in range(rounds):
            for _, _, _, solution, _ in sides:
                os.write(solution, b"12")
            while not all(pump.is_empty() for _, pump, *_ in sides):
                time.sleep(0.0002)
        for thread, _, source, solution, target in sides:
            os.close(solution)
            thread.join()
            os.close(source)
            os.close(target)
    assert (tmp_path / "both").stat().st_size == 2 * 2 * rounds


@dataclass
class Running:
    """A launcher that has announced its run."""

    process: subprocess.Popen[bytes]
    pid: int
    child: int
    directory: Path

    def begin(self) -> None:
        """Give it leave."""
        with open(self.directory / f"starts.{self.pid}", "wb", buffering=0) as answer:
            answer.write(b"\n")

    def end(self) -> tuple[bytes, bytes]:
        """What the solution wrote, once it has ended."""
        output, errors = self.process.communicate(timeout=HANG_S)
        return output, errors

    @property
    def record(self) -> dict[str, Any]:
        """What the launcher tells the judge of its only run."""
        [line] = (self.directory / "runs").read_text().splitlines()
        return dict(json.loads(line))

    @property
    def kept(self) -> bytes:
        """What was kept of stderr."""
        return (self.directory / f"runs.{self.pid}").read_bytes()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The judge's directory for the runs of a submission, and in it the submission's."""
    (tmp_path / "work").mkdir()
    os.mkfifo(tmp_path / "starts")
    return tmp_path


def plan(place: Path, command: tuple[str, ...], **more: object) -> Path:
    """The file with what the launcher has to know."""
    file = place / "plan"
    values: dict[str, object] = {
        "starts": str(place / "starts"),
        "runs": str(place / "runs"),
        "results": 0,
        "output_bytes": 100_000,
        "layers": 0,
        "mounts": [],
        "prefix": [],
        "confining": list(CONFINING),
        "command": list(command),
        "environment": {"PATH": os.environ["PATH"], "SAID": "in the plan"},
        "directory": str(place / "work"),
        **more,
    }
    file.write_bytes(marshal.dumps(values))
    return file


@contextmanager
def launched(place: Path, *command: str, arguments: tuple[str, ...] = (), **more: Any) -> Iterator[Running]:
    """A launcher that waits for leave to begin."""
    streams = {name: more.pop(name, subprocess.PIPE) for name in ("stdout", "stderr")}
    file = plan(place, command, **more)
    # For both directions, so that opening does not wait for a launcher that fails.
    starts = os.open(place / "starts", os.O_RDWR)
    words = [sys.executable, "-I", "-S", str(LAUNCH), str(file), *arguments]
    with subprocess.Popen(words, stdin=subprocess.PIPE, **streams) as process:
        try:
            _, pid, child = os.read(starts, 100).split()
            yield Running(process, int(pid), int(child), place)
        finally:
            process.kill()
            os.close(starts)


def ran(place: Path, *command: str, **more: Any) -> tuple[Running, bytes, bytes]:
    """A run from its beginning to its end."""
    with launched(place, *command, **more) as running:
        running.begin()
        return running, *running.end()


def test_solution_gets_what_the_plan_says(place: Path) -> None:
    """Its arguments, its environment and no other, its directory, and a session that it leads."""
    script = 'echo "$1,$2,$SAID,${HOME-none},$(pwd)"; echo "$(cut -d" " -f6 /proc/$$/stat) $$"'
    running, output, _ = ran(place, "/bin/sh", "-c", script, "sh", arguments=("one", "two words"))
    said, ids = output.decode().splitlines()
    assert said == f"one,two words,in the plan,none,{place / 'work'}"
    assert ids.split() == [str(running.child)] * 2
    assert running.process.returncode == 0
    assert {**running.record, "peak_mb": 0, "needs_mb": 0} == {
        "pid": running.pid,
        "code": 0,
        "peak_mb": 0,
        "needs_mb": 0,
        "exceeded": "",
    }


def test_solution_waits_until_its_run_may_begin(place: Path) -> None:
    """Until what earlier tests have left is gone; where nobody gives leave, it never runs."""
    with launched(place, "/bin/sh", "-c", f"touch {place / 'began'}") as running:
        assert Path(f"/proc/{running.child}").exists()
        running.process.kill()
        running.process.wait()
        while Path(f"/proc/{running.child}").exists():
            os.sched_yield()
    assert not (place / "began").exists()
    assert not (place / "runs").exists()


def test_solution_has_only_its_three_descriptors(place: Path) -> None:
    """Neither the plan, nor the gate, nor the ends of the pipes."""
    listing = "import os; print(sorted(os.listdir('/proc/self/fd'), key=int))"
    _, output, _ = ran(place, *PYTHON, listing)
    assert output == b"['0', '1', '2', '3']\n"  # the fourth is the listing's own


@pytest.mark.parametrize("layers", [0, 2])
@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 7", 7), ("exit 200", 200), ("kill -9 $$", -9), ("kill -15 $$", -15), ("kill -11 $$", -11)],
)
def test_launcher_ends_as_the_solution_ended(place: Path, layers: int, script: str, code: int) -> None:
    """A sandbox turns a signal into an exit code, which becomes a signal again."""
    if layers and code < 0:
        script = f"exit {128 - code}"
    running, *_ = ran(place, "/bin/sh", "-c", script, layers=layers)
    assert (running.process.returncode, running.record["code"]) == (code, code)


@pytest.mark.parametrize(("script", "code"), [("exit 137", 137), ("exit 128", 128), ("exit 193", 193)])
def test_exit_code_that_looks_like_a_signal(place: Path, script: str, code: int) -> None:
    """Without a sandbox it is what it is, and beyond the last signal it always is."""
    running, *_ = ran(place, "/bin/sh", "-c", script, layers=2 if code != 137 else 0)
    assert (running.process.returncode, running.record["code"]) == (code, code)


@pytest.mark.parametrize(
    ("command", "complaint"),
    [("no-such-program", "No such file or directory"), ("/etc", "Permission denied")],
)
def test_program_that_cannot_be_started(place: Path, command: str, complaint: str) -> None:
    """It is said where the solution would have written, and the code is a shell's."""
    running, output, errors = ran(place, command)
    assert (running.process.returncode, output, errors.decode()) == (127, b"", f"{command}: {complaint}\n")


@pytest.mark.parametrize(
    ("command", "code", "complaint"),
    [("no-such-program", 127, "command not found"), ("/etc", 126, "Permission denied")],
)
def test_confined_program_that_cannot_be_started(place: Path, command: str, code: int, complaint: str) -> None:
    """As `confine` says it, which runs in this process."""
    running, _, errors = ran(place, command, prefix=[*CONFINING, "--file-size=100000", "--"])
    assert (running.process.returncode, errors.decode()) == (code, f"{command}: {complaint}\n")


def test_solution_is_confined_without_an_interpreter(place: Path) -> None:
    """With the limits of the plan's prefix; other prefixes are executed as they are."""
    prefix = ["/nowhere/python", "-I", "-S", "/nowhere/confine.py"]
    limits = [*prefix, "--file-size=1048576", "--"]
    _, output, _ = ran(place, "/bin/sh", "-c", "ulimit -f -H", prefix=limits, confining=prefix)
    assert output == b"2048\n"
    (place / "runs").unlink()
    _, output, _ = ran(place, "/bin/sh", "-c", 'echo "$X"', prefix=["/usr/bin/env", "X=first"])
    assert output == b"first\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_are_passed_on(place: Path, number: signal.Signals) -> None:
    """To the solution and all in its process group; it decides what to make of them."""
    script = f"trap 'echo caught; exit 3' {number.name[3:]}; echo ready; sleep 60 & wait"
    with launched(place, "/bin/sh", "-c", script) as running:
        running.begin()
        assert running.process.stdout is not None
        assert running.process.stdout.readline() == b"ready\n"
        running.process.send_signal(number)
        output, _ = running.end()
    assert (output, running.process.returncode) == (b"caught\n", 3)


def test_killing_the_launcher_kills_the_solution(place: Path) -> None:
    """Whoever does so means the solution."""
    with launched(place, "/bin/sh", "-c", "echo ready; exec sleep 600") as running:
        running.begin()
        assert running.process.stdout is not None
        assert running.process.stdout.readline() == b"ready\n"
        running.process.kill()
        # The solution holds the other end until it is gone.
        assert running.end() == (b"", b"")


@pytest.mark.parametrize("stream", [1, 2])
def test_output_is_passed_on_whole_up_to_the_limit(place: Path, stream: int) -> None:
    """And nothing is said about it."""
    script = f"import os; [os.write({stream}, b'%07d' % n) for n in range(14_285)]; os.write({stream}, b'12345')"
    running, *streams = ran(place, *PYTHON, script)
    assert streams[stream - 1] == b"".join(b"%07d" % n for n in range(14_285)) + b"12345"
    assert (streams[2 - stream], running.record["exceeded"]) == (b"", "")


@pytest.mark.parametrize("stream", [1, 2])
def test_solution_that_writes_too_much_is_killed(place: Path, stream: int) -> None:
    """A byte beyond the limit is enough; on each stream for itself."""
    script = (
        f"import os, time; os.write({3 - stream}, b'x' * 60_000); os.write({stream}, b'x' * 100_001); time.sleep(60)"
    )
    with open(os.devnull, "wb") as nowhere:
        running, *_ = ran(place, *PYTHON, script, stdout=nowhere, stderr=nowhere)
    assert (running.process.returncode, running.record["exceeded"], running.record["code"]) == (-9, "output", -9)


def test_what_it_wrote_to_stderr_is_kept(place: Path) -> None:
    """Also if nobody reads it, and before an answer is passed on for which the command may kill it."""
    script = "echo trace >&2; echo answer; exec sleep 600"
    with launched(place, "/bin/sh", "-c", script, stderr=subprocess.DEVNULL) as running:
        running.begin()
        assert running.process.stdout is not None
        assert running.process.stdout.readline() == b"answer\n"
        running.process.kill()
        assert running.kept == b"trace\n"
        running.end()


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_streams_that_are_files(place: Path, stream: str) -> None:
    """Also such as are appended to, into which the kernel moves nothing by itself."""
    file = place / "log"
    file.write_bytes(b"before\n")
    with open(file, "ab") as target:
        ran(place, "/bin/sh", "-c", "echo one; echo two >&2", **{stream: target})
    assert file.read_bytes() == b"before\n" + (b"one\n" if stream == "stdout" else b"two\n")


def test_reader_that_goes_away(place: Path) -> None:
    """The solution gets SIGPIPE, as it would without a launcher."""
    prefix = [*CONFINING, "--file-size=100000", "--"]
    with launched(place, "/bin/sh", "-c", "while echo x; do :; done", prefix=prefix) as running:
        running.begin()
        assert running.process.stdout is not None
        running.process.stdout.read(2)
        running.process.stdout.close()
        running.process.wait(60)
    assert running.record["code"] == -signal.SIGPIPE


def test_pipe_for_results_is_not_the_solutions(place: Path) -> None:
    """What it writes where the author's results go would be read as results."""
    reading, writing = os.pipe()
    running, _, errors = ran(
        place, "/bin/sh", "-c", "echo ok 1; echo seen >&2", stdout=writing, results=os.fstat(reading).st_ino
    )
    os.close(writing)
    with open(reading, "rb") as results:
        assert results.read() == b""
    assert (errors, running.process.returncode) == (b"seen\n", 0)


def test_memory_that_was_used_is_told(place: Path) -> None:
    """The peak, in MB; and what a program needs before it runs, if it is one for the machine itself."""
    script = "kept = b'x' * 50_000_000"
    running, *_ = ran(place, *PYTHON, script)
    assert 48 <= running.record["peak_mb"] < 500
    assert running.record["needs_mb"] >= 0


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_memory_that_a_program_needs_to_start(place: Path) -> None:
    """A large array, of which nothing is used; a script needs none."""
    source = place / "work" / "a.c"
    source.write_text("static char much[512 << 20]; int main(void) { return much[5]; }\n")
    subprocess.run(["cc", "-o", str(source.with_name("a.out")), str(source)], check=True)
    running, *_ = ran(place, "./a.out")
    assert (running.record["needs_mb"], running.record["code"]) == (512, 0)
    assert running.record["peak_mb"] < 512
    (place / "runs").unlink()
    script = source.with_name("script")
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o700)
    running, *_ = ran(place, "./script")
    assert running.record["needs_mb"] == 0
