"""The tests' side: decides what is forked, and asks for it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.preload.request import Request, send

VARIABLE: Final = "SUBCLI_TEST_PROCESSES"
"""Set to ``real``, here or in the environment of one command, it starts real processes."""

_PROGRAM: Final = ("-m", "subcli")
_AT_START: Final = ("PYTHON", "LC_", "LANG", "TZ", "LD_", "MALLOC_", "TYPER_", "WEBSOCKETS_", "SSL", "OPENSSL")
"""How variables begin that an interpreter or a module reads while it starts."""
_LATE: Final = (b"PYTHONPATH", b"PYTHON_KEYRING_BACKEND")
"""Of these, what is read later: the fork takes over the path, and imports keyring when it needs it."""
_INHERITED: Final = ("Uid", "Gid", "Groups", "Umask", "SigBlk", "SigIgn", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp")
"""What a process inherits besides, of `/proc/self/status`."""
_PR_SET_CHILD_SUBREAPER: Final = 36

_real_fork_exec: Callable[..., int] = getattr(subprocess, "_fork_exec", None)  # type: ignore[assignment]
_prctl: Final = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def take_terminal() -> None:
    """As `preexec_fn`: make the standard streams the controlling terminal of a new session."""
    os.login_tty(os.dup(0))


class _Server:
    """A process that has imported the program.

    Attributes:
        inherited: what its children inherit.
    """

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.inherited = _inherited()
        self._socket = ours
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.preload.server", str(theirs.fileno())],
                env=dict(_variables),
                cwd=Path(__file__).parents[2],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def fork(self, request: Request, streams: Sequence[int]) -> int:
        """Start a command as our own child; its process id."""
        with _adopting():
            send(self._socket, pickle.dumps(request), streams)
            answer = self._socket.recv(16)
        assert answer, "the preloaded process has ended"
        return int(answer)

    def close(self) -> None:
        self._socket.close()
        self._process.wait()

    def abandon(self) -> None:
        """End it without waiting for what it was asked for."""
        self._socket.close()
        self._process.kill()
        self._process.wait()


_server: _Server | None = None
_variables: frozenset[tuple[bytes, bytes]] = frozenset()
_lock = threading.Lock()


def install() -> None:
    """From now on, commands that `subprocess` and asyncio start are forked where that shows no difference."""
    global _variables
    is_known = sys.platform == "linux" and _real_fork_exec is not None and sys.version_info < (3, 14)
    if is_known and os.environ.get(VARIABLE) != "real":
        # The tests set it to nothing, wherever they were started.
        _variables = _read_at_start({**os.environb, b"PYTHONUNBUFFERED": b""})
        subprocess._fork_exec = _fork_exec  # type: ignore[attr-defined]


def close() -> None:
    """End the preloaded process."""
    global _server
    if _server is not None:
        _server.close()
        _server = None


def _fork_exec(
    args: Sequence[Any],
    executables: Sequence[bytes],
    close_fds: bool,
    kept: tuple[int, ...],
    cwd: Any,
    env: Sequence[bytes] | None,
    *more: Any,
) -> int:
    """In place of the function of this name in `subprocess` (CPython 3.11 to 3.13)."""
    global _server
    words = [os.fsdecode(word) for word in args]
    if words[0] == sys.executable and tuple(words[1:3]) == _PROGRAM:
        stdin, _, _, stdout, _, stderr, _, errpipe = more[:8]
        options = _Options(*more[8:16])
        environment = (
            dict(os.environb) if env is None else {each[0]: each[2] for each in (e.partition(b"=") for e in env)}
        )
        streams = [given if given != -1 else number for number, given in enumerate((stdin, stdout, stderr))]
        directory = os.path.abspath(os.fsdecode(cwd or "."))
        if can_fork(environment, options, directory, streams) and close_fds and kept == (errpipe,):
            request = Request(words, environment, directory, options.new_session, options.group, options.terminal)
            with _lock:
                _server = _server or _Server()
                if _server.inherited == _inherited():
                    try:
                        return _server.fork(request, streams)
                    except BaseException:
                        # A test that was ended here would leave its answer to the next.
                        _server.abandon()
                        _server = None
                        raise
    return _real_fork_exec(args, executables, close_fds, kept, cwd, env, *more)


class _Options:
    """Those arguments of `subprocess.Popen` that change how a process starts."""

    def __init__(
        self, restore: bool, new_session: bool, group: int, gid: Any, groups: Any, uid: Any, umask: int, before: Any
    ) -> None:
        self.new_session, self.group = new_session, group
        self.terminal = before is take_terminal
        self.plain = restore and gid is groups is uid is None and umask == -1 and before in (None, take_terminal)


def can_fork(environment: Mapping[bytes, bytes], options: _Options, directory: str, streams: Sequence[int]) -> bool:
    """Whether a test cannot tell a forked command from a started one."""
    if environment.get(VARIABLE.encode()) == b"real" or _read_at_start(environment) != _variables:
        return False
    if not _is_only_added(environment.get(b"PYTHONPATH", b"")):
        return False
    try:
        return options.plain and os.access(directory, os.X_OK) and all(map(os.fstat, streams))
    except OSError:
        return False


def _read_at_start(environment: Mapping[bytes, bytes]) -> frozenset[tuple[bytes, bytes]]:
    """Those variables that an interpreter, or a module that is imported, reads; empty ones are as good as none."""
    prefixes = tuple(prefix.encode() for prefix in _AT_START)
    return frozenset(
        (name, value)
        for name, value in environment.items()
        if value and name.startswith(prefixes) and name not in _LATE
    )


def _is_only_added(path: bytes) -> bool:
    """Whether what is in these directories hides nothing that is imported without them."""
    imported = {name.partition(".")[0] for name in sys.modules} | {"sitecustomize", "usercustomize"}
    found = (Path(os.fsdecode(each)) for each in path.split(os.pathsep.encode()) if each)
    return not any(entry.stem in imported for each in found if each.is_dir() for entry in each.iterdir())


def _inherited() -> object:
    """What a child of this thread inherits besides what is given to it."""
    status = Path("/proc/thread-self/status").read_text()
    lines = [line for line in status.splitlines() if line.partition(":")[0] in _INHERITED]
    return lines, Path("/proc/self/limits").read_text(), os.getsid(0), os.getpgid(0), os.nice(0)


@contextlib.contextmanager
def _adopting() -> Iterator[None]:
    """In this context, a process below us whose parent ends becomes our child."""
    assert _prctl is not None
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        _prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
