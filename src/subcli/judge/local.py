"""The part of a problem that `subcli init` left in a learner's directory: the table `[test]` of `.subcli.toml`.

It says what `problem.toml` says, as far as judging needs it: `runner`, `tests`, `command`, `limits`, `languages`, and
the comparison of problems made of cases. What the server keeps to itself, secret cases and checkers, is not there.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from subcli.judge.cases.toml import CasesTable, case_set, check_unused
from subcli.judge.languages.language import Language
from subcli.judge.languages.table import InnerPath, LanguageTable, Words, bundled, derive
from subcli.judge.problem import Problem, ProblemError, ResourceLimits
from subcli.shared.toml import TomlError, TomlFile

_KEY = "test"


class TestTable(CasesTable, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The table `[test]`."""

    runner: Annotated[Literal["pytest", "tap", "cases"], Meta(description="one of pytest, tap, cases")] = "pytest"
    tests: InnerPath = "tests"
    command: Words = ()
    network: Annotated[bool, Meta(description="true or false")] = False
    limits: ResourceLimits = ResourceLimits()
    languages: Annotated[dict[str, Any], Meta(min_length=1, description="tables `[test.languages.NAME]`")]


def local_table(problem: Problem, language: str) -> dict[str, Any] | None:
    """What a learner needs to judge in one language at home, as plain data.

    Returns:
        The table; None if the problem gives nothing away that could be judged with.
    """
    tests = problem.root / problem.tests
    if problem.grader is not None or not any(path.is_relative_to(tests) for path in problem.local_files):
        return None
    table = TestTable(
        runner="tap" if problem.runner == "tap" else "pytest",
        tests=problem.tests,
        command=problem.command,
        network=problem.network,
        limits=problem.limits,
        languages={language: _said(problem.languages[language])},
    )
    values: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(table))
    limits = msgspec.to_builtins(problem.limits)
    usual = msgspec.to_builtins(ResourceLimits())
    values["limits"] = {name: value for name, value in limits.items() if value != usual[name]}
    return {key: value for key, value in values.items() if value != {}}


def _said(language: Language) -> dict[str, Any]:
    """What its table must say, beyond what the judge knows of a language of this name."""
    usual = bundled().get(language.name, Language(name=language.name, source="", run=()))
    names = [field.name for field in fields(language) if field.name in LanguageTable.__struct_fields__]
    said = {name: value for name in names if (value := getattr(language, name)) != getattr(usual, name)}
    if "run" in said:
        # Whoever says how it runs says how it is built as well.
        said.update(build=language.build, requires=language.requires)
    return said


def local_problem(path: Path, slug: str | None) -> Problem | None:
    """The problem that a `.subcli.toml` describes.

    Args:
        path: the file; what it names is beside it.
        slug: the name of the problem.

    Returns:
        The problem; None if the file has no table `[test]`.

    Raises:
        ProblemError: the table is not valid, or what it names is missing.
    """
    try:
        file = TomlFile.read(path)
        return _local_problem(path.parent, slug or path.parent.name, file) if _KEY in file.content else None
    except TomlError as error:
        raise ProblemError(error.path, error.problem, error.line) from None


def _local_problem(root: Path, slug: str, file: TomlFile) -> Problem:
    table = file.convert(TestTable, (_KEY,))
    if table.runner == "tap" and not table.command:
        raise file.error((_KEY, "command"), "is missing; the runner `tap` needs it")
    if not (root / table.tests).is_dir():
        raise file.error((_KEY, "tests"), f"must be a directory: there is no {table.tests!r}")
    if table.runner != "cases":
        check_unused(file, (_KEY,))
    cases = case_set(file, table, root, table.tests, bundled(), (_KEY,)) if table.runner == "cases" else None
    return Problem(
        id=1,
        slug=slug,
        title=slug,
        description="",
        languages=MappingProxyType({name: _language(file, name) for name in table.languages}),
        limits=table.limits,
        root=root.resolve(),
        runner=table.runner,
        tests=table.tests,
        command=table.command,
        cases=cases,
        network=table.network,
    )


def _language(file: TomlFile, name: str) -> Language:
    keys = (_KEY, "languages", name)
    return derive(file, keys, name, file.convert(LanguageTable, keys), bundled())
