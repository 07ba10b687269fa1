"""Runs the solution for a TAP command once: `python -I -S launch.py PLAN [ARGUMENT ...]`.

PLAN is a file made by `marshal`, with the start plan, the command and the limits. This is for machines on which
`serve.py` cannot do the same for all runs; see `supervise/fronts.py`. The solution becomes the leader of a session of
its own, which is how the supervisor tells its processes from those of the tests. The launcher stays between the
solution and the test command, for these reasons:

- It announces the run and waits for leave to begin. So the supervisor knows which test started it, and ends first what
  earlier tests have left.
- It counts what the solution writes, passes it on, and kills the solution beyond the limit, so that neither the test
  command nor the judge grows with it.
- It ends as the solution ended. A sandbox turns a signal into an exit code; here it becomes a signal again, so that the
  test command sees the same with and without a sandbox.
- It knows what the solution used. One line of JSON for each run, appended to the plan's file, tells the judge.
- It keeps what the solution writes to stderr, for authors whose tests do not: what was written before an answer is kept
  before the answer is passed on, as the command may kill the solution, and with it this process, because of it.
"""

# The halves of `signal` and `ctypes` that are written in C: the others take longer to import than all this.
import _ctypes
import _signal  # type: ignore[import-not-found]
import _thread
import fcntl
import marshal
import os
import resource
import select
import struct
import sys
import termios
import time

sys.path.append(os.path.dirname(__file__))
import confine  # type: ignore[import-not-found]
import mounts  # type: ignore[import-not-found]

TYPE_CHECKING = False  # `typing` would cost each run two milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_CHUNK = 64 * 1024
_LOOK_S = 0.0002
_MEGABYTE = 1024 * 1024
_PRCTL = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]
_PR_SET_PDEATHSIG = 1
_FORMAT, _REGULAR = 0o170000, 0o100000
"""Of a file's mode. The module `stat` takes long to import."""


class _Pump:
    """Passes on what the solution writes to one stream.

    Args:
        source: Where to read.
        target: Where to write.
        limit: How many bytes the solution may write.
        on_excess: Called when it has written more.
        before: Called before something is passed on.
    """

    def __init__(
        self, source: int, target: int, limit: int, on_excess: "Callable[[], None]", before: "Callable[[], None]"
    ) -> None:
        self._source = source
        self._target = target
        # Where two streams are one file, splice(2) would write both to the same place: it does not lock its position.
        self._is_file = os.fstat(target).st_mode & _FORMAT == _REGULAR
        self._limit = limit
        self._on_excess = on_excess
        self._before = before
        self._ready = select.poll()
        self._ready.register(source, select.POLLIN)
        self.total = 0
        self.done = False
        self.busy = False

    def run(self) -> None:
        """Run until the solution closes the stream or writes too much, or nobody reads it any more."""
        try:
            while self._pass_on():
                continue
        except OSError:
            # The test command closed the pipe: a confined solution gets SIGPIPE, as it would without a launcher.
            os.close(self._source)
        # Otherwise it stays open: what is being killed for writing too much is not to fail for anything else.
        self.done = True

    def _pass_on(self) -> bool:
        self.busy = False
        self._ready.poll()
        self._before()
        count = self._move()
        self.total += count
        if self.total > self._limit:
            self._on_excess()
            return False
        return count > 0

    def _move(self) -> int:
        if not self._is_file:
            try:
                return os.splice(self._source, self._target, _CHUNK)
            except OSError as error:
                if error.errno != 22:  # EINVAL: a kind of target that it does not know
                    raise
        self.busy = True
        data = os.read(self._source, _CHUNK)
        _write(self._target, data)
        return len(data)

    def is_empty(self) -> bool:
        """Whether everything that the solution wrote has been passed on."""
        return self.done or (self._waiting() == 0 and not self.busy)

    def _waiting(self) -> int:
        try:
            return int(struct.unpack("i", fcntl.ioctl(self._source, termios.FIONREAD, b"\0\0\0\0"))[0])
        except OSError:
            return 0


class _KeepingPump(_Pump):
    """Passes on what the solution writes to one stream, and keeps a copy in a file.

    Args:
        source: Where to read.
        target: Where to write.
        limit: How many bytes the solution may write.
        on_excess: Called when it has written more.
        copy: The file.
    """

    def __init__(self, source: int, target: int, limit: int, on_excess: "Callable[[], None]", copy: int) -> None:
        super().__init__(source, target, limit, on_excess, self.keep)
        self._copy = copy
        self._lock = _thread.allocate_lock()
        self._unsent = b""
        self._woken, self._waking = os.pipe()
        self._ready.register(self._woken, select.POLLIN)

    def keep(self) -> None:
        """Keep what the solution has written so far. Any thread may call it."""
        with self._lock:
            if not self.done and self._waiting() > 0:
                self._keep_some()

    def is_empty(self) -> bool:
        """Whether everything that the solution wrote has been passed on, and not only kept."""
        with self._lock:
            return self.done or (not self._unsent and super().is_empty())

    def _keep_some(self) -> None:
        # A pipe holds no more than this.
        data = os.read(self._source, _CHUNK)
        os.write(self._copy, data)
        if data and not self._unsent:
            os.write(self._waking, b"\n")
        self._unsent += data
        if len(self._unsent) > self._limit:
            self._on_excess()

    def _move(self) -> int:
        with self._lock:
            self.busy = True
            if not self._unsent:
                self._keep_some()
            data, self._unsent = self._unsent, b""
            if data:
                os.read(self._woken, 1)
        _write(self._target, data)
        return len(data)


def _write(target: int, data: bytes) -> None:
    while data:
        data = data[os.write(target, data) :]


def main() -> None:
    """Run the solution, and end as it ended."""
    with open(sys.argv[1], "rb") as file:
        plan = marshal.load(file)
    # Nobody has given it the descriptors.
    plan["entered"] = mounts.descriptors(plan["mounts"])
    _run(plan, sys.argv[2:])


def _run(plan: "dict[str, Any]", arguments: "list[str]") -> None:
    """Run the solution, and end as it ended."""
    streams = [stream_for(plan, 1), stream_for(plan, 2)]
    pipes = [os.pipe(), os.pipe()]
    gate = os.pipe()
    child = os.fork()
    if child == 0:
        _become_solution(plan, arguments, pipes, gate)
    os.close(gate[0])
    exceeded = []

    def stop() -> None:
        exceeded.append(True)
        kill_group(child)

    copy = os.open(f"{plan['runs']}.{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for _, writing in pipes:
        os.close(writing)
    errors = _KeepingPump(pipes[1][0], streams[1], plan["output_bytes"], stop, copy)
    pumps = [_Pump(pipes[0][0], streams[0], plan["output_bytes"], stop, errors.keep), errors]
    for pump in pumps:
        _thread.start_new_thread(pump.run, ())
    for number in (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP):
        _signal.signal(number, lambda number, _frame: kill_group(child, number))
    _announce(plan["starts"], child)
    os.write(gate[1], b"\n")
    _, status, usage = os.wait4(child, 0)
    while not all(pump.is_empty() for pump in pumps):
        time.sleep(_LOOK_S)
    code = exit_code(plan, status)
    facts = (os.getpid(), code, usage.ru_maxrss // 1024, needed_at_start(plan) // _MEGABYTE)
    record = b'{"pid": %d, "code": %d, "peak_mb": %d, "needs_mb": %d' % facts
    record += b', "exceeded": "%s"}\n' % (b"output" if exceeded else b"")
    with open(plan["runs"], "ab", buffering=0) as file:
        file.write(record)
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -code != _signal.SIGKILL:
            _signal.signal(-code, _signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 128 - code)


def exit_code(plan: "dict[str, Any]", status: int) -> int:
    """How the solution ended: its exit code, negative for a signal, which a sandbox passes on as a code."""
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if plan["layers"] and code - 128 in range(1, _signal.NSIG) else code


def stream_for(plan: "dict[str, Any]", number: int) -> int:
    """Where a stream of the solution goes. Never the pipe for results, where it would be read as results."""
    if os.fstat(number).st_ino == plan["results"]:
        return os.open(os.devnull, os.O_WRONLY)
    return number


def _announce(starts: str, child: int) -> None:
    """Tell the supervisor that a run begins, and wait until it may."""
    answer = f"{starts}.{os.getpid()}"
    os.mkfifo(answer, 0o600)
    # For both directions, so that it neither waits for a writer nor ends without one.
    reading = os.open(answer, os.O_RDWR)
    with open(starts, "wb", buffering=0) as file:
        file.write(b"run %d %d\n" % (os.getpid(), child))
    os.read(reading, 1)
    os.close(reading)
    os.unlink(answer)


def _become_solution(
    plan: "dict[str, Any]", arguments: "list[str]", pipes: "list[tuple[int, int]]", gate: "tuple[int, int]"
) -> None:
    os.close(gate[1])
    if not os.read(gate[0], 1):
        os._exit(0)  # The launcher was killed before the run began.
    os.setsid()
    os.dup2(pipes[0][1], 1)
    os.dup2(pipes[1][1], 2)
    execute(plan, arguments)


def execute(plan: "dict[str, Any]", arguments: "list[str]") -> None:
    """Become the solution, with the first three descriptors of this process, which has one thread."""
    confine.close_others(plan["entered"])
    os.chdir(plan["directory"])
    prefix, command = confine.entering(plan["prefix"], plan["entered"]), [*plan["command"], *arguments]
    if not plan["layers"]:
        # Whoever kills the launcher means the solution. (bubblewrap sees to it itself.)
        _ctypes.call_function(_PRCTL, (_PR_SET_PDEATHSIG, int(_signal.SIGKILL), 0, 0, 0))
    confining = len(plan["confining"])
    try:
        if prefix[:confining] == plan["confining"]:
            # This process has one thread: it need not start an interpreter for that.
            confine.main([*prefix[confining:], *command], plan["environment"])
        command = [*prefix, *command]
        os.execvpe(command[0], command, plan["environment"])
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
        os._exit(127)
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 1)


def kill_group(child: int, number: int = _signal.SIGKILL) -> None:
    """Signal the solution's process group; it may be gone."""
    try:
        os.killpg(child, number)
    except (ProcessLookupError, PermissionError):
        return


def needed_at_start(plan: "dict[str, Any]") -> int:
    """How much memory an ELF program takes before it runs, in bytes; 0 for anything else.

    Beyond RLIMIT_AS the kernel ends such a program with SIGSEGV or SIGKILL, and nothing says why.
    """
    try:
        with open(os.path.join(plan["directory"], plan["command"][0]), "rb") as file:
            head = file.read(64)
            if head[:5] != b"\x7fELF\x02":
                return 0
            offset, size, count = struct.unpack_from("<Q", head, 32)[0], *struct.unpack_from("<HH", head, 54)
            file.seek(offset)
            table = file.read(min(size * count, _CHUNK))
        loaded = (struct.unpack_from("<I4xQQQQQQ", table, at) for at in range(0, len(table) - 55, size))
        return sum(fields[5] for fields in loaded if fields[0] == 1)
    except (OSError, struct.error, ValueError):
        return 0


if __name__ == "__main__":
    main()
