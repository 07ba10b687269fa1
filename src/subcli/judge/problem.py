"""A problem: what `problem_file` reads from a directory with a `problem.toml`, and what the judge works with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta

from subcli.judge.cases.expected import Expected
from subcli.judge.cases.model import CaseSet
from subcli.judge.grader.model import Grader
from subcli.judge.languages.language import Language

Seconds: TypeAlias = Annotated[
    float, Meta(gt=0, lt=86_400, description="a number of seconds, more than 0 and less than a day")
]
AtLeast1: TypeAlias = Annotated[int, Meta(ge=1, description="an integer, at least 1")]
AtLeast16: TypeAlias = Annotated[int, Meta(ge=16, description="an integer, at least 16")]


class ResourceLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a submission may use: the table `[limits]`. Units are in the names; times are wall-clock times."""

    test_seconds: Seconds = 20.0
    answer_seconds: Seconds = 5.0
    """For one answer of a node, under pytest only: it tells a node that hangs from a test that is slow."""
    submission_seconds: Seconds = 120.0
    build_seconds: Seconds = 60.0
    memory_mb: AtLeast16 = 256
    """For each process of a program that runs."""
    build_memory_mb: AtLeast16 = 1024
    """For each process of a build: a compiler needs more than what it compiles."""
    total_memory_mb: AtLeast16 = 1024
    """For all processes of the submission together."""
    processes: AtLeast1 = 32
    file_size_mb: AtLeast1 = 16
    """For each file."""
    disk_mb: AtLeast1 = 64
    """For what a build leaves behind, and for the private /tmp of each process; in a sandbox only."""
    files: AtLeast16 = 4096
    """Files and directories in the same places."""
    output_kb: AtLeast1 = 1024

    def for_build(self) -> ResourceLimits:
        """The limits while a solution is built."""
        return msgspec.structs.replace(
            self,
            memory_mb=self.build_memory_mb,
            total_memory_mb=max(self.build_memory_mb, self.total_memory_mb),
            test_seconds=self.build_seconds,
        )


GRADER_LIMITS: Final[Mapping[str, float]] = MappingProxyType(
    {
        "build_seconds": 120.0,
        "memory_mb": 1024,
        "build_memory_mb": 2048,
        "total_memory_mb": 2048,
        "processes": 64,
        "file_size_mb": 128,
        "disk_mb": 512,
        "files": 16_384,
    }
)
"""The limits of a grader, where its author does not say otherwise. It often builds what it tests."""


class ProblemError(ValueError):
    """A problem cannot be used.

    Attributes:
        path: the file or directory at fault.
        complaint: what is wrong with it.
        line: the line of the file, counted from 1, if it is known.
    """

    def __init__(self, path: Path, complaint: str, line: int | None = None) -> None:
        super().__init__(path, complaint, line)
        self.path = path
        self.complaint = complaint
        self.line = line

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.complaint}" if self.line else f"{self.path}: {self.complaint}"


@dataclass(frozen=True)
class Timing:
    """Where the time limit of a package comes from.

    Attributes:
        is_declared: whether the package declares one; else it follows from what its accepted solutions take.
        multiplier: how many times as long as the slowest of them it is then.
        margin: how many times the limit a solution that is too slow takes at least.
        resolution_s: it is a multiple of this.
    """

    is_declared: bool
    multiplier: float
    margin: float
    resolution_s: float

    def inferred(self, slowest_s: float) -> float:
        """The limit that the format gives to a package whose slowest accepted solution takes `slowest_s`."""
        steps = math.ceil(round(slowest_s * self.multiplier / self.resolution_s, 9))
        return max(1, steps) * self.resolution_s


@dataclass(frozen=True)
class Solution:
    """A solution that ships with the problem, and what is expected of it."""

    file: Path
    """A file, or a directory of the files of one solution."""
    language: str
    """Empty if it is in none that the judge knows."""
    expect: str
    """The verdict that it must get; empty if `expected` says more."""
    failed: tuple[str, ...] = ()
    """The names of exactly the tests that fail; empty if the author does not say."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """If it has several files: by their paths in the submission, `file` being the first."""
    entrypoint: str = ""
    """The file or class to start, where the author says so."""
    expected: Expected | None = None
    """What a package expects."""


@dataclass(frozen=True)
class Problem:
    """One problem, as its directory describes it."""

    id: int
    slug: str
    title: str
    description: str
    languages: Mapping[str, Language]
    limits: ResourceLimits
    root: Path
    runner: str = "pytest"
    """pytest, tap, cases or grader."""
    tests: str = "tests"
    """The directory of the tests, relative to `root`."""
    command: tuple[str, ...] = ()
    """The command that prints TAP, where `runner` is `tap`."""
    cases: CaseSet | None = None
    """The tests, where `runner` is `cases`."""
    grader: Grader | None = None
    """The author's program that runs beside the solution, where `runner` is `grader`."""
    total_tests: int | None = None
    solutions: tuple[Solution, ...] = ()
    network: bool = False
    """Whether its solutions may open sockets, on a loopback of their own."""
    local_files: tuple[Path, ...] = field(default=())
    """Files that `subcli init` copies, to run tests locally."""
    included: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)
    """By language, the files of the author's that are laid over those of a submission, by their paths in it."""
    constants: Mapping[str, str] = field(default_factory=dict)
    """What `{{name}}` stands for in the author's programs."""
    timing: Timing | None = None
    """Where the time limit comes from, for packages."""
    remarks: tuple[str, ...] = ()
    """What its author should know, and which does not keep it from being judged."""
    closes: datetime | None = None
    """From when on the server accepts no submissions, in UTC."""
    max_attempts: int | None = None
    """How many submissions that count each user may make."""
    version: str = ""
    """The name of this version (`subcli.judge.manifest`); empty if it has none."""
    copied_from: Path | None = None
    """The author's directory, if `root` is a copy of it."""

    @property
    def is_hosted(self) -> bool:
        """Whether one host starts all runs of a solution, one after the other, in one sandbox."""
        return self.cases is not None or self.grader is not None

    @property
    def origin(self) -> Path:
        """The author's directory, for messages to authors and operators."""
        return self.copied_from or self.root

    @property
    def file(self) -> Path:
        """The file that describes it, for messages."""
        name = "problem.yaml" if self.timing is not None else "problem.toml"
        return self.origin / name

    @property
    def directories(self) -> tuple[Path, ...]:
        """Its directory; if that is a copy, also the original, and the copy of what lies beside it."""
        return (self.root,) if self.copied_from is None else (self.root, self.root.parent, self.copied_from)

    def as_authored(self, text: str) -> str:
        """A text for authors and operators, with their own paths in place of the copy's."""
        if self.copied_from is None:
            return text
        # The problems beside it, and what they share, are copied along with it.
        return text.replace(str(self.root.parent), str(self.copied_from.parent))

    def as_json(self) -> dict[str, Any]:
        """All of it as plain data, for the process that judges: it must not read a file that changes meanwhile."""
        values: dict[str, Any] = msgspec.to_builtins(self, enc_hook=_plain)
        return values

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Problem:
        """The problem that `as_json` described."""
        return msgspec.convert(values, Problem, dec_hook=_from_plain)


def versioned(slug: str, version: str | None) -> str:
    """What a version of a problem is called where there may be several; without a version, the slug."""
    return f"{slug}@{version}" if version else slug


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


def _from_plain(kind: type, value: Any) -> object:
    return kind(value)
