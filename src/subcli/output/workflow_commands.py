"""Streams of a GitHub job: what a server says is never taken for a command to the runner.

The runner reads every line of stdout and stderr, and obeys those that begin with ``::`` (white space before it
does not matter) or that hold ``##[`` anywhere ("Workflow commands for GitHub Actions"). A backslash takes that
from them; in JSON, where it would change the text, ``##[`` is written as ``#\\u0023[``.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Mapping
from typing import Any, Final

_AT_START: Final = re.compile(r"((?:\A|[\r\n])\s*)::")
_BEGUN: Final = re.compile(r"((?:\A|[\r\n])\s*):\Z")


def on_github(env: Mapping[str, str]) -> bool:
    """Whether this is a job of GitHub Actions."""
    return env.get("GITHUB_ACTIONS") == "true"


def defuse_streams(*, json: bool) -> None:
    """Put a :class:`Defused` before stdout and stderr."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        # Not what a test has put there.
        if type(stream) is io.TextIOWrapper:
            settings = {"encoding": stream.encoding, "errors": stream.errors, "line_buffering": stream.line_buffering}
            setattr(sys, name, Defused(stream.detach(), json=json and name == "stdout", **settings))


class Defused(io.TextIOWrapper):
    """A text stream without commands in it, but for those written with :meth:`write_command`."""

    def __init__(self, buffer: Any, *, json: bool, **settings: Any) -> None:
        super().__init__(buffer, **settings)
        self._json = json
        self._line = ""
        self._is_new = True

    def write(self, text: str) -> int:
        """Write the lines that are complete with ``text``."""
        whole = self._line + text
        end = max(whole.rfind("\n"), whole.rfind("\r")) + 1
        if end:
            self._put(whole[:end])
            self._is_new = True
        self._line = whole[end:]
        return len(text)

    def flush(self) -> None:
        """Write what there is of a line, too. What comes next cannot make a command of it any more."""
        line, self._line = self._line, ""
        if line:
            self._put(_BEGUN.sub(r"\1\\:", line) if self._is_new else line)
            if line.endswith("#") and not self._json:
                super().write("\\")
            self._is_new = self._is_new and not line.strip()
        super().flush()

    def write_command(self, command: str) -> None:
        """Write a line that is a command, ours."""
        self.flush()
        super().write(f"{command}\n")
        self._is_new = True

    def _put(self, text: str) -> None:
        if self._json:
            super().write(text.replace("##[", "#\\u0023["))
            return
        # What goes on a line begun before is not at its start, whatever it is.
        safe = _AT_START.sub(r"\1\\::", text if self._is_new else f".{text}")
        super().write((safe if self._is_new else safe[1:]).replace("##[", "#\\#["))
