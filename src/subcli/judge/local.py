"""The part of a problem that `subcli init` left in a learner's directory: the table `[test]` of `.subcli.toml`.

It has the settings of `problem.toml` that judging needs: `runner`, `tests`, `command`, `limits`, `languages`, and the
comparison of problems made of cases, whose samples are in the directory `samples`. What the server keeps to itself,
secret cases and most checkers, is not there.

A newer server may say more than this version knows. That is left out, with a remark, instead of being refused.
"""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from subcli.judge.cases.model import CaseSet, Checker
from subcli.judge.cases.samples import PREFIX, samples_of
from subcli.judge.cases.toml import CasesTable, CheckerTable, ComparisonTable, Switch, case_set, check_unused
from subcli.judge.languages.language import Language
from subcli.judge.languages.table import InnerPath, LanguageTable, Text, Words, bundled, derive
from subcli.judge.problem import Problem, ProblemError, ResourceLimits
from subcli.shared.toml import TomlError, TomlFile

_KEY: Final = "test"
_SAMPLES: Final = "samples"
"""The directory of the samples in a learner's directory."""
_RUNNERS: Final = ("pytest", "tap", "cases")


class TestTable(CasesTable, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The table `[test]`."""

    runner: Text = "pytest"
    tests: InnerPath = "tests"
    command: Words = ()
    network: Switch = False
    limits: ResourceLimits = ResourceLimits()
    languages: Annotated[dict[str, Any], Meta(min_length=1, description="tables `[test.languages.NAME]`")]
    examples_only: Switch = False
    """As in `CaseSet`: the checker is the server's."""


def local_files(problem: Problem) -> dict[str, str]:
    """The texts that learners get beside the template, by path: the author's `local_files`, and the samples."""
    files = {path.relative_to(problem.root).as_posix(): path.read_text("utf-8") for path in problem.local_files}
    for sample in samples_of(problem.cases) if problem.cases is not None else ():
        base = f"{_SAMPLES}/{sample.short_name}"
        files |= {f"{base}.in": sample.input, f"{base}.ans": sample.answer}
    return files


def local_table(problem: Problem, language: str) -> dict[str, Any] | None:
    """What a learner needs to judge in one language at home, as plain data.

    Returns:
        The table; None if the problem gives nothing away that could be judged with.
    """
    said = _of_cases(problem, problem.cases, language) if problem.cases is not None else _of_tests(problem)
    if said is None:
        return None
    table = TestTable(
        runner=problem.runner,
        limits=problem.limits,
        network=problem.network,
        languages={language: _said(problem.languages[language])},
        **said,
    )
    values: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(table))
    limits = msgspec.to_builtins(problem.limits)
    usual = msgspec.to_builtins(ResourceLimits())
    values["limits"] = {name: value for name, value in limits.items() if value != usual[name]}
    return {key: value for key, value in values.items() if value != {}}


def cases_at_home(problem: Problem, language: str) -> frozenset[str]:
    """The names of the cases that learners can run with `subcli test`, in a directory that `subcli init` made."""
    if problem.cases is None or _of_cases(problem, problem.cases, language) is None:
        return frozenset()
    return frozenset(sample.name for sample in samples_of(problem.cases))


def can_replay(problem: Problem) -> bool:
    """Whether learners can run a failed test on several nodes again: its author gives the tests away."""
    return problem.runner == "pytest" and _of_tests(problem) is not None


def _of_tests(problem: Problem) -> dict[str, Any] | None:
    tests = problem.root / problem.tests
    if problem.grader is not None or not any(path.is_relative_to(tests) for path in problem.local_files):
        return None
    return {"tests": problem.tests, "command": problem.command}


def _of_cases(problem: Problem, cases: CaseSet, language: str) -> dict[str, Any] | None:
    samples = samples_of(cases)
    # One table has one comparison and no arguments. What is compiled into a solution is the server's as well.
    is_plain = all(each.comparison == samples[0].comparison and not each.program_arguments for each in samples)
    if not samples or not is_plain or problem.included.get(language):
        return None
    said: dict[str, Any] = {"tests": _SAMPLES}
    if cases.checker is None:
        comparison = msgspec.convert(asdict(samples[0].comparison), ComparisonTable)
        return said | ({"comparison": comparison} if comparison != ComparisonTable() else {})
    return said | (_given_away(problem, cases.checker) or {"examples_only": True})


def _given_away(problem: Problem, checker: Checker) -> dict[str, Any] | None:
    """The checker, if its author gives it to learners."""
    tool = checker.tool
    path = tool.directory / tool.entry
    if len(tool.files) > 1 or path not in problem.local_files or tool.language.name not in bundled():
        return None
    arguments = next((case.arguments for case in problem.cases.root.cases()), ()) if problem.cases is not None else ()
    return {
        "checker": CheckerTable(
            file=path.relative_to(problem.root).as_posix(),
            language=tool.language.name,
            interface=checker.interface,
            arguments=arguments,
            seconds=checker.seconds,
            memory_mb=checker.memory_mb,
        )
    }


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
        The problem, with remarks on what of the table is not known here; None if the file has no table `[test]`.

    Raises:
        ProblemError: the table is not valid, or what it names is missing.
    """
    try:
        file = TomlFile.read(path)
        return _local_problem(path.parent, slug or path.parent.name, file) if _KEY in file.content else None
    except TomlError as error:
        raise ProblemError(error.path, error.problem, error.line) from None


def _local_problem(root: Path, slug: str, file: TomlFile) -> Problem:
    unknown = file.without_unknown(TestTable, (_KEY,))
    table = file.convert(TestTable, (_KEY,))
    if table.runner not in _RUNNERS:
        raise file.error(
            (_KEY, "runner"), f"is {table.runner!r}, which this version of subcli does not know; install a newer one"
        )
    if table.runner == "tap" and not table.command:
        raise file.error((_KEY, "command"), "is missing; the runner `tap` needs it")
    if not (root / table.tests).is_dir():
        raise file.error((_KEY, "tests"), f"must be a directory: there is no {table.tests!r}")
    cases = None
    if table.runner == "cases":
        read = case_set(file, table, root, table.tests, bundled(), (_KEY,), PREFIX)
        cases = replace(read, examples_only=table.examples_only)
    else:
        check_unused(file, (_KEY,))
    languages: dict[str, Language] = {}
    for name in table.languages:
        keys = (_KEY, "languages", name)
        unknown += file.without_unknown(LanguageTable, keys)
        languages[name] = derive(file, keys, name, file.convert(LanguageTable, keys), bundled())
    return Problem(
        id=1,
        slug=slug,
        title=slug,
        description="",
        languages=MappingProxyType(languages),
        limits=table.limits,
        root=root.resolve(),
        runner=table.runner,
        tests=table.tests,
        command=table.command,
        cases=cases,
        network=table.network,
        remarks=tuple(f"{error}, and is left out; a newer subcli may know it" for error in unknown),
    )
