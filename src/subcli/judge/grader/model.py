"""A grader, and what it reports."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final, Literal

import msgspec

from subcli.judge.cases.model import Feedback

MAX_BYTES: Final = 4 * 1024 * 1024
"""The most that all files of results may hold."""
MAX_RESULTS: Final = 10_000
MAX_TEXT: Final = 8_192
"""Characters of a name, a message or an output; the rest is cut."""
_MAX_SECONDS: Final = 86_400.0
_MAX_POINTS: Final = 1e9


PRINTED: Final = ("tap", "go", "rust", "unity")
"""What `results` may be when the grader prints them on stdout."""
EXIT: Final = "exit"
"""What `results` is when the exit code is all there is."""
GRADESCOPE: Final = "gradescope"
"""What `results` is when the grader finds everything where Gradescope has it, in /autograder."""


class Grader(msgspec.Struct, frozen=True):
    """How a problem is graded. The commands are those of its languages."""

    files: tuple[tuple[str, Path], ...]
    """What is laid beside the solution: the path there, and the author's file."""
    results: str
    """One of `PRINTED`, `EXIT`, `GRADESCOPE`; or the file of results: a path or a pattern, relative to the solution."""
    packages: tuple[str, ...] = ("pytest",)
    """Python packages, installed beside the judge, that it may import."""
    pass_score: float | None = None
    max_score: float | None = None
    """What `score` in results.json is out of, where the tests do not say so."""


class TestResult(msgspec.Struct, frozen=True):
    """One test, as a grader reports it."""

    __test__ = False  # not a class of tests

    name: str
    status: Literal["passed", "failed", "skipped"]
    message: str = ""
    expected: str = ""
    actual: str = ""
    output: str = ""
    duration_ms: int = 0
    score: float | None = None
    max_score: float | None = None
    feedback: Feedback = "full"
    group: str = ""


class Report(msgspec.Struct, frozen=True):
    """What a grader has found."""

    results: tuple[TestResult, ...]
    score: float | None = None
    """In all, where the grader says so itself."""
    remark: str = ""
    """What it says to whoever submitted, beyond its tests."""


class ReportError(ValueError):
    """Results are not in their format. The text says what is wrong, in one sentence, without a full stop."""


def seconds_to_ms(seconds: float) -> int:
    """A duration that a grader reports; 0 if it is not plausible."""
    return round(seconds * 1000) if 0 <= seconds < _MAX_SECONDS else 0


def check_points(value: float, what: str) -> float:
    """
    Raises:
        ReportError: It is not a valid score.
    """
    if not math.isfinite(value) or abs(value) > _MAX_POINTS:
        raise ReportError(f"{what} is {value}, which is not a valid score")
    return value
