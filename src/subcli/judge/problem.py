"""A problem: a directory with a `problem.toml`, templates, tests and reference solutions.

The file is read once and checked in full, so that an author learns of a mistake when the problem is loaded
and not when the first submission fails. Every complaint names the file and the key.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from subcli.judge.table import ProblemError, Table

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z")
SHIMS = Path(__file__).with_name("shims")
_BUNDLED = Path(__file__).with_name("problems")

VERDICTS = ("passed", "failed", "build_failed")
RUNNERS = ("pytest", "tap")


@dataclass(frozen=True)
class Limits:
    """What a submission may use. Sizes in the units their names say, times in seconds of the wall clock."""

    test_seconds: float = 20.0
    answer_seconds: float = 5.0
    """For a single answer of a node; under pytest only. It tells a node that hangs from a test that is slow."""
    submission_seconds: float = 120.0
    build_seconds: float = 60.0
    memory_mb: int = 256
    """For each process."""
    total_memory_mb: int = 1024
    """For all processes of the submission together."""
    processes: int = 32
    file_size_mb: int = 16
    """For each file."""
    disk_mb: int = 64
    """For what a build leaves, and for what each process keeps in its own /tmp; in a sandbox only."""
    files: int = 4096
    """The same, in files and directories."""
    output_kb: int = 1024


@dataclass(frozen=True)
class Language:
    """How a solution in one language is built and started.

    `build` and `run` may contain the placeholders `{source}`, `{sources}` (every file with the source's
    ending), `{python}` and `{shims}`; see `expand`.
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

    def template_text(self) -> str:
        """The text that a new solution starts from; empty where the problem has none."""
        return self.template.read_text(encoding="utf-8") if self.template else ""

    def entry(self, files: Mapping[str, str]) -> str | None:
        """The file that is started: the one named `source`, else the only one with the same ending."""
        if self.source in files:
            return self.source
        alike = self._alike(files)
        return alike[0] if len(alike) == 1 else None

    def _alike(self, files: Mapping[str, str]) -> list[str]:
        suffix = Path(self.source).suffix
        return sorted(name for name in files if Path(name).suffix == suffix)

    def expand(self, command: tuple[str, ...], files: Mapping[str, str], entry: str) -> tuple[str, ...]:
        """The command with its placeholders replaced, for a submission of these files."""
        known = {"{source}": entry, "{python}": sys.executable, "{shims}": str(SHIMS)}
        words: list[str] = []
        for word in command:
            if word == "{sources}":
                words += self._alike(files)
                continue
            for name, value in known.items():
                word = word.replace(name, value)
            words.append(word)
        return tuple(words)


@dataclass(frozen=True)
class Solution:
    """A solution that ships with the problem, and what the judge must say about it."""

    file: Path
    language: str
    expect: str
    failed: tuple[str, ...] = ()
    """Names of exactly the tests that fail; empty where the author does not say."""


@dataclass(frozen=True)
class Problem:
    """One problem, as its directory describes it."""

    id: int
    slug: str
    title: str
    description: str
    languages: Mapping[str, Language]
    limits: Limits
    root: Path
    runner: str = "pytest"
    tests: str = "tests"
    """The directory of the tests, relative to `root`."""
    command: tuple[str, ...] = ()
    """The command that prints TAP, where `runner` is `tap`."""
    total_tests: int | None = None
    solutions: tuple[Solution, ...] = ()
    local_files: tuple[Path, ...] = field(default=())
    """Files that a person may have to run tests on their own machine."""


def load_problem(root: Path) -> Problem:
    """Read the problem in the directory `root`.

    Raises:
        ProblemError: there is no `problem.toml`, or it says something that cannot be used.
    """
    path = root / "problem.toml"
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ProblemError(path, "no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProblemError(path, str(error)) from error
    table = Table(path, raw)
    runner = table.choice("runner", RUNNERS, "pytest")
    problem = Problem(
        id=table.integer("id", minimum=1),
        slug=_slug(table),
        title=table.text("title"),
        description=table.file("description", "description.md").read_text(encoding="utf-8"),
        languages=_languages(table),
        limits=_limits(table.table("limits")),
        root=root.resolve(),
        runner=runner,
        tests=table.directory("tests", "tests"),
        command=table.words("command", required=runner == "tap"),
        total_tests=table.integer("total_tests", None, minimum=1),
        solutions=tuple(_solution(entry) for entry in table.tables("solutions")),
        local_files=table.files("local_files"),
    )
    table.finish()
    _check_solutions(table, problem)
    return problem


def load_problems(directory: Path | None = None) -> dict[str, Problem]:
    """The bundled problems, and those in the subdirectories of an operator's `directory`, by slug.

    Raises:
        ProblemError: a problem cannot be used, or two of them share a slug or an id.
    """
    problems: dict[str, Problem] = {}
    for parent in (_BUNDLED, directory):
        if parent is None:
            continue
        if not parent.is_dir():
            raise ProblemError(parent, "no such directory")
        for root in sorted(path.parent for path in parent.glob("*/problem.toml")):
            problem = load_problem(root)
            for other in problems.values():
                if other.slug == problem.slug or other.id == problem.id:
                    raise ProblemError(root / "problem.toml", f"has the id or the slug of the problem in {other.root}")
            problems[problem.slug] = problem
    return problems


def _slug(table: Table) -> str:
    slug = table.text("slug")
    if not _SLUG.match(slug):
        raise table.error("slug", "must be lower-case letters, digits and hyphens, at most 64")
    return slug


def _limits(table: Table) -> Limits:
    standard = Limits()
    test_seconds = table.seconds("test_seconds", standard.test_seconds)
    limits = Limits(
        test_seconds=test_seconds,
        answer_seconds=table.seconds("answer_seconds", min(standard.answer_seconds, test_seconds / 4)),
        submission_seconds=table.seconds("submission_seconds", standard.submission_seconds),
        build_seconds=table.seconds("build_seconds", standard.build_seconds),
        memory_mb=table.integer("memory_mb", standard.memory_mb, minimum=16),
        total_memory_mb=table.integer("total_memory_mb", standard.total_memory_mb, minimum=16),
        processes=table.integer("processes", standard.processes, minimum=1),
        file_size_mb=table.integer("file_size_mb", standard.file_size_mb, minimum=1),
        disk_mb=table.integer("disk_mb", standard.disk_mb, minimum=1),
        files=table.integer("files", standard.files, minimum=16),
        output_kb=table.integer("output_kb", standard.output_kb, minimum=1),
    )
    table.finish()
    return limits


def _languages(table: Table) -> Mapping[str, Language]:
    languages: dict[str, Language] = {}
    for name, entry in table.named_tables("languages"):
        languages[name] = Language(
            name=name,
            source=entry.file_name("source"),
            run=entry.words("run", required=True),
            build=entry.words("build"),
            template=entry.file("template", None),
            requires=entry.words("requires"),
            bounded_address_space=entry.flag("bounded_address_space", True),
        )
        entry.finish()
    if not languages:
        raise table.error("languages", "needs at least one language")
    return MappingProxyType(languages)


def _solution(table: Table) -> Solution:
    solution = Solution(
        file=table.file("file", None, required=True),
        language=table.text("language"),
        expect=table.choice("expect", VERDICTS),
        failed=table.words("failed"),
    )
    table.finish()
    return solution


def _check_solutions(table: Table, problem: Problem) -> None:
    for solution in problem.solutions:
        if solution.language not in problem.languages:
            raise table.error("solutions", f"{solution.file.name}: no language {solution.language!r}")
        if solution.failed and solution.expect != "failed":
            raise table.error("solutions", f"{solution.file.name}: `failed` goes with expect = 'failed'")
