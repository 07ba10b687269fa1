"""The starter that puts every process of a submission into a sandbox of its own, made by bubblewrap(1).

    confine   joins the control groups, sets resource limits, drops root
      bwrap     creates the namespaces and the file system in them; waits
        bwrap     the first process of the new PID namespace: reaps orphans
          prlimit -> the solution

Each process that is started gets new user, PID, mount, network, IPC, UTS and cgroup namespaces. So two nodes of one
submission share no files, ports, sockets, signals or memory; they have only their pipes to the harness.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from subcli.judge.grader.model import GRADESCOPE
from subcli.judge.languages.language import Language
from subcli.judge.problem import Problem, ResourceLimits
from subcli.judge.process.starter import Plans, StartPlan, clean_environment, confining
from subcli.judge.sandbox.groups import Allowance, Groups, remove_groups
from subcli.judge.sandbox.identity import next_user, node_option
from subcli.judge.sandbox.syscalls import compiled
from subcli.judge.sandbox.view import SandboxView, unreachable, view_for

LAYERS: Final = 2
"""Processes of bubblewrap above each process that is started for the solution."""
SCRATCH: Final = ("/tmp", "/dev/shm")
OPEN_FILES: Final = 256
_MEGABYTE: Final = 1024 * 1024
_TASKS_PER_PROCESS: Final = 8
"""Threads count too. This only contains a fork bomb until the watchdog has looked at all that it made."""
_MIN_TASKS: Final = 128
"""A JVM on a machine with many processors starts dozens of threads."""
_PENDING_SIGNALS: Final = 1_024
_INNER_USER: Final = "1000"
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


@dataclass(frozen=True)
class BubblewrapStarter:
    """Starts solutions in sandboxes.

    Attributes:
        program: the path of `bwrap`.
        filtered: whether there is a system call filter.
        groups: where control groups can be created.
        cpus: processors for each submission; needs a control group.
        hidden: more directories that no solution may see.
        readable: more files and directories that solutions may read.
    """

    program: str
    filtered: bool
    groups: Groups
    cpus: float
    hidden: tuple[Path, ...] = ()
    readable: tuple[Path, ...] = ()

    @contextmanager
    def open(self, workspace: Path, problem: Problem, language: Language) -> Iterator[Plans]:
        limits = problem.limits
        own_tasks = max(limits.processes * _TASKS_PER_PROCESS, _MIN_TASKS)
        # Of all nodes together: no node can use up what another one needs, and tell it something by that.
        tasks = own_tasks * limits.processes
        view = view_for(problem, language, self.hidden, self.readable)
        user = next_user()
        base = workspace.parent
        if user is not None:
            closed = unreachable(view)
            if closed is not None:
                raise PermissionError(
                    errno.EACCES, f"{closed} is readable by root only, and solutions do not run as root"
                )
            _hand_over(workspace, user)
        facts = _write_facts(base / "facts", limits.total_memory_mb)
        if problem.network:
            facts["/etc/hosts"] = _write_hosts(base / "hosts")
        groups: list[str] = []
        try:
            outer = [f"--open-files={OPEN_FILES}", "--locked-memory=65536"]
            if user is not None:
                outer.append(f"--tasks={tasks}")
            program = [self.program]
            if self.filtered:
                # Build tools lock their caches. A submission with a grader has one sandbox, and nothing to talk to.
                rules = compiled(network=problem.network, locks=problem.grader is not None)
                (base / "filter").write_bytes(rules)
                outer.append(f"--filter={base / 'filter'}")
                program += ["--seccomp", "{filter}"]
            root = _root(view, facts, limits.disk_mb * _MEGABYTE)
            if problem.grader is not None and problem.grader.results == GRADESCOPE:
                root += ["--symlink", f"{SCRATCH[0]}/grading", "/autograder"]
            head = ["--", *program, *_NAMESPACES, *root]
            tail = ["--remount-ro", "/", "--chdir", str(workspace)]
            environment = {**clean_environment(workspace), "PATH": view.path, "TMPDIR": "/tmp"}
            # No toolchain in a home directory is shown.
            environment.pop("RUSTUP_HOME", None)

            def plan(limits: ResourceLimits, bind: str, identity: Sequence[str], *, is_hosted: bool) -> StartPlan:
                memory = (limits.total_memory_mb * 5 // 4 + 64) * _MEGABYTE
                joined = self.groups.make(Allowance(memory, tasks, self.cpus))
                groups.extend(joined)
                words = [*confining(limits, language, is_hosted=is_hosted)]
                words += [*(f"--group={group}" for group in joined), *outer, *identity, *head]
                words += [bind, str(workspace), str(workspace), *tail]
                if is_hosted:
                    # No signal from inside reaches the first process, and what it leaves ends with it.
                    words.append("--as-pid-1")
                words += ["--", *_inside(own_tasks)]
                return StartPlan(tuple(words), environment, str(workspace), LAYERS)

            # A build writes its results to the workspace, where the runs find them. A run cannot write there, so that
            # the nodes of a submission cannot exchange files.
            of_build, of_node = ((), ()) if user is None else ((f"--user={user}",), (node_option(user),))
            run = plan(limits, "--ro-bind", of_node, is_hosted=problem.is_hosted)
            build = plan(limits.for_build(), "--bind", of_build, is_hosted=False) if language.build else run
            yield Plans(build, run, tuple(groups), SCRATCH)
        finally:
            remove_groups(groups)


_NAMESPACES: Final = (
    *("--unshare-user", "--uid", _INNER_USER, "--gid", _INNER_USER, "--unshare-pid", "--unshare-net", "--unshare-ipc"),
    *("--unshare-uts", "--hostname", "sandbox", "--unshare-cgroup-try"),
    *("--die-with-parent", "--new-session", "--cap-drop", "ALL"),
)


def _root(view: SandboxView, facts: Mapping[str, str], size: int) -> list[str]:
    """The arguments that create the root file system. Only `SCRATCH` is writable, and bounded in size."""
    words = ["--proc", "/proc"]
    for path, source in facts.items():
        words += ["--ro-bind", source, path]
    for directory in _REVEALING_DIRECTORIES:
        if os.path.isdir(f"/proc/{directory}"):
            words += _empty(f"/proc/{directory}")
    words += ["--remount-ro", "/proc", *_empty("/dev")]
    # Not bubblewrap's own /dev: its pseudo-terminals are numbered and limited for the whole machine.
    for device in _DEVICES:
        words += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    for leads, name in _STREAMS:
        words += ["--symlink", leads, f"/dev/{name}"]
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
    """A command prefix inside the sandbox. There the limits are of this sandbox, not of all that the user runs."""
    prlimit = shutil.which("prlimit")
    limits = {"nproc": tasks, "sigpending": _PENDING_SIGNALS}
    return [prlimit, *(f"--{name}={limit}:{limit}" for name, limit in limits.items()), "--"] if prlimit else []


def _hand_over(workspace: Path, user: int) -> None:
    """Give the submission's files to its user, and let its nodes read them. The judge's own files stay the judge's."""
    workspace.parent.chmod(0o711)
    for path in (workspace, *workspace.rglob("*")):
        os.chown(path, user, user, follow_symlinks=False)
        if not path.is_symlink():
            mode = path.stat().st_mode & 0o700
            # What was built before, and is kept, can be executed.
            path.chmod(0o750 if path.is_dir() else mode | 0o040 | mode >> 3 & 0o010)


def _write_hosts(path: Path) -> str:
    """Write a file for /etc/hosts: a server that listens on `localhost` needs it. Returns its name."""
    path.write_text("127.0.0.1 localhost\n::1 localhost\n")
    path.chmod(0o644)
    return str(path)


def _write_facts(directory: Path, memory_mb: int) -> dict[str, str]:
    """Write replacements for files of /proc that would show the machine's load. Returns their sources by path."""
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
    facts = {}
    for name, text in texts.items():
        (directory / name).write_text(text)
        (directory / name).chmod(0o644)
        facts[f"/proc/{name}"] = str(directory / name)
    # Not /dev/null: bubblewrap mounts with `nodev`, so a device could not be opened.
    for name in _REVEALING:
        if os.path.exists(f"/proc/{name}"):
            facts[f"/proc/{name}"] = facts["/proc/empty"]
    del facts["/proc/empty"]
    return facts
