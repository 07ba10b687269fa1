"""Denies system calls that a solution does not need, with a seccomp filter made by libseccomp.

A program can still compute, allocate memory, read, write, and start children and threads. Denied are calls that reach
the rest of the kernel (mounts, modules, tracing, keys, BPF, io_uring), create namespaces, hold memory that no limit
counts (sockets, descriptors in flight, bigger pipes), or take disk space faster than anybody looks (fallocate). So are
those that could carry information between two sandboxes: named pipes, which can be written to even on a read-only
mount; locks, leases and watches on files that both can read; the machine's load.

Sockets are denied but for pairs of AF_UNIX, without which asyncio, Java's files and Node's child processes do not work.
Their buffers keep the default size and are counted (`usage.py`). A problem that asks for a network gets the families
that a network namespace confines.

A denied call fails with EPERM. Calls that programs try and can do without fail with ENOSYS, as on a kernel that lacks
them, and so do calls that the library does not know yet. Some that would act upon the whole machine succeed and do
nothing. Calls for another architecture kill the process.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import struct
import tempfile
from collections.abc import Iterator, Set
from contextlib import contextmanager
from typing import Final

_ALLOW: Final = 0x7FFF_0000
_ERRNO: Final = 0x0005_0000
_OPTIMIZE: Final = 8  # SCMP_FLTATR_CTL_OPTIMIZE; 2 is a binary tree instead of a list
_EQUAL, _GREATER, _MASKED_EQUAL = 4, 6, 7  # enum scmp_compare
# struct sock_filter and struct seccomp_data, linux/filter.h and linux/seccomp.h
_LOAD, _JUMP_EQUAL, _JUMP_ABOVE, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x25, 0x35, 0x06
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4
_FIRST_FOREIGN: Final = 0x4000_0000
"""From here on numbers are those of x32, which has the architecture of x86-64."""
_LAST: Final = 1_023
"""No architecture has system call numbers above this yet."""
_WORD: Final = 0xFFFF_FFFF

DENIED: Final = (
    # other processes and their memory
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "kcmp"),
    *("pidfd_getfd", "perf_event_open", "lookup_dcookie"),
    # mounts, with the old and the new calls, and file handles, which bypass paths
    *("mount", "umount", "umount2", "pivot_root", "chroot", "fsopen", "fsconfig", "fsmount", "fspick", "open_tree"),
    *("move_mount", "mount_setattr", "name_to_handle_at", "open_by_handle_at", "quotactl", "quotactl_fd"),
    # namespaces
    *("unshare", "setns"),
    # the kernel itself
    *("bpf", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "create_module"),
    *("reboot", "swapon", "swapoff", "syslog", "acct", "iopl", "ioperm", "modify_ldt", "vm86", "vm86old", "nfsservctl"),
    *("settimeofday", "clock_settime", "clock_settime64", "clock_adjtime", "adjtimex", "stime"),
    *("sethostname", "setdomainname", "vhangup", "uselib", "ustat", "sysfs"),
    *("fanotify_init", "fanotify_mark", "mbind", "migrate_pages", "move_pages", "set_mempolicy"),
    # keyrings belong to the user, not to a namespace
    *("add_key", "request_key", "keyctl"),
)
ABSENT: Final = (
    *("io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd", "clone3"),
    # memory that no process maps would not be counted
    *("memfd_create", "memfd_secret", "shmget", "shmat", "shmctl", "msgget", "msgsnd", "msgrcv", "semget", "mq_open"),
    # what others are doing: the load, files that they read
    *("sysinfo", "inotify_init", "inotify_init1", "inotify_add_watch", "mincore", "cachestat"),
    # asynchronous requests are limited for the machine as a whole
    *("io_setup", "io_submit", "io_getevents", "io_pgetevents", "io_cancel", "io_destroy"),
)
IGNORED: Final = ("sync", "syncfs")
"""Calls that do nothing and succeed: they would make everybody wait for everybody's disks."""
_NEW_NAMESPACES: Final = (
    *(0x0002_0000, 0x0200_0000, 0x0400_0000),  # mount, cgroup, uts
    *(0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000),  # ipc, user, pid, net
)
_SOCKETS: Final = (
    # a socket exists only in a pair, which is connected from the start
    *("connect", "bind", "listen", "accept", "accept4"),
    # with SCM_RIGHTS, files that no process holds any more; the kernel counts them for each user of the machine
    *("sendmsg", "sendmmsg"),
    # bigger buffers
    "setsockopt",
)
_NOWAIT, _DONTNEED = 8, 4  # RWF_NOWAIT, POSIX_FADV_DONTNEED
_IOCTLS: Final = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: typing into a terminal
_LOCKS: Final = (5, 6, 7, 36, 37, 38)
"""Locks of all kinds with fcntl. They are channels between sandboxes, as `flock` is: another one can notice a lock on a
file that both can read."""
_FCNTLS: Final = (
    *(1_024, 1_025, 1_026),  # leases, F_NOTIFY
    1_031,  # F_SETPIPE_SZ: all processes of a user share what their pipes may hold
)
_MAKING_NODES: Final = (("mknod", 1), ("mknodat", 2))
"""Calls that create a node, with the position of the argument for its type."""
_KIND, _PIPE = 0o170000, 0o010000  # S_IFMT, S_IFIFO
_UNIX: Final = 1
_FAMILIES: Final = frozenset((_UNIX, 2, 10, 16))
"""Sockets that a network namespace confines: unix, inet, inet6, netlink. Not vsock, which reaches a hypervisor."""
_PERSONALITIES: Final = 0xFFFF_FFFF & ~(0x0000_0008 | 0x0002_0000 | 0x0004_0000)
"""Every bit except 32-bit Linux, UNAME26 and ADDR_NO_RANDOMIZE, which sanitizers need."""


class _Comparison(ctypes.Structure):
    """struct scmp_arg_cmp, seccomp_rule_add(3)."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


class FilterError(Exception):
    """A filter cannot be made here; the message says why."""


@functools.cache
def compiled(*, network: bool = False, locks: bool = False) -> bytes:
    """The filter as a BPF program for `bwrap --seccomp`.

    Args:
        network: Whether sockets on the sandbox's own loopback are allowed.
        locks: Whether files can be locked.

    Raises:
        FilterError: libseccomp is not installed, or fails.
    """
    library = _library()
    with _Filter.new(library) as rules:
        for name in DENIED:
            rules.deny(name, errno.EPERM)
        for name in ABSENT:
            rules.deny(name, errno.ENOSYS)
        for name in IGNORED:
            rules.deny(name, 0)
        # Whether a page of a shared file is in memory, and seeing to it that it is not.
        rules.deny("preadv2", errno.EOPNOTSUPP, _Comparison(5, _MASKED_EQUAL, _NOWAIT, _NOWAIT))
        rules.deny("fadvise64", 0, _Comparison(3, _MASKED_EQUAL, _WORD, _DONTNEED))
        # As on a file system that cannot: programs write instead, which takes time, and is noticed.
        rules.deny("fallocate", errno.EOPNOTSUPP)
        for flag in _NEW_NAMESPACES:
            rules.deny("clone", errno.EPERM, _Comparison(0, _MASKED_EQUAL, flag, flag))
        for number in _IOCTLS:
            rules.deny("ioctl", errno.EPERM, _Comparison(1, _MASKED_EQUAL, _WORD, number))
        if not locks:
            rules.deny("flock", errno.EPERM)
        for number in _FCNTLS if locks else (*_FCNTLS, *_LOCKS):
            rules.deny("fcntl", errno.EPERM, _Comparison(1, _MASKED_EQUAL, _WORD, number))
        for name, argument in _MAKING_NODES:
            rules.deny(name, errno.EPERM, _Comparison(argument, _MASKED_EQUAL, _KIND, _PIPE))
        # The limits and the priority of another process: the host of the cases runs as the same user.
        rules.deny("prlimit64", errno.EPERM, _Comparison(0, _GREATER, 0))
        for argument in range(2):
            rules.deny("setpriority", errno.EPERM, _Comparison(argument, _GREATER, 0))
        if network:
            rules.deny_families("socket", _FAMILIES, errno.EAFNOSUPPORT)
        else:
            rules.deny("socket", errno.EACCES)
            for name in _SOCKETS:
                rules.deny(name, errno.EPERM)
        # It creates two sockets of the family, even if the family does not support pairs.
        rules.deny_families("socketpair", _FAMILIES if network else {_UNIX}, errno.EAFNOSUPPORT)
        for bit in range(32):
            if _PERSONALITIES >> bit & 1:
                # This also denies 0xffffffff, which only queries the personality.
                rules.deny("personality", errno.EPERM, _Comparison(0, _MASKED_EQUAL, 1 << bit, 1 << bit))
        return rules.denying_unknown(errno.ENOSYS) + rules.program()


def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        raise FilterError("libseccomp is not installed (Debian: libseccomp2)") from None
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_syscall_resolve_num_arch.restype = ctypes.c_void_p
    library.seccomp_arch_native.restype = ctypes.c_uint32
    return library


class _Filter:
    """A filter under construction."""

    def __init__(self, library: ctypes.CDLL, context: ctypes.c_void_p) -> None:
        self._library = library
        self._context = context

    @classmethod
    @contextmanager
    def new(cls, library: ctypes.CDLL) -> Iterator[_Filter]:
        """An empty filter, which allows everything. It is released at the end."""
        context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_ALLOW)))
        if not context:
            raise FilterError("libseccomp does not know this architecture")
        try:
            library.seccomp_attr_set(context, _OPTIMIZE, ctypes.c_uint32(2))
            yield cls(library, context)
        finally:
            library.seccomp_release(context)

    def deny(self, name: str, code: int, comparison: _Comparison | None = None) -> None:
        """Make a system call fail with `code`: always, or if one of its arguments matches `comparison`."""
        # (The code 0 makes it succeed, and do nothing.)
        number = self._library.seccomp_syscall_resolve_name(name.encode())
        # Negative: this architecture or this version of the library does not have it; see `deny_unknown`.
        if number >= 0:
            self._add(number, code, [] if comparison is None else [comparison])

    def deny_families(self, name: str, allowed: Set[int], code: int) -> None:
        """Make a system call fail whose first argument is a family of sockets, unless that is `allowed`."""
        for family in set(range(max(allowed))) - allowed:
            self.deny(name, code, _Comparison(0, _EQUAL, family))
        self.deny(name, code, _Comparison(0, _GREATER, max(allowed)))

    def denying_unknown(self, code: int) -> bytes:
        """What comes before the program, and makes every call fail that is newer than the library.

        A rule for each number would make the program three times as long, and a kernel compiles it for each process.
        """
        native = self._library.seccomp_arch_native()
        names = self._library.seccomp_syscall_resolve_num_arch
        known = []
        for number in range(_LAST + 1):
            name = names(ctypes.c_uint32(native), number)
            if name:
                known.append(number)
                ctypes.CDLL(None).free(ctypes.c_void_p(name))
        instructions = (
            (_LOAD, 0, 0, _ARCHITECTURE_AT),
            (_JUMP_EQUAL, 0, 4, native),  # of another one, the program kills the process
            (_LOAD, 0, 0, _NUMBER_AT),
            (_JUMP_AT_LEAST, 2, 0, _FIRST_FOREIGN),
            (_JUMP_ABOVE, 0, 1, max(known)),
            (_RETURN, 0, 0, _ERRNO | code),
        )
        return b"".join(struct.pack("=HBBI", *each) for each in instructions)

    def _add(self, number: int, code: int, comparisons: list[_Comparison]) -> None:
        array = (_Comparison * len(comparisons))(*comparisons)
        action = ctypes.c_uint32(_ERRNO | code)
        failed = self._library.seccomp_rule_add_array(self._context, action, number, len(comparisons), array)
        if failed:
            raise FilterError(f"libseccomp refuses the rule for call {number}: {os.strerror(-failed)}")

    def program(self) -> bytes:
        with tempfile.TemporaryFile() as file:
            failed = self._library.seccomp_export_bpf(self._context, file.fileno())
            if failed:
                raise FilterError(f"libseccomp cannot make the filter: {os.strerror(-failed)}")
            file.seek(0)
            return file.read()
