"""What a rule is given, and what it returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from subcli.judge.evidence import Site


@dataclass(frozen=True)
class Context:
    """The submission that failed."""

    files: Mapping[str, str]
    language: str
    runtime: str = ""
    """Whose tracebacks to look for first; see `traces.read_trace`."""

    def line_text(self, file: str, line: int) -> str:
        """A line of the submission without its indentation; empty if there is no such line."""
        lines = self.files.get(file, "").splitlines()
        return lines[line - 1].strip() if 0 < line <= len(lines) else ""


@dataclass(frozen=True)
class Finding:
    """An explained failure: what a rule returns, and what an `error_analysis` event reports."""

    category: str
    analysis: str
    """What the failure means."""
    suggestions: Sequence[str] = ()
    """What to do about it."""
    error: str = ""
    """The symptom in one line. A rule may leave it empty: then it is the evidence's message."""
    location: Site | None = None
    """Where it happened. A rule may leave it out: then it is looked for in the evidence."""


THE_PROGRAM = "the program"
"""What a solution is called that is not one of several nodes."""
