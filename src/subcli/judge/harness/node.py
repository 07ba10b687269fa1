"""One process of the solution and its pipes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Final

from subcli.judge.debugging import Debugged
from subcli.judge.evidence import Site
from subcli.judge.process.processes import delay_s, descendants, process_below
from subcli.judge.process.starter import StartPlan, spawn
from subcli.judge.process.text import Tail, decode_beginning

TRACE_VARIABLE = "SUBCLI_TRACE_FD"
"""Tells a language's shim the descriptor on which to report where each line was printed."""

DEBUGGER_VARIABLE = "SUBCLI_DEBUGGER"
"""Tells a language's shim the debugger to run under."""
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})

SHOWN_BYTES = 2_000
"""Of a line, in what is said about it."""
_CHUNK = 65_536
_TRACES_KEPT = 4_096
_DRAIN_READS = 64
_DUMP_SECONDS = 1.0
_MAX_LINE = 10_000_000
"""No file of a submission has more lines."""


@dataclass(frozen=True)
class NodePlan:
    """How the nodes of a submission are started, and their limits."""

    start: StartPlan
    command: tuple[str, ...]
    output_kb: int
    answer_seconds: float
    importable: tuple[str, ...] = ()
    """Modules of the solution's that tests may import by name; see `module`."""
    network: bool = False
    """Whether it may open sockets."""
    traced: bool = False
    """Whether failed tests are to report their traces."""
    only: tuple[str, ...] = ()
    """The ids of the tests to run; all of them if it is empty."""
    debugged: Debugged | None = None
    """The node that runs under a debugger."""
    tells_output: bool = False
    """Whether what it writes to stderr is wanted at once."""


def _nobody(name: str, data: bytes) -> None:
    """Nobody wants to know what is printed."""


class Node:
    """A running process that reads and writes lines. All of its descriptors are non-blocking.

    Attributes:
        on_output: Called with the name of a node and what it wrote to stderr, from whichever thread reads it.
    """

    on_output: ClassVar[Callable[[str, bytes], None]] = staticmethod(_nobody)

    def __init__(
        self, name: str, plan: NodePlan, pass_fds: tuple[int, ...] = (), environment: Mapping[str, str] = NOTHING
    ) -> None:
        self.name = name
        self.plan = plan
        trace_read, trace_write = os.pipe()
        try:
            self.process = spawn(
                plan.start,
                plan.command,
                stdin=subprocess.PIPE,
                pass_fds=(trace_write, *pass_fds),
                extra_environment={TRACE_VARIABLE: str(trace_write), **environment},
            )
        except BaseException:
            os.close(trace_read)
            raise
        finally:
            os.close(trace_write)
        stdin, stdout, stderr = self.process.stdin, self.process.stdout, self.process.stderr
        assert stdin is not None
        assert stdout is not None
        assert stderr is not None
        self.stdin, self.stdout, self.stderr, self.trace = stdin.fileno(), stdout.fileno(), stderr.fileno(), trace_read
        for descriptor in (self.stdin, self.stdout, self.stderr, self.trace):
            os.set_blocking(descriptor, False)
        self.lines: deque[bytes] = deque()
        """Complete lines of stdout that have not been taken yet."""
        self.unsent = bytearray()
        self.log = Tail()
        """What the node wrote to stderr."""
        self.printed = 0
        """Bytes written to stdout so far."""
        self.at_end = False
        """Whether the node has closed its stdout."""
        self._partial = bytearray()
        self._trace_partial = bytearray()
        self._traces: deque[tuple[int, tuple[Site, ...]]] = deque(maxlen=_TRACES_KEPT)
        self.last_sites: tuple[Site, ...] = ()
        self.closed = False
        self._dump_signal: signal.Signals | None = None

    # -- what the switchboard calls when a descriptor is ready

    def write_some(self) -> None:
        try:
            written = os.write(self.stdin, self.unsent[:_CHUNK])
        except BlockingIOError:
            return
        except OSError:
            # The node has closed its stdin; its exit will tell why.
            self.unsent.clear()
            return
        del self.unsent[:written]

    def read_stdout(self) -> None:
        data = _read(self.stdout)
        if data is None:
            return
        if not data:
            self.at_end = True
            return
        self.printed += len(data)
        *whole, rest = data.split(b"\n")
        if whole:
            self.lines.append(bytes(self._partial) + whole[0])
            self.lines.extend(whole[1:])
            self._partial.clear()
        self._partial += rest

    def read_stderr(self) -> bool:
        """Returns False at the end of the stream."""
        data = _read(self.stderr)
        if data:
            self.log.add(data)
            if self.plan.tells_output:
                Node.on_output(self.name, data)
        return data != b""

    def read_trace(self) -> bool:
        """Returns False at the end of the stream."""
        data = _read(self.trace)
        if data:
            self._trace_partial += data
            *whole, rest = self._trace_partial.split(b"\n")
            self._trace_partial = bytearray(rest[-_CHUNK:])
            for line in whole:
                self._add_trace(bytes(line))
        return data != b""

    # -- its state

    def delay_s(self) -> float:
        """How long its processes have waited for a processor so far, in seconds."""
        below = descendants(self.process.pid)
        return delay_s(self.process.pid) + sum(delay_s(each.pid, each.threads) for each in below)

    @property
    def flooding(self) -> bool:
        """Whether it printed more than it may, on stdout or on stderr."""
        limit = self.plan.output_kb * 1024
        return self.printed > limit or self.log.total > limit

    @property
    def unfinished_line(self) -> str:
        return decode_beginning(bytes(self._partial[: SHOWN_BYTES + 1]), SHOWN_BYTES)

    def sites_of(self, line: bytes) -> tuple[Site, ...]:
        """Where the solution printed `line`, as reported by its shim; empty without a shim.

        The report comes from the solution's own process and may be forged, so it is shown and never relied on.
        """
        while self.read_trace_now():
            pass
        wanted = _fingerprint(line)
        while self._traces:
            fingerprint, sites = self._traces.popleft()
            if fingerprint == wanted:
                return sites
        return ()

    def read_trace_now(self) -> bool:
        before = len(self._traces), len(self._trace_partial)
        return self.read_trace() and before != (len(self._traces), len(self._trace_partial))

    def drain_log(self) -> None:
        """Read what is in stderr now. Bounded, because a node may write faster than this reads."""
        for _ in range(_DRAIN_READS):
            before = self.log.total
            self.read_stderr()
            if self.log.total == before:
                return

    def exit_code(self, timeout_s: float) -> int | None:
        """The exit code, for which this waits at most `timeout_s`; None if the process still runs."""
        try:
            code = self.plan.start.exit_code(self.process.wait(timeout_s))
        except subprocess.TimeoutExpired:
            return None
        deadline = time.monotonic() + 0.2
        # A child of the node may hold the pipe open: read what is there without waiting for its end.
        while self.read_stderr() and time.monotonic() < deadline:
            time.sleep(0.005)
        return code

    def dump_stack(self) -> None:
        """Ask the shim, if it supports this, to write the current call stack to stderr."""
        if self._dump_signal is None or self.process.poll() is not None:
            return
        inner = process_below(self.process.pid, self.plan.start.layers)
        if inner is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.kill(inner, self._dump_signal)
        before, deadline = self.log.total, time.monotonic() + _DUMP_SECONDS
        while time.monotonic() < deadline:
            self.drain_log()
            if self.log.total > before:
                # The rest follows at once.
                time.sleep(0.02)
                self.drain_log()
                return
            time.sleep(0.01)

    # -- ending it

    def kill(self) -> None:
        """Send SIGKILL to the node's process group and wait for the node to end."""
        if self.closed:
            return
        self.closed = True
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.drain_log()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        os.close(self.trace)

    def _add_trace(self, line: bytes) -> None:
        try:
            value = json.loads(line)
            if isinstance(value, dict):
                self._dump_signal = signal.Signals(value["dump_signal"])
                return
            fingerprint, frames = value
            sites = tuple(_site(frame) for frame in frames)
        except (LookupError, ValueError, TypeError, RecursionError):
            return
        self._traces.append((fingerprint, sites))
        self.last_sites = sites


def _site(frame: Sequence[object]) -> Site:
    file, line, function = frame
    if not (isinstance(file, str) and isinstance(line, int) and isinstance(function, str)):
        raise TypeError(frame)
    if not 0 < line <= _MAX_LINE:
        raise ValueError(line)
    return Site(file[:300], line, function[:200])


def _read(descriptor: int) -> bytes | None:
    """What can be read now; None if there is nothing, b"" at the end of the stream."""
    try:
        return os.read(descriptor, _CHUNK)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _fingerprint(line: bytes) -> int:
    # The shims compute the same checksum, which every language can.
    import zlib

    return zlib.crc32(line.rstrip(b"\r"))
