"""What runs all solutions of a TAP command: what it passes on, what it tells, and that nothing waits for one run."""

from __future__ import annotations

import marshal
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from subcli.judge.process.confine import NICENESS
from subcli.judge.process.starter import CONFINING, SERVE
from tests.hang import HANG_S
from tests.judge.process.test_launch import PYTHON, place, plan

__all__ = ["place"]
SPAWNED = {"prefix": [*CONFINING, "--file-size=10276864", "--address-space=1073741824", "--"]}
FORKED = {"prefix": [*CONFINING, "--file-size=10276864", "--open-files=100", "--"]}
MEASURED = "COVERAGE_PROCESS_CONFIG"
"""Set where coverage.py measures what a test starts."""
BOTH = pytest.mark.parametrize("ways", [SPAWNED, FORKED], ids=["spawned", "forked"])


@dataclass
class Server:
    """The process, and what it has told."""

    channel: socket.socket
    process: subprocess.Popen[bytes]
    directory: Path
    told: list[list[bytes]] = field(default_factory=list)
    pids: dict[int, int] = field(default_factory=dict)

    def start(self, number: int, *arguments: str, stdout: int, stderr: int) -> int:
        """Ask for a run. Returns the solution's process."""
        with open(os.devnull, "rb") as given:
            order = marshal.dumps((number, list(arguments)))
            socket.send_fds(self.channel, [order], [given.fileno(), stdout, stderr])
        self.pids[number] = int(self.take(b"began", number)[0])
        return self.pids[number]

    def drop(self, number: int) -> None:
        """Let a run be ended."""
        self.channel.send(marshal.dumps((number, None)))

    def take(self, what: bytes, number: int) -> list[bytes]:
        """The rest of a line that it has told, or tells now."""
        while True:
            for line in self.told:
                if line[:2] == [what, b"%d" % number]:
                    self.told.remove(line)
                    return line[2:]
            message = self.channel.recv(256)
            assert message, "it has ended"
            self.told.append(message.split())

    def code(self, number: int) -> int:
        """How a run ended."""
        return int(self.take(b"ended", number)[0])


@contextmanager
def serving(place: Path, *command: str, **more: object) -> Iterator[Server]:
    """A server for this command."""
    file = plan(place, command, entered=[], **more)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(HANG_S)
    # An isolated interpreter cannot be measured.
    isolated = () if MEASURED in os.environ else ("-I", "-S")
    words = [sys.executable, *isolated, str(SERVE), str(file)]
    with ours, subprocess.Popen(words, stdin=theirs.fileno(), stdout=subprocess.DEVNULL) as process:
        theirs.close()
        try:
            yield Server(ours, process, place)
        finally:
            ours.close()
            process.wait(HANG_S)


def ran(server: Server, number: int, *arguments: str) -> tuple[list[int], bytes, bytes]:
    """A run from its beginning to its end: code, memory and limits; and what it wrote."""
    pipes = [os.pipe(), os.pipe()]
    server.start(number, *arguments, stdout=pipes[0][1], stderr=pipes[1][1])
    for _, writing in pipes:
        os.close(writing)
    texts = []
    for reading, _ in pipes:
        with open(reading, "rb") as stream:
            texts.append(stream.read())
    return [int(word) for word in server.take(b"ended", number)], texts[0], texts[1]


@BOTH
def test_solution_gets_what_the_plan_says(place: Path, ways: dict[str, object]) -> None:
    """Limits and priority, arguments, environment and no other, directory, descriptors, and a session of its own."""
    script = (
        'echo "$1,$SAID,${HOME-none},$(pwd),$(ulimit -f),$(ulimit -H -f),$(nice)"; for each in 3 4 5 6 7 8 9 10 11; do '
        '[ -e /proc/$$/fd/$each ] && echo "open: $each"; done; echo "$(cut -d" " -f6 /proc/$$/stat) $$"; '
        "grep SigIgn /proc/$$/status"
    )
    with serving(place, "/bin/sh", "-c", script, "sh", **ways) as server:
        (code, *_), output, errors = ran(server, 7, "two words")
        facts, ids, ignored = output.decode().splitlines()
        assert (code, errors) == (0, b"")
        niceness = min(os.getpriority(os.PRIO_PROCESS, 0) + NICENESS, 19)
        assert facts == f"two words,in the plan,none,{place / 'work'},20072,20072,{niceness}"
        assert ids.split() == [str(server.pids[7])] * 2
        kept = int(ignored.split()[1], 16)
        assert not [each for each in (signal.SIGPIPE, signal.SIGXFSZ) if kept & 1 << each - 1]


@BOTH
@pytest.mark.parametrize(
    ("command", "code", "complaint"),
    [("no-such-program", 127, "command not found"), ("/etc", 126, "Permission denied")],
)
def test_program_that_cannot_be_started(
    place: Path, ways: dict[str, object], command: str, code: int, complaint: str
) -> None:
    """It is said where the solution would have written."""
    with serving(place, command, **ways) as server:
        facts, output, errors = ran(server, 1)
    assert (facts[0], output, errors.decode()) == (code, b"", f"{command}: {complaint}\n")


def test_all_runs_have_one_parent(place: Path) -> None:
    """No run forks an interpreter: a process with the limits spawns all solutions."""
    with serving(place, "/bin/sh", "-c", "cat /proc/$PPID/task/*/children; echo $PPID", **SPAWNED) as server:
        said = [ran(server, number)[1].split() for number in range(3)]
        assert [words[:-1] for words in said] == [[b"%d" % pid] for pid in server.pids.values()]
        assert len({words[-1] for words in said}) == 1
        assert said[0][-1] != b"%d" % server.process.pid


def test_tight_memory_is_not_that_of_the_process_that_spawns(place: Path) -> None:
    """An interpreter could not live with it."""
    tight = {"prefix": [*CONFINING, "--address-space=16777216", "--"]}
    with serving(place, "/bin/sh", "-c", "ulimit -v; echo $PPID", **tight) as server:
        output = ran(server, 1)[1]
        assert output.split() == [b"16384", b"%d" % server.process.pid]


def test_reader_that_does_not_read_keeps_nobody_waiting(place: Path) -> None:
    """Of stdout, stderr, or a socket, while other runs come and go; what it reads in the end is whole."""
    text = "import os, sys; os.write(int(sys.argv[1]), b'x' * 95_000 * (len(sys.argv) - 1))"
    with serving(place, *PYTHON, text, **SPAWNED) as server, open(os.devnull, "wb") as nowhere:
        reading, writing = os.pipe()
        ours, theirs = socket.socketpair()
        slow = [(1, "1", writing), (2, "2", writing), (3, "1", theirs.fileno())]
        for number, stream, target in slow:
            outputs = {"stdout": nowhere.fileno(), "stderr": nowhere.fileno()}
            outputs["stdout" if stream == "1" else "stderr"] = target
            server.start(number, stream, **outputs)
        os.close(writing)
        theirs.close()
        for number in range(10, 13):
            assert ran(server, number, "1")[1] == b"x" * 95_000
        assert not [line for line in server.told if line[0] == b"ended" and int(line[1]) < 3]
        with open(reading, "rb") as both, ours:
            assert len(both.read()) == 2 * 95_000
            while data := ours.recv(1 << 16):
                assert data == b"x" * len(data)
        assert [server.code(number) for number, _, _ in slow] == [0, 0, 0]


@BOTH
@pytest.mark.parametrize("stream", [1, 2])
def test_solution_that_writes_too_much_is_killed(place: Path, stream: int, ways: dict[str, object]) -> None:
    """A byte beyond the limit is enough; with its group."""
    script = f"import os, time; os.write({stream}, b'x' * 100_000); os.write({stream}, b'x'); time.sleep(600)"
    with serving(place, *PYTHON, script, **ways) as server, open(os.devnull, "wb") as nowhere:
        server.start(1, stdout=nowhere.fileno(), stderr=nowhere.fileno())
        code, _, _, is_flood = server.take(b"ended", 1)
    assert (code, is_flood) == (b"-9", b"1")


def test_too_much_that_nobody_reads_is_too_much(place: Path) -> None:
    """What is kept of stderr is bounded, even if it cannot be passed on."""
    script = (
        "import os, time\n"
        "for size in (60, 30, 30, 30, 30): os.write(2, b'x' * 1000 * size); os.write(1, b'y')\n"
        "time.sleep(600)"
    )
    with serving(place, *PYTHON, script, **SPAWNED) as server, open(os.devnull, "wb") as nowhere:
        reading, writing = os.pipe()
        server.start(1, stdout=nowhere.fileno(), stderr=writing)
        code, _, _, is_flood = server.take(b"ended", 1)
        os.close(reading)
        os.close(writing)
    assert (code, is_flood) == (b"-9", b"1")


@BOTH
def test_run_that_is_dropped(place: Path, ways: dict[str, object]) -> None:
    """Its solution is killed, its streams end, and nothing is told of it; what it wrote to stderr is kept."""
    script = "echo trace >&2; echo answer; exec sleep 600"
    with serving(place, "/bin/sh", "-c", script, **ways) as server:
        reading, writing = os.pipe()
        with open(os.devnull, "wb") as nowhere:
            pid = server.start(1, stdout=writing, stderr=nowhere.fileno())
        os.close(writing)
        with open(reading, "rb") as stream:
            assert stream.readline() == b"answer\n"
            assert (place / f"runs.{pid}").read_bytes() == b"trace\n"
            server.drop(1)
            assert stream.read() == b""
        server.drop(1)
        while Path(f"/proc/{pid}").exists():
            os.sched_yield()
        assert server.told == []


@BOTH
def test_end_of_the_server_is_the_end_of_all(place: Path, ways: dict[str, object]) -> None:
    """Nobody else could end them."""
    with serving(place, "/bin/sh", "-c", "exec sleep 600", **ways) as server, open(os.devnull, "wb") as nowhere:
        pids = [server.start(number, stdout=nowhere.fileno(), stderr=nowhere.fileno()) for number in range(3)]
    for pid in pids:
        while Path(f"/proc/{pid}").exists():
            os.sched_yield()


@BOTH
def test_reader_that_goes_away(place: Path, ways: dict[str, object]) -> None:
    """The solution gets SIGPIPE, as it would without us."""
    with serving(place, "/bin/sh", "-c", "while echo x; do :; done", **ways) as server:
        reading, writing = os.pipe()
        with open(os.devnull, "wb") as nowhere:
            server.start(1, stdout=writing, stderr=nowhere.fileno())
        os.close(writing)
        os.read(reading, 2)
        os.close(reading)
        assert server.code(1) == -signal.SIGPIPE
