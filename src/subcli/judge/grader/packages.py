"""Python packages that a grader may import: they are installed beside the judge, which is built on pytest itself."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path


def missing_packages(names: Iterable[str]) -> tuple[str, ...]:
    """Those of the packages, and of what they require, that are not installed."""
    return _closure(names)[1]


def package_paths(names: Iterable[str]) -> tuple[Path, ...]:
    """The files and directories of the packages and of what they require, as far as they are installed."""
    paths: set[Path] = set()
    for found in _closure(names)[0]:
        # Nothing outside the directory of packages, such as programs: `..` leads there.
        tops = {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}
        paths |= {Path(str(found.locate_file(top))) for top in tops}
    return tuple(sorted(path for path in paths if path.exists()))


def _closure(names: Iterable[str]) -> tuple[tuple[Distribution, ...], tuple[str, ...]]:
    # With pytest, which requires it.
    from packaging.requirements import Requirement

    found: dict[str, Distribution] = {}
    missing: list[str] = []
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found or name in missing:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            missing.append(name)
            continue
        needed = map(Requirement, found[name].requires or ())
        waiting += [each.name for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
    return tuple(found.values()), tuple(sorted(missing))
