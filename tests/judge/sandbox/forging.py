"""A submission that forges: the first word of its input says how. Each tries to get the answer, which it does not know.

Whatever would tell it, it prints; so `passed` is what an attempt that succeeds gets. `honest` tells whether anything
is left of the attempts before.
"""

import contextlib
import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Callable

libc = ctypes.CDLL(None, use_errno=True)
SCRATCH = ("/tmp", "/dev/shm")
PTRACE_SEIZE, PTRACE_ATTACH = 0x4206, 16
MARKER = "left-behind"


def show(path: str) -> None:
    """Print what is in a file."""
    with contextlib.suppress(OSError, ValueError), open(path, "rb") as file:
        sys.stdout.buffer.write(file.read(100_000))


def others() -> list[str]:
    """The processes that it sees, but for itself."""
    return [name for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def quietly(function: Callable[..., object], *arguments: object) -> None:
    with contextlib.suppress(OSError, ValueError):
        function(*arguments)


def honest() -> None:
    """What a good solution finds: nothing of anybody else's."""
    left = [MARKER in name for directory in SCRATCH for name in os.listdir(directory)]
    shown = ["scratch"] if any(left) else []
    for directory in SCRATCH:
        with open(f"{directory}/mine", "w") as file:
            file.write("x" * 10_000)
    if set(others()) - {"1"}:
        shown.append("processes")
    if sorted(map(int, os.listdir("/proc/self/fd"))) != [0, 1, 2, 3]:
        shown.append("descriptors")
    if [os.getpriority(os.PRIO_PROCESS, 0), len(os.sched_getaffinity(0))] != [int(word) for word in WORDS[2:]]:
        shown.append("priority")
    if os.sched_getscheduler(0) == os.SCHED_IDLE:
        shown.append("priority")
    print(shown or WORDS[1])


def gained() -> None:
    """Say that something has worked that must not."""
    print("GAINED", file=sys.stderr)


def exit_as_a_checker() -> None:
    sys.exit(42)


def print_verdicts() -> None:
    print('{"type": "complete", "final_status": "passed"}\n{"code": 0, "cpu_ms": 0}\nok 1\nAC 100\npassed\nREADY\n42')


def read_the_answer() -> None:
    """By the paths that it can guess, beside its input and its own files."""
    for start in ("/proc/self/fd/0", os.getcwd(), *SCRATCH):
        place = os.path.realpath(start)
        for directory in (os.path.dirname(place), os.path.dirname(os.path.dirname(place)), place):
            for root, _, names in os.walk(directory):
                for name in names[:20]:
                    if name.endswith((".ans", ".out")):
                        show(os.path.join(root, name))
                if root.count("/") > 6:
                    break
    given = os.readlink("/proc/self/fd/0")
    show(given.replace(".in", ".ans"))
    for number in range(20):
        show(f"/proc/self/fd/{number}/../case.ans")


def read_descriptors() -> None:
    """Of everybody that it sees."""
    for process in others():
        with contextlib.suppress(OSError):
            for number in os.listdir(f"/proc/{process}/fd"):
                show(f"/proc/{process}/fd/{number}")


def read_memory() -> None:
    for process in others():
        for name in ("mem", "environ", "maps", "cmdline"):
            with contextlib.suppress(OSError), open(f"/proc/{process}/{name}", "rb", 0) as file:
                os.write(2, file.read(100))


def write_memory() -> None:
    for process in others():
        with contextlib.suppress(OSError), open(f"/proc/{process}/mem", "r+b", 0) as file:
            file.write(b"x")
            gained()


def signal_everybody() -> None:
    for process in others():
        for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGSTOP, signal.SIGTERM, signal.SIGSEGV, signal.SIGKILL):
            quietly(os.kill, int(process), number)
            quietly(os.killpg, int(process), number)


def signal_all() -> None:
    os.kill(-1, signal.SIGKILL)


def stop_all() -> None:
    """Itself too, in the end: nobody is left to continue it."""
    quietly(os.kill, -1, signal.SIGSTOP)
    os.kill(os.getpid(), signal.SIGKILL)


def trace() -> None:
    for process in others():
        for request in (PTRACE_ATTACH, PTRACE_SEIZE):
            if libc.ptrace(request, int(process), 0, 0) == 0:
                gained()


def change_limits() -> None:
    """Of the first process: what it starts next would have no time."""
    import resource

    for limit in (resource.RLIMIT_CPU, resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_AS):
        with contextlib.suppress(OSError, ValueError):
            resource.prlimit(1, limit, (0, 0))
            gained()


def change_priorities() -> None:
    for process in others():
        quietly(os.setpriority, os.PRIO_PROCESS, int(process), 19)
        quietly(os.sched_setaffinity, int(process), {0})
        quietly(os.sched_setscheduler, int(process), os.SCHED_IDLE, os.sched_param(0))
    quietly(os.setpriority, os.PRIO_USER, 0, 19)
    quietly(os.setpriority, os.PRIO_USER, os.getuid(), 19)


def rename_the_way_to_a_mount() -> None:
    place = os.getcwd()
    while place != "/":
        quietly(os.rename, place, f"{os.path.dirname(place)}/{MARKER}")
        quietly(os.symlink, "/", place)
        place = os.path.dirname(place)


def fill() -> None:
    """So that the next case has no room."""
    for directory in SCRATCH:
        with contextlib.suppress(OSError):
            for number in range(200):
                os.mkdir(f"{directory}/{MARKER}-{number}", 0)
        with contextlib.suppress(OSError), open(f"{directory}/{MARKER}", "wb", 0) as file:
            for _ in range(6):
                file.write(bytes(1 << 20))


def nest() -> None:
    """Deeper than a path can be, each directory closed."""
    for directory in SCRATCH:
        with contextlib.suppress(OSError):
            os.chdir(directory)
            for _ in range(150):
                os.mkdir(MARKER * 15)
                os.chdir(MARKER * 15)
    os.chdir("/")


def replace_scratch() -> None:
    for directory in SCRATCH:
        quietly(os.rmdir, directory)
        quietly(os.rename, directory, f"{directory}-{MARKER}")
        quietly(os.symlink, "/", f"{directory}/{MARKER}")
        quietly(os.chmod, directory, 0)


def leave_daemons() -> None:
    """They would write into the next case, wherever they can."""
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                for number in range(1, 60):
                    quietly(signal.signal, number, signal.SIG_IGN)
                while True:
                    for process in others():
                        with contextlib.suppress(OSError), open(f"/proc/{process}/fd/1", "wb", 0) as file:
                            file.write(b"forged")
            os._exit(0)


def fork_on_and_on() -> None:
    """A chain: each ends as soon as the next is there."""
    while True:
        if os.fork():
            os._exit(0)


def write_to_descriptors() -> None:
    for number in range(3, 64):
        quietly(os.write, number, b"forged")
        quietly(os.write, number, b'{"code": 0, "cpu_ms": 0, "wall_ms": 0, "memory_kb": 0, "ended": 0}')
    quietly(os.write, 0, b"forged")


def close_pipes() -> None:
    for number in range(64):
        quietly(os.close, number)
    os.fork()


def talk_to_the_socket() -> None:
    """Of the host, over any way there is."""
    for process in ("1", "self", *others()):
        for number in range(12):
            with contextlib.suppress(OSError):
                os.write(os.open(f"/proc/{process}/fd/{number}", os.O_WRONLY), b"stop")
            descriptor = libc.syscall(434, 1, 0)
            if descriptor >= 0:
                taken = libc.syscall(438, descriptor, number, 0)
                if taken >= 0:
                    os.write(taken, b"{}")
                    gained()
                os.close(descriptor)
    with contextlib.suppress(OSError):
        socket.socket(fileno=os.dup(0)).send(b"stop")


def change_the_input() -> None:
    """For the cases that come later, and on the disk of whoever wrote it."""
    quietly(os.ftruncate, 0, 0)
    quietly(os.fchmod, 0, 0o666)
    for path in ("/proc/self/fd/0", "/dev/stdin", os.readlink("/proc/self/fd/0")):
        for flags in (os.O_RDWR, os.O_WRONLY | os.O_TRUNC, os.O_WRONLY | os.O_APPEND):
            with contextlib.suppress(OSError):
                os.write(os.open(path, flags), b"honest forged\n")
                gained()
        quietly(os.truncate, path, 0)
        quietly(os.utime, path, (0, 0))
        quietly(os.unlink, path)


def run_out_the_clock() -> None:
    """A negative processor time would be a gift."""
    quietly(time.clock_settime, time.CLOCK_REALTIME, 0.0)
    signal.setitimer(signal.ITIMER_PROF, 0.01)
    while True:
        pass


if __name__ == "__main__":
    WORDS = sys.stdin.readline().split()
    globals()[WORDS[0]]()
