"""`problem.yaml`: what kind of problem it is, how it is validated, and its limits."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from subcli.judge.package.yaml_table import YamlTable, read_text
from subcli.judge.problem import ProblemError, ResourceLimits, Timing

DEFAULT_SECONDS: Final = 5.0
"""The time limit of a package that declares none."""
_VERSIONS: Final[Mapping[str, Literal["legacy", "2025"]]] = {
    "legacy": "legacy",
    "legacy-icpc": "legacy",
    "2023-07-draft": "legacy",
    "2023-07": "legacy",
    "2025-09": "2025",
    "2025-09-draft": "2025",
    "draft": "2025",
}
"""How groups are graded: `2023-07-draft` still had `testdata.yaml` with a grader."""
_TYPES: Final = ("pass-fail", "scoring", "interactive", "multi-pass", "submit-answer")
_KEYS: Final = (
    *("problem_format_version", "type", "name", "uuid", "version", "author", "credits", "source", "source_url"),
    *("license", "rights_owner", "embargo_until", "limits", "validation", "validator_flags", "grading", "keywords"),
    *("languages", "allow_file_writing", "constants"),
)
_LIMITS: Final = (
    *("time_multiplier", "time_safety_margin", "time_multipliers", "time_limit", "time_resolution", "memory", "output"),
    *("code", "compilation_time", "compilation_memory", "validation_time", "validation_memory", "validation_output"),
    "validation_passes",
)
_DOMJUDGE_LIMIT: Final = re.compile(r"^\s*timelimit\s*=\s*[\"']?([^\"'\s;#]*)", re.MULTILINE)


@dataclass(frozen=True)
class Metadata:
    """What `problem.yaml` says, as far as the judge needs it."""

    table: YamlTable
    grading: Literal["legacy", "2025"]
    types: frozenset[str]
    names: Mapping[str, str]
    """By language; `""` where the language is not said."""
    custom_validation: bool | None
    """Whether the output validator is a program of the package; None: if it has one."""
    custom_score: bool
    validator_flags: tuple[str, ...]
    limits: ResourceLimits
    timing: Timing
    validation_seconds: float
    validation_memory_mb: int
    passes: int
    languages: tuple[str, ...]
    """Codes of the format; empty for all."""
    constants: Mapping[str, str]
    minimizes: bool
    remarks: tuple[str, ...]

    @property
    def is_scored(self) -> bool:
        return "scoring" in self.types


def read_metadata(root: Path) -> Metadata:
    """
    Raises:
        ProblemError: it is not valid, or the problem is of a kind that cannot be judged here.
    """
    table = YamlTable.read(root / "problem.yaml")
    version = table.text("problem_format_version", "legacy")
    if version not in _VERSIONS:
        raise table.error("problem_format_version", f"must be one of {', '.join(_VERSIONS)}, not {version[:80]!r}")
    limits = table.table("limits")
    validation = table.words("validation") or ("",)
    if validation[0] not in ("", "default", "custom") or set(validation[1:]) - {"score", "interactive", "multi-pass"}:
        raise table.error("validation", "must be `default`, or `custom` with `interactive` and `score` as needed")
    grading = table.table("grading")
    seconds = limits.number("time_limit", above=0) or _limit_beside(root)
    if seconds is not None and seconds >= 86_400:
        raise limits.error("time_limit", "must be less than a day")
    passes = limits.number("validation_passes", at_least=2) or 2
    types = _types(table) | ({"interactive", "multi-pass"} & set(validation[1:]))
    return Metadata(
        table=table,
        grading=_VERSIONS[version],
        types=types,
        names=_names(table),
        custom_validation=None
        if validation[0] == "" and not version.startswith("legacy")
        else validation[0] == "custom",
        custom_score="score" in validation[1:] or (version.startswith("2023") and "scoring" in types),
        validator_flags=table.words("validator_flags"),
        limits=_limits(limits, seconds or DEFAULT_SECONDS),
        timing=_timing(
            limits,
            is_declared=seconds is not None,
            is_old="problem_format_version" not in table or version.startswith("legacy"),
        ),
        validation_seconds=limits.number("validation_time", above=0) or 60.0,
        validation_memory_mb=_mebibytes(limits, "validation_memory", 2048),
        passes=int(passes) if "multi-pass" in types else 1,
        languages=() if table.words("languages") == ("all",) else table.words("languages"),
        constants=_constants(table),
        minimizes=grading.choice("objective", ("max", "min"), "max") == "min",
        remarks=(*table.unknown(_KEYS), *limits.unknown(_LIMITS)),
    )


def _types(table: YamlTable) -> frozenset[str]:
    types = table.words("type") or ("pass-fail",)
    for word in types:
        if word not in _TYPES:
            raise table.error("type", f"must be of {', '.join(_TYPES)}, not {word[:80]!r}")
    if "submit-answer" in types:
        raise table.error(
            "type", "is `submit-answer`: problems whose submissions are answers, not programs, cannot be judged"
        )
    if {"pass-fail", "scoring"} <= set(types):
        raise table.error("type", "cannot be both pass-fail and scoring")
    return frozenset(types)


def _names(table: YamlTable) -> Mapping[str, str]:
    if not table.is_table("name"):
        return {"": table.text("name").strip()} if "name" in table else {}
    names = table.table("name")
    return {language: names.text(language).strip() for language in names.keys}


def _constants(table: YamlTable) -> Mapping[str, str]:
    found: dict[str, str] = {}
    constants = table.table("constants")
    for name in constants.keys:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise constants.error(name, "must be named with letters, digits and underscores")
        if not constants.is_table(name):
            found[name] = found[f"{name}.value"] = constants.text(name)
            continue
        variants = constants.table(name)
        found[name] = variants.text("value")
        found.update({f"{name}.{variant}": variants.text(variant) for variant in variants.keys})
    return found


def _timing(limits: YamlTable, *, is_declared: bool, is_old: bool) -> Timing:
    # Before the format had it, it was a key like any other that nobody reads.
    multipliers = YamlTable.empty(limits.path) if is_old else limits.table("time_multipliers")
    multiplier = multipliers.number("ac_to_time_limit", at_least=1) or limits.number("time_multiplier", at_least=1)
    margin = multipliers.number("time_limit_to_tle", at_least=1) or limits.number("time_safety_margin", at_least=1)
    return Timing(
        is_declared=is_declared,
        multiplier=multiplier or (5.0 if is_old else 2.0),
        margin=margin or (2.0 if is_old else 1.5),
        resolution_s=limits.number("time_resolution", above=0) or 1.0,
    )


def _limit_beside(root: Path) -> float | None:
    """The time limit in the files of DOMjudge and of older tools of Kattis, in seconds."""
    for name, pattern in (("domjudge-problem.ini", _DOMJUDGE_LIMIT), (".timelimit", re.compile(r"\A\s*(\S+)"))):
        path = root / name
        found = pattern.search(read_text(path, 65_536)) if path.is_file() else None
        if found is None:
            continue
        try:
            seconds = float(found[1])
        except ValueError:
            seconds = math.nan
        if not 0 < seconds < 86_400:
            raise ProblemError(path, f"must give the time limit in seconds, not {found[1][:80]!r}")
        return seconds
    return None


def _mebibytes(limits: YamlTable, key: str, default: int) -> int:
    found = limits.number(key, above=0)
    if found is not None and found >= 1 << 24:
        raise limits.error(key, "must be less than 16 TiB, in MiB")
    return default if found is None else max(16, math.ceil(found))


def _limits(limits: YamlTable, seconds: float) -> ResourceLimits:
    memory_mb = _mebibytes(limits, "memory", 1024)
    output = limits.number("output", above=0) or 8.0
    if output > 1024:
        raise limits.error("output", "must be at most 1024, in MiB")
    build_memory_mb = _mebibytes(limits, "compilation_memory", 2048)
    return ResourceLimits(
        test_seconds=seconds,
        answer_seconds=seconds,
        build_seconds=min(86_000.0, limits.number("compilation_time", above=0) or 60.0),
        memory_mb=memory_mb,
        total_memory_mb=memory_mb,
        build_memory_mb=build_memory_mb,
        processes=64,
        file_size_mb=max(16, math.ceil(output)),
        output_kb=max(1, math.ceil(output * 1024)),
    )
