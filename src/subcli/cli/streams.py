"""The process as a command sees it: standard streams, environment and working directory in one value.

:func:`subcli.cli.main.run` makes one and hands it to the command, whose run function passes it on. No other module of
``cli`` reads ``sys.stdout`` or ``os.environ``, so a test calls a run function with streams of its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, kw_only=True)
class Streams:
    """What a command reads and writes.

    Attributes:
        env: the environment. Mutable because `serve` removes secrets that its children must not inherit.
        cwd: the working directory; ``None`` if it no longer exists.
        stdin_tty, stdout_tty, stderr_tty: whether the stream is a terminal, whatever ``FORCE_COLOR`` says.
    """

    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    env: MutableMapping[str, str]
    cwd: Path | None
    stdin_tty: bool = False
    stdout_tty: bool = False
    stderr_tty: bool = False

    @classmethod
    def of_process(cls) -> Streams:
        """Those of this process."""
        try:
            cwd = Path.cwd()
        except OSError:
            cwd = None
        return cls(
            stdin=sys.stdin,
            stdout=sys.stdout,
            stderr=sys.stderr,
            env=os.environ,
            cwd=cwd,
            stdin_tty=sys.stdin.isatty(),
            stdout_tty=sys.stdout.isatty(),
            stderr_tty=sys.stderr.isatty(),
        )

    @property
    def can_prompt(self) -> bool:
        """Whether there is somebody to ask: stdin and stderr are terminals."""
        return self.stdin_tty and self.stderr_tty

    def write(self, text: str) -> None:
        """Write to stdout, so that the reader has it at once."""
        self.stdout.write(text)
        self.stdout.flush()

    def write_error(self, text: str) -> None:
        """Write to stderr, so that the reader has it at once."""
        self.stderr.write(text)
        self.stderr.flush()

    def print_json(self, fields: Mapping[str, Any]) -> None:
        """Print one object on stdout, with the schema's version."""
        from subcli.output.ndjson import SCHEMA_VERSION
        from subcli.shared.protocol import encode

        self.write(encode({"schema": SCHEMA_VERSION, **fields}) + "\n")

    def console(self) -> Console:
        """A Rich console on stdout."""
        from subcli.output.terminal.console import make_console

        return make_console(self.stdout, self.env)
