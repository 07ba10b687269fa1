"""Reads problems: directories with a `problem.toml`, templates, tests and reference solutions; or ICPC/Kattis packages.

A file is read once and checked in full, so that an author learns of a mistake when the problem is loaded and not when
the first submission fails. Every error names the file, the line and the key.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from subcli.judge.cases.toml import CasesTable, case_set, check_unused
from subcli.judge.grader.model import Grader
from subcli.judge.grader.toml import check_no_grader, check_no_overlap, read_grader
from subcli.judge.languages.language import Language
from subcli.judge.languages.table import (
    InnerPath,
    Languages,
    LanguageTable,
    Text,
    Words,
    bundled,
    derive,
    languages_in,
    read_languages,
)
from subcli.judge.problem import GRADER_LIMITS, AtLeast1, Problem, ProblemError, ResourceLimits, Solution
from subcli.shared.suggest import did_you_mean
from subcli.shared.toml import Keys, TomlError, TomlFile

FILE_NAMES: Final = ("problem.toml", "problem.yaml")
"""The file that makes a directory a problem; the first one of them counts."""
_LONGEST_DESCRIPTION_BYTES: Final = 1024 * 1024
BUNDLED: Final = Path(__file__).with_name("problems")
"""The directory of the bundled problems."""

Slug: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"\A[a-z0-9][a-z0-9-]{0,63}\Z",
        description="1 to 64 lower-case letters, digits or hyphens, beginning with a letter or digit",
    ),
]
InnerPaths: TypeAlias = Annotated[tuple[InnerPath, ...], Meta(description="a list of relative paths")]


class OwnLanguageTable(LanguageTable, frozen=True):
    """A table `[languages.NAME]` of a problem."""

    template: InnerPath | None = None


class SolutionTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table `[[solutions]]`."""

    language: Text
    file: InnerPath | None = None
    files: Annotated[
        dict[InnerPath, InnerPath] | None, Meta(description="a table of paths in a submission and files")
    ] = None
    expect: Annotated[
        Literal["passed", "failed", "build_failed"], Meta(description="one of passed, failed, build_failed")
    ]
    failed: Words = ()


class ProblemTable(CasesTable, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The top level of `problem.toml`."""

    id: AtLeast1
    slug: Slug
    title: Text
    languages: Annotated[
        dict[str, Any] | tuple[str, ...] | Literal["all"],
        Meta(description='a list of languages, "all", or at least one table `[languages.NAME]`'),
    ]
    description: InnerPath = "description.md"
    runner: Annotated[
        Literal["pytest", "tap", "cases", "grader"], Meta(description="one of pytest, tap, cases, grader")
    ] = "pytest"
    grader: Annotated[dict[str, Any] | None, Meta(description="a table `[grader]`")] = None
    tests: InnerPath = "tests"
    command: Words = ()
    total_tests: AtLeast1 | None = None
    network: Annotated[bool, Meta(description="true or false")] = False
    limits: ResourceLimits = ResourceLimits()
    solutions: Annotated[tuple[SolutionTable, ...], Meta(description="written as `[[solutions]]`")] = ()
    local_files: InnerPaths = ()
    max_attempts: AtLeast1 | None = None


def is_problem(directory: str | Path) -> bool:
    """Whether there is a problem in a directory."""
    return any(os.path.isfile(os.path.join(directory, name)) for name in FILE_NAMES)


def is_described(directory: Path) -> bool:
    """Whether somebody means a directory to be a problem, even if the file cannot be read."""
    return any(os.path.lexists(directory / name) for name in FILE_NAMES)


def name_of_file(directory: Path) -> str:
    """The name of the file that makes a directory a problem, whether it can be read or not."""
    return next((name for name in FILE_NAMES if os.path.lexists(directory / name)), FILE_NAMES[0])


def load_problem(root: Path, origin: Path | None = None, languages: Languages | None = None) -> Problem:
    """Read the problem in the directory `root`.

    Args:
        root: the directory.
        origin: the author's directory, if `root` is a copy of it. Errors name its files.
        languages: those that it may name; default: the judge's, with what the `languages.toml` beside `root` says.

    Raises:
        ProblemError: there is neither a `problem.toml` nor a `problem.yaml`, or it is not valid; or `languages.toml`
            is not.
    """

    def as_authored(text: str) -> str:
        if origin is None:
            return text
        return text.replace(str(root), str(origin)).replace(str(root.parent), str(origin.parent))

    if not is_described(root):
        missing = f"there is neither a {' nor a '.join(FILE_NAMES)}" if root.is_dir() else "no such directory"
        raise ProblemError(origin or root, missing)
    try:
        known = languages_in(root.parent) if languages is None else languages
        if name_of_file(root) == "problem.yaml":
            problem = _load_package(root, origin, known)
        else:
            problem = _load(root, TomlFile.read(root / "problem.toml"), known)
    except ProblemError as error:
        raise ProblemError(Path(as_authored(str(error.path))), as_authored(error.complaint), error.line) from None
    except TomlError as error:
        complaint = f"{error.problem}. {error.hint}" if error.hint else error.problem
        raise ProblemError(Path(as_authored(str(error.path))), as_authored(complaint), error.line) from None
    except OSError as error:
        complaint = as_authored(f"names what cannot be read: {error}")
        raise ProblemError((origin or root) / name_of_file(root), complaint) from None
    return problem if origin is None else replace(problem, copied_from=Path(os.path.abspath(origin)))


def load_problems(directory: Path | None = None) -> dict[str, Problem]:
    """The bundled problems, and those in the subdirectories of an operator's `directory`, by slug.

    Raises:
        ProblemError: a problem is not valid, or two of them share a slug or an id.
    """
    problems, broken = load_valid_problems(directory)
    if broken:
        raise broken[0]
    return problems


def load_valid_problems(
    directory: Path | None = None, languages: Path | None = None
) -> tuple[dict[str, Problem], tuple[ProblemError, ...]]:
    """Load problems as `load_problems` does, and leave out those that are not valid.

    Args:
        directory: an operator's problems.
        languages: an operator's file that adds languages; default: the `languages.toml` in `directory`.

    Returns:
        The others by slug, and one error for each problem that was left out.

    Raises:
        ProblemError: there is no such directory, or the file of languages is not valid.
    """
    known = known_languages(directory, languages)
    problems: dict[str, Problem] = {}
    broken: list[ProblemError] = []
    for parent in (BUNDLED, directory):
        if parent is None:
            continue
        if not parent.is_dir():
            raise ProblemError(parent, "no such directory")
        for root in sorted(path for path in parent.iterdir() if is_described(path)):
            try:
                problem = load_problem(root, languages=known)
                check_unique(problem, problems.values())
            except ProblemError as error:
                broken.append(error)
            else:
                problems[problem.slug] = problem
    return problems, tuple(broken)


def known_languages(directory: Path | None, file: Path | None) -> Languages:
    """The languages that problems may name.

    Args:
        directory: of problems; its `languages.toml` counts if there is no `file`.
        file: an operator's file that adds languages.

    Raises:
        ProblemError: the file is not valid.
    """
    try:
        return languages_in(directory) if file is None else read_languages(file, bundled())
    except TomlError as error:
        raise ProblemError(error.path, error.problem, error.line) from None


def check_unique(problem: Problem, others: Iterable[Problem]) -> None:
    """
    Raises:
        ProblemError: another problem has its id or its slug.
    """
    for other in others:
        if other.slug == problem.slug or other.id == problem.id:
            raise ProblemError(problem.file, f"has the id or the slug of the problem in {other.origin}")


def _load_package(root: Path, origin: Path | None, known: Languages) -> Problem:
    # It loads PyYAML, which other problems do not need.
    from subcli.judge.package.package import load_package

    return load_package(root, known, os.path.basename(os.path.abspath(origin or root)))


def _description(path: Path) -> str:
    """
    Raises:
        TomlError: it cannot be read, or is too long.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST_DESCRIPTION_BYTES + 1)
        if len(data) > _LONGEST_DESCRIPTION_BYTES:
            raise TomlError(path, f"larger than {_LONGEST_DESCRIPTION_BYTES // 1024} KiB")
        return data.decode("utf-8").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise TomlError(path, f"cannot be read: {error}") from None


def _load(root: Path, file: TomlFile, known: Languages) -> Problem:
    table = file.convert(ProblemTable)
    if table.runner == "tap" and not table.command:
        raise file.error(("command",), "is missing; the runner `tap` needs it")
    if not (root / table.tests).is_dir():
        raise file.error(("tests",), f"must be a directory: there is no {table.tests!r}")
    description = _existing(root, file, ("description",), table.description)
    text = _description(description)
    languages = _languages(root, file, table, known)
    if table.runner != "cases":
        check_unused(file, allowed=("closes",))
    grader: Grader | None = None
    if table.runner == "grader":
        languages, grader = _grader(root, file, table, languages)
    else:
        check_no_grader(file)
    cases = case_set(file, table, root, table.tests, known) if table.runner == "cases" else None
    return Problem(
        id=table.id,
        slug=table.slug,
        title=table.title,
        description=text,
        languages=languages,
        limits=_limits(file, table),
        root=root.resolve(),
        runner=table.runner,
        tests=table.tests,
        command=table.command,
        cases=cases,
        grader=grader,
        total_tests=table.total_tests,
        network=table.network,
        solutions=tuple(_solution(root, file, table, languages, number) for number in range(len(table.solutions))),
        local_files=tuple(_existing(root, file, ("local_files",), name) for name in table.local_files),
        closes=_closes(file, table),
        max_attempts=table.max_attempts,
    )


def _closes(file: TomlFile, table: ProblemTable) -> datetime | None:
    if table.closes is None:
        return None
    if isinstance(file.content["closes"], str):
        raise file.error(("closes",), "must be written without quotes", hint=f"Write: `closes = {table.closes}`.")
    try:
        return table.closes.astimezone(UTC)
    except OverflowError:
        raise file.error(("closes",), "must be in the years from 1 to 9999") from None


def _limits(file: TomlFile, table: ProblemTable) -> ResourceLimits:
    """The limits, where the author does not say otherwise: a node must answer within a quarter of a test's time, and a
    grader gets what the tools of a language take.
    """
    limits = table.limits
    kept = {"answer_seconds": min(limits.answer_seconds, limits.test_seconds / 4)}
    if table.runner == "grader":
        kept |= GRADER_LIMITS
    said = file.content.get("limits", {})
    return msgspec.structs.replace(limits, **{name: value for name, value in kept.items() if name not in said})


def _grader(root: Path, file: TomlFile, table: ProblemTable, languages: Languages) -> tuple[Languages, Grader]:
    """The languages as a grader uses them, and the grader: what is built and started is it, with the solution in it."""
    said, grader = read_grader(file, root / table.tests)
    tables = table.languages if isinstance(table.languages, Mapping) else {}
    languages = MappingProxyType(
        {
            name: replace(
                each,
                build=said.build,
                run=said.command,
                tools=each.programs,
                # Of the tools that a grader starts, we know nothing.
                bounded_address_space=False,
                keeps_name="source" not in tables.get(name, {}),
            )
            for name, each in languages.items()
        }
    )
    check_no_overlap(file, grader, languages)
    return languages, grader


def _languages(root: Path, file: TomlFile, table: ProblemTable, known: Languages) -> Languages:
    """The languages of a problem, which are those that are known, or inherit from them."""
    said = table.languages
    if said == "all":
        return known
    if not said:
        raise file.error(("languages",), 'must be a list of languages, "all", or tables `[languages.NAME]`')
    if isinstance(said, Mapping):
        return MappingProxyType({name: _own_language(root, file, name, known) for name in said})
    for number, name in enumerate(said):
        if name not in known:
            hint = f"{did_you_mean(name, known)} Known: {', '.join(known)}.".lstrip()
            raise file.error(("languages", number), f"must be a language that the judge knows, not {name!r}", hint=hint)
    return MappingProxyType({name: known[name] for name in said})


def _own_language(root: Path, file: TomlFile, name: str, known: Languages) -> Language:
    keys = ("languages", name)
    table = file.convert(OwnLanguageTable, keys)
    language = derive(file, keys, name, table, known)
    if table.template is None:
        return language
    return replace(language, template=_existing(root, file, (*keys, "template"), table.template))


def _solution(root: Path, file: TomlFile, problem: ProblemTable, languages: Languages, number: int) -> Solution:
    table = problem.solutions[number]
    keys = ("solutions", number)
    if table.language not in languages:
        known = ", ".join(languages)
        raise file.error((*keys, "language"), f"must be a language of this problem ({known}), not {table.language!r}")
    if table.failed and table.expect != "failed":
        raise file.error((*keys, "failed"), 'is only allowed with `expect = "failed"`')
    if (table.file is None) == (not table.files):
        raise file.error(keys, "must have either `file` or `files`")
    if table.file is not None:
        return Solution(_existing(root, file, (*keys, "file"), table.file), table.language, table.expect, table.failed)
    files = {inner: _existing(root, file, (*keys, "files", inner), name) for inner, name in (table.files or {}).items()}
    first = next(iter(files.values()))
    return Solution(first, table.language, table.expect, table.failed, files=files)


def _existing(root: Path, file: TomlFile, keys: Keys, name: str) -> Path:
    path = root / name
    if not path.is_file():
        raise file.error(keys, f"must be a file: there is no {name!r}")
    return path
