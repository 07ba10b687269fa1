"""The root file system of a sandbox, as arguments of bubblewrap(1)."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from subcli.judge.sandbox.view import SandboxView, outermost

SCRATCH: Final = ("/tmp", "/dev/shm")
"""Where a solution may write. Each sandbox has its own, in memory."""
_INNER_USER: Final = "1000"
INNER: Final = ("--unshare-user", "--uid", _INNER_USER, "--gid", _INNER_USER)
# Files of /proc that show how busy the machine is, or with what.
_REVEALING: Final = (
    *("uptime", "vmstat", "interrupts", "softirqs", "diskstats", "schedstat", "zoneinfo", "buddyinfo", "pagetypeinfo"),
    *("swaps", "locks", "timer_list", "slabinfo", "sched_debug", "latency_stats", "keys", "key-users", "kallsyms"),
    *("cmdline", "config.gz", "modules", "vmallocinfo", "cgroups"),
)
_REVEALING_DIRECTORIES: Final = (
    *("pressure", "acpi", "scsi", "fs", "irq", "bus", "tty", "driver"),
    *("sys/fs", "sys/kernel/pty", "sys/kernel/random"),
)
_DEVICES: Final = ("null", "zero", "full", "random", "urandom")
_STREAMS: Final = (("/proc/self/fd", "fd"), ("fd/0", "stdin"), ("fd/1", "stdout"), ("fd/2", "stderr"))
_SHARED: Final = "/.subcli"
"""Where the shared mounts are, in the namespace that every sandbox is made in:"""
_TREE: Final = f"{_SHARED}/tree"
"""what becomes the root of each,"""
_DEV: Final = f"{_SHARED}/dev"
"""its /dev,"""
_FACTS: Final = f"{_SHARED}/facts"
"""the replacements for files of /proc,"""
_WORK: Final = f"{_SHARED}/work"
"""and the submission."""


@dataclass(frozen=True)
class RootFiles:
    """The root file system of a sandbox, as arguments of bubblewrap. Only `SCRATCH` is writable, and bounded in size.

    Attributes:
        view: What is shown.
        workspace: The submission, which is shown as well.
        facts: A directory with replacements for files of /proc.
        revealing: The files of /proc that are replaced, and by what.
        files: More files to show, by their paths in the sandbox.
        links: More symbolic links, as those of the view.
    """

    view: SandboxView
    workspace: Path
    facts: Path
    revealing: Mapping[str, str]
    files: Mapping[str, str]
    links: Sequence[tuple[str, str]]

    def alone(self, bind: str, size: int) -> list[str]:
        """All of it.

        Args:
            bind: How the workspace is mounted.
            size: How much can be written to each of `SCRATCH`.
        """
        words = [*self._proc(str(self.facts)), *self._devices("/dev"), *_scratch(size), "--remount-ro", "/dev"]
        return [*words, *self._shown(""), bind, str(self.workspace), str(self.workspace), "--remount-ro", "/"]

    def shared(self, program: str, *, as_root: bool) -> list[str]:
        """What all sandboxes of a submission have in common, in `_TREE`; around it what bubblewrap needs to start.

        Args:
            program: The path of bubblewrap.
            as_root: Whether that may mount without a user namespace of its own.
        """
        words = [*(() if as_root else INNER), "--die-with-parent", "--cap-drop", "ALL"]
        # bubblewrap begins in /tmp; and a kernel mounts a new /proc only where it can see one that is not covered.
        words += ["--dir", _SHARED, "--dir", "/tmp", "--bind", "/proc", "/proc", "--ro-bind", str(self.facts), _FACTS]
        words += ["--bind", str(self.workspace), _WORK, *self._devices(_DEV), "--dir", f"{_DEV}/shm"]
        words += ["--remount-ro", _DEV, "--tmpfs", _TREE]
        for directory in ("/proc", "/dev", "/tmp", *map(str, reversed(self.workspace.parents[:-1])), self.workspace):
            words += ["--dir", f"{_TREE}{directory}"]
        words += self._shown(_TREE)
        tops = {Path(path).parts[1] for path in (*self.view.shown, *(link for _, link in self.view.links))}
        for top in sorted(tops - {"dev", "tmp"}):
            words += ["--symlink", f"{_TREE[1:]}/{top}", f"/{top}"]
        if not any(Path(program).is_relative_to(path) for path in self.view.shown):
            words += ["--ro-bind", program, program]
        return [*words, "--remount-ro", _TREE, "--remount-ro", "/"]

    def over_shared(self, bind: str, size: int) -> list[str]:
        """What each sandbox adds to what is shared. The arguments are those of `alone`."""
        # For each that it mounts, bubblewrap reads the list of all that are there: the many of /proc come first.
        words = ["--ro-bind", _TREE, "/", *self._proc(_FACTS), "--dev-bind", _DEV, "/dev", *_scratch(size)]
        view = self.view
        for path in outermost(map(Path, (*view.shown, *view.uncovered))):
            if _is_scratch(path):
                words += ["--ro-bind", f"{_TREE}{path}", str(path)]
        for leads, link in view.links:
            if _is_scratch(Path(link)):
                words += ["--symlink", leads, link]
        return [*words, bind, _WORK, str(self.workspace)]

    def _proc(self, facts: str) -> list[str]:
        words = ["--proc", "/proc"]
        for path, name in self.revealing.items():
            words += ["--ro-bind", f"{facts}/{name}", path]
        for directory in _REVEALING_DIRECTORIES:
            if os.path.isdir(f"/proc/{directory}"):
                words += _empty(f"/proc/{directory}")
        return [*words, "--remount-ro", "/proc"]

    def _devices(self, place: str) -> list[str]:
        # Not bubblewrap's own /dev: its pseudo-terminals are numbered and limited for the whole machine.
        words = _empty(place)
        for device in _DEVICES:
            words += ["--dev-bind", f"/dev/{device}", f"{place}/{device}"]
        for leads, name in _STREAMS:
            words += ["--symlink", leads, f"{place}/{name}"]
        return words

    def _shown(self, below: str) -> list[str]:
        view = self.view
        words: list[str] = []
        made: set[Path] = set()
        for path in view.shown:
            words += [*_around(path, below, made), "--ro-bind", path, f"{below}{path}"]
        for leads, path in (*view.links, *self.links):
            words += [*_around(path, below, made), "--symlink", leads, f"{below}{path}"]
        for path in view.hidden:
            words += _empty(f"{below}{path}")
        made.clear()
        for path in view.uncovered:
            words += [*_around(path, below, made), "--ro-bind", path, f"{below}{path}"]
        for path in view.hidden:
            words += ["--remount-ro", f"{below}{path}"]
        for path, source in self.files.items():
            words += [*_around(path, below, made), "--ro-bind", source, f"{below}{path}"]
        return words


def _around(path: str, below: str, made: set[Path]) -> list[str]:
    """Make the directories around a path. What bubblewrap makes by itself, only its own user may enter."""
    words: list[str] = []
    for parent in reversed(Path(path).parents[:-1]):
        if below and parent not in made:
            made.add(parent)
            words += ["--dir", f"{below}{parent}"]
    return words


def _scratch(size: int) -> list[str]:
    words = []
    for directory in SCRATCH:
        words += ["--perms", "1777", "--size", str(size), "--tmpfs", directory]
    return words


def _is_scratch(path: Path) -> bool:
    return any(path.is_relative_to(directory) for directory in SCRATCH)


def _empty(directory: str) -> list[str]:
    return ["--size", "4096", "--tmpfs", directory]


def write_hosts(path: Path) -> str:
    """Write a file for /etc/hosts: a server that listens on `localhost` needs it. Returns its name."""
    path.write_text("127.0.0.1 localhost\n::1 localhost\n")
    path.chmod(0o644)
    return str(path)


def write_facts(directory: Path, memory_mb: int) -> dict[str, str]:
    """Write replacements for what in /proc would show the machine's load. Returns their names by what they replace."""
    cpus = len(os.sched_getaffinity(0))
    kilobytes = memory_mb * 1024
    idle = "0 0 0 0 0 0 0 0 0 0"
    texts = {
        "empty": "",
        "loadavg": "0.00 0.00 0.00 1/1 1\n",
        "stat": f"cpu  {idle}\n" + "".join(f"cpu{number} {idle}\n" for number in range(cpus)) + "btime 0\n",
        "cpuinfo": re.sub(r"^cpu MHz.*\n", "", Path("/proc/cpuinfo").read_text(), flags=re.MULTILINE),
        "meminfo": "".join(f"{name}: {kilobytes} kB\n" for name in ("MemTotal", "MemFree", "MemAvailable")),
    }
    directory.mkdir()
    directory.chmod(0o755)
    for name, text in texts.items():
        (directory / name).write_text(text)
        (directory / name).chmod(0o644)
    # Not /dev/null: bubblewrap mounts with `nodev`, so a device could not be opened.
    empty = {f"/proc/{name}": "empty" for name in _REVEALING if _is_readable(f"/proc/{name}")}
    return {**{f"/proc/{name}": name for name in texts if name != "empty"}, **empty}


def _is_readable(path: str) -> bool:
    """Whether any user may read a file. What only root may, no solution can, and mounting takes time."""
    return os.path.exists(path) and bool(os.stat(path).st_mode & stat.S_IROTH)
