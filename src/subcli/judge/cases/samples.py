"""The samples of a problem: the cases that everybody may have, with their data."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from subcli.judge.cases.feedback import settled
from subcli.judge.cases.model import Case, CaseSet, Comparison

PREFIX: Final = "sample/"
"""How the names of samples begin, in packages and in `problem.toml` alike."""
_MOST: Final = 50
_FILE_BYTES: Final = 64 * 1024
_ALL_BYTES: Final = 512 * 1024
_NAME_CHARS: Final = 150


@dataclass(frozen=True)
class Sample:
    """A sample.

    Attributes:
        name: of its case.
        input: what the solution reads.
        answer: what it may print.
        comparison: what counts, where the problem has no checker.
        program_arguments: those that the solution gets.
    """

    name: str
    input: str
    answer: str
    comparison: Comparison
    program_arguments: tuple[str, ...]

    @property
    def short_name(self) -> str:
        """Its name among the samples."""
        return self.name.removeprefix(PREFIX)


def samples_of(cases: CaseSet) -> tuple[Sample, ...]:
    """The samples of a problem, in order.

    Left out is what is not text or larger than 64 KiB, what the author shows in another form, what has more files than
    an input, and all of it where the solution talks to a checker: then a case has no input that one could give to a
    program.
    """
    checker = cases.checker
    if checker is not None and (checker.interactive or checker.max_passes > 1):
        return ()
    found: list[Sample] = []
    left = _ALL_BYTES
    for case in _public(settled(cases, time.time())):
        answer_file = case.input.with_suffix(".out")
        given, answer = _text(case.input), _text(answer_file if answer_file.is_file() else case.answer)
        if given is None or answer is None or len(found) == _MOST:
            continue
        left -= len(given) + len(answer)
        if left < 0:
            break
        found.append(Sample(case.name, given, answer, case.comparison, case.program_arguments))
    return tuple(found)


def _public(cases: CaseSet) -> Iterator[Case]:
    for case in cases.root.cases():
        if case.name.startswith(PREFIX) and case.feedback == "full" and _is_writable(case.name) and not case.files:
            shown = (case.input.with_name(f"{case.input.name}.{form}") for form in ("statement", "download"))
            if not any(path.exists() for path in shown):
                yield case


def _is_writable(name: str) -> bool:
    """Whether `subcli init` can name files like this."""
    parts = name.split("/")
    return len(name) <= _NAME_CHARS and all(
        part and not part.startswith(".") and part.isprintable() and "\\" not in part for part in parts
    )


def _text(path: Path) -> str | None:
    """The text of a file; None if it is none, or too long."""
    try:
        with path.open("rb") as file:
            data = file.read(_FILE_BYTES + 1)
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return text if len(data) <= _FILE_BYTES and "\0" not in text else None
