"""Finding and killing the descendants of a process, from /proc.

`killpg` does not reach a child that called `setsid`, and a double-forked daemon has no parent left. The kernel hands
such orphans to a *subreaper* (prctl(2), PR_SET_CHILD_SUBREAPER). So everything that a submission ever starts stays
below the supervisor, where it can be found and killed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PAGE = os.sysconf("SC_PAGE_SIZE")


_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_BUSY = ("R", "D")
_ENDED = ("Z", "X")
_PF_EXITING = 0x4
_SANDBOX = "bwrap"
_MANY = 128
"""From so many processes on, a look at all of the machine is quicker than at the list of each."""


@dataclass(frozen=True)
class Process:
    """The fields of /proc/PID/stat that the judge needs."""

    pid: int
    parent: int
    session: int
    state: str
    resident_bytes: int
    name: str
    cpu_s: float = 0.0
    """Processor time, in seconds: its own, and that of the children that it has waited for."""
    threads: int = 1

    @property
    def is_busy(self) -> bool:
        """Whether it runs, waits for a processor, or waits for the disk: what delays it is the machine."""
        if self.state in _BUSY:
            return True
        if self.threads == 1 or not self.is_alive:
            return False
        # The state is the main thread's; the others have their own.
        return any(state in _BUSY for state in _thread_states(self.pid))

    @property
    def is_sandbox(self) -> bool:
        """Whether it is bubblewrap, with whose end the kernel ends the whole PID namespace below it.

        A solution may call itself that, and gains nothing.
        """
        return self.name == _SANDBOX

    @property
    def is_alive(self) -> bool:
        """Whether it can still do anything; a zombie cannot."""
        return self.state not in _ENDED


def become_subreaper() -> None:
    """Make this process the parent of every orphan below it.

    Raises:
        OSError: The kernel is older than Linux 3.4.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def hide_from_peers() -> None:
    """Keep other processes of the same user from opening this one's descriptors or memory through /proc."""
    _prctl(_PR_SET_DUMPABLE, 0)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(option, value, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def descendants(root: int) -> list[Process]:
    """Every process below `root`, zombies included, parents before their children."""
    if root == os.getpid() and _has_no_children():
        return []
    listed = _listed_below(root)
    if listed is not None:
        return listed
    children: dict[int, list[Process]] = {}
    for process in _all_processes():
        children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    waiting = [root]
    while waiting:
        below = children.pop(waiting.pop(), [])
        found += below
        waiting += [process.pid for process in below]
    return found


def _listed_below(root: int) -> list[Process] | None:
    """Every process below `root`, from the kernel's lists of children, however many others the machine runs.

    None where the kernel keeps no lists, or where there are so many processes that one look at each is quicker.

    A process moves upwards only: when its parent ends, an ancestor of that adopts it. So it is enough to read all lists
    again, those at the bottom first: who was not in the list of its old parent any more is in that of the new one.
    """
    found: dict[int, Process] = {}
    if not os.path.exists(f"/proc/{root}/task/{root}/children"):
        return None
    fresh = [root]
    while fresh:
        waiting, fresh = fresh, []
        while waiting:
            for child in _children_of_all_threads(waiting.pop(), found):
                if child not in found and (process := look_at(child)) is not None:
                    found[child] = process
                    waiting.append(child)
        if len(found) > _MANY:
            return None
        for pid in (*reversed(found), root):
            fresh += [child for child in _children_of_all_threads(pid, found) if child not in found]
        fresh = [child for child in dict.fromkeys(fresh) if _add(child, found)]
    return list(found.values())


def _add(pid: int, found: dict[int, Process]) -> bool:
    process = look_at(pid)
    if process is not None:
        found[pid] = process
    return process is not None


def _has_no_children() -> bool:
    """Whether nothing at all is below this process. The kernel knows it without a look at all processes."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return False


def is_all_below(child: int) -> bool:
    """Whether `child` is the only descendant of this process, which must be a subreaper.

    A quick check that avoids reading all of /proc. True is always right; False may mean "cannot tell".

    A descendant of ours is below `child`, or below another child of ours, which the kernel made ours when its parent
    ended. Processes move from the first place to the second, never back. So the list of `child` is read first: it is
    empty, and stays empty unless `child` forks. Then our own list, to which the kernel appends: it contains `child`
    alone. Finally `child` has not been reaped in between, which could have hidden an entry (proc(5),
    /proc/PID/task/TID/children). Every thread has a list of its own, and a process could move between them unseen, so
    `child` must have one thread. Without such lists in the kernel (CONFIG_PROC_CHILDREN) the answer is False. A zombie
    is listed until it is reaped.
    """
    try:
        return (
            os.listdir(f"/proc/{child}/task") == [str(child)]
            and not _children(child)
            and _children(os.getpid()) == [b"%d" % child]
            and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        )
    except OSError:
        return False


def _children(pid: int) -> list[bytes]:
    """The children of its first thread, which also gets the orphans. One read, so that the list is consistent."""
    descriptor = os.open(f"/proc/{pid}/task/{pid}/children", os.O_RDONLY)
    try:
        return os.read(descriptor, 4_096).split()
    finally:
        os.close(descriptor)


def sandboxes_below(root: int) -> list[tuple[Process, Process]]:
    """Bubblewrap's two processes of each sandbox below `root`, the second being the first inside.

    Found without a look at what runs inside, however much that is. Empty where the kernel lists no children.
    """
    found: list[tuple[Process, Process]] = []
    waiting: list[tuple[int, Process | None]] = [(root, None)]
    while waiting:
        pid, above = waiting.pop()
        for child in _children_of_all_threads(pid):
            process = look_at(child)
            if process is None:
                continue
            if process.is_sandbox and above is not None:
                found.append((above, process))
            else:
                waiting.append((child, process if process.is_sandbox else None))
    return found


def is_crowded(sandbox: int, limit: int) -> bool:
    """Whether more than `limit` processes live in a sandbox, besides its first one, whose id outside this is.

    No more of them are looked at than it takes to know.
    """
    try:
        descriptor = os.open(f"/proc/{sandbox}/root/proc", os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        # While a sandbox is being made, this is the machine's.
        if os.fstat(descriptor).st_dev == os.stat("/proc").st_dev:
            return False
        inside = [name for name in os.listdir(descriptor) if name.isdigit() and name != "1"]
        alive = 0
        for name in inside if len(inside) > limit else ():
            process = _look_in(f"{name}/stat", descriptor)
            alive += process is not None and process.is_alive
            if alive > limit:
                return True
    except OSError:
        pass  # It has ended.
    finally:
        os.close(descriptor)
    return False


def _children_of_all_threads(pid: int, known: Mapping[int, Process] | None = None) -> Iterable[int]:
    """The children of a process.

    Args:
        pid: The process.
        known: What is known of some processes. Of one with one thread there is one list.
    """
    process = known.get(pid) if known else None
    with suppress(OSError):
        for thread in (pid,) if process is not None and process.threads == 1 else os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as file:
                yield from map(int, file.read().split())


def delay_s(pid: int, threads: int = 1) -> float:
    """How long a process has been ready to run without a processor, in seconds; 0 if it has ended.

    The second number of /proc/PID/schedstat (the kernel's Documentation/scheduler/sched-stats.rst), of all threads.
    """
    names = [str(pid)]
    if threads > 1:
        with suppress(OSError):
            names = os.listdir(f"/proc/{pid}/task")
    total_ns = 0
    for name in names:
        # Without a buffer: two calls of the system less, for each process and sample.
        with suppress(OSError, IndexError), open(f"/proc/{pid}/task/{name}/schedstat", "rb", buffering=0) as file:
            total_ns += int(file.read(100).split()[1])
    return total_ns / 1e9


def is_ending(pid: int) -> bool:
    """Whether a process has begun to exit, which it does before its descriptors are closed, or has ended.

    The first and seventh field after the name in /proc/PID/stat, proc(5).
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return True
    return fields[0] in _ENDED or bool(int(fields[6]) & _PF_EXITING)


def process_below(pid: int, layers: int) -> int | None:
    """The process `layers` generations below `pid`, following first children; None if it does not exist (yet)."""
    for _ in range(layers):
        below = [process for process in descendants(pid) if process.parent == pid]
        if not below:
            return None
        pid = below[0].pid
    return pid


def kill(processes: Iterable[Process]) -> None:
    """Send SIGKILL to each. Processes that have ended are skipped."""
    for process in processes:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, signal.SIGKILL)


def kill_descendants(root: int, *, timeout_s: float = 5.0) -> bool:
    """Kill every descendant of `root`; see `kill_all`."""
    return kill_all(lambda: [process for process in descendants(root) if process.is_alive], timeout_s=timeout_s)


def kill_all(find: Callable[[], list[Process]], *, known: Sequence[Process] = (), timeout_s: float = 5.0) -> bool:
    """Kill what `find` finds until it finds nothing more.

    Sandboxes are killed first: each takes all that it holds with it, however fast that forks. Other processes are
    stopped before they are killed, because a stopped process cannot fork.

    Args:
        find: Returns the processes that are still alive.
        known: What it has found already. Beside a fork bomb, looking takes longer than killing.
        timeout_s: When to give up; not before all that was found has been killed once.

    Returns:
        Whether everything is gone.
    """
    deadline = time.monotonic() + timeout_s
    alive = known or find()
    while alive:
        kill(process for process in alive if process.is_sandbox)
        others = [process for process in alive if not process.is_sandbox]
        for process in others:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, signal.SIGSTOP)
        kill(others)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
        alive = find()
    return True


def started_from(directory: Path) -> list[Process]:
    """The processes with this directory in their environment: what is left when a supervisor was killed."""
    mark = f"={directory}".encode()
    found: list[Process] = []
    for process in _all_processes():
        with suppress(OSError):
            if process.is_alive and mark in Path(f"/proc/{process.pid}/environ").read_bytes():
                found.append(process)
    return found


def reap_adopted(below: Iterable[Process], own: Collection[int]) -> None:
    """Reap the orphans in `below` that have ended. The children in `own` are left to whoever waits for them."""
    me = os.getpid()
    for process in below:
        if process.parent == me and process.state == "Z" and process.pid not in own:
            with suppress(ChildProcessError):
                os.waitpid(process.pid, os.WNOHANG)


def _all_processes() -> Iterable[Process]:
    # Called 20 times a second while a solution runs; `Path` would take three times as long.
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (process := look_at(int(entry))) is not None:
            yield process


def look_at(pid: int) -> Process | None:
    """What one process does now; None if there is no such process."""
    return _look_in(f"/proc/{pid}/stat")


def _look_in(path: str, directory: int | None = None) -> Process | None:
    try:
        descriptor = os.open(path, os.O_RDONLY, dir_fd=directory)
    except OSError:
        return None
    try:
        line = os.read(descriptor, 4_096)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return _parse(line.decode("utf-8", "replace"))


def _parse(line: str) -> Process:
    # The name is in parentheses and may itself contain parentheses and spaces (proc(5)).
    start, end = line.index("("), line.rindex(")")
    fields = line[end + 2 :].split()
    return Process(
        pid=int(line[:start]),
        parent=int(fields[1]),
        session=int(fields[3]),
        state=fields[0],
        resident_bytes=int(fields[21]) * _PAGE,
        name=line[start + 1 : end],
        cpu_s=sum(map(int, fields[11:15])) / _TICKS_PER_S,
        threads=int(fields[17]),
    )


def _thread_states(pid: int) -> Iterable[str]:
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/stat", "rb") as file:
                line = file.read(4_096)
                yield chr(line[line.rindex(b")") + 2])
