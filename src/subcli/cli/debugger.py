"""``subcli test --debug-node``: a node of a replayed failure under pdb or debugpy."""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from subcli.cli.streams import Streams
from subcli.core.errors import UsageError
from subcli.judge.debugging import Debugged
from subcli.output.terminal import report

if TYPE_CHECKING:
    from subcli.judge.problem import Problem
    from subcli.shared.run_trace import RunTrace

_NO_LIMIT_S: Final = 80_000.0
_DEBUGGED_MB: Final = 4_096


def debugged(
    node: str, debugger: str | None, language: str, traces: Mapping[str, RunTrace], streams: Streams
) -> Debugged:
    """How to start a node under a debugger.

    Args:
        node: its name.
        debugger: ``pdb`` or ``debugpy``; ``None``: debugpy if it is installed, else pdb.
        language: of the solution.
        traces: the failures that are replayed, of which there must be only one.

    Raises:
        UsageError: It is not possible.
    """
    if len(traces) != 1:
        raise UsageError("`--debug-node` is for one test.", hint="Name it: `--replay ID:TEST`.")
    (trace,) = traces.values()
    if node not in trace.nodes:
        raise UsageError(f"There is no node {node!r}.", hint=f"There are: {', '.join(trace.nodes)}.")
    if language != "python":
        raise UsageError(f"Nodes in {language} cannot be debugged here; those in Python can.")
    found = importlib.util.find_spec("debugpy")
    if debugger == "pdb" or (debugger is None and found is None):
        if not streams.stdin_tty:
            raise UsageError("pdb needs a terminal.", hint="`--debugger debugpy` waits for an editor instead.")
        if sys.platform == "win32":
            raise NotImplementedError("Nothing is judged on Windows.")
        return Debugged(node, trace.cluster, f"pdb {os.ttyname(streams.stdin.fileno())}")
    if found is None or found.origin is None:
        raise UsageError("debugpy is not installed.", hint="`pip install debugpy`, or use `--debugger pdb`.")
    port = _free_port()
    report.note(
        f"{node} waits for a debugger at 127.0.0.1:{port}. Editors attach to it with the path mapping from your "
        'directory to "."',
        streams.stderr,
        streams.env,
    )
    return Debugged(node, trace.cluster, f"debugpy {port} {Path(found.origin).parent.parent}")


def _free_port() -> int:
    """debugpy's usual port, or another one if that is taken."""
    for port in (5678, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise UsageError("No port is free on this machine.")


def without_limits(problem: Problem) -> Problem:
    """The problem with limits that do not end what a person looks at."""
    times = dict.fromkeys(("test_seconds", "answer_seconds", "submission_seconds"), _NO_LIMIT_S)
    sizes = {"memory_mb": _DEBUGGED_MB, "total_memory_mb": 4 * _DEBUGGED_MB}
    more = {"processes": problem.limits.processes + 32, "output_kb": 64 * 1024}
    return replace(problem, limits=msgspec.structs.replace(problem.limits, **times, **sizes, **more))
