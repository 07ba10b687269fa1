"""Groups of legacy packages, and of 2023-07-draft: `testdata.yaml`, whose keys are inherited, and a grader."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, Literal

from subcli.judge.cases.model import Case, CheckerScore, Comparison, Group, Tool
from subcli.judge.package.flags import BadFlag, comparison, default_grader
from subcli.judge.package.metadata import Metadata
from subcli.judge.package.tree import CaseFiles, Data, Directory
from subcli.judge.package.yaml_table import YamlTable
from subcli.judge.problem import ProblemError

_KEYS: Final = (
    *("on_reject", "grading", "grader_flags", "input_validator_flags", "output_validator_flags", "accept_score"),
    *("reject_score", "range", "args", "input_validator_args", "output_validator_args", "static_validator_args"),
    *("full_feedback", "hint", "description"),
)


@dataclass(frozen=True)
class _Settings:
    """What a group says, or inherits."""

    stops: bool = True
    is_custom: bool = False
    grader_flags: tuple[str, ...] = ()
    validator_flags: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    accept_score: float = 1.0
    reject_score: float = 0.0
    score_range: tuple[float, float] | None = None


class LegacyGroups:
    """Makes the groups of a package.

    Args:
        metadata: what `problem.yaml` says.
        has_checker: whether the package has an output validator of its own.
        grader: its grader, if it has one.

    Attributes:
        remarks: what the author should know.
    """

    def __init__(self, metadata: Metadata, *, has_checker: bool, grader: Tool | None) -> None:
        self.remarks: list[str] = []
        self._metadata = metadata
        self._has_checker = has_checker
        self._grader = grader
        self._overrides = _overrides(metadata)

    def root(self, data: Data) -> Group:
        """
        Raises:
            ProblemError: a `testdata.yaml` is not valid.
        """
        settings = self._settings(data.configuration, _Settings())
        tops = [part for part in (data.sample, data.secret) if part is not None and not part.is_empty]
        parts = tuple(self._group(part, settings) for part in tops)
        return self._graded("", data.configuration, settings, parts, is_root=True)

    def _group(self, directory: Directory, around: _Settings) -> Group:
        settings = self._settings(directory.configuration, around)
        parts = tuple(
            self._case(part, directory, settings) if isinstance(part, CaseFiles) else self._group(part, settings)
            for part in directory.parts
            # What is not there is not graded: a minimum of nothing would be 0.
            if isinstance(part, CaseFiles) or not part.is_empty
        )
        return self._graded(directory.name, directory.configuration, settings, parts)

    def _case(self, files: CaseFiles, directory: Directory, settings: _Settings) -> Case:
        if files.files:
            raise ProblemError(files.input.with_suffix(".files"), "is read from version 2025-09 of the format on")
        flags = (*self._metadata.validator_flags, *settings.validator_flags)
        arguments = settings.arguments
        if self._metadata.table.text("problem_format_version", "legacy").startswith("2023"):
            own = files.configuration
            flags = own.texts("output_validator_args") if "output_validator_args" in own else flags
            arguments = own.texts("args") if "args" in own else arguments
        try:
            compared = Comparison() if self._has_checker else comparison(flags)
        except BadFlag as error:
            path = directory.configuration.path if directory.configuration.keys else self._metadata.table.path
            raise ProblemError(path, str(error)) from None
        return Case(
            name=files.name,
            input=files.input,
            answer=files.answer,
            arguments=flags if self._has_checker else (),
            comparison=compared,
            feedback="full" if files.name.startswith("sample/") else "outcome",
            points=settings.accept_score if self._metadata.is_scored else None,
            rejected_points=settings.reject_score if self._metadata.is_scored else 0.0,
            checker_score=self._checker_score(),
            program_arguments=arguments,
        )

    def _checker_score(self) -> CheckerScore:
        if not self._metadata.custom_score:
            return "forbidden"
        return "optional" if self._metadata.custom_validation is None else "required"

    def _graded(
        self,
        name: str,
        table: YamlTable,
        settings: _Settings,
        parts: tuple[Case | Group, ...],
        is_root: bool = False,
    ) -> Group:
        flags = default_grader(settings.grader_flags)
        group = Group(
            name=name,
            parts=parts,
            stop_on_failure=settings.stops,
            aggregation=flags.aggregation,
            verdicts=flags.verdicts,
            accepts_any=flags.accepts_any,
            ignores_samples=flags.ignores_samples and is_root,
            score_range=settings.score_range if self._metadata.is_scored else None,
        )
        if not settings.is_custom:
            if "grader_flags" in table:
                self.remarks += (
                    f"{name or 'data'}: the default grader does not know `{flag}`" for flag in flags.unknown
                )
            if flags.ignores_samples and not is_root:
                self.remarks.append(
                    f"{name}: `ignore_sample` has no effect below the top level; write `grader_flags` there"
                )
            return group
        if self._grader is None:
            raise ProblemError(
                table.path, f"the group {name or 'data'!r} has custom grading, but there is no program in graders/"
            )
        return _with_grader(group, self._grader, settings.grader_flags)

    def _settings(self, table: YamlTable, around: _Settings) -> _Settings:
        self.remarks += table.unknown(_KEYS)
        found = around
        if "on_reject" in table:
            found = replace(found, stops=_stops(table, found.stops))
        if "grading" in table:
            found = replace(found, is_custom=table.choice("grading", ("default", "custom"), "default") == "custom")
        if "grader_flags" in table:
            found = replace(found, grader_flags=table.words("grader_flags"))
        if "output_validator_flags" in table:
            found = replace(found, validator_flags=_validator_flags(table))
        if "output_validator_args" in table:
            found = replace(found, validator_flags=table.texts("output_validator_args"))
        if "args" in table:
            found = replace(found, arguments=table.texts("args"))
        if not self._metadata.is_scored:
            return found
        return _scores(self._overrides, _scores(table, found))


def _overrides(metadata: Metadata) -> YamlTable:
    """`grading` in problem.yaml, whose keys from before the version `legacy` override those of all groups."""
    return metadata.table.table("grading")


def _with_grader(group: Group, grader: Tool, flags: tuple[str, ...]) -> Group:
    import msgspec

    return msgspec.structs.replace(group, grader=grader, grader_arguments=flags)


def _stops(table: YamlTable, default: bool) -> bool:
    word: Literal["break", "continue", "first_error", "worst_error", "grade"] = table.choice(
        "on_reject", ("break", "continue", "first_error", "worst_error", "grade"), "break"
    )
    return {"break": True, "first_error": True, "continue": False, "grade": False, "worst_error": default}[word]


def _validator_flags(table: YamlTable) -> tuple[str, ...]:
    if not table.is_table("output_validator_flags"):
        return table.words("output_validator_flags")
    return table.table("output_validator_flags").words("flags")


def _scores(table: YamlTable, settings: _Settings) -> _Settings:
    accept, reject = table.number("accept_score"), table.number("reject_score")
    found = replace(
        settings,
        accept_score=settings.accept_score if accept is None else accept,
        reject_score=settings.reject_score if reject is None else reject,
    )
    if "on_reject" in table:
        found = replace(found, stops=_stops(table, found.stops))
    return replace(found, score_range=_range(table)) if "range" in table else found


def _range(table: YamlTable) -> tuple[float, float]:
    try:
        low, high = map(float, table.words("range"))
    except ValueError:
        low, high = math.nan, math.nan
    if not low <= high:
        raise table.error("range", "must be two numbers, the lowest and the highest score, such as `0 100`")
    return low, high


def best_score(root: Group, *, minimizes: bool) -> float | None:
    """The best score that the package declares; None if it does not say."""
    if root.score_range is None:
        return None
    best = root.score_range[0 if minimizes else 1]
    return best if math.isfinite(best) else None
