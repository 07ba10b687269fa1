"""One package as a problem."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from subcli.judge.cases.model import CaseSet, Checker, Group, Tool
from subcli.judge.languages.language import Language
from subcli.judge.package.languages import allowed
from subcli.judge.package.legacy import LegacyGroups, best_score
from subcli.judge.package.metadata import Metadata, read_metadata
from subcli.judge.package.modern import ModernGroups
from subcli.judge.package.programs import entries, files_of, find_programs, tool
from subcli.judge.package.statement import read_statement
from subcli.judge.package.submissions import read_submissions
from subcli.judge.package.tree import Data, read_data
from subcli.judge.problem import Problem, ProblemError
from subcli.judge.slug import slug_from

_FIRST_ID: Final = 1_000_000
"""Ids of packages begin here, so that authors of `problem.toml` can count from 1."""
_IDS: Final = 2_000_000_000


def load_package(root: Path, known: Mapping[str, Language], name: str = "") -> Problem:
    """Read the package in the directory `root`, all of it.

    Args:
        root: a directory with a `problem.yaml`.
        known: the languages that the judge knows.
        name: what its author calls the directory, if `root` is a copy of it.

    Raises:
        ProblemError: it is not valid, or asks for what cannot be judged here.
    """
    root = Path(os.path.realpath(root))
    _check_links(root)
    slug = slug_of(name or root.name)
    metadata = read_metadata(root)
    languages = allowed(metadata.languages, known)
    if not languages:
        raise metadata.table.error("languages", f"names none that the judge knows: {', '.join(known)}")
    data = read_data(root, metadata.constants)
    checker = _checker(root, metadata, known)
    group, remarks = _groups(root, metadata, data, checker, known)
    best = best_score(group, minimizes=metadata.minimizes) if metadata.grading == "legacy" else group.max_score
    title, description = read_statement(root, metadata, data)
    count = sum(1 for _ in group.cases())
    return Problem(
        id=id_of(slug),
        slug=slug,
        title=title or slug,
        description=description,
        languages=MappingProxyType(languages),
        limits=msgspec.structs.replace(metadata.limits, submission_seconds=_seconds_for_all(metadata, count)),
        root=root,
        runner="cases",
        tests="data",
        cases=CaseSet(
            group,
            checker,
            is_scored=metadata.is_scored,
            minimizes=metadata.minimizes,
            zero_if_rejected=metadata.grading == "legacy",
            pass_score=None if metadata.minimizes else best,
        ),
        total_tests=count,
        solutions=read_submissions(root, metadata, known, best),
        included=_included(root, languages),
        constants=metadata.constants,
        timing=metadata.timing,
        remarks=(*metadata.remarks, *data.remarks, *remarks),
    )


def _check_links(root: Path) -> None:
    """
    Raises:
        ProblemError: a link leads out of the directory that the package is in. Packages come from others, and parts of
            them are shown to everybody: no file of this machine may be among them.
    """
    around = f"{root.parent}/"
    waiting = [root]
    while waiting:
        try:
            inside = sorted(os.scandir(waiting.pop()), key=lambda entry: entry.name)
        except OSError:
            # Whoever reads it says so.
            continue
        for entry in inside:
            if entry.is_symlink():
                leads = os.path.normpath(os.path.join(os.path.dirname(entry.path), os.readlink(entry.path)))
                if not f"{leads}/".startswith(around):
                    raise ProblemError(
                        Path(entry.path), f"is a link to {leads}, which lies outside of the directory of the problems"
                    )
            elif entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                waiting.append(Path(entry.path))


def slug_of(name: str) -> str:
    """The name of a directory as a slug; a name without Latin letters becomes a number."""
    return slug_from(name) or f"package-{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}"


def id_of(slug: str) -> int:
    """The id of the package with this slug: the same on every server."""
    return _FIRST_ID + int.from_bytes(hashlib.sha256(slug.encode()).digest()[:8]) % _IDS


def _checker(root: Path, metadata: Metadata, known: Mapping[str, Language]) -> Checker | None:
    programs: list[Path] = []
    for name in ("output_validator", "output_validators"):
        programs += find_programs(root / name, known, is_one=name == "output_validator")
    wanted = metadata.custom_validation
    needed = metadata.types & {"interactive", "multi-pass"}
    if wanted is False and needed:
        raise metadata.table.error(
            "validation", f"must be `custom`, because the problem is {', '.join(sorted(needed))}"
        )
    if not programs and (wanted or needed):
        raise ProblemError(root / "output_validators", "has no output validator, which the problem needs")
    if not programs or wanted is False:
        return None
    if len(programs) > 1:
        found = ", ".join(program.name for program in programs)
        raise ProblemError(programs[0].parent, f"has several output validators ({found}); only one can be run")
    return Checker(
        tool=tool(programs[0], known),
        interactive="interactive" in metadata.types,
        max_passes=metadata.passes,
        scores=metadata.is_scored and (metadata.custom_score or metadata.grading == "2025"),
        seconds=metadata.validation_seconds,
        memory_mb=metadata.validation_memory_mb,
    )


def _groups(
    root: Path, metadata: Metadata, data: Data, checker: Checker | None, known: Mapping[str, Language]
) -> tuple[Group, list[str]]:
    has_checker = checker is not None
    if metadata.grading == "2025":
        modern = ModernGroups(metadata, has_checker=has_checker)
        return modern.root(data), modern.remarks
    legacy = LegacyGroups(metadata, has_checker=has_checker, grader=_grader(root, known))
    return legacy.root(data), legacy.remarks


def _grader(root: Path, known: Mapping[str, Language]) -> Tool | None:
    programs = find_programs(root / "graders", known, is_one=False)
    if len(programs) > 1:
        raise ProblemError(root / "graders", f"has several graders ({', '.join(each.name for each in programs)})")
    return tool(programs[0], known) if programs else None


def _included(root: Path, languages: Mapping[str, Language]) -> Mapping[str, Mapping[str, Path]]:
    default = files_of(root / "include" / "default") if (root / "include" / "default").is_dir() else {}
    found: dict[str, dict[str, Path]] = {name: dict(default) for name in languages} if default else {}
    for directory in entries(root / "include"):
        if directory.is_dir() and directory.name != "default":
            for name in allowed([directory.name], languages):
                found.setdefault(name, {}).update(files_of(directory))
    return MappingProxyType(found)


def _seconds_for_all(metadata: Metadata, count: int) -> float:
    """What all cases may take together: what each may take by the clock, and its output validator."""
    each = metadata.passes * (2 * metadata.limits.test_seconds + 1) + 1
    return min(86_000.0, math.ceil(60 + count * each))
