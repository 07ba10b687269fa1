"""A problem: what `problem_file` reads from a directory with a `problem.toml`, and what the judge works with."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

SHIMS = Path(__file__).with_name("shims")
_PLACEHOLDER = re.compile(r"\{(?:source|python|shims)\}")

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
class Language:
    """How a solution in one language is built and started.

    `build` and `run` may contain the placeholders `{source}`, `{sources}` (every file with the extension of
    the source), `{python}` and `{shims}`; see `expand`.
    """

    name: str
    source: str
    run: tuple[str, ...]
    build: tuple[str, ...] = ()
    template: Path | None = None
    requires: tuple[str, ...] = ()
    """Programs that must be installed for this language, for example `node`."""
    bounded_address_space: bool = True
    """Whether memory may be limited by RLIMIT_AS; V8 and the JVM reserve far more than they use."""

    @property
    def programs(self) -> tuple[str, ...]:
        """The programs that must be installed: those that it requires, and those that its commands start by name."""
        started = (command[0] for command in (self.build, self.run) if command)
        return tuple(dict.fromkeys((*self.requires, *filter(is_installed_program, started))))

    def template_text(self) -> str:
        """The text of the template; empty if the problem has none."""
        return self.template.read_text(encoding="utf-8") if self.template else ""

    def name_of_single(self, submitted: str | None) -> str:
        """The name under which the only file of a submission is judged: its own, so that places name it.

        It is `source` where the file has no name, where its ending is another one (`entry` would not find it), and
        where the commands name `source` themselves.
        """
        words = (*self.build, *self.run)
        placed = any("{sources}" in word or "{source}" in word for word in words)
        # `./main.py`, but not `python_main.py`.
        fixed = any(re.search(rf"(?<![\w.-]){re.escape(self.source)}(?![\w.-])", word) for word in words)
        if not submitted or not placed or fixed or Path(submitted).suffix != Path(self.source).suffix:
            return self.source
        return Path(submitted).name

    def entry(self, files: Mapping[str, str]) -> str | None:
        """The file to start: the one named `source`, otherwise the only one with the same extension."""
        if self.source in files:
            return self.source
        alike = self._alike(files)
        return alike[0] if len(alike) == 1 else None

    def _alike(self, files: Mapping[str, str]) -> list[str]:
        suffix = Path(self.source).suffix
        return sorted(name for name in files if Path(name).suffix == suffix)

    def expand(self, command: tuple[str, ...], files: Mapping[str, str], entry: str) -> tuple[str, ...]:
        """The command with its placeholders replaced, for a submission of these files.

        A name such as `-o.c`, `@opts.c` or `+x.c` becomes `./-o.c`: no program takes it for an option or a file of
        options.
        """
        known = {"{source}": _operand(entry), "{python}": sys.executable, "{shims}": str(SHIMS)}
        words: list[str] = []
        for word in command:
            if word == "{sources}":
                words += map(_operand, self._alike(files))
            else:
                # In one pass: a file may be called like a placeholder.
                words.append(_PLACEHOLDER.sub(lambda found: known[found[0]], word))
        return tuple(words)


def is_installed_program(word: str) -> bool:
    """Whether a command's first word names a program of the machine, not a placeholder or a file beside the command."""
    return "{" not in word and (word.startswith("/") or "/" not in word)


def _operand(name: str) -> str:
    return f"./{name}" if name.startswith(("-", "@", "+")) else name


@dataclass(frozen=True)
class Solution:
    """A solution that ships with the problem, and the verdict that it must get."""

    file: Path
    language: str
    expect: str
    failed: tuple[str, ...] = ()
    """The names of exactly the tests that fail; empty if the author does not say."""


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
    tests: str = "tests"
    """The directory of the tests, relative to `root`."""
    command: tuple[str, ...] = ()
    """The command that prints TAP, where `runner` is `tap`."""
    total_tests: int | None = None
    solutions: tuple[Solution, ...] = ()
    network: bool = False
    """Whether its solutions may open sockets, on a loopback of their own."""
    local_files: tuple[Path, ...] = field(default=())
    """Files that `subcli init` copies, to run tests locally."""
    copied_from: Path | None = None
    """The author's directory, if `root` is a copy of it."""

    @property
    def origin(self) -> Path:
        """The author's directory, for messages to authors and operators."""
        return self.copied_from or self.root

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


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


def _from_plain(kind: type, value: Any) -> object:
    return kind(value)
