"""The preloaded process: imports the program, then forks commands of it until the tests have ended."""

from __future__ import annotations

import gc
import importlib
import io
import os
import pickle
import pkgutil
import runpy
import socket
import sys
from typing import Final, TextIO

import coverage

from tests.preload.request import Request, receive

_CLIENT: Final = ("shared", "core", "settings", "client", "workspace", "output", "cli")
_LIBRARIES: Final = (
    "httpcore",
    "platformdirs",
    "anyio.streams.memory",
    "anyio.streams.stapled",
    "anyio.streams.tls",
    "anyio.abc",
)
_ELSEWHERE: Final = "subcli.shared.platform.windows_api"
"""It can be imported on Windows only."""
_SERVER: Final = ("server",)
_SERVER_LIBRARIES: Final = ("encodings.idna", "tomllib", "uvicorn.loops.asyncio")


def main() -> None:
    """Serve requests. In the child of each, return, so that the interpreter ends as after any program."""
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        # As `subcli.__main__` does before it imports anything.
        sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
        _preload(_CLIENT, _LIBRARIES)
        has_server = False
        while True:
            data, streams = receive(connection)
            if not data:
                os._exit(0)
            request: Request = pickle.loads(data)
            if not has_server and {"serve", "worker", "user"} & set(request.words[3:4]):
                _preload(_SERVER, _SERVER_LIBRARIES)
                has_server = True
            pid = _fork()
            if pid == 0:
                break
            for each in streams:
                os.close(each)
            connection.sendall(str(pid).encode())
    _become(request, streams)


def _preload(packages: tuple[str, ...], libraries: tuple[str, ...]) -> None:
    """Import packages of ours with all that is in them, and libraries that these import when they need them."""
    for name in packages:
        package = importlib.import_module(f"subcli.{name}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not (module.name.endswith("__main__") or module.name == _ELSEWHERE or ".migrations." in module.name):
                importlib.import_module(module.name)
    for name in libraries:
        importlib.import_module(name)
    gc.collect()
    # Otherwise the collector would write to every page that is shared.
    gc.freeze()


def _fork() -> int:
    """Fork twice; that in between ends, and who started us becomes the parent of the child.

    Returns:
        its process id; 0 in the child, once it has its parent.
    """
    adopted, release = os.pipe()
    told, tell = os.pipe()
    between = os.fork()
    if between == 0:
        child = os.fork()
        if child:
            os.write(tell, str(child).encode())
            os._exit(0)
        os.close(release)
        os.read(adopted, 1)
        for each in (adopted, told, tell):
            os.close(each)
        return 0
    os.close(tell)
    pid = int(os.read(told, 16))
    os.waitpid(between, 0)
    for each in (told, release, adopted):
        os.close(each)
    return pid


def _become(request: Request, streams: list[int]) -> None:
    """Be the process that was asked for, and run the program."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number, inheritable=True)
    for stream in streams:
        os.close(stream)
    os.environ.clear()
    os.environb.update(request.environment)
    os.chdir(request.directory)
    if request.new_session:
        os.setsid()
    if request.group != -1:
        os.setpgid(0, request.group)
    if request.terminal:
        os.login_tty(os.dup(0))
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        opened = _open(number, name, mode)
        setattr(sys, name, opened)
        setattr(sys, f"__{name}__", opened)
    if not sys.flags.safe_path:
        sys.path[0] = os.getcwd()
    sys.path[1:1] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.orig_argv[:] = request.words
    sys.argv[:] = ["-m", *request.words[3:]]
    if os.environ.get("COVERAGE_PROCESS_CONFIG"):
        # What has been imported by now is measured where the tests import it themselves.
        coverage.process_startup()
    runpy.run_module("subcli", run_name="__main__", alter_sys=True)


def _open(number: int, name: str, mode: str) -> TextIO:
    """A standard stream as the interpreter opens it at its start (`create_stdio` in `pylifecycle.c`)."""
    before = getattr(sys, name)
    raw = io.FileIO(number, mode, closefd=False)
    raw.name = f"<{name}>"
    buffer = io.BufferedReader(raw) if mode == "r" else io.BufferedWriter(raw)
    is_line_buffered = raw.isatty() or name == "stderr"
    return io.TextIOWrapper(buffer, before.encoding, before.errors, newline="\n", line_buffering=is_line_buffered)


if __name__ == "__main__":
    main()
