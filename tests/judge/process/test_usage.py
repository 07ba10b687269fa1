"""What a submission uses, and which limit that exceeds."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from subcli.judge import ResourceLimits
from subcli.judge.evidence import Evidence, Site
from subcli.judge.process.limits import left_behind, over_limit, over_limits
from subcli.judge.process.processes import Process, descendants
from subcli.judge.process.usage import Files, Usage, by_depth, deleted, in_memory, in_sockets, on_disk

MB = 1024 * 1024
LIMITS = ResourceLimits(memory_mb=100, total_memory_mb=300, processes=4, disk_mb=8, files=20)
WITHIN = Usage(processes=4, largest=100 * MB, memory=300 * MB, places=(Files(20, 8 * MB),), killed=0)
ENOUGH = Files(1_000, 100 * MB)


def test_usage_at_every_limit_is_allowed() -> None:
    """A limit is what a submission may use, not what it must stay below."""
    assert over_limits(LIMITS, WITHIN) is None


@pytest.mark.parametrize(
    ("usage", "limit", "message", "expected", "actual"),
    [
        (
            replace(WITHIN, processes=5),
            "processes",
            "5 processes at once, more than the limit of 4",
            "at most 4 processes",
            "5 processes",
        ),
        (
            replace(WITHIN, largest=101 * MB),
            "memory",
            "a process used 101 MB of memory, more than the limit of 100 MB",
            "at most 100 MB for each process",
            "101 MB in one process, 300 MB in all",
        ),
        (
            replace(WITHIN, memory=301 * MB),
            "memory",
            "all processes used 301 MB of memory, more than the limit of 300 MB",
            "at most 300 MB in all",
            "301 MB in 4 processes",
        ),
        (
            replace(WITHIN, killed=1),
            "memory",
            "the memory ran out at the limit of 300 MB in all",
            "at most 300 MB in all",
            "more; the kernel killed a process",
        ),
        (
            replace(WITHIN, places=(Files(), Files(21, 0))),
            "disk",
            "it wrote more than 8 MB or 20 files",
            "at most 8 MB in 20 files",
            "0 MB in 21 files",
        ),
        (
            replace(WITHIN, places=(Files(1, 9 * MB),)),
            "disk",
            "it wrote more than 8 MB or 20 files",
            "at most 8 MB in 20 files",
            "9 MB in 1 files",
        ),
        (
            replace(WITHIN, places=(Files(1, 8 * MB + 1),)),
            "disk",
            "it wrote more than 8 MB or 20 files",
            "at most 8 MB in 20 files",
            "8 MB in 1 files",
        ),
    ],
)
def test_usage_beyond_one_limit_names_it(usage: Usage, limit: str, message: str, expected: str, actual: str) -> None:
    """Just beyond each limit, with everything else within: that limit, with both numbers."""
    assert over_limits(LIMITS, usage) == Evidence(
        kind="limit", limit=limit, message=message, expected=expected, actual=actual
    )


def test_of_several_limits_the_most_telling_is_named() -> None:
    """Processes before the disk, the disk before memory; what the kernel did before what was measured."""
    everything = Usage(processes=5, largest=101 * MB, memory=301 * MB, places=(Files(21, 0),), killed=1)
    named = []
    for within in ({}, {"processes": 4}, {"places": ()}, {"killed": 0}, {"largest": 0}, {"memory": 0}):
        everything = replace(everything, **within)
        found = over_limits(LIMITS, everything)
        named.append(None if found is None else (found.limit, found.message.split(" ")[0]))
    assert named == [
        ("processes", "5"),
        ("disk", "it"),
        ("memory", "the"),
        ("memory", "a"),
        ("memory", "all"),
        None,
    ]


def test_exceeded_limit_keeps_what_the_test_saw() -> None:
    """The limit is the cause; node, lines and stderr of the solution stay for the analysis."""
    exceeded = Evidence(kind="limit", limit="memory", message="too much")
    site = Site("node.py", 3)
    seen = Evidence(kind="exit", message="n1 was killed", node="n1", sites=(site,), stderr="Traceback")
    assert over_limit(exceeded, None) == exceeded
    assert over_limit(exceeded, seen) == replace(exceeded, node="n1", sites=(site,), stderr="Traceback")


def test_processes_left_behind_are_added_to_a_failure_or_are_one() -> None:
    """A test that failed keeps its reason; one that passed fails for what it left running."""
    seen = Evidence(kind="assertion", message="no")
    assert left_behind(2, seen) == replace(seen, left_behind=2)
    for count, words in ((1, "1 process"), (2, "2 processes")):
        assert left_behind(count, None) == Evidence(
            kind="limit",
            limit="left_behind",
            message=f"{words} still running after the test had ended",
            expected="no process left",
            actual=f"{count} left",
            left_behind=count,
        )


def _process(pid: int, parent: int) -> Process:
    return Process(pid=pid, parent=parent, session=pid, state="S", resident_bytes=0, name="x")


def test_depth_counts_the_processes_above() -> None:
    """Whatever their order; a parent that is not among them does not count."""
    assert by_depth([_process(30, 20), _process(10, 1), _process(20, 10)]) == {30: 2, 10: 0, 20: 1}


def test_files_on_disk_are_counted_in_all_directories(tmp_path: Path) -> None:
    """Directories count as files do; a link counts, and what it leads to does not."""
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "file").write_bytes(b"x" * 100_000)
    (tmp_path / "deep" / "link").symlink_to("/usr")
    used = on_disk(tmp_path, ENOUGH)
    assert used.count == 4
    assert 100_000 <= used.size < 100_000 + 8 * 4_096


def test_file_with_holes_counts_what_it_occupies(tmp_path: Path) -> None:
    """A gigabyte that was only skipped over is not on the disk."""
    with open(tmp_path / "holes", "wb") as file:
        file.truncate(1024 * MB)
    assert on_disk(tmp_path, ENOUGH).size < MB


def test_counting_files_stops_when_it_is_enough(tmp_path: Path) -> None:
    """A submission with millions of files cannot keep the watchdog busy."""
    for number in range(30):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "file").touch()
    assert 10 < on_disk(tmp_path, Files(10, MB)).count < 60


def test_directories_without_end_count_as_too_much(tmp_path: Path) -> None:
    """A path that is longer than the kernel takes is reason enough."""
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(25):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert on_disk(tmp_path, ENOUGH).count == ENOUGH.count + 1


def test_directory_that_cannot_be_entered_counts_as_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing a directory does not hide what is in it. It is not opened up either."""

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    assert on_disk(tmp_path, Files(5, MB)).count == 6


@pytest.fixture
def nameless(tmp_path: Path) -> Iterator[int]:
    """A file that this process holds open and that has no name any more; its inode's device."""
    path = tmp_path / "gone"
    with open(path, "wb") as file:
        file.write(b"x" * 50_000)
        file.flush()
        path.unlink()
        yield os.fstat(file.fileno()).st_dev


def test_deleted_files_that_are_held_open_count(nameless: int, tmp_path: Path) -> None:
    """They still take up space. One file counts once, whoever holds it and however often."""
    me = _process(os.getpid(), 1)
    with open(tmp_path / "named", "wb") as named:
        named.write(b"x" * 400_000)
        used = deleted([me, me], nameless)
    assert used.count >= 1
    assert 50_000 <= used.size < 400_000
    assert deleted([me], device=-1) == Files()


def test_sandbox_that_is_still_being_made_uses_nothing() -> None:
    """Until its own file system is in place, the directory is the machine's."""
    assert in_memory(os.getpid(), ["/tmp", "/dev/shm"]) == Files()
    assert in_memory(2**22 + 1, ["/tmp"]) == Files()


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap")
def test_files_in_the_memory_of_a_sandbox(tmp_path: Path) -> None:
    """Of all its directories together; one that is not there has none."""
    places = [tmp_path / "one", tmp_path / "two"]
    words = ["bwrap", "--dev-bind", "/", "/", "--tmpfs", str(places[0]), "--tmpfs", str(places[1])]
    script = 'head -c 300000 /dev/zero > "$0/f"; head -c 500000 /dev/zero > "$1/g"; mkdir "$1/d"; echo ready; read end'
    for place in places:
        place.mkdir()
    command = [*words, "sh", "-c", script, *map(str, places)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as sandbox:
        assert sandbox.stdout is not None
        if sandbox.stdout.readline() != b"ready\n":
            pytest.skip("bubblewrap does not work here")
        (inside,) = descendants(sandbox.pid)
        first, second = (in_memory(inside.pid, [str(place)]) for place in places)
        both = in_memory(inside.pid, [*map(str, places), str(tmp_path / "missing")])
    # The directory itself counts.
    assert (first.count, second.count) == (2, 3)
    assert 300_000 <= first.size < 310_000
    assert 500_000 <= second.size < 510_000
    assert both == first + second


def test_counting_stops_at_either_limit(tmp_path: Path) -> None:
    """What is exactly enough is still counted to the end."""
    for number in range(4):
        (tmp_path / f"{number}").mkdir()
        (tmp_path / f"{number}" / "file").write_bytes(b"x" * 10_000)
    whole = on_disk(tmp_path, ENOUGH)
    assert whole.count == 8
    assert on_disk(tmp_path, whole) == whole
    assert on_disk(tmp_path, Files(3, 100 * MB)).count == 4
    assert on_disk(tmp_path, Files(1_000, 8_000)).count < 8
    assert on_disk(tmp_path / "missing", ENOUGH) == Files()


def test_this_process_is_below_its_parent() -> None:
    """The numbers of /proc mean what the watchdog takes them for."""
    (me,) = [process for process in descendants(os.getppid()) if process.pid == os.getpid()]
    assert me.parent == os.getppid()
    assert me.session == os.getsid(0)
    assert me.is_alive
    assert me.resident_bytes > 5 * MB


def test_sockets_count_with_what_they_may_hold() -> None:
    """Each by the size of its buffer: what waits in it is in no process's memory."""
    before = in_sockets(os.getpid())
    pairs = [socket.socketpair() for _ in range(40)]
    with_pairs = in_sockets(os.getpid())
    for each in (each for pair in pairs for each in pair):
        each.close()
    # Others in this network namespace may open or close some meanwhile.
    assert with_pairs - before > 40 * 128 * 1024


def test_sockets_of_a_process_that_has_ended() -> None:
    """It holds none."""
    assert in_sockets(2**22 + 1) == 0
