"""The process in a sandbox that runs one case after the other."""

from __future__ import annotations

import asyncio
import os
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
        async with asyncio.timeout(30):
            while not (tmp_path / "up").exists():  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            process.stop()
            ran, output = await running
    assert ran is not None
    assert (ran.code, output) == (-9, b"up\n")


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
