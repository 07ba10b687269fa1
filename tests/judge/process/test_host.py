"""The process in a sandbox that runs one case after the other."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from subcli.judge.process import host
from subcli.judge.process.host import empty
from subcli.judge.process.starter import StartPlan
from subcli.judge.supervise.host_process import Collector, HostFault, HostProcess, Ran
from tests.hang import HANG_S

LOCAL = StartPlan(prefix=(), environment={"PATH": os.environ["PATH"]}, directory="/")


@asynccontextmanager
async def hosting(*directories: Path) -> AsyncIterator[tuple[HostProcess, list[int]]]:
    """A host without a sandbox, and the ids of the processes that it was."""
    pids: list[int] = []
    process = HostProcess(LOCAL, [str(directory) for directory in directories], pids.append)
    try:
        yield process, pids
    finally:
        process.close()


def order(*command: str, **more: object) -> Mapping[str, object]:
    return {"command": command, "memory": 0, "cpu_s": 10, "files": (), "wanted": (), "keep": False, **more}


async def play(process: HostProcess, *command: str, **more: object) -> tuple[Ran | None, bytes]:
    """Run a command. Returns how it ended, and its stdout."""
    output = Collector(100_000, process.stop)
    nowhere = [os.open(os.devnull, os.O_RDWR) for _ in range(2)]
    ran = await process.run(order(*command, **more), [nowhere[0], output.writing, nowhere[1]])
    return ran, await output.end()


def deep(directory: Path) -> None:
    """Make directories deeper than any path can name."""
    here = os.open(directory, os.O_RDONLY)
    for _ in range(60):
        os.mkdir("d" * 200, dir_fd=here)
        inner = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)


def closed(directory: Path) -> None:
    (directory / "closed" / "inner").mkdir(parents=True)
    (directory / "closed" / "inner" / "file").write_text("")
    (directory / "closed" / "inner").chmod(0)
    (directory / "closed").chmod(0)


def links(directory: Path) -> None:
    (directory / "up").symlink_to(directory.parent)
    (directory / "nowhere").symlink_to(directory / "missing")
    os.mkfifo(directory / "pipe")


def odd_names(directory: Path) -> None:
    for name in (b"\xff\xfe", b" ", b"-rf", b"a\nb", b"n" * 255):
        os.close(os.open(os.path.join(os.fsencode(directory), name), os.O_CREAT))


@pytest.mark.parametrize("fill", [deep, closed, links, odd_names])
def test_a_directory_is_emptied_whatever_is_in_it(tmp_path: Path, fill: Callable[[Path], None]) -> None:
    """Nothing stays, and nothing outside is touched."""
    directory, outside = tmp_path / "scratch", tmp_path / "outside"
    directory.mkdir()
    outside.write_text("stays")
    fill(directory)
    empty(str(directory), set())
    assert list(directory.iterdir()) == []
    assert outside.read_text() == "stays"


def test_what_is_mounted_stays(tmp_path: Path) -> None:
    """The way to a mount stays, and what lies beside it on the way goes."""
    mount = tmp_path / "way" / "mount"
    mount.mkdir(parents=True)
    (mount / "kept").write_text("")
    (tmp_path / "way" / "beside").write_text("")
    (tmp_path / "beside").mkdir()
    empty(str(tmp_path), {str(tmp_path / "way"), str(mount)})
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "way", mount, mount / "kept"]


def test_mounts_are_found_with_the_way_to_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is mounted elsewhere does not count, nor the directory itself."""
    lines = (f"1 2 0:3 / {path} rw - tmpfs none rw" for path in ("/tmp", "/tmp/a/b", "/tmpx/c", "/proc"))
    (tmp_path / "mountinfo").write_text("\n".join(lines) + "\n")
    original = open
    monkeypatch.setattr(host, "open", lambda path, **more: original(tmp_path / "mountinfo", **more), raising=False)
    assert host._mounted_below(["/tmp"]) == {"/tmp/a", "/tmp/a/b"}


async def test_each_program_gets_an_empty_directory(tmp_path: Path) -> None:
    """What one leaves is gone for the next, except where it is to be kept; one host runs them all."""
    async with hosting(tmp_path) as (process, pids):
        look = ("sh", "-c", f"ls {tmp_path}; touch {tmp_path}/left")
        assert [(await play(process, *look))[1] for _ in range(2)] == [b"", b""]
        assert (await play(process, *look, keep=True))[1] == b"left\n"
        assert len(pids) == 1


async def test_a_spoiled_directory_gets_another_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A host whose directories cannot be emptied says so, and a new one runs the program."""
    async with hosting(tmp_path / "scratch") as (process, pids):
        (tmp_path / "scratch").mkdir()
        assert (await play(process, "true"))[0] is not None
        (tmp_path / "scratch").rmdir()
        spoiled, begin = [], process._start

        async def mended() -> object:
            spoiled.append(True)
            (tmp_path / "scratch").mkdir()
            return await begin()

        monkeypatch.setattr(process, "_start", mended)
        ran, output = await play(process, "echo", "ran")
        assert (ran is not None, output) == (True, b"ran\n")
        assert (len(pids), spoiled) == (2, [True])


async def test_a_fault_of_the_host_is_told(tmp_path: Path) -> None:
    """What no sandbox can lay out is no result; the program after it runs."""
    async with hosting(tmp_path) as (process, pids):
        given = os.open(tmp_path, os.O_RDONLY)
        streams = [os.open(os.devnull, os.O_RDWR) for _ in range(3)]
        try:
            with pytest.raises(HostFault, match=r"directory|argument"):
                await process.run(order("true", files=["input"]), streams, [given])
        finally:
            os.close(given)
        assert (await play(process, "echo", "on"))[1] == b"on\n"
        # It is tried once more, in a new sandbox.
        assert len(pids) == 2


async def test_a_host_that_dies_is_no_result(tmp_path: Path) -> None:
    """A program that ends its host has no result, and the next one gets another host."""
    async with hosting(tmp_path) as (process, pids):
        assert (await play(process, "sh", "-c", "kill -9 $PPID"))[0] is None
        ran, output = await play(process, "echo", "on")
        assert ran is not None
        assert (output, len(pids)) == (b"on\n", 2)


async def test_a_host_that_dies_before_it_starts_a_program_is_replaced(tmp_path: Path) -> None:
    """The program is not to blame, so it runs in another sandbox: here one that was stopped before, and is killed."""
    async with hosting(tmp_path) as (process, pids):
        await play(process, "true")
        os.kill(pids[0], signal.SIGSTOP)
        running = asyncio.ensure_future(play(process, "echo", "on"))
        await asyncio.sleep(0)  # the order is under way
        os.kill(pids[0], signal.SIGKILL)
        ran, output = await running
        assert ran is not None
        assert (output, len(pids)) == (b"on\n", 2)


async def test_a_program_inherits_three_descriptors(tmp_path: Path) -> None:
    """Neither the socket of the host nor anything else of the judge's."""
    listing = "import os; print(sorted(os.listdir('/proc/self/fd'), key=int), os.getsid(0) == os.getpid())"
    async with hosting(tmp_path) as (process, _):
        ran, output = await play(process, sys.executable, "-I", "-S", "-c", listing)
    assert ran is not None
    assert output == b"['0', '1', '2', '3'] True\n"  # the fourth is the listing's own


async def test_a_stop_ends_a_program_and_what_it_started(tmp_path: Path) -> None:
    """Descendants in sessions of their own too: the pipe closes."""
    async with hosting(tmp_path) as (process, _):
        script = f"setsid sh -c 'echo up; touch {tmp_path}/up; exec sleep 600' & wait"
        running = asyncio.ensure_future(play(process, "sh", "-c", script))
        async with asyncio.timeout(HANG_S):
            while not (tmp_path / "up").exists():  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            process.stop()
            ran, output = await running
    assert ran is not None
    assert (ran.code, output) == (-9, b"up\n")


@pytest.mark.parametrize("memory", [0, 1 << 30])
async def test_a_program_has_its_limits(tmp_path: Path, memory: int) -> None:
    """Processor time with a second to spare for who ignores SIGXCPU; memory, and then the stack is part of it."""
    shell = "ignored=0x$(grep SigIgn /proc/self/status | cut -c 9-)\n"
    shell += 'echo "$(ulimit -v) $(ulimit -S -t) $(ulimit -H -t) $((ignored & 0x1001002))"'
    async with hosting(tmp_path) as (process, _):
        ran, output = await play(process, "sh", "-c", shell, memory=memory, cpu_s=7)
        _, stack = await play(process, "sh", "-c", "ulimit -s", memory=memory)
    assert ran is not None
    # What Python ignores, a program may rely on.
    assert output.decode().split() == [str(memory // 1024) if memory else "unlimited", "7", "8", "0"]
    hard = resource.getrlimit(resource.RLIMIT_STACK)
    if memory and hard[1] == resource.RLIM_INFINITY:
        assert stack == b"unlimited\n"
    elif hard[0] != resource.RLIM_INFINITY:
        assert stack == b"%d\n" % (hard[0] // 1024)


@pytest.mark.thorough
async def test_endless_computing_ends_by_the_limit_of_the_processor(tmp_path: Path) -> None:
    """By SIGXCPU, which says why."""
    async with hosting(tmp_path) as (process, _):
        ran, _ = await play(process, sys.executable, "-I", "-S", "-c", "while True: pass", cpu_s=1)
    assert ran is not None
    assert ran.code == -signal.SIGXCPU
    # The kernel counts ticks.
    assert 700 <= ran.cpu_ms < 3000
    assert ran.wall_ms >= 700


@pytest.mark.parametrize(
    ("command", "code", "complaint"),
    [
        (("sh", "-c", "exit 5"), 5, b""),
        (("sh", "-c", "kill -11 $$"), -11, b""),
        (("no-such-program",), 127, b"no-such-program: command not found\n"),
        (("/etc",), 126, b"/etc: Permission denied\n"),
    ],
)
async def test_how_a_program_ended_is_told(
    tmp_path: Path, command: tuple[str, ...], code: int, complaint: bytes
) -> None:
    """A code, a signal; or, where its stderr goes, why it could not be started."""
    async with hosting(tmp_path) as (process, _):
        errors = Collector(1000, process.stop)
        nowhere = [os.open(os.devnull, os.O_RDWR) for _ in range(2)]
        ran = await process.run(order(*command), [*nowhere, errors.writing])
        assert ran is not None
        assert (ran.code, await errors.end()) == (code, complaint)


@pytest.mark.thorough
async def test_what_a_program_used_is_told(tmp_path: Path) -> None:
    """Its processor time and that of all that it started, the time that passed, and the largest of its processes."""
    script = "import os, sys, time; kept = b'x' * 60_000_000; time.sleep(0.3)"
    script += "; os.spawnvp(os.P_WAIT, sys.executable, sys.argv[1:])"
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    words = (sys.executable, "-I", "-S", "-c", script, sys.executable, "-I", "-S", "-c", burn)
    async with hosting(tmp_path) as (process, _):
        ran, _ = await play(process, *words)
        idle, _ = await play(process, "sleep", "0.2")
    assert ran is not None
    assert idle is not None
    assert ran.cpu_ms >= 300
    assert ran.wall_ms >= 600
    assert 58_000 < ran.memory_kb < 300_000
    assert (ran.left, idle.left) == (0, 0)
    # Only its own: the one before has used much.
    assert idle.cpu_ms < 250 <= idle.wall_ms + 60


async def test_what_a_program_leaves_is_ended_and_counted(tmp_path: Path) -> None:
    """With the memory of the largest of them; the next program is alone."""
    hold = "import time; kept = bytes(range(256)) * 200_000; print(1, flush=True); time.sleep(600)"
    script = f"{sys.executable} -I -S -c '{hold}' > {tmp_path}/up & setsid sleep 600 &"
    script += f" until [ -s {tmp_path}/up ]; do :; done"
    async with hosting(tmp_path) as (process, pids):
        ran, _ = await play(process, "sh", "-c", script)
        assert ran is not None
        assert (ran.code, ran.left) == (0, 2)
        assert ran.memory_kb > 48_000
        assert [each.pid for each in process.processes()] == []
        assert len(pids) == 1


async def test_a_program_that_changes_how_others_run_is_the_last_in_its_sandbox(tmp_path: Path) -> None:
    """What it sets for its host, those after it would inherit; a new host has nothing of it."""
    async with hosting(tmp_path) as (process, pids):
        await play(process, sys.executable, "-I", "-S", "-c", "import os; os.setpriority(0, os.getppid(), 19)")
        ran, output = await play(process, "nice")
        assert ran is not None
        assert (output, len(pids)) == (b"%d\n" % os.nice(0), 2)


async def test_files_of_a_case_are_laid_out_and_fetched(tmp_path: Path) -> None:
    """Below the first directory; what was not written, and what is no plain file, is not there."""
    given = [os.memfd_create("given") for _ in range(2)]
    for descriptor, content in zip(given, (b"1 2\n", b"x" * 100_000), strict=True):
        os.write(descriptor, content)
    wanted = [os.memfd_create("wanted") for _ in range(3)]
    script = "cd $0/case; cat input; wc -c < answer; cd feedback; echo why > message"
    script += "; mkdir score; echo more > nextpass.in"
    names = {"files": ("input", "answer"), "wanted": ("missing", "message", "score")}
    async with hosting(tmp_path) as (process, _):

        async def checked() -> tuple[Ran | None, bytes]:
            output = Collector(100_000, process.stop)
            nowhere = [os.open(os.devnull, os.O_RDWR) for _ in range(2)]
            told = order("sh", "-c", script, str(tmp_path), **names)
            ran = await process.run(told, [nowhere[0], output.writing, nowhere[1]], given, wanted)
            return ran, await output.end()

        ran, output = await checked()
        assert ran is not None
        assert (output, ran.found) == (b"1 2\n100000\n", ("message",))
        assert [os.pread(each, 100, 0) for each in wanted] == [b"", b"why\n", b""]
        # For the pass after it, what the tool keeps is there, but not what asked for that pass.
        look = ("sh", "-c", f"cd {tmp_path}/case/feedback; ls")
        assert (await play(process, *look, keep=True))[1] == b"message\nnextpass.in\nscore\n"
        again = order(*look, keep=True, files=("input",))
        output_again = Collector(100_000, process.stop)
        nowhere = [os.open(os.devnull, os.O_RDWR) for _ in range(2)]
        await process.run(again, [nowhere[0], output_again.writing, nowhere[1]], given[:1])
        assert await output_again.end() == b"message\nscore\n"
    for descriptor in (*given, *wanted):
        os.close(descriptor)


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        {"code": -9, "left": 0, "spoiled": True, "found": ["a b.txt", ""]},
        {"fault": 'Kein Gerät: /tmp/"quoted"\\back\n\x00\udc80'},
        [1, [2, [{"deep": [True]}]]],
    ],
)
def test_answers_are_json(value: object) -> None:
    """Without the library, which would take as long to import as all the rest."""
    assert json.loads(host._encode(value)) == value
    assert host._encode(value).isascii()


def test_it_starts_without_our_package() -> None:
    """In a sandbox there is the standard library alone."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-X", "importtime", host.__file__],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "subcli" not in "\n".join(line for line in done.stderr.splitlines() if line.startswith("import time"))
