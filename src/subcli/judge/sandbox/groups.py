"""Control groups: limits on a submission as a whole, enforced by the kernel.

There are two versions: v1 has a hierarchy for each controller, v2 has one for all; /proc/self/mountinfo shows which is
used. The group of a submission is created below the group of this process. Whether that is allowed depends on who
started it (root, systemd with `Delegate=yes`, a container), so it is tried, never assumed.

In v2 a group with processes cannot have subgroups with limits (cgroups(7), "no internal processes" rule). There the
judge's own process first moves into a group `subcli-judge`, beside the groups of the submissions.
"""

from __future__ import annotations

import itertools
import math
import os
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_PREFIX = "subcli-"
_NAME = re.compile(r"subcli-(\d+)-\d+\Z")
_OWN = "subcli-judge"
_PERIOD_US = 100_000
_REMOVAL_TIMEOUT_S = 2.0
_WANTED = ("memory", "pids", "cpu")


@dataclass(frozen=True)
class Allowance:
    """What one submission may use: bytes of memory, tasks (including threads), processors."""

    memory: int
    tasks: int
    cpus: float

    def settings(self, version: int) -> Mapping[str, Mapping[str, int | str]]:
        """The values to write, by controller and file."""
        quota = max(1_000, round(self.cpus * _PERIOD_US))
        if version == 1:
            return {
                "memory": {"memory.limit_in_bytes": self.memory},
                "pids": {"pids.max": self.tasks},
                "cpu": {"cpu.cfs_period_us": _PERIOD_US, "cpu.cfs_quota_us": quota},
            }
        return {
            "memory": {"memory.max": self.memory},
            "pids": {"pids.max": self.tasks},
            "cpu": {"cpu.max": f"{quota} {_PERIOD_US}"},
        }

    def further(self, version: int) -> Mapping[str, int]:
        """The values to write for memory that the limit does not cover by itself, where the kernel has these files."""
        # Version 1 counts what TCP holds apart, and only if it is told a limit; version 2 lets a group swap.
        return {"memory.kmem.tcp.limit_in_bytes": self.memory} if version == 1 else {"memory.swap.max": 0}


@dataclass(frozen=True)
class Groups:
    """The hierarchies in which groups can be created, each with its version and its usable controllers."""

    parents: Mapping[Path, tuple[int, tuple[str, ...]]] = field(default_factory=dict)

    @property
    def controllers(self) -> tuple[str, ...]:
        """The usable controllers, in a fixed order."""
        held = {name for _, names in self.parents.values() for name in names}
        return tuple(name for name in _WANTED if name in held)

    @property
    def version(self) -> str:
        return "/".join(sorted({f"v{version}" for version, _ in self.parents.values()}))

    def make(self, allowance: Allowance) -> tuple[str, ...]:
        """Create groups with these limits for one submission.

        Returns:
            Their directories, for `remove_groups`.

        Raises:
            OSError: They cannot be created.
        """
        names = (f"{_PREFIX}{os.getpid()}-{number}" for number in _numbers)
        # An existing group was left by a judge that was killed and had our process id, which is common in containers.
        name = next(name for name in names if not any((parent / name).exists() for parent in self.parents))
        made: list[str] = []
        try:
            for parent, (version, controllers) in self.parents.items():
                directory = parent / name
                directory.mkdir()
                made.append(str(directory))
                settings = allowance.settings(version)
                for controller in controllers:
                    for file, value in settings[controller].items():
                        (directory / file).write_text(str(value))
                for file, limit in allowance.further(version).items():
                    with suppress(OSError):
                        (directory / file).write_text(str(limit))
        except OSError:
            remove_groups(made)
            raise
        return tuple(made)


_numbers = itertools.count(1)


def find_groups() -> Groups:
    """Where groups can be created on this machine, found out by creating one in each place."""
    parents: dict[Path, tuple[int, tuple[str, ...]]] = {}
    for version, controllers, directory in _hierarchies():
        usable = _usable(version, controllers, directory)
        if usable:
            parents[directory] = (version, usable)
            _sweep(directory)
    return Groups(parents)


def remove_groups(groups: Iterable[str]) -> None:
    """Remove groups whose processes have ended or are about to end."""
    deadline = time.monotonic() + _REMOVAL_TIMEOUT_S
    for group in groups:
        while os.path.isdir(group):
            try:
                os.rmdir(group)
            except OSError:
                # The group is busy until the kernel has torn down its last process.
                if time.monotonic() > deadline:
                    break
                time.sleep(0.005)


def out_of_memory(groups: Iterable[str]) -> int:
    """How many processes of these groups the kernel killed because their memory ran out."""
    kills = 0
    for group in groups:
        for file in ("memory.events", "memory.oom_control"):
            with suppress(OSError, ValueError):
                for line in Path(group, file).read_text().splitlines():
                    name, _, value = line.partition(" ")
                    if name == "oom_kill":
                        kills += int(value)
    return kills


def usable_cores() -> int:
    """How many processors this process may use: those that it may run on, and no more than its groups allow it.

    Containers and services often have a quota (`--cpus`, `CPUQuota=`), which the number of processors does not show.
    """
    there = len(os.sched_getaffinity(0))
    quotas = [
        quota
        for _, controllers, directory in _hierarchies()
        if "cpu" in controllers
        for group in (directory, *directory.parents)
        if (quota := _quota(group)) is not None
    ]
    return max(1, min(there, *map(math.ceil, quotas)) if quotas else there)


def _quota(group: Path) -> float | None:
    """The processors that a group may use; None if it may use all of them, or is not a group."""
    with suppress(OSError, ValueError):
        if (group / "cpu.max").is_file():
            limit, period = (group / "cpu.max").read_text().split()
        else:
            limit, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        # v2 says `max` and v1 says -1 where there is no limit.
        return int(limit) / int(period) if int(limit) > 0 else None
    return None


def _hierarchies() -> Iterable[tuple[int, tuple[str, ...], Path]]:
    """The groups that this process is in: version, controllers, directory."""
    mounted: dict[str, tuple[str, Path]] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            root, point = left.split(" ")[3:5]
            for controller in options.split(",") if kind == "cgroup" else ("",):
                mounted[controller] = (root, Path(point))
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, names, path = line.split(":", 2)
            if names.split(",")[0] not in mounted:
                continue
            root, place = mounted[names.split(",")[0]]
            directory = place / path.removeprefix(root.rstrip("/")).lstrip("/")
            if not directory.is_dir():
                # In a container: the path is the host's, the mount is the container's.
                directory = place
            if names:
                yield 1, tuple(name for name in names.split(",") if name in _WANTED), directory
            else:
                # Moved there by `_move_out_of_the_way`, in this process or before it.
                directory = directory.parent if directory.name == _OWN else directory
                with suppress(OSError):
                    there = (directory / "cgroup.controllers").read_text().split()
                    yield 2, tuple(name for name in there if name in _WANTED), directory


def _usable(version: int, controllers: tuple[str, ...], directory: Path) -> tuple[str, ...]:
    """The controllers that work here: each must accept a limit and let a process join."""
    if version == 2 and controllers:
        controllers = _delegated(controllers, directory)
    return tuple(name for name in controllers if _works(version, name, directory))


def _works(version: int, controller: str, directory: Path) -> bool:
    allowance = Allowance(memory=64 * 1024 * 1024, tasks=64, cpus=1.0)
    made: tuple[str, ...] = ()
    try:
        made = Groups({directory: (version, (controller,))}).make(allowance)
        with suppress(ChildProcessError):
            child = os.posix_spawn(
                "/bin/sh", ["sh", "-c", 'echo 0 > "$0/cgroup.procs"', made[0]], {}, file_actions=_QUIET
            )
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    except OSError:
        pass
    finally:
        remove_groups(made)
    return False


_QUIET = [(os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)]


def _delegated(controllers: tuple[str, ...], directory: Path) -> tuple[str, ...]:
    """Enable the controllers for groups below `directory`. This process moves out of the way first."""
    enabled = directory / "cgroup.subtree_control"
    with suppress(OSError):
        there = enabled.read_text().split()
        missing = [name for name in controllers if name not in there]
        if missing:
            _move_out_of_the_way(directory)
            for name in missing:
                with suppress(OSError):
                    enabled.write_text(f"+{name}")
        return tuple(name for name in controllers if name in enabled.read_text().split())
    return ()


def _move_out_of_the_way(directory: Path) -> None:
    own = directory / _OWN
    own.mkdir(exist_ok=True)
    for pid in (directory / "cgroup.procs").read_text().split():
        # Only this process: another one in the same group is not ours to move. Then there are no limits here.
        if int(pid) == os.getpid():
            (own / "cgroup.procs").write_text(pid)


def _sweep(directory: Path) -> None:
    """Remove the groups of judges that were killed."""
    for entry in directory.iterdir():
        name = _NAME.match(entry.name)
        if name and not Path(f"/proc/{name[1]}").exists():
            with suppress(OSError):
                entry.rmdir()
