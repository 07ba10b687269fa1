"""Python packages that a grader may import: they are installed beside the judge, which is built on pytest itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

_SYSTEM: Final = Path("/usr")
"""Shown to every grader as a whole. Distributions such as Debian install packages there without a list of files."""


class _BrokenError(Exception):
    """What is installed of a package does not say what belongs to it. The text is a clause."""


@dataclass
class _Closure:
    """Packages, and what they require.

    Attributes:
        tops: The topmost files and directories of each package that is installed, by its name.
        missing: Those that are not installed.
        broken: Why the others are of no use, by name.
    """

    tops: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)


def complaint_about(names: Iterable[str]) -> str:
    """Why not all of the packages, and of what they require, can be imported, for the operator; empty if they can."""
    found = _closure(names)
    complaints = [f"the Python package {name} is broken: {why}; reinstall it" for name, why in found.broken.items()]
    if found.missing:
        listed = ", ".join(sorted(found.missing))
        complaints.insert(0, f"the grader needs Python packages that are not installed beside the judge: {listed}")
    return "; ".join(complaints)


def package_paths(names: Iterable[str]) -> tuple[Path, ...]:
    """The files and directories of the packages and of what they require, as far as they are installed."""
    tops = {top for paths in _closure(names).tops.values() for top in paths}
    return tuple(sorted(path for path in tops if path.exists()))


def _closure(names: Iterable[str]) -> _Closure:
    closure = _Closure()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in closure.tops or name in closure.missing or name in closure.broken:
            continue
        try:
            found = distribution(name)
        except PackageNotFoundError:
            closure.missing.append(name)
            continue
        try:
            closure.tops[name] = _tops(found)
            waiting += _required(found)
        except _BrokenError as error:
            closure.broken[name] = str(error)
    return closure


def _tops(package: Distribution) -> tuple[Path, ...]:
    """
    Raises:
        _BrokenError: It has no list of files, or one that cannot be read.
    """
    try:
        files = package.files
    except Exception as error:  # the standard library checks nothing that it reads here
        raise _BrokenError(f"its list of files, RECORD, cannot be read ({_first_line(error)})") from None
    if files is None:
        if Path(str(package.locate_file(""))).resolve().is_relative_to(_SYSTEM):
            return ()
        raise _BrokenError("it has no RECORD, the list of its files")
    # Nothing outside the directory of packages, such as programs: `..` leads there.
    tops = {file.parts[0] for file in files if file.parts and file.parts[0] not in ("..", "/", "__pycache__")}
    return tuple(Path(str(package.locate_file(top))) for top in tops)


def _required(package: Distribution) -> list[str]:
    """
    Raises:
        _BrokenError: What it requires cannot be read.
    """
    # With pytest, which requires it.
    from packaging.requirements import Requirement

    try:
        needed = [Requirement(text) for text in package.requires or ()]
        return [each.name for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
    except Exception as error:  # as above; packaging raises half a dozen classes of its own
        raise _BrokenError(f"its METADATA cannot be read ({_first_line(error)})") from None


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
