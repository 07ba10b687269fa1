"""What a submission uses: processes and memory, without the sandbox's own, and files on disk and in memory."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from subcli.judge.process.processes import Process


@dataclass(frozen=True)
class Files:
    """Files and directories: how many, and how many bytes in all."""

    count: int = 0
    size: int = 0

    def __add__(self, other: Files) -> Files:
        return Files(self.count + other.count, self.size + other.size)


@dataclass(frozen=True)
class Usage:
    """What a submission uses at one moment. Sizes are in bytes."""

    processes: int
    """How many, without the sandbox's."""
    largest: int
    """The memory of the largest process."""
    memory: int
    """The memory of all processes, of their files in memory, and of their sockets."""
    places: tuple[Files, ...]
    """The files in each place where it can leave any: the memory of each sandbox, and the disk."""
    killed: int
    """Processes that the kernel killed because the memory ran out."""


def by_depth(processes: Collection[Process]) -> dict[int, int]:
    """For each process id, how many of `processes` are its ancestors."""
    parents = {process.pid: process.parent for process in processes}
    depths: dict[int, int] = {}
    for pid in parents:
        above, depth = parents[pid], 0
        while above in parents:
            above, depth = parents[above], depth + 1
        depths[pid] = depth
    return depths


def in_memory(sandbox: int, directories: Iterable[str]) -> Files:
    """What is in these directories of a sandbox, which are file systems in memory.

    Args:
        sandbox: The id of the sandbox's first process.
        directories: Paths inside the sandbox.
    """
    used = Files()
    for directory in directories:
        with suppress(OSError):
            # One look at one thing: between two looks at a path the sandbox may move to its own root.
            descriptor = os.open(f"/proc/{sandbox}/root{directory}", os.O_RDONLY | os.O_DIRECTORY)
            try:
                if os.fstat(descriptor).st_dev == os.stat(directory).st_dev:
                    # The sandbox is still being made: this is the machine's own directory.
                    continue
                there = os.fstatvfs(descriptor)
            finally:
                os.close(descriptor)
            used += Files(there.f_files - there.f_ffree, (there.f_blocks - there.f_bfree) * there.f_frsize)
    return used


def in_sockets(sandbox: int) -> int:
    """How many bytes the sockets of a sandbox may hold in the kernel, where no process's memory shows them.

    Args:
        sandbox: The id of the sandbox's first process, which was born in its network namespace.
    """
    with suppress(OSError, ValueError), open(f"/proc/{sandbox}/net/sockstat", "rb") as file:
        # "sockets: used N"
        return int(file.readline().split()[2]) * _socket_bytes()
    return 0


@cache
def _socket_bytes() -> int:
    """What one socket may hold that was sent and not received: its default, which no solution can raise."""
    return int(Path("/proc/sys/net/core/wmem_default").read_text())


def on_disk(directory: Path, enough: Files) -> Files:
    """What is below `directory`. Links are not followed, and counting stops when it exceeds `enough`."""
    count = size = 0
    waiting = [os.fspath(directory)]
    while waiting and count <= enough.count and size <= enough.size:
        here = waiting.pop()
        try:
            # The submission is running: a directory may have been replaced by a link.
            descriptor = os.open(here, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno in (errno.ENAMETOOLONG, errno.EACCES):
                # Nested too deep, or closed against counting. Permissions stay: the path may lead elsewhere by now.
                return Files(enough.count + 1, size)
            continue
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    count += 1
                    with suppress(OSError):
                        size += entry.stat(follow_symlinks=False).st_blocks * 512
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(f"{here}/{entry.name}")
        finally:
            os.close(descriptor)
    return Files(count, size)


def deleted(processes: Iterable[Process], device: int) -> Files:
    """Files on `device` that were deleted and that these processes still hold open."""
    found: dict[int, int] = {}
    for process in processes:
        with suppress(OSError):
            for name in os.listdir(f"/proc/{process.pid}/fd"):
                with suppress(OSError):
                    there = os.stat(f"/proc/{process.pid}/fd/{name}")
                    if there.st_nlink == 0 and there.st_dev == device:
                        found[there.st_ino] = there.st_blocks * 512
    return Files(len(found), sum(found.values()))
