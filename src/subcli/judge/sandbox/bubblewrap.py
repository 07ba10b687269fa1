"""The starter that puts every process of a submission into a sandbox of its own, made by bubblewrap(1).

    confine   joins the control groups, sets resource limits, gives up root
      bwrap     makes the namespaces and what is seen in them; waits for the end
        bwrap     the first process of the new process namespace: collects orphans
          prlimit -> the solution

Each process that is started gets new user, process, mount, network, IPC, UTS and control group namespaces. So two
nodes of one submission have no file, port, socket, signal or shared memory in common; all that they have is their
pipes to the harness.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from subcli.judge.problem import Language, Problem
from subcli.judge.process.starter import Plans, StartPlan, clean_environment, confining
from subcli.judge.sandbox.groups import Allowance, Groups, remove_groups
from subcli.judge.sandbox.identity import next_user
from subcli.judge.sandbox.view import SandboxView, unreachable, view_for

LAYERS: Final = 2
"""Processes of bubblewrap's own for each one of the solution's."""
SCRATCH: Final = ("/tmp", "/dev/shm")
OPEN_FILES: Final = 256
_MEGABYTE: Final = 1024 * 1024
_TASKS_PER_PROCESS: Final = 16
"""Threads count as well: this only stops a fork bomb until the watchdog has seen it."""
_INNER_USER: Final = "1000"
# What says how busy the machine is, or with what.
_TOLD: Final = (
    *("uptime", "vmstat", "interrupts", "softirqs", "diskstats", "schedstat", "zoneinfo", "buddyinfo", "pagetypeinfo"),
    *("swaps", "locks", "timer_list", "slabinfo", "sched_debug", "latency_stats", "keys", "key-users", "kallsyms"),
    *("cmdline", "config.gz", "modules", "vmallocinfo", "cgroups"),
)
_TOLD_DIRECTORIES: Final = ("pressure", "acpi", "scsi", "sys/fs", "sys/kernel/pty", "sys/kernel/random")


@dataclass(frozen=True)
class BubblewrapStarter:
    """Starts solutions in sandboxes.

    Attributes:
        program: the path of `bwrap`.
        filter: the system call filter as a BPF program; empty for none.
        groups: where control groups can be made.
        cpus: processors for each submission, where there are control groups for that.
        hidden: directories that no solution may see, beside those that never are seen.
    """

    program: str
    filter: bytes
    groups: Groups
    cpus: float
    hidden: tuple[Path, ...] = ()

    @contextmanager
    def open(self, workspace: Path, problem: Problem, language: Language) -> Iterator[Plans]:
        limits = problem.limits
        tasks = limits.processes * _TASKS_PER_PROCESS
        view = view_for(problem, language, self.hidden)
        user = next_user()
        base = workspace.parent
        if user is not None:
            closed = unreachable(view)
            if closed is not None:
                raise PermissionError(errno.EACCES, f"{closed} is for root only, and solutions do not run as root")
            _hand_over(workspace, user)
        facts = _write_facts(base / "facts", limits.total_memory_mb)
        memory = (limits.total_memory_mb * 5 // 4 + 64) * _MEGABYTE
        groups = self.groups.make(Allowance(memory, tasks, self.cpus))
        try:
            outer = [*confining(problem, language), f"--open-files={OPEN_FILES}", "--locked-memory=65536"]
            outer += [f"--group={group}" for group in groups]
            if user is not None:
                outer += [f"--tasks={tasks}", f"--user={user}"]
            program = [self.program]
            if self.filter:
                (base / "filter").write_bytes(self.filter)
                outer.append(f"--filter={base / 'filter'}")
                program += ["--seccomp", "{filter}"]
            head = [*outer, "--", *program, *_NAMESPACES, *_root(view, facts, limits.disk_mb * _MEGABYTE)]
            tail = ["--remount-ro", "/", "--chdir", str(workspace), "--", *_inside(tasks)]
            environment = {**clean_environment(workspace), "PATH": view.path, "TMPDIR": "/tmp"}

            def plan(bind: str) -> StartPlan:
                words = (*head, bind, str(workspace), str(workspace), *tail)
                return StartPlan(words, environment, str(workspace), LAYERS)

            # A build leaves its results where the runs find them. A run leaves nothing, not even for its neighbours.
            build, run = plan("--bind"), plan("--ro-bind")
            yield Plans(build, run, groups, SCRATCH)
        finally:
            remove_groups(groups)


_NAMESPACES: Final = (
    *("--unshare-user", "--uid", _INNER_USER, "--gid", _INNER_USER, "--unshare-pid", "--unshare-net", "--unshare-ipc"),
    *("--unshare-uts", "--hostname", "sandbox", "--unshare-cgroup-try"),
    *("--die-with-parent", "--new-session", "--cap-drop", "ALL"),
)


def _root(view: SandboxView, facts: Mapping[str, str], size: int) -> list[str]:
    """The arguments that make the root: bounded where it can be written to, and that is only `SCRATCH`."""
    words = ["--proc", "/proc"]
    for path, source in facts.items():
        words += ["--ro-bind", source, path]
    for directory in _TOLD_DIRECTORIES:
        if os.path.isdir(f"/proc/{directory}"):
            words += _empty(f"/proc/{directory}")
    words += ["--remount-ro", "/proc", "--dev", "/dev"]
    for directory in SCRATCH:
        words += ["--perms", "1777", "--size", str(size), "--tmpfs", directory]
    words += ["--remount-ro", "/dev"]
    for path in view.shown:
        words += ["--ro-bind", path, path]
    for leads, path in view.links:
        words += ["--symlink", leads, path]
    for path in view.hidden:
        words += _empty(path)
    for path in view.uncovered:
        words += ["--ro-bind", path, path]
    for path in view.hidden:
        words += ["--remount-ro", path]
    return words


def _empty(directory: str) -> list[str]:
    return ["--size", "4096", "--tmpfs", directory]


def _inside(tasks: int) -> list[str]:
    """What runs inside before the solution: counted there, the limit is this sandbox's own and not the user's."""
    prlimit = shutil.which("prlimit")
    return [prlimit, f"--nproc={tasks}:{tasks}", "--"] if prlimit else []


def _hand_over(workspace: Path, user: int) -> None:
    """The submission's files to its user; the judge's own beside them stay the judge's."""
    workspace.parent.chmod(0o711)
    workspace.chmod(0o700)
    for path in (workspace, *workspace.rglob("*")):
        os.chown(path, user, user, follow_symlinks=False)


def _write_facts(directory: Path, memory_mb: int) -> dict[str, str]:
    """Files of /proc that tell nothing of the machine's load. Returns sources by place."""
    cpus = len(os.sched_getaffinity(0))
    kilobytes = memory_mb * 1024
    idle = "0 0 0 0 0 0 0 0 0 0"
    texts = {
        "empty": "",
        "loadavg": "0.00 0.00 0.00 1/1 1\n",
        "stat": f"cpu  {idle}\n" + "".join(f"cpu{number} {idle}\n" for number in range(cpus)) + "btime 0\n",
        "meminfo": "".join(f"{name}: {kilobytes} kB\n" for name in ("MemTotal", "MemFree", "MemAvailable")),
    }
    directory.mkdir()
    directory.chmod(0o755)
    facts = {}
    for name, text in texts.items():
        (directory / name).write_text(text)
        (directory / name).chmod(0o644)
        facts[f"/proc/{name}"] = str(directory / name)
    # Not /dev/null: devices cannot be opened through what bubblewrap mounts.
    for name in _TOLD:
        if os.path.exists(f"/proc/{name}"):
            facts[f"/proc/{name}"] = facts["/proc/empty"]
    del facts["/proc/empty"]
    return facts
