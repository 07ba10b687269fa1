"""The starter that puts every process of a submission into a sandbox of its own, made by bubblewrap(1).

    confine   joins the control groups, enters the submission's tree of mounts, sets resource limits, drops root
      bwrap     creates the namespaces and the file system in them; waits
        bwrap     the first process of the new PID namespace: reaps orphans
          the solution, by way of prlimit where other sandboxes have the same user

Each process that is started gets new user, PID, mount, network, IPC, UTS and cgroup namespaces. So two nodes of one
submission share no files, ports, sockets, signals or memory; they have only their pipes to the harness.

The tree (`process/mounts.py`) holds what they see alike and cannot write to: programs, libraries, devices. bubblewrap
has made it, too, once for the submission. Each process mounts it as its root, with /proc, /tmp and /dev/shm of its own.
Where root may not mount, as in a container without CAP_SYS_ADMIN, each process makes everything itself.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from subcli.judge.grader.model import GRADESCOPE
from subcli.judge.languages.language import Language
from subcli.judge.problem import Problem, ResourceLimits
from subcli.judge.process import mounts
from subcli.judge.process.confine import ENTER
from subcli.judge.process.starter import Plans, StartPlan, clean_environment, confining
from subcli.judge.sandbox.groups import Allowance, Groups, remove_groups
from subcli.judge.sandbox.identity import next_user, node_option, nodes_are_apart
from subcli.judge.sandbox.root import INNER, SCRATCH, RootFiles, write_facts, write_hosts
from subcli.judge.sandbox.syscalls import compiled
from subcli.judge.sandbox.view import unreachable, view_for

LAYERS: Final = 2
"""Processes of bubblewrap above each process that is started for the solution."""
OPEN_FILES: Final = 256
_MEGABYTE: Final = 1024 * 1024
_TASKS_PER_PROCESS: Final = 8
"""Threads count too. This only contains a fork bomb until the watchdog has looked at all that it made."""
_MIN_TASKS: Final = 128
"""A JVM on a machine with many processors starts dozens of threads."""
_PENDING_SIGNALS: Final = 1_024


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
        shares_mounts: whether the processes of a submission share a tree of mounts.
    """

    program: str
    filtered: bool
    groups: Groups
    cpus: float
    hidden: tuple[Path, ...] = ()
    readable: tuple[Path, ...] = ()
    shares_mounts: bool = True

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
        grader = problem.grader
        root = RootFiles(
            view=view,
            workspace=workspace,
            facts=base / "facts",
            revealing=write_facts(base / "facts", limits.total_memory_mb),
            files={"/etc/hosts": write_hosts(base / "hosts")} if problem.network else {},
            links=((f"{SCRATCH[0]}/grading", "/autograder"),) if grader and grader.results == GRADESCOPE else (),
        )
        size = limits.disk_mb * _MEGABYTE
        shared = (self.program, *root.shared(self.program, as_root=user is not None)) if self.shares_mounts else ()
        groups: list[str] = []
        try:
            outer = [f"--open-files={OPEN_FILES}", "--locked-memory=65536"]
            within: list[str] = []
            if user is not None and nodes_are_apart(user):
                # No other sandbox has the same user, so these are limits of this one. bubblewrap's processes count.
                outer += [f"--tasks={own_tasks + LAYERS}", f"--pending-signals={_PENDING_SIGNALS}"]
            else:
                outer += [f"--tasks={tasks}"] if user is not None else []
                within = _inside(own_tasks)
            if shared:
                outer.append(ENTER)
            program = [self.program]
            if self.filtered:
                # Build tools lock their caches. A submission with a grader has one sandbox, and nothing to talk to.
                rules = compiled(network=problem.network, locks=grader is not None)
                (base / "filter").write_bytes(rules)
                outer.append(f"--filter={base / 'filter'}")
                program += ["--seccomp", "{filter}"]
            environment = {**clean_environment(workspace), "PATH": view.path, "TMPDIR": "/tmp"}
            # No toolchain in a home directory is shown.
            environment.pop("RUSTUP_HOME", None)

            def plan(limits: ResourceLimits, bind: str, identity: Sequence[str], *, is_hosted: bool) -> StartPlan:
                memory = (limits.total_memory_mb * 5 // 4 + 64) * _MEGABYTE
                joined = self.groups.make(Allowance(memory, tasks, self.cpus))
                groups.extend(joined)
                words = [*confining(limits, language, is_hosted=is_hosted)]
                words += [*(f"--group={group}" for group in joined), *outer, *identity, "--", *program, *_NAMESPACES]
                words += root.over_shared(bind, size) if shared else root.alone(bind, size)
                words += ["--chdir", str(workspace)]
                if is_hosted:
                    # No signal from inside reaches the first process, and what it leaves ends with it.
                    words.append("--as-pid-1")
                words += ["--", *within]
                return StartPlan(tuple(words), environment, str(workspace), LAYERS, shared)

            # A build writes its results to the workspace, where the runs find them. A run cannot write there, so that
            # the nodes of a submission cannot exchange files.
            of_build, of_node = ((), ()) if user is None else ((f"--user={user}",), (node_option(user),))
            run = plan(limits, "--ro-bind", of_node, is_hosted=problem.is_hosted)
            build = plan(limits.for_build(), "--bind", of_build, is_hosted=False) if language.build else run
            yield Plans(build, run, tuple(groups), SCRATCH)
        finally:
            mounts.forget(shared)
            remove_groups(groups)


_NAMESPACES: Final = (
    *(*INNER, "--unshare-pid", "--unshare-net", "--unshare-ipc"),
    *("--unshare-uts", "--hostname", "sandbox", "--unshare-cgroup-try"),
    *("--die-with-parent", "--new-session", "--cap-drop", "ALL"),
)


def _inside(tasks: int) -> list[str]:
    """A command prefix inside the sandbox. There the limits are of this sandbox, not of all that this user runs."""
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
