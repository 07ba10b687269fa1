"""Output streams of a GitHub Actions job that keep a server's text from acting as a workflow command.

The runner reads every line of stdout and stderr, and executes those that begin with ``::`` (after optional white
space) or that contain ``##[`` ("Workflow commands for GitHub Actions"). A backslash breaks such a sequence; in JSON,
where it would change the text, ``##[`` is written as ``#\\u0023[``.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Mapping
from typing import Any, Final

_COMMAND: Final = re.compile(r"((?:\A|[\r\n])\s*)::")
_HALF_A_COMMAND: Final = re.compile(r"((?:\A|[\r\n])\s*):\Z")


def on_github(env: Mapping[str, str]) -> bool:
    """Return whether this is a GitHub Actions job."""
    return env.get("GITHUB_ACTIONS") == "true"


def protect_streams(*, json: bool) -> None:
    """Replace stdout and stderr by a :class:`CommandSafeStream` each.

    Args:
        json: Whether stdout carries JSON.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        # Only the interpreter's own streams, not what a test has put in their place.
        if type(stream) is io.TextIOWrapper:
            settings = {"encoding": stream.encoding, "errors": stream.errors, "line_buffering": stream.line_buffering}
            setattr(sys, name, CommandSafeStream(stream.detach(), json=json and name == "stdout", **settings))


class CommandSafeStream(io.TextIOWrapper):
    """A text stream that contains no workflow commands but those written with :meth:`write_command`.

    Args:
        buffer: The binary stream to write to.
        json: Whether the text is JSON.
        settings: Passed on to ``io.TextIOWrapper``.
    """

    def __init__(self, buffer: Any, *, json: bool, **settings: Any) -> None:
        super().__init__(buffer, **settings)
        self._json = json
        self._line = ""
        self._at_line_start = True

    def write(self, text: str) -> int:
        """Write the lines that ``text`` completes, and hold back the rest until the next call."""
        pending = self._line + text
        end = max(pending.rfind("\n"), pending.rfind("\r")) + 1
        if end:
            self._write_safely(pending[:end])
            self._at_line_start = True
        self._line = pending[end:]
        return len(text)

    def flush(self) -> None:
        """Write the incomplete line too, so that later text cannot turn it into a command."""
        line, self._line = self._line, ""
        if line:
            self._write_safely(_HALF_A_COMMAND.sub(r"\1\\:", line) if self._at_line_start else line)
            if line.endswith("#") and not self._json:
                super().write("\\")
            self._at_line_start = self._at_line_start and not line.strip()
        super().flush()

    def write_command(self, command: str) -> None:
        """Write one of our own workflow commands, on a line of its own."""
        self.flush()
        super().write(f"{command}\n")
        self._at_line_start = True

    def _write_safely(self, text: str) -> None:
        if self._json:
            super().write(text.replace("##[", "#\\u0023["))
            return
        # The rest of a line that was begun earlier is not at the line's start: the dot keeps the pattern from matching.
        safe = _COMMAND.sub(r"\1\\::", text if self._at_line_start else f".{text}")
        super().write((safe if self._at_line_start else safe[1:]).replace("##[", "#\\#["))
