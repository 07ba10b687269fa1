"""Streams that a test reads, and commands that run on them without a process."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from subcli.cli.streams import Streams


@dataclass(frozen=True)
class Captured:
    """What a command reads and writes.

    Attributes:
        streams: to hand to a run function.
        out, err: what was written.
    """

    streams: Streams
    out: io.StringIO
    err: io.StringIO

    @property
    def json(self) -> dict[str, Any]:
        """The last line of stdout, as the object that it is."""
        found: dict[str, Any] = json.loads(self.out.getvalue().splitlines()[-1])
        return found


def captured(cwd: Path, stdin: str = "", *, tty: bool = False, **env: str) -> Captured:
    """Streams in memory.

    Args:
        cwd: the working directory.
        stdin: what is there to read.
        tty: whether all three count as terminals.
        env: the environment, and nothing else.
    """
    out, err = io.StringIO(), io.StringIO()
    streams = Streams(
        stdin=io.StringIO(stdin),
        stdout=out,
        stderr=err,
        env=dict(env),
        cwd=cwd,
        stdin_tty=tty,
        stdout_tty=tty,
        stderr_tty=tty,
    )
    return Captured(streams, out, err)
