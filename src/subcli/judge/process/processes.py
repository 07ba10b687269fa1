"""The processes below one of ours, read from /proc, and their end.

`killpg` does not reach a child that called `setsid`, and a double-forked daemon is nobody's child. A
*subreaper* is handed such orphans by the kernel (prctl(2), PR_SET_CHILD_SUBREAPER), so everything that a
submission ever started stays below the supervisor, where it is found and killed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Process:
    """One line of /proc/PID/stat, as far as the judge needs it."""

    pid: int
    parent: int
    session: int
    state: str
    resident_bytes: int
    name: str

    @property
    def is_alive(self) -> bool:
        """Whether it can still do something: a zombie cannot."""
        return self.state not in ("Z", "X")


def become_subreaper() -> None:
    """Make this process the parent of every orphan below it.

    Raises:
        OSError: the kernel refuses (it is older than Linux 3.4).
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def hide_from_peers() -> None:
    """Keep other processes of the same user from opening this one's descriptors and memory through /proc."""
    _prctl(_PR_SET_DUMPABLE, 0)


def _prctl(option: int, value: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(option, value, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def descendants(root: int) -> list[Process]:
    """Every process below `root`, zombies included, parents before their children."""
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


def is_all_below(child: int) -> bool:
    """Whether `child`, of one thread and with no child of its own, is all that is below this process, a subreaper.

    Quick, and exact where it says yes. Whatever is below us hangs by a child of `child`, or by another one of ours to
    which it was handed when its parent ended; never the other way about. So `child` is read first: it has none, and as
    long as it starts none, none can come. Then our own list, to whose end newcomers are added: `child` stands first
    and last in it, and has not been collected meanwhile, which could have hidden one (/proc/PID/task/TID/children in
    proc(5)). More threads have more lists, between which a process could move unseen: then the answer is no, as it is
    where the kernel has no such lists (CONFIG_PROC_CHILDREN). A zombie is listed until it is collected.
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
    """Those of its first thread, to which orphans are handed as well. In one read: the kernel goes on from the last."""
    descriptor = os.open(f"/proc/{pid}/task/{pid}/children", os.O_RDONLY)
    try:
        return os.read(descriptor, 4_096).split()
    finally:
        os.close(descriptor)


def process_below(pid: int, layers: int) -> int | None:
    """The process `layers` generations below `pid`, following the first child; None where there is none (yet)."""
    for _ in range(layers):
        below = [process for process in descendants(pid) if process.parent == pid]
        if not below:
            return None
        pid = below[0].pid
    return pid


def kill(processes: Iterable[Process]) -> None:
    """SIGKILL to each. Those that ended meanwhile are passed over."""
    for process in processes:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, signal.SIGKILL)


def kill_descendants(root: int, *, patience: float = 5.0) -> bool:
    """Kill what is below `root`; see `kill_all`."""
    return kill_all(lambda: [process for process in descendants(root) if process.is_alive], patience=patience)


def kill_all(find: Callable[[], list[Process]], *, patience: float = 5.0) -> bool:
    """Kill what `find` finds until it finds nothing more, for at most `patience` seconds.

    A process that forks faster than it is looked for is first stopped with all others: what is stopped
    cannot fork. Returns whether everything is gone.
    """
    deadline = time.monotonic() + patience
    while alive := find():
        if time.monotonic() > deadline:
            return False
        for process in alive:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, signal.SIGSTOP)
        kill(alive)
        time.sleep(0.002)
    return True


def started_from(directory: Path) -> list[Process]:
    """The processes with this directory in their environment: what is left of a judging whose supervisor is gone."""
    mark = f"={directory}".encode()
    found: list[Process] = []
    for process in _all_processes():
        with suppress(OSError):
            if process.is_alive and mark in Path(f"/proc/{process.pid}/environ").read_bytes():
                found.append(process)
    return found


def reap_adopted(below: Iterable[Process], own: Collection[int]) -> None:
    """Collect the orphans among `below` that have ended; the children in `own` are left to whoever waits for them."""
    me = os.getpid()
    for process in below:
        if process.parent == me and process.state == "Z" and process.pid not in own:
            with suppress(ChildProcessError):
                os.waitpid(process.pid, os.WNOHANG)


def _all_processes() -> Iterable[Process]:
    # Some twenty times a second while something runs: the plain calls are a third of the cost of `Path`'s.
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                descriptor = os.open(f"/proc/{entry}/stat", os.O_RDONLY)
            except OSError:
                continue
            try:
                line = os.read(descriptor, 4_096)
            except OSError:
                continue
            finally:
                os.close(descriptor)
            yield _parse(line.decode("utf-8", "replace"))


def _parse(line: str) -> Process:
    # The name is in parentheses and may itself contain them, and blanks: proc(5).
    start, end = line.index("("), line.rindex(")")
    fields = line[end + 2 :].split()
    return Process(
        pid=int(line[:start]),
        parent=int(fields[1]),
        session=int(fields[3]),
        state=fields[0],
        resident_bytes=int(fields[21]) * _PAGE,
        name=line[start + 1 : end],
    )
