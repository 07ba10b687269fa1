"""What lies in `data/`: directories and cases, before anybody says what they are worth."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from subcli.judge.package.programs import entries, files_of
from subcli.judge.package.yaml_table import YamlTable
from subcli.judge.problem import ProblemError

MAX_CASES: Final = 5_000
_MAX_DEPTH: Final = 12
_USED: Final = ("sample", "secret", "invalid_input", "invalid_answer", "invalid_output", "valid_output")
"""What the format knows in `data`. The latter are for checking validators."""
_FILES: Final = ".files"
_MAX_FILES_BYTES: Final = 16 << 20
"""They are copied for each run, in memory."""
_CONFIGURATIONS: Final = ("test_group.yaml", "testdata.yaml")


@dataclass(frozen=True)
class CaseFiles:
    """The files of one case."""

    name: str
    """Such as `secret/group1/03`."""
    input: Path
    answer: Path
    files: tuple[tuple[str, Path], ...] = ()
    """Those that the solution finds in its working directory, by their paths in it."""

    @property
    def configuration(self) -> YamlTable:
        """What the file of its own says, in the version that has one."""
        path = self.input.with_suffix(".yaml")
        return YamlTable.read(path) if path.is_file() else YamlTable.empty(path)


@dataclass(frozen=True)
class Directory:
    """A directory of cases. `parts` are in the order of their names, as cases are used."""

    name: str
    path: Path
    configuration: YamlTable
    is_configured: bool
    parts: list[CaseFiles | Directory] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether there is no case in it, nor below it."""
        return next(self.cases(), None) is None

    def cases(self) -> Iterator[CaseFiles]:
        """All cases in it and below it, in order."""
        for part in self.parts:
            if isinstance(part, CaseFiles):
                yield part
            else:
                yield from part.cases()

    def directories(self) -> Iterator[Directory]:
        """The directories in it."""
        return (part for part in self.parts if isinstance(part, Directory))


@dataclass(frozen=True)
class Data:
    """The directory `data`."""

    configuration: YamlTable
    sample: Directory | None
    secret: Directory | None
    remarks: tuple[str, ...]
    """What the author should know."""


def read_data(root: Path, constants: Mapping[str, str]) -> Data:
    """
    Args:
        root: the package.
        constants: what `{{name}}` stands for in `test_group.yaml`.

    Raises:
        ProblemError: there are no cases, or too many, an answer or input is missing, or links lead around in a circle.
    """
    data = root / "data"
    count = [0]
    sample, secret = (
        _read(data / name, name, frozenset(), count, constants) if (data / name).is_dir() else None
        for name in ("sample", "secret")
    )
    if not count[0]:
        raise ProblemError(data, "has no test case: no file NAME.in with a file NAME.ans in sample or secret")
    return Data(_configuration(data, constants)[0], sample, secret, tuple(_remarks(data, secret)))


def _remarks(data: Path, secret: Directory | None) -> Iterator[str]:
    if secret is None or secret.is_empty:
        yield "data/secret: has no case; the samples alone decide"
    for path in entries(data):
        if path.is_dir() and path.name not in _USED and any(path.glob("**/*.in")):
            yield f"data/{path.name}: is neither sample nor secret; the cases in it are not run"
        elif path.suffix == ".in":
            yield f"data/{path.name}: is neither in sample nor in secret; the case is not run"


def _read(path: Path, name: str, around: frozenset[str], count: list[int], constants: Mapping[str, str]) -> Directory:
    real = os.path.realpath(path)
    if real in around:
        raise ProblemError(path, "leads back to a directory that it is in")
    if len(around) >= _MAX_DEPTH:
        raise ProblemError(path, f"lies more than {_MAX_DEPTH} directories deep")
    # A case and a directory may have the same name.
    parts: dict[tuple[str, bool], CaseFiles | Directory] = {}
    inside = entries(path)
    names = {each.name for each in inside if not each.is_dir()}
    for each in inside:
        _check_name(each)
        base = each.name.removesuffix(".in").removesuffix(".ans")
        if each.is_dir():
            if each.suffix == _FILES:
                if f"{each.stem}.in" not in names:
                    raise ProblemError(each, f"has the files of no case: there is no {each.stem}.in")
                continue
            parts[each.name, False] = _read(each, f"{name}/{each.name}", around | {real}, count, constants)
        elif each.suffix == ".in":
            if f"{base}.ans" not in names:
                raise ProblemError(each, f"has no answer: there is no {base}.ans")
            files = _files(each.with_name(f"{base}{_FILES}"))
            parts[base, True] = CaseFiles(f"{name}/{base}", _file(each), _file(each.with_name(f"{base}.ans")), files)
            count[0] += 1
            if count[0] > MAX_CASES:
                raise ProblemError(path, f"has more than {MAX_CASES:,} cases")
        elif each.suffix == ".ans" and f"{base}.in" not in names:
            raise ProblemError(each, f"is the answer to nothing: there is no {base}.in")
    configuration, is_configured = _configuration(path, constants)
    return Directory(name, path, configuration, is_configured, [parts[key] for key in sorted(parts)])


def _file(path: Path) -> Path:
    if not path.is_file():
        raise ProblemError(path, "must be a file")
    return path


def _files(directory: Path) -> tuple[tuple[str, Path], ...]:
    """The files that a case has besides."""
    found = files_of(directory) if directory.is_dir() else {}
    for path in found.values():
        _check_name(path)
    if sum(path.stat().st_size for path in found.values()) > _MAX_FILES_BYTES:
        raise ProblemError(directory, f"has more than {_MAX_FILES_BYTES >> 20} MiB")
    return tuple(found.items())


def _check_name(path: Path) -> None:
    try:
        path.name.encode()
    except UnicodeEncodeError:
        readable = os.fsencode(path).decode("utf-8", "replace")
        raise ProblemError(Path(readable), "has a name that is not UTF-8") from None
    if any(unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") for character in path.name):
        raise ProblemError(path.parent, f"has a file whose name has characters that do not print: {path.name!r}")


def _configuration(path: Path, constants: Mapping[str, str]) -> tuple[YamlTable, bool]:
    for name in _CONFIGURATIONS:
        if (path / name).is_file():
            is_modern = name == "test_group.yaml"
            return YamlTable.read(path / name, constants if is_modern else {}), is_modern
    return YamlTable.empty(path / _CONFIGURATIONS[1]), False
