"""What a rule is given, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from subcli.judge.evidence import Site


@dataclass(frozen=True)
class Context:
    """The submission that failed."""

    files: Mapping[str, str]
    language: str

    def line_text(self, file: str, line: int) -> str:
        """The text of a line of the submission, without its indentation; empty where there is none."""
        lines = self.files.get(file, "").splitlines()
        return lines[line - 1].strip() if 0 < line <= len(lines) else ""


@dataclass(frozen=True)
class Finding:
    """A rule's answer.

    `error` is the symptom in one line (empty: the evidence's own message), `analysis` what it means,
    `suggestions` what to do. Without a `location` the place is looked for in the evidence.
    """

    category: str
    analysis: str
    suggestions: Sequence[str] = ()
    error: str = ""
    location: Site | None = None
