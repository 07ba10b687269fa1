"""Problems of cases as `problem.toml` describes them: `runner = "cases"`.

The cases are files: `tests/NAME.in` with `NAME.ans` (or `.out`) beside it. A directory below is a group, and what the
file says about groups it says in one table. The group `sample` is public: it comes first, all of it is shown, and
learners get its files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from subcli.judge.cases.model import Case, CaseSet, Checker, Comparison, Feedback, Group, Interface, Tool
from subcli.judge.cases.points import most_points
from subcli.judge.languages.table import InnerPath, Languages
from subcli.shared.suggest import did_you_mean
from subcli.shared.toml import Keys, TomlFile

SAMPLE: Final = "sample"
_ANSWERS: Final = (".ans", ".out")
_MOST_CASES: Final = 10_000
_DEEPEST: Final = 8
_DIGITS: Final = re.compile(r"([0-9]+)")

Switch: TypeAlias = Annotated[bool, Meta(description="true or false")]
Tolerance: TypeAlias = Annotated[float, Meta(ge=0, description="a number, at least 0", examples=["1e-6"])]
Points: TypeAlias = Annotated[float, Meta(ge=0, le=1e9, description="a number of points, at least 0")]
Moment: TypeAlias = Annotated[
    datetime,
    Meta(tz=True, description="a date and time with an offset", examples=["2027-01-31T23:59:00+01:00"]),
]
FeedbackName: TypeAlias = Annotated[
    Literal["full", "outcome", "none", "after_close"],
    Meta(description="one of full, outcome, none, after_close"),
]


class ComparisonTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The table `[comparison]`."""

    exact: Switch = False
    case_sensitive: Switch = False
    space_change_sensitive: Switch = False
    tolerance: Tolerance | None = None
    absolute_tolerance: Tolerance | None = None
    relative_tolerance: Tolerance | None = None


class CheckerTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table `[checker]`."""

    file: InnerPath
    language: Annotated[str, Meta(min_length=1, description="the name of a language")]
    files: Annotated[tuple[InnerPath, ...], Meta(description="a list of relative paths")] = ()
    interface: Annotated[Interface, Meta(description="one of icpc, testlib")] = "icpc"
    interactive: Switch = False
    scores: Switch = False
    arguments: Annotated[tuple[str, ...], Meta(description="a list of strings")] = ()
    seconds: Annotated[float, Meta(gt=0, le=3600, description="a number of seconds, at most an hour")] = 60.0
    memory_mb: Annotated[int, Meta(ge=16, description="an integer, at least 16")] = 2048


class GroupTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table `[groups.NAME]`."""

    points: Points | None = None
    points_each: Points | None = None
    feedback: FeedbackName | None = None
    stop_on_failure: Switch | None = None
    requires: Annotated[tuple[str, ...], Meta(description="a list of names of groups")] = ()


class CasesTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What belongs to `runner = "cases"`, at the top level of `problem.toml`; `closes` to every problem."""

    comparison: ComparisonTable | None = None
    checker: CheckerTable | None = None
    groups: Annotated[dict[str, Any], Meta(description="tables `[groups.NAME]`")] = {}
    feedback: FeedbackName = "full"
    closes: Moment | None = None
    pass_score: Points | None = None
    stop_on_failure: Switch = False


def check_unused(file: TomlFile, keys: Keys = (), *, allowed: Collection[str] = ()) -> None:
    """
    Args:
        file: says that the runner is another one.
        keys: where it describes the problem.
        allowed: what it may have all the same.

    Raises:
        TomlError: it has something that belongs to problems of cases.
    """
    table: Mapping[str, Any] = file.content
    for key in keys:
        table = table[str(key)]
    for name in CasesTable.__struct_fields__:
        if name in table and name not in allowed:
            raise file.error((*keys, name), 'is only allowed with `runner = "cases"`')


def case_set(
    file: TomlFile,
    table: CasesTable,
    root: Path,
    tests: str,
    languages: Languages,
    keys: Keys = (),
    prefix: str = "",
) -> CaseSet:
    """The cases of a problem.

    Args:
        file: describes the problem.
        table: what it says.
        root: the problem's directory.
        tests: the directory of the cases in it.
        languages: those that the checker may be written in.
        keys: where in the file the problem is described.
        prefix: how the names of all cases begin.

    Raises:
        TomlError: a table is not valid, or files are missing.
    """
    return _Reader(file, table, root, tests, languages, keys).read(prefix)


class _Reader:
    """Reads the cases of one problem."""

    def __init__(
        self, file: TomlFile, table: CasesTable, root: Path, tests: str, languages: Languages, keys: Keys
    ) -> None:
        self._file = file
        self._table = table
        self._root = root
        self._tests = root / tests
        self._languages = languages
        self._keys = keys
        self._groups = {name: file.convert(GroupTable, (*keys, "groups", name)) for name in table.groups}
        self._comparison = self._read_comparison(table.comparison or ComparisonTable())
        self._seen: set[str] = set()
        self._count = 0

    def read(self, prefix: str) -> CaseSet:
        checker = self._read_checker()
        is_scored = any(group.points is not None or group.points_each is not None for group in self._groups.values())
        if self._table.pass_score is not None and not is_scored and not (checker and checker.scores):
            raise self._error(("pass_score",), "needs points: say in `[groups.NAME]` what the groups are worth")
        parts = self._read_directory(self._tests, prefix, self._table.feedback, 0)
        if not self._count:
            raise self._error(("tests",), f"has no cases: there is no `*.in` in {self._tests.name!r}")
        self._check_groups()
        root = Group(
            name="",
            parts=parts,
            stop_on_failure=self._table.stop_on_failure,
            aggregation="sum" if is_scored or (checker and checker.scores) else "pass-fail",
        )
        closes = self._table.closes
        cases = CaseSet(
            root=root,
            checker=checker,
            is_scored=is_scored or (checker is not None and checker.scores),
            pass_score=self._table.pass_score,
            closes=closes.timestamp() if closes is not None else None,
        )
        return replace(cases, root=msgspec.structs.replace(root, max_score=most_points(cases, root)))

    def _error(self, keys: Keys, problem: str, hint: str = "") -> Exception:
        return self._file.error((*self._keys, *keys), problem, hint=hint)

    def _read_comparison(self, table: ComparisonTable) -> Comparison:
        tolerances = (table.absolute_tolerance, table.relative_tolerance)
        if table.tolerance is not None and tolerances != (None, None):
            raise self._error(("comparison", "tolerance"), "stands for both others; leave them out")
        others = (table.case_sensitive, table.space_change_sensitive, table.tolerance is not None, *tolerances)
        if table.exact and any(other not in (False, None) for other in others):
            raise self._error(("comparison", "exact"), "compares byte for byte; leave the other keys out")
        return Comparison(
            exact=table.exact,
            case_sensitive=table.case_sensitive,
            space_change_sensitive=table.space_change_sensitive,
            absolute_tolerance=table.absolute_tolerance if table.tolerance is None else table.tolerance,
            relative_tolerance=table.relative_tolerance if table.tolerance is None else table.tolerance,
        )

    def _read_checker(self) -> Checker | None:
        table = self._table.checker
        if table is None:
            return None
        if self._table.comparison is not None:
            raise self._error(("checker",), "decides alone; leave `[comparison]` out")
        path = self._root / table.file
        if not path.is_file():
            raise self._error(("checker", "file"), f"must be a file: there is no {table.file!r}")
        if table.language not in self._languages:
            hint = did_you_mean(table.language, self._languages)
            complaint = f"must be a language that the judge knows, not {table.language!r}"
            raise self._error(("checker", "language"), complaint, hint)
        if table.interface == "testlib" and table.interactive:
            raise self._error(("checker", "interactive"), "is not possible with the interface `testlib`")
        files = [path.name]
        for number, name in enumerate(table.files):
            beside = self._root / name
            if not beside.is_file() or not beside.is_relative_to(path.parent):
                complaint = f"must be a file in the directory of {table.file!r}: there is no {name!r}"
                raise self._error(("checker", "files", number), complaint)
            files.append(beside.relative_to(path.parent).as_posix())
        return Checker(
            Tool(path.parent, tuple(files), self._languages[table.language], path.name),
            table.interactive,
            scores=table.scores,
            seconds=table.seconds,
            memory_mb=table.memory_mb,
            interface=table.interface,
        )

    def _read_directory(self, directory: Path, prefix: str, feedback: str, depth: int) -> tuple[Case | Group, ...]:
        """The cases in a directory, and the groups below it."""
        if depth > _DEEPEST:
            raise self._error(("tests",), f"is nested too deeply: {directory.relative_to(self._root)}")
        names = sorted(os.listdir(directory), key=_natural)
        below = [name for name in names if not name.startswith(".") and (directory / name).is_dir()]
        groups = [self._read_group(directory / name, f"{prefix}{name}", feedback, depth) for name in below]
        cases = [
            self._read_case(directory, prefix, name.removesuffix(".in"), feedback)
            for name in names
            if name.endswith(".in") and (directory / name).is_file()
        ]
        self._check_answers(directory, names)
        found = [group for group in groups if group is not None]
        order = list(self._groups)
        # Samples first, then the cases of no group; the table decides about the order of those that it names.
        found.sort(key=lambda group: order.index(group.name) if group.name in order else len(order))
        samples = [group for group in found if group.name == SAMPLE]
        return (*samples, *cases, *(group for group in found if group.name != SAMPLE))

    def _read_group(self, directory: Path, name: str, feedback: str, depth: int) -> Group | None:
        table = self._groups.get(name, GroupTable())
        if table.points is not None and table.points_each is not None:
            raise self._error(("groups", name, "points_each"), "and `points` exclude each other")
        own = table.feedback or ("full" if name == SAMPLE else feedback)
        before = self._count
        parts = self._read_directory(directory, f"{name}/", own, depth + 1)
        if not parts:
            return None
        self._seen.add(name)
        count = self._count - before
        if table.points_each is not None:
            parts = tuple(
                msgspec.structs.replace(part, points=table.points_each) if isinstance(part, Case) else part
                for part in parts
            )
        return Group(
            name=name,
            parts=parts,
            stop_on_failure=self._table.stop_on_failure if table.stop_on_failure is None else table.stop_on_failure,
            aggregation="pass-fail" if table.points_each is None else "sum",
            max_score=table.points if table.points_each is None else table.points_each * count,
            requires=table.requires,
        )

    def _read_case(self, directory: Path, prefix: str, name: str, feedback: str) -> Case:
        self._count += 1
        if self._count > _MOST_CASES:
            raise self._error(("tests",), f"has more than {_MOST_CASES:,} cases")
        answers = [path for ending in _ANSWERS if (path := directory / f"{name}{ending}").is_file()]
        where = f"{directory.relative_to(self._root)}/{name}"
        if len(answers) > 1:
            raise self._error(("tests",), f"has two answers to {where}.in: {answers[0].name} and {answers[1].name}")
        if not answers and self._table.checker is None:
            raise self._error(("tests",), f"has no answer to {where}.in: there is no {name}.ans beside it")
        checker = self._table.checker
        return Case(
            name=f"{prefix}{name}",
            input=(directory / f"{name}.in").resolve(),
            # A checker may do without.
            answer=answers[0].resolve() if answers else Path(os.devnull),
            arguments=checker.arguments if checker is not None else (),
            comparison=self._comparison,
            feedback=_feedback(feedback),
        )

    def _check_answers(self, directory: Path, names: list[str]) -> None:
        for name in names:
            path = directory / name
            if path.suffix == ".ans" and path.with_suffix(".in").name not in names:
                where = path.relative_to(self._root)
                raise self._error(("tests",), f"has an answer without an input: {where} needs {path.stem}.in")

    def _check_groups(self) -> None:
        for name, table in self._groups.items():
            if name not in self._seen:
                hint = did_you_mean(name, self._seen)
                raise self._error(("groups", name), f"is no directory with cases in {self._tests.name!r}", hint)
            for other in table.requires:
                if other not in self._seen:
                    hint = did_you_mean(other, self._seen)
                    raise self._error(("groups", name, "requires"), f"names no other group: {other!r}", hint)
        try:
            TopologicalSorter({name: table.requires for name, table in self._groups.items()}).prepare()
        except CycleError as error:
            circle = error.args[1][::-1]
            complaint = f"leads in a circle: {' → '.join(circle)}"
            raise self._error(("groups", circle[0], "requires"), complaint) from None
        if self._table.closes is None and "after_close" in (
            self._table.feedback,
            *(table.feedback for table in self._groups.values()),
        ):
            raise self._error(("feedback",), "`after_close` needs `closes`, a date and time with an offset")


def _feedback(name: str) -> Feedback:
    found: Feedback = msgspec.convert(name, Feedback)
    return found


def _natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts `2` before `10`."""
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in _DIGITS.split(name) if part)
