"""Graders as `problem.toml` describes them: `runner = "grader"`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from subcli.judge.grader.model import EXIT, GRADESCOPE, PRINTED, Grader
from subcli.judge.languages.language import Language
from subcli.judge.languages.table import InnerPath, Words
from subcli.shared.toml import TomlFile

Points: TypeAlias = Annotated[float, Meta(ge=0, le=1e9, description="a number of points, at least 0")]

_RUN_AUTOGRADER: Final = "./run_autograder"
_PYTHON: Final = {"python3": ("{python}",), "python": ("{python}",), "pytest": ("{python}", "-m", "pytest")}
"""Programs that a grader has from the judge's own Python, beside which its packages are."""


class GraderTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table `[grader]`."""

    results: InnerPath
    files: Annotated[tuple[InnerPath, ...] | None, Meta(description="a list of relative paths or patterns")] = None
    command: Words = ()
    build: Words = ()
    packages: Words = ()
    pass_score: Points | None = None
    max_score: Points | None = None


def read_grader(file: TomlFile, tests: Path) -> tuple[GraderTable, Grader]:
    """The table `[grader]`, and the grader that it describes.

    Args:
        file: Describes the problem.
        tests: The directory in which the author's files are.

    Raises:
        TomlError: The table is not valid, or a file is missing.
    """
    if "grader" not in file.content:
        raise file.error(("grader",), "is missing; the runner `grader` needs it")
    table = file.convert(GraderTable, ("grader",))
    if table.results not in (*PRINTED, EXIT, GRADESCOPE) and not table.results.endswith((".xml", ".json")):
        known = ", ".join(f'"{name}"' for name in (*PRINTED, EXIT, GRADESCOPE))
        raise file.error(("grader", "results"), f"must be {known}, or a path or pattern that ends in .xml or .json")
    if table.results == GRADESCOPE:
        if table.build:
            raise file.error(("grader", "build"), 'is not allowed with `results = "gradescope"`: run_autograder builds')
        table = replace(table, command=table.command or (_RUN_AUTOGRADER,))
    elif not table.command:
        raise file.error(("grader", "command"), "is missing; it must be a list of words")
    table = replace(table, command=_with_python(table.command), build=_with_python(table.build))
    laid = _laid(file, tests, table)
    files = tuple((name, path.resolve()) for name, path in laid.items())
    packages = tuple(dict.fromkeys((*Grader.__struct_defaults__[0], *table.packages)))
    return table, Grader(files, table.results, packages, table.pass_score, table.max_score)


def _with_python(command: tuple[str, ...]) -> tuple[str, ...]:
    return (*_PYTHON.get(command[0], command[:1]), *command[1:]) if command else ()


def _laid(file: TomlFile, tests: Path, table: GraderTable) -> dict[str, Path]:
    """The author's files, by their paths beside the solution."""
    if table.files is None:
        if table.results != GRADESCOPE:
            raise file.error(("grader", "files"), "is missing; it must be a list of relative paths or patterns")
        return _all_in(tests, tests)
    laid: dict[str, Path] = {}
    for number, name in enumerate(table.files):
        try:
            found = [tests / name] if (tests / name).exists() else sorted(tests.glob(name))
        except ValueError:
            complaint = f"must be a relative path or pattern in which `**` is a whole directory, not {name!r}"
            raise file.error(("grader", "files", number), complaint) from None
        if not found:
            complaint = f"must be a file in {tests.name!r}, or fit one: there is no {name!r}"
            raise file.error(("grader", "files", number), complaint)
        for path in found:
            laid |= _all_in(path, tests)
    return laid


def _all_in(path: Path, tests: Path) -> dict[str, Path]:
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    return {each.relative_to(tests).as_posix(): each for each in files}


def check_no_overlap(file: TomlFile, grader: Grader, languages: Mapping[str, Language]) -> None:
    """
    Raises:
        TomlError: An author's file would take the place of the solution.
    """
    if grader.results == GRADESCOPE:
        return
    laid = dict(grader.files)
    for language in languages.values():
        if not language.keeps_name and language.source in laid:
            complaint = f"has {language.source!r}, which is what solutions in {language.name} are called"
            raise file.error(("grader", "files"), f"{complaint}: it would replace them")


def check_no_grader(file: TomlFile) -> None:
    """
    Raises:
        TomlError: A problem with another runner has a table `[grader]`.
    """
    if "grader" in file.content:
        raise file.error(("grader",), 'is only allowed with `runner = "grader"`')
