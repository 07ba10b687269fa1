"""Runs one case after the other inside a sandbox: `python -I -S host.py [DIRECTORY ...]`.

Its stdin is a socket to the supervisor. An order is one message, made by `marshal`, with the descriptors that the
program gets; the answer, one message of JSON, comes when nothing of the program is left. Between two cases the
directories are emptied.

In a sandbox this is the first process: no signal from inside reaches it, and when it ends the kernel ends everything
else. It reads none of the program's output, so that there is nothing to confuse it with; it hides its memory and its
descriptors from the program; and each case has pipes of its own.

It imports the halves of `signal`, `socket` and `ctypes` that are written in C, and not `json`: with those, and `re`,
`enum` and `struct` below them, starting it would take twice as long.
"""

import _ctypes
import _signal  # type: ignore[import-not-found]
import _socket
import gc
import marshal
import os
import resource
import select
import stat
import sys
import time

TYPE_CHECKING = False  # `typing` would cost two milliseconds
if TYPE_CHECKING:
    from typing import Any

READY = b"ready"
STARTING = b"starting"
"""What comes before the answer to an order, once the program has been started."""
STOP = b"stop"
ROOM = "case"
"""The directory, below the first one of the arguments, in which a tool finds the files of a case."""
_WORK = "work"
"""Likewise, where a program with files of its own for a case runs."""
NEXT_PASS = "nextpass.in"
MESSAGE_BYTES = 256 * 1024
MAX_DESCRIPTORS = 32
NOT_EXECUTABLE, NOT_FOUND = 126, 127
_PR_SET_DUMPABLE, _PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 4, 15, 36
_DEFAULT_SIGNALS = (_signal.SIGINT, _signal.SIGPIPE, _signal.SIGXFSZ)
"""What Python handles or ignores, and programs expect to find as the system has it."""
_KILL_TIMEOUT_S = 5.0
_INT_BYTES = 4
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,:;/_-'()")
"""What JSON does not escape."""


def main() -> None:
    """Carry out orders until the socket ends."""
    directories = sys.argv[1:]
    mounted = _mounted_below(directories)
    channel = _socket.socket(fileno=0)
    _prctl(_PR_SET_DUMPABLE, 0)
    # Otherwise Python raises KeyboardInterrupt. By default, the first process of a namespace does not notice.
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    if os.getpid() == 1:
        # It stands where bubblewrap has its own process, and is known by that name.
        _prctl(_PR_SET_NAME, b"bwrap")
    else:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    standing = _standing()
    # A collection in a fork would copy what it looks at.
    gc.freeze()
    channel.send(READY)
    while True:
        message, descriptors = _receive(channel)
        if not message:
            # Finalizing the interpreter has nothing left to do.
            os._exit(0)
        if message == STOP:
            # It crossed our answer.
            continue
        if _standing() != standing:
            # A program may change the scheduling of other processes of its user, and nothing changes it back.
            for descriptor in descriptors:
                os.close(descriptor)
            channel.send(_encode({"spoiled": True}))
            return
        answer = _carry_out(channel, marshal.loads(message), descriptors, directories, mounted)
        channel.send(_encode(answer))


def _receive(channel: _socket.socket) -> "tuple[bytes, list[int]]":
    """A message, and the descriptors that came with it."""
    message, parts, _, _ = channel.recvmsg(MESSAGE_BYTES, _socket.CMSG_LEN(_INT_BYTES * MAX_DESCRIPTORS))
    passed = b"".join(data for level, kind, data in parts if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS))
    starts = range(0, len(passed) - len(passed) % _INT_BYTES, _INT_BYTES)
    return message, [int.from_bytes(passed[at : at + _INT_BYTES], sys.byteorder) for at in starts]


def _encode(value: "Any") -> bytes:
    """An answer as JSON. There are only numbers, texts, True, lists and dictionaries in it."""
    if value is True:
        return b"true"
    if isinstance(value, str):
        return b'"%s"' % "".join(each if each in _PLAIN else f"\\u{ord(each) & 0xFFFF:04x}" for each in value).encode()
    if isinstance(value, list):
        return b"[%s]" % b",".join(map(_encode, value))
    if isinstance(value, dict):
        return b"{%s}" % b",".join(b"%s:%s" % (_encode(name), _encode(each)) for name, each in value.items())
    return b"%d" % value


def _standing() -> "tuple[object, ...]":
    """What each program inherits, and another process of the same user can change."""
    return os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0), os.sched_getaffinity(0)


def _prctl(option: int, value: "int | bytes") -> None:
    address = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]
    _ctypes.call_function(address, (option, value, 0, 0, 0))


def _carry_out(
    channel: _socket.socket,
    order: "dict[str, Any]",
    descriptors: "list[int]",
    directories: "list[str]",
    mounted: "set[str]",
) -> "dict[str, Any]":
    streams, rest = descriptors[:3], descriptors[3:]
    laid = 1 if order.get("laid") else 0
    given, wanted = rest[laid : laid + len(order["files"])], rest[laid + len(order["files"]) :]
    try:
        if not order["keep"]:
            for directory in directories:
                empty(directory, mounted)
    except OSError:
        # What ran before has made something that cannot be removed. Another sandbox has nothing of it.
        for descriptor in descriptors:
            os.close(descriptor)
        return {"spoiled": True}
    try:
        if order["files"]:
            _lay_out(os.path.join(directories[0], ROOM), order["files"], given)
        if laid:
            order["directory"] = _lay_beside(os.path.join(directories[0], _WORK), rest[0])
        answer = _run(channel, order, streams)
        if wanted:
            answer["found"] = _collect(os.path.join(directories[0], ROOM), order["wanted"], wanted)
        return answer
    except OSError as error:
        return {"fault": f"{error.strerror}: {error.filename or ''}"}
    finally:
        for descriptor in rest:
            os.close(descriptor)


def _run(channel: _socket.socket, order: "dict[str, Any]", streams: "list[int]") -> "dict[str, Any]":
    """Run one program to its end, and end what it has left."""
    used = _processor_time()
    try:
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            _become(order, streams)
        channel.send(STARTING)
    finally:
        for stream in streams:
            os.close(stream)
    handle = os.pidfd_open(child)
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    poll.register(channel, select.POLLIN)
    while True:
        ready = [descriptor for descriptor, _ in poll.poll()]
        if handle in ready:
            break
        message = channel.recv(MESSAGE_BYTES)
        _kill_all()
        if not message:
            sys.exit()
    ended = time.monotonic()
    os.close(handle)
    _, status, usage = os.wait4(child, 0)
    left, peak_kb = _end_rest()
    return {
        "code": os.waitstatus_to_exitcode(status),
        "cpu_ms": round((_processor_time() - used) * 1000),
        "wall_ms": round((ended - began) * 1000),
        "memory_kb": max(usage.ru_maxrss, peak_kb),
        "left": left,
    }


def _processor_time() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _become(order: "dict[str, Any]", streams: "list[int]") -> None:
    """Turn this process, a child, into the program."""
    command = order["command"]
    try:
        os.setsid()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        os.chdir(order.get("directory", "."))
        for number in _DEFAULT_SIGNALS:
            _signal.signal(number, _signal.SIG_DFL)
        if order["memory"]:
            _limit(resource.RLIMIT_AS, order["memory"], order["memory"])
            if resource.getrlimit(resource.RLIMIT_STACK)[1] == resource.RLIM_INFINITY:
                # The stack may use the memory as everything else may.
                resource.setrlimit(resource.RLIMIT_STACK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        # SIGXCPU says why; who ignores it is killed a second later.
        _limit(resource.RLIMIT_CPU, order["cpu_s"], order["cpu_s"] + 1)
        os.execvp(command[0], command)
    except FileNotFoundError:
        os.write(2, f"{command[0]}: command not found\n".encode())
        os._exit(NOT_FOUND)
    except BaseException as error:
        os.write(2, f"{command[0]}: {getattr(error, 'strerror', error)}\n".encode())
        os._exit(NOT_EXECUTABLE)


def _limit(kind: int, soft: int, hard: int) -> None:
    _, most = resource.getrlimit(kind)
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    resource.setrlimit(kind, (soft, hard))


def _end_rest() -> "tuple[int, int]":
    """End whatever the program has left. Returns how many processes were alive, and the most memory of one in KB.

    Everything that it started is below this process: who has no children is alone.
    """
    left = peak_kb = 0
    deadline = time.monotonic() + _KILL_TIMEOUT_S
    while True:
        try:
            pid, _, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return left, peak_kb
        if pid:
            peak_kb = max(peak_kb, usage.ru_maxrss)
        elif time.monotonic() > deadline:
            # A sandbox is thrown away as a whole then.
            sys.exit()
        else:
            left = max(left, _kill_all())
            time.sleep(0.0002)


def _kill_all() -> int:
    """Kill every process of the program. Returns how many were there, as far as that is seen."""
    children = []
    for thread in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{thread}/children", "rb") as file:
            children += file.read().split()
    if os.getpid() == 1:
        try:
            os.kill(-1, _signal.SIGKILL)
        except ProcessLookupError:
            return 0
        return len(children)
    for child in children:
        try:
            os.kill(int(child), _signal.SIGKILL)
        except ProcessLookupError:
            continue
    return len(children)


def _mounted_below(directories: "list[str]") -> "set[str]":
    """What is mounted in these directories, and the directories on the way there."""
    found: set[str] = set()
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            path = line.split()[4]
            while os.path.dirname(path) != path and any(path.startswith(f"{each}/") for each in directories):
                found.add(path)
                path = os.path.dirname(path)
    return found


def empty(directory: str, mounted: "set[str]") -> None:
    """Remove everything in a directory, however deep and closed it is. Nothing else runs meanwhile.

    Args:
        directory: The directory.
        mounted: Paths that stay. What else is in them is removed, unless something is mounted right there.

    Raises:
        OSError: Something stays.
    """
    top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    moved = 0
    try:
        kept = {os.path.basename(path) for path in mounted if os.path.dirname(path) == directory}
        while names := [name for name in os.listdir(top) if name not in kept]:
            for name in names:
                try:
                    os.unlink(name, dir_fd=top)
                    continue
                except IsADirectoryError:
                    pass
                # What is below comes up, so that neither the length of a path nor the depth matters.
                moved = _raise(top, name, moved)
                os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)
    for name in kept:
        path = f"{directory}/{name}"
        if any(other.startswith(f"{path}/") for other in mounted):
            empty(path, mounted)


def _raise(top: int, name: str, moved: int) -> int:
    """Move what is in a directory up. Returns how many things were moved so far."""
    os.chmod(name, 0o700, dir_fd=top)
    here = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
    try:
        for inner in os.listdir(here):
            moved += 1
            try:
                os.unlink(inner, dir_fd=here)
            except IsADirectoryError:
                os.chmod(inner, 0o700, dir_fd=here)
                os.rename(inner, f".moved-{moved}-{time.monotonic_ns()}", src_dir_fd=here, dst_dir_fd=top)
    finally:
        os.close(here)
    return moved


def _lay_out(room: str, names: "list[str]", descriptors: "list[int]") -> None:
    """Write the files of a case."""
    os.makedirs(room, exist_ok=True)
    for name, source in zip(names, descriptors, strict=True):
        target = os.open(os.path.join(room, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            _copy(source, target)
        finally:
            os.close(target)
    feedback = os.path.join(room, "feedback")
    os.makedirs(feedback, exist_ok=True)
    if NEXT_PASS in os.listdir(feedback):
        # It belongs to the pass before; whoever wants one more writes it again.
        os.unlink(os.path.join(feedback, NEXT_PASS))


def _lay_beside(room: str, source: int) -> str:
    """Make a working directory with copies of what is in this one, and the files of a case in place of their namesakes.

    Args:
        room: The directory.
        source: A file with the contents of the others by their paths, made by `marshal`.
    """
    os.mkdir(room)
    with os.scandir() as entries:
        for entry in entries:
            if entry.is_file():
                _lay_copy(entry.path, f"{room}/{entry.name}")
            elif entry.name != "__pycache__":  # It may hold what a namesake was compiled to in the same second.
                os.symlink(os.path.abspath(entry.path), f"{room}/{entry.name}")
    for path, data in marshal.loads(os.pread(source, os.fstat(source).st_size, 0)).items():
        above = room
        *directories, name = path.split("/")
        for directory in directories:
            above = f"{above}/{directory}"
            if os.path.islink(above):
                os.unlink(above)
            os.makedirs(above, exist_ok=True)
        if os.path.lexists(f"{above}/{name}"):
            os.unlink(f"{above}/{name}")
        with open(f"{above}/{name}", "xb") as file:
            file.write(data)
    return room


def _lay_copy(path: str, target: str) -> None:
    with open(path, "rb") as source, open(target, "xb") as copy:
        os.fchmod(copy.fileno(), os.fstat(source.fileno()).st_mode & 0o777 | 0o600)
        _copy(source.fileno(), copy.fileno())


def _collect(room: str, names: "list[str]", descriptors: "list[int]") -> "list[str]":
    """Copy the regular files that a tool has written. Returns the names of those that were there."""
    found = []
    for name, target in zip(names, descriptors, strict=True):
        try:
            source = os.open(os.path.join(room, "feedback", name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            if stat.S_ISREG(os.fstat(source).st_mode):
                _copy(source, target)
                found.append(name)
        finally:
            os.close(source)
    return found


def _copy(source: int, target: int) -> None:
    offset = 0
    while count := os.sendfile(target, source, offset, 1 << 24):
        offset += count


if __name__ == "__main__":
    main()
