"""The submitted code on a submission's page, with notes at the places that analyses name. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

_MOST_LINES: Final = 5000
"""Of more, browsers would make a page that hardly scrolls; then the code is plain text without notes."""
_NOTE_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True)
class Line:
    """A line of code, and what analyses say about it."""

    number: int
    text: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class File:
    """A submitted file.

    Attributes:
        lines: none if there are too many; `text` has them all.
    """

    path: str
    text: str
    lines: tuple[Line, ...]
    count: int


def files_with_notes(files: Mapping[str, str], analyses: Sequence[Mapping[str, Any]]) -> list[File]:
    """The files, by path, with notes from these `error_analysis` events."""
    notes = _notes(files, analyses)
    left = _MOST_LINES
    made = []
    for path, text in sorted(files.items()):
        rows = text.removesuffix("\n").split("\n")
        left -= len(rows)
        lines = (Line(number, row, tuple(notes.get((path, number), ()))) for number, row in enumerate(rows, 1))
        made.append(File(path, text, tuple(lines) if left >= 0 else (), len(rows)))
    return made


def _notes(files: Mapping[str, str], analyses: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], list[str]]:
    # By place and by what is said: the names of the tests.
    found: dict[tuple[str, int], dict[str, list[str]]] = {}
    for analysis in analyses:
        location = analysis.get("location")
        if not isinstance(location, dict):
            continue
        path, line = _path(files, location.get("file")), location.get("line")
        if path and isinstance(line, int):
            said = str(analysis.get("error") or analysis.get("category") or "").partition("\n")[0]
            names = found.setdefault((path, line), {}).setdefault(said[:_NOTE_CHARACTERS], [])
            names += [str(analysis["test_name"])] if analysis.get("test_name") else []
    return {place: [_note(said, names) for said, names in told.items()] for place, told in found.items()}


def _note(said: str, names: Sequence[str]) -> str:
    if not names:
        return said
    others = len(names) - 1
    more = f" and {others} more test{'' if others == 1 else 's'}" if others else ""
    return f"{names[0]}{more}: {said}"


def _path(files: Mapping[str, str], named: object) -> str:
    """The submitted file that an analysis means: the one of this path, or the only one of this name; empty if none."""
    if not isinstance(named, str) or named in files:
        return named if isinstance(named, str) else ""
    alike = [path for path in files if PurePosixPath(path).name == PurePosixPath(named).name]
    return alike[0] if len(alike) == 1 else ""
