"""Groups of packages of version 2025-09: `test_group.yaml`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from subcli.judge.cases.model import Aggregation, Case, CheckerScore, Comparison, Feedback, Group
from subcli.judge.package.flags import BadFlag, comparison
from subcli.judge.package.metadata import Metadata
from subcli.judge.package.tree import Data, Directory
from subcli.judge.package.yaml_table import YamlTable
from subcli.judge.problem import ProblemError

_SCORING: Final = ("max_score", "score_aggregation", "require_pass")
_CASE_KEYS: Final = (
    *("args", "input_validator_args", "output_validator_args", "input_visualizer_args", "output_visualizer_args"),
    *("full_feedback", "hint", "description"),
)
_GROUP_KEYS: Final = (*_SCORING, *_CASE_KEYS, "static_validation_score", "static_validator_args")


@dataclass(frozen=True)
class _Settings:
    """What a case says, or inherits."""

    arguments: tuple[str, ...] = ()
    validator_arguments: tuple[str, ...] = ()
    feedback: Feedback = "outcome"


class ModernGroups:
    """Makes the groups of a package.

    Args:
        metadata: what `problem.yaml` says.
        has_checker: whether the package has an output validator of its own.

    Attributes:
        remarks: what the author should know.
    """

    def __init__(self, metadata: Metadata, *, has_checker: bool) -> None:
        self.remarks: list[str] = []
        self._scored = metadata.is_scored
        self._has_checker = has_checker

    def root(self, data: Data) -> Group:
        """
        Raises:
            ProblemError: a `test_group.yaml` is not valid.
        """
        # Not in the format, but where it is it means something.
        top = self._settings(data.configuration, _Settings())
        parts: list[Group] = []
        if data.sample is not None and data.sample.parts:
            parts.append(self._sample(data.sample, top))
        if data.secret is not None and data.secret.parts:
            parts.append(self._secret(data.secret, top))
        return Group(
            name="",
            parts=tuple(parts),
            stop_on_failure=not self._scored,
            aggregation="sum",
            ignores_samples=self._scored,
            max_score=parts[-1].max_score,
        )

    def _sample(self, directory: Directory, around: _Settings) -> Group:
        for key in _SCORING:
            if key in directory.configuration:
                raise directory.configuration.error(key, "is not for samples")
        settings = self._settings(directory.configuration, replace(around, feedback="full"))
        cases = tuple(self._cases(directory, settings, "ignored", None))
        return Group(name="sample", parts=cases, stop_on_failure=not self._scored)

    def _secret(self, directory: Directory, around: _Settings) -> Group:
        table = directory.configuration
        settings = self._settings(table, around)
        groups = [part for part in directory.directories() if part.is_configured]
        if groups and len(groups) < len(directory.parts):
            other = next(part for part in directory.parts if part not in groups)
            raise ProblemError(table.path.parent, f"has groups, so {other.name} must be one, with a test_group.yaml")
        aggregation = self._aggregation(table, "sum")
        most = self._max_score(table, 100.0)
        if self._scored and aggregation == "pass-fail" and most is None:
            raise table.error("max_score", "must be a number where the group is pass-fail")
        if not groups:
            return self._of_cases(directory, settings, aggregation, most, self._requires(table, ("sample",)))
        parts: list[Group] = []
        for group in groups:
            own = self._settings(group.configuration, settings)
            kind = self._aggregation(group.configuration, "pass-fail")
            limit = self._max_score(group.configuration, None)
            if self._scored and limit is None and (kind == "pass-fail" or most is not None):
                why = "the group is pass-fail" if kind == "pass-fail" else "the score of `secret` is bounded"
                raise group.configuration.error("max_score", f"must be a number, because {why}")
            if self._scored and aggregation == "pass-fail" and kind != "pass-fail":
                raise group.configuration.error("score_aggregation", "must be pass-fail, as that of `secret` is")
            earlier = ("sample", *(part.name for part in parts if part.aggregation == "pass-fail"))
            parts.append(self._of_cases(group, own, kind, limit, self._requires(group.configuration, earlier)))
        return Group(
            name="secret",
            parts=tuple(parts),
            stop_on_failure=not self._scored,
            aggregation=aggregation,
            max_score=most,
            requires=self._requires(table, ("sample",)),
        )

    def _of_cases(
        self,
        directory: Directory,
        settings: _Settings,
        kind: Aggregation,
        most: float | None,
        requires: tuple[str, ...],
    ) -> Group:
        rule: CheckerScore = "forbidden" if kind == "pass-fail" else "unbounded" if most is None else "bounded"
        count = sum(1 for _ in directory.cases())
        if not count:
            raise ProblemError(directory.path, "has no test case")
        points = None if most is None or kind == "pass-fail" else most / count if kind == "sum" else most
        return Group(
            name=directory.name,
            parts=tuple(self._cases(directory, settings, rule, points)),
            # What comes after a failure changes nothing but a sum.
            stop_on_failure=not self._scored or kind != "sum",
            aggregation=kind,
            max_score=most,
            requires=requires,
        )

    def _cases(
        self, directory: Directory, around: _Settings, rule: CheckerScore, points: float | None
    ) -> Iterator[Case]:
        """The cases of a group; its directories are no groups of their own."""
        for part in directory.parts:
            if isinstance(part, Directory):
                if part.is_configured:
                    raise ProblemError(part.path, "is a group in a group, which the format does not have")
                yield from self._cases(part, around, rule, points)
                continue
            settings = self._settings(part.configuration, around, _CASE_KEYS)
            try:
                compared = Comparison() if self._has_checker else comparison(settings.validator_arguments)
            except BadFlag as error:
                own = part.configuration
                raise ProblemError(own.path if own.keys else directory.configuration.path, str(error)) from None
            yield Case(
                name=part.name,
                input=part.input,
                answer=part.answer,
                arguments=settings.validator_arguments if self._has_checker else (),
                comparison=compared,
                feedback=settings.feedback,
                points=points if self._scored else None,
                checker_score=rule if self._scored else "forbidden",
                program_arguments=settings.arguments,
                files=part.files,
            )

    def _settings(self, table: YamlTable, around: _Settings, keys: tuple[str, ...] = _GROUP_KEYS) -> _Settings:
        if table.path.name == "testdata.yaml" and table.keys:
            raise ProblemError(
                table.path, "is not read in this version of the format; it is called test_group.yaml there"
            )
        self.remarks += table.unknown(keys)
        if not self._scored:
            for key in _SCORING:
                if key in table:
                    raise table.error(key, "is for problems of the type `scoring` only")
        if "static_validation_score" in table:
            raise table.error("static_validation_score", "asks for a static validator, which cannot be run")
        found = around
        if "args" in table:
            found = replace(found, arguments=table.texts("args"))
        if "output_validator_args" in table:
            found = replace(found, validator_arguments=table.texts("output_validator_args"))
        if "full_feedback" in table:
            found = replace(found, feedback="full" if table.flag("full_feedback", False) else "outcome")
        return found

    def _aggregation(self, table: YamlTable, default: Aggregation) -> Aggregation:
        options: tuple[Aggregation, ...] = ("pass-fail", "sum", "min")
        return table.choice("score_aggregation", options, default) if self._scored else "pass-fail"

    def _max_score(self, table: YamlTable, default: float | None) -> float | None:
        if not self._scored:
            return None
        if table.is_text("max_score") and table.text("max_score") == "unbounded":
            return None
        if "max_score" not in table:
            return default
        found = table.number("max_score", at_least=0)
        if found is None or found != int(found):
            raise table.error("max_score", "must be a whole number or `unbounded`")
        return found

    def _requires(self, table: YamlTable, earlier: tuple[str, ...]) -> tuple[str, ...]:
        names = []
        for name in table.texts("require_pass"):
            found = next((each for each in earlier if each in (name, f"secret/{name}")), None)
            if found is None:
                raise table.error(
                    "require_pass", f"must name pass-fail groups that come earlier, or `sample`; not {name[:80]!r}"
                )
            names.append(found)
        return tuple(names)
