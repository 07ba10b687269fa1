"""What a problem of cases is, however its author wrote it down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from subcli.judge.languages.language import Language

Feedback: TypeAlias = Literal["full", "outcome", "none", "after_close"]
"""What those who submit learn of a case: everything, its outcome alone, or not even that it ran. `after_close` is
`outcome` until `CaseSet.closes`, and then `full`; `feedback.settled` decides when a submission is judged."""
Interface: TypeAlias = Literal["icpc", "testlib"]
"""How a checker is started, and how it says what it thinks."""
Aggregation: TypeAlias = Literal["pass-fail", "sum", "min", "max", "avg"]
"""How the score of a group is made of the scores of its parts."""
Verdicts: TypeAlias = Literal["first_error", "worst_error", "always_accept"]
"""How the outcome of a group is made of the outcomes of its parts."""
CheckerScore: TypeAlias = Literal["optional", "required", "bounded", "unbounded", "forbidden", "ignored"]
"""Whether a checker may score an output that it accepts.

`bounded`: from 0 to `points`, or as a part of them; `unbounded`: it must, from 0 up.
"""


@dataclass(frozen=True)
class Comparison:
    """The built-in comparison of an output with an answer, token by token unless `exact`.

    Tolerances apply to tokens that are numbers in the answer; one of the two suffices.
    """

    exact: bool = False
    """Byte for byte; the other fields do not apply."""
    case_sensitive: bool = False
    space_change_sensitive: bool = False
    absolute_tolerance: float | None = None
    relative_tolerance: float | None = None


@dataclass(frozen=True)
class Tool:
    """A program of the author's: an output validator, a checker or a grader. It is built once for each version."""

    directory: Path
    files: tuple[str, ...]
    """Its source files, relative to `directory`."""
    language: Language
    entry: str
    """The file to start."""


@dataclass(frozen=True)
class Checker:
    """An output validator of the author's.

    It is started as `validator INPUT ANSWER FEEDBACK_DIR [arguments]` with the output on its stdin, exits with 42 if it
    accepts it and with 43 if not, and may write `teammessage.txt`, `judgemessage.txt` and `score.txt`.

    With the interface `testlib` it is started as `checker INPUT OUTPUT ANSWER [arguments]`. It exits with one of the
    codes of testlib.h, and says why on stderr.
    """

    tool: Tool
    interactive: bool = False
    """Whether its stdin and stdout are joined to those of the solution while both run."""
    max_passes: int = 1
    """How often the solution runs for one case; it runs again while the checker writes `nextpass.in`."""
    scores: bool = False
    """Whether it may write `score.txt`."""
    seconds: float = 60.0
    memory_mb: int = 2048
    interface: Interface = "icpc"


class Case(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """One case."""

    name: str
    """Unique within the problem, such as `secret/group1/03`."""
    input: Path
    answer: Path
    arguments: tuple[str, ...] = ()
    """What the checker gets besides."""
    comparison: Comparison = Comparison()
    """Applies where the problem has no checker."""
    feedback: Feedback = "full"
    points: float | None = None
    """Its score if it is accepted; None where there is no scoring, or the checker says."""
    rejected_points: float = 0.0
    """Its score if it is not accepted."""
    checker_score: CheckerScore = "optional"
    program_arguments: tuple[str, ...] = ()
    """Arguments of the solution."""
    files: tuple[tuple[str, Path], ...] = ()
    """Files that the solution finds in its working directory, by their paths in it."""


class Group(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Cases and groups in the order in which they run."""

    name: str
    """Such as `secret/group1`; empty for the whole."""
    parts: tuple[Case | Group, ...]
    stop_on_failure: bool = True
    """Whether the rest of the group is skipped once a part of it was not accepted."""
    aggregation: Aggregation = "pass-fail"
    verdicts: Verdicts = "first_error"
    accepts_any: bool = False
    """Whether one accepted part is enough; `verdicts` applies where there is none."""
    max_score: float | None = None
    """Where the author says so; `pass-fail` gives it to a group that is accepted as a whole."""
    score_range: tuple[float, float] | None = None
    ignores_samples: bool = False
    """Whether its part `sample` counts neither for the outcome nor for the score."""
    requires: tuple[str, ...] = ()
    """Names of groups that must be accepted; else it is skipped."""
    grader: Tool | None = None
    """A program that decides instead of `aggregation` and `verdicts`."""
    grader_arguments: tuple[str, ...] = ()

    def cases(self) -> Iterator[Case]:
        """All cases in it and in its groups, in order."""
        for part in self.parts:
            if isinstance(part, Case):
                yield part
            else:
                yield from part.cases()

    def groups(self) -> Iterator[Group]:
        """This group and all in it."""
        yield self
        for part in self.parts:
            if isinstance(part, Group):
                yield from part.groups()


@dataclass(frozen=True)
class CaseSet:
    """The tests of one problem."""

    root: Group
    checker: Checker | None = None
    is_scored: bool = False
    minimizes: bool = False
    """Whether fewer points are better."""
    zero_if_rejected: bool = False
    """Whether a submission that is not accepted has no points, whatever its groups are worth."""
    pass_score: float | None = None
    """The score from which the verdict is `passed`; None: accepted, and the highest score where there is one."""
    closes: float | None = None
    """When everything may be shown, in Unix time, for cases with `after_close`."""
    rerun: str = ""
    """The command that runs a case again for those who have all of them, but for `--case NAME`."""
    examples_only: bool = False
    """Whether the answers are only examples, so that an output that differs from one is neither accepted nor not."""

    def tools(self) -> tuple[Tool, ...]:
        """The programs of the author's, each once."""
        graders = (group.grader for group in self.root.groups() if group.grader is not None)
        return tuple(dict.fromkeys((*([self.checker.tool] if self.checker else []), *graders)))
