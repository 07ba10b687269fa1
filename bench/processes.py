"""Runs contenders, with a time limit for everything and without leftovers."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ
from typing import Any, Final

from bench.measure import Failed

LIMIT_S: Final = 60.0
START_S: Final = 30.0
ROOT: Final = Path(__file__).parent
CONTENDERS: Final = ROOT / "contenders"
_CHUNK: Final = 1 << 18


def environment() -> dict[str, str]:
    """The environment of every contender: an empty home, no proxy, no settings, no colors."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "HOME": _home(), "TERM": "xterm-256color", "PYTHONDONTWRITEBYTECODE": "1"}


_HOMES: list[tempfile.TemporaryDirectory[str]] = []


def _home() -> str:
    if not _HOMES:
        _HOMES.append(tempfile.TemporaryDirectory(prefix="bench-home-"))
    return _HOMES[0].name


def wall(command: Sequence[str], *, limit_s: float = LIMIT_S, env: Mapping[str, str] | None = None) -> float:
    """Seconds that a command takes from its start to its end.

    Raises:
        Failed: it cannot be started, fails, or takes longer than ``limit_s``.
    """
    began = time.perf_counter()
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**environment(), **(env or {})},
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"took longer than {limit_s:g} s") from None
    except OSError as error:
        raise Failed(f"cannot be started: {error.strerror}") from None
    took = time.perf_counter() - began
    if done.returncode:
        raise Failed(f"exit {done.returncode}: {_last_line(done.stderr)}")
    return took


def outcome_of(command: Sequence[str], *, limit_s: float) -> Any:
    """What a program of this package says as JSON when it has ended.

    Raises:
        Failed: it fails, or takes longer than ``limit_s``.
    """
    try:
        done = subprocess.run(
            command, cwd=ROOT.parent, env=environment(), capture_output=True, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"took longer than {limit_s:g} s") from None
    if done.returncode:
        raise Failed(_last_line(done.stderr))
    return json.loads(done.stdout)


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1][:120] if lines else "no message"


@dataclass(frozen=True)
class Read:
    """What came out of a pipe or terminal.

    Attributes:
        lines: line ends.
        first_s, last_s: from the start of the process to the first and the last byte.
        ended_s: to its end.
    """

    lines: int
    first_s: float
    last_s: float
    ended_s: float


def read_all(
    command: Sequence[str], *, limit_s: float = LIMIT_S, terminal: bool = False, keep_stdin: bool = True
) -> Read:
    """Run a command and count the lines that it writes into a pipe, or into a terminal of 120 × 40.

    Raises:
        Failed: it cannot be started, or takes longer than ``limit_s``.
    """
    began = time.perf_counter()
    with spawned(command, terminal=terminal) as (process, output):
        lines, first, last = 0, 0.0, 0.0
        end = began + limit_s
        while True:
            ready, _, _ = select.select([output], [], [], max(0.0, end - time.perf_counter()))
            if not ready:
                raise Failed(f"took longer than {limit_s:g} s, after {lines} lines")
            try:
                data = os.read(output, _CHUNK)
            except OSError:
                # A terminal whose other end was closed.
                data = b""
            if not data:
                break
            last = time.perf_counter() - began
            first = first or last
            lines += data.count(b"\n")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        return Read(lines, first, last, time.perf_counter() - began)


@contextlib.contextmanager
def spawned(command: Sequence[str], *, terminal: bool = False) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start a process and yield it with the descriptor of its output; kill it at the end. Its stdin stays open."""
    if terminal:
        output, inner = pty.openpty()
        ioctl(inner, TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        streams = {"stdin": inner, "stdout": inner, "stderr": inner}
    else:
        output, inner = os.pipe()
        streams = {"stdin": subprocess.PIPE, "stdout": inner, "stderr": subprocess.DEVNULL}
    try:
        try:
            process = subprocess.Popen(command, env=environment(), start_new_session=True, **streams)  # type: ignore[call-overload]
        except OSError as error:
            raise Failed(f"cannot be started: {error.strerror}") from None
        finally:
            os.close(inner)
        try:
            yield process, output
        finally:
            _end(process)
    finally:
        os.close(output)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()


@dataclass(frozen=True)
class Serving:
    """A server that runs.

    Attributes:
        told: what it said when it was ready.
    """

    port: int
    pid: int
    told: Mapping[str, object]

    @property
    def url(self) -> str:
        """The URL for ``--server``."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        """The WebSocket URL of the first submission."""
        return f"ws://127.0.0.1:{self.port}/ws/submissions/1"


@contextlib.contextmanager
def serving(command: Sequence[str], *, port: int | None = None, start_s: float = START_S) -> Iterator[Serving]:
    """A server for a ``with`` block.

    Args:
        command: it prints one JSON object with its ``port`` when it is ready;
        port: or it says nothing, and is ready when this one answers.

    Raises:
        Failed: it is not ready in time.
    """
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**environment(), "PYTHONPATH": str(ROOT.parent)},
            start_new_session=True,
        )
        try:
            assert process.stdout is not None
            told: dict[str, object] = {"port": port}
            if port is None:
                ready, _, _ = select.select([process.stdout], [], [], start_s)
                line = process.stdout.readline() if ready else b""
                if not line:
                    errors.seek(0)
                    raise Failed(f"the server did not start: {_last_line(errors.read())}")
                told = json.loads(line)
            else:
                _wait_for_port(port, process, start_s)
            yield Serving(int(str(told["port"])), process.pid, told)
        finally:
            _end(process)


def _wait_for_port(port: int, process: subprocess.Popen[bytes], start_s: float) -> None:
    end = time.monotonic() + start_s
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise Failed("the server did not start")


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def python_module(name: str, *arguments: str) -> list[str]:
    """A module of this package as a command for the current interpreter."""
    return [sys.executable, "-m", f"bench.{name}", *arguments]


def resident_kib(pid: int) -> int:
    """Memory of a process, its children included, in KiB (``Rss`` of smaps_rollup, else VmRSS)."""
    total = 0
    for each in (pid, *_children(pid)):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{each}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1])
    return total


def cpu_s(pid: int) -> float:
    """Processor seconds used by a process and its children."""
    total = 0.0
    for each in (pid, *_children(pid)):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text().split():
                found += [int(child), *_children(int(child))]
    return found
