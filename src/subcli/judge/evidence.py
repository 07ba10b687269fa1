"""What is known about a failure.

The tests fill it in, the rules of `subcli.judge.analysis` read it, and it travels between processes as JSON.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from subcli.judge.process.text import ServerPaths, cut

MESSAGE_BYTES = 2_000
OUTPUT_BYTES = 8_192
_LIMITS_BYTES = {
    "message": MESSAGE_BYTES,
    "expected": 4_000,
    "actual": 4_000,
    "line": 2_000,
    "stderr": OUTPUT_BYTES,
    "explanation": 4_000,
}
"""How long each text may be. The other fields are short by themselves."""
_WITH_PATHS = ("message", "expected", "actual", "line", "stderr", "command", "explanation")
"""Texts in which paths of this machine may occur."""
_MAX_SUGGESTIONS = 10
_SUGGESTION_BYTES = 1_000


@dataclass(frozen=True)
class Site:
    """A line in a file of the submission."""

    file: str
    line: int
    function: str = ""
    text: str = ""
    """The line itself, without its indentation."""


@dataclass(frozen=True)
class Evidence:
    """Facts about one failure. Empty fields are unknown or do not apply."""

    kind: str
    """violation, exit, silence, bad_line, bad_field, flood, assertion, difference, build, missing_tool, limit, tap,
    bail_out or judge."""
    message: str = ""
    expected: str = ""
    actual: str = ""
    expected_at: int | None = None
    """Where `expected` and `actual` begin to differ, in characters; None: wherever they do."""
    actual_at: int | None = None
    node: str = ""
    is_node: bool = False
    """Whether it is about a node of the harness, which answers messages until its input ends."""
    exit_code: int | None = None
    """As `subprocess` reports it: negative for a signal."""
    peak_mb: int = 0
    """The most memory that it used; 0: not measured."""
    memory_mb: int = 0
    """The limit at which its allocations fail; 0: there is none."""
    stderr: str = ""
    line: str = ""
    """The offending line of output."""
    field: str = ""
    """The field of a message that is missing or wrong."""
    sites: tuple[Site, ...] = ()
    """Lines of the user's files, the most relevant first."""
    command: str = ""
    """The command of a build, or the program that is missing."""
    language: str = ""
    limit: str = ""
    """The limit that was exceeded: time, submission_time, memory, processes, disk or left_behind."""
    seconds: float = 0.0
    left_behind: int = 0
    """Processes still running when the test ended."""
    explanation: str = ""
    suggestions: tuple[str, ...] = ()

    @property
    def is_time_out(self) -> bool:
        """Whether something took too long, which depends on what else the machine does."""
        return self.limit in ("time", "submission_time") or self.kind == "silence"

    def bounded(self) -> Evidence:
        """The evidence with long texts cut. Whoever collects evidence from a solution's output calls this."""
        texts: dict[str, Any] = {name: cut(getattr(self, name), size) for name, size in _LIMITS_BYTES.items()}
        return replace(self, suggestions=bounded_suggestions(self.suggestions), **texts)

    def without(self, paths: ServerPaths) -> Evidence:
        """The evidence without paths of this machine."""
        texts: dict[str, Any] = {name: paths.strip(getattr(self, name)) for name in _WITH_PATHS}
        for name in ("expected", "actual"):
            if (at := getattr(self, f"{name}_at")) is not None:
                text = getattr(self, name)
                head = paths.strip(text[:at])
                texts |= {name: head + paths.strip(text[at:]), f"{name}_at": len(head)}
        return replace(self, suggestions=tuple(map(paths.strip, self.suggestions)), **texts)


def bounded_suggestions(suggestions: tuple[str, ...]) -> tuple[str, ...]:
    """At most ten suggestions, each cut."""
    return tuple(cut(suggestion, _SUGGESTION_BYTES) for suggestion in suggestions[:_MAX_SUGGESTIONS])
