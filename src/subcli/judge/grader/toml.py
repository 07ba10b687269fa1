"""Graders as `problem.toml` describes them: `runner = "grader"`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from subcli.judge.grader.model import Grader
from subcli.judge.languages.table import InnerPath, Words
from subcli.shared.toml import TomlFile

Points: TypeAlias = Annotated[float, Meta(ge=0, le=1e9, description="a number of points, at least 0")]


class GraderTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table `[grader]`."""

    files: Annotated[tuple[InnerPath, ...], Meta(min_length=1, description="a list of at least one relative path")]
    command: Annotated[Words, Meta(min_length=1, description="a list of at least one word")]
    results: InnerPath
    build: Words = ()
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
    if table.results != "tap" and not table.results.endswith((".xml", ".json")):
        raise file.error(("grader", "results"), 'must be "tap", or a path or pattern that ends in .xml or .json')
    laid: dict[str, Path] = {}
    for number, name in enumerate(table.files):
        path = tests / name
        if path.is_dir():
            laid |= {each.relative_to(tests).as_posix(): each for each in sorted(path.rglob("*")) if each.is_file()}
        elif path.is_file():
            laid[Path(name).as_posix()] = path
        else:
            raise file.error(("grader", "files", number), f"must be a file in {tests.name!r}: there is no {name!r}")
    files = tuple((name, path.resolve()) for name, path in laid.items())
    return table, Grader(files, table.results, table.pass_score, table.max_score)


def check_no_grader(file: TomlFile) -> None:
    """
    Raises:
        TomlError: A problem with another runner has a table `[grader]`.
    """
    if "grader" in file.content:
        raise file.error(("grader",), 'is only allowed with `runner = "grader"`')
