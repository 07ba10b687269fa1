"""Checks that a package's `submissions/` end as their directories and `submissions.yaml` say.

A time limit that the package does not declare follows from what its accepted submissions take, as the format has it:
those are judged first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from subcli.judge.cases.expected import Ended, codes, disagreement, remark
from subcli.judge.cases.feedback import revealed
from subcli.judge.cases.grading import Grade
from subcli.judge.cases.model import Group
from subcli.judge.constants import filled
from subcli.judge.events import Graded
from subcli.judge.job import Job
from subcli.judge.languages.language import Language
from subcli.judge.languages.versions import missing_programs
from subcli.judge.package.languages import PYTHON_2
from subcli.judge.package.programs import entry_of, files_of, texts_of
from subcli.judge.problem import Problem, Solution
from subcli.judge.process.starter import Starter
from subcli.judge.process.text import cut
from subcli.judge.report import Check
from subcli.judge.supervise.engine import judge

_MEASURING_SECONDS: Final = 60.0
"""The time limit of a submission from which that of the problem follows."""
_SHOWN_BYTES: Final = 4096


@dataclass
class Judged:
    """How a submission ended."""

    verdict: str = "error"
    cases: list[Graded] = field(default_factory=list)
    groups: dict[str, Grade] = field(default_factory=dict)
    printed: list[str] = field(default_factory=list)
    """What the build printed if it failed, and the judge's own log."""

    def add(self, graded: Graded) -> None:
        """Take what the judge says of a case or a group."""
        if graded.is_group:
            self.groups[graded.name] = Grade(graded.outcome, graded.score)
        else:
            self.cases.append(graded)

    @property
    def slowest_s(self) -> float:
        """The processor time of the slowest case."""
        return max((case.cpu_ms / 1000 for case in self.cases), default=0.0)

    @property
    def why(self) -> str:
        """What was printed."""
        return cut("\n".join(filter(None, map(str.strip, self.printed))), _SHOWN_BYTES)


async def check_submissions(
    problem: Problem, starter: Starter | None, on_judged: Callable[[Solution, Judged], None] | None = None
) -> AsyncGenerator[Check, None]:
    """Judge all submissions of a package, and yield what was found as soon as it is known.

    Args:
        problem: The package.
        starter: What the submissions run under.
        on_judged: Called with each submission that was judged, and how it ended.
    """
    assert problem.cases is not None
    assert problem.timing is not None
    timing = problem.timing
    problem = replace(problem, cases=revealed(problem.cases))
    bounds = [each for each in problem.solutions if each.expected is not None and each.expected.bounds_time]
    if not any(each.file.parent.name == "accepted" for each in problem.solutions):
        yield Check("submissions", True, "none in submissions/accepted: nothing proves it can be solved", skipped=True)
    if not timing.is_declared and bounds:
        generous = _with_limit(problem, _MEASURING_SECONDS)
        took_s: list[float] = []
        for solution in bounds:
            check, seconds = await _check(generous, solution, starter, on_judged)
            took_s += [] if check.skipped else [seconds]
            yield check
        if took_s:
            problem = _with_limit(problem, timing.inferred(max(took_s)))
            yield Check(
                "time limit",
                True,
                f"{problem.limits.test_seconds:g} s follows from {max(took_s):.2f} s, the slowest of these;"
                " declare it as `time_limit` below `limits` in problem.yaml",
            )
    for solution in problem.solutions:
        if timing.is_declared or solution not in bounds:
            check, _ = await _check(problem, solution, starter, on_judged)
            yield check


def _with_limit(problem: Problem, seconds: float) -> Problem:
    limits = problem.limits
    count = problem.total_tests or 1
    passes = problem.cases.checker.max_passes if problem.cases is not None and problem.cases.checker else 1
    for_all = min(86_000.0, max(limits.submission_seconds, 60 + count * (passes * (2 * seconds + 1) + 1)))
    limits = msgspec.structs.replace(limits, test_seconds=seconds, submission_seconds=for_all)
    return replace(problem, limits=limits)


async def _check(
    problem: Problem,
    solution: Solution,
    starter: Starter | None,
    on_judged: Callable[[Solution, Judged], None] | None,
) -> tuple[Check, float]:
    """Judge one submission. Returns what was found, and the processor time of its slowest case in seconds."""
    name = f"{solution.file.parent.name}/{solution.file.name}"
    language = problem.languages.get(solution.language)
    reason = _not_judged(solution, language)
    if language is None or reason:
        return Check(name, True, f"skipped: {reason}", skipped=True), 0.0
    judged = await _judge(problem, language, solution, starter)
    if on_judged is not None:
        on_judged(solution, judged)
    complaint = _complaint(judged, solution)
    if complaint:
        return Check(name, False, f"{complaint}\n{judged.why}".strip()), judged.slowest_s
    notes = (_summary(judged), _remark(judged, solution))
    return Check(name, True, "; ".join(filter(None, notes))), judged.slowest_s


def _not_judged(solution: Solution, language: Language | None) -> str:
    if solution.language == PYTHON_2:
        return f"{PYTHON_2} cannot be run"
    if not solution.language:
        return "it is in no language that the judge knows"
    if language is None:
        return f"the problem does not take {solution.language}"
    missing = ", ".join(missing_programs(language))
    return f"{missing} is not installed" if missing else ""


def _complaint(judged: Judged, solution: Solution) -> str:
    """What is not as expected; empty if everything is."""
    wanted = solution.expect or ("" if judged.verdict != "build_failed" else "a program that can be built")
    if wanted:
        return "" if judged.verdict == wanted else f"{judged.verdict} instead of {wanted}"
    if judged.verdict == "error" or solution.expected is None or "" not in judged.groups:
        return "the judge could not judge it"
    ended = [Ended(case.name, case.outcome, case.message) for case in judged.cases]
    return disagreement(solution.expected, ended, judged.groups[""], judged.groups)


def _remark(judged: Judged, solution: Solution) -> str:
    if solution.expected is None or "" not in judged.groups:
        return ""
    return remark(solution.expected, judged.groups[""])


def _summary(judged: Judged) -> str:
    whole = judged.groups.get("")
    if whole is None:
        return judged.verdict
    word = next(iter(codes(whole.outcome)), whole.outcome)
    first = next((case.name for case in judged.cases if case.outcome not in ("passed", "skipped")), "")
    score = f", {whole.score:g} points" if whole.score is not None else ""
    where = f" in {first}" if first and whole.outcome != "passed" else ""
    return f"{word}{where}{score}, {judged.slowest_s:.2f} s"


async def _judge(problem: Problem, language: Language, solution: Solution, starter: Starter | None) -> Judged:
    files, language = await asyncio.to_thread(_read, problem, solution, language)
    if solution.expected is not None and any(rule.scope for rule in solution.expected.rules):
        # What is expected of single cases is seen only if they run.
        assert problem.cases is not None
        problem = replace(problem, cases=replace(problem.cases, root=_without_stop(problem.cases.root)))
    job = Job(replace(problem, languages={language.name: language}), language.name, files)
    judged = Judged()
    judging = judge(job, starter=starter, on_fault=judged.printed.append, on_grade=judged.add)
    async with aclosing(judging) as events:
        async for event in events:
            if event.get("status") == "build_failed":
                judged.printed.append(str(event.get("detail", "")))
            elif event["type"] == "complete":
                judged.verdict = str(event["final_status"])
    return judged


def _without_stop(group: Group) -> Group:
    """The same group, in which every case runs."""
    parts = tuple(_without_stop(part) if isinstance(part, Group) else part for part in group.parts)
    return msgspec.structs.replace(group, parts=parts, stop_on_failure=False)


def _read(problem: Problem, solution: Solution, language: Language) -> tuple[Mapping[str, str], Language]:
    """The files of a submission, and the language that knows which one to start."""
    texts = texts_of(files_of(solution.file))
    files = {name: filled(text, problem.constants) for name, text in texts.items()}
    if not solution.file.is_dir():
        ((name, text),) = files.items()
        return {language.name_of_single(name, text): text}, language
    # A class is in a file of its name.
    wanted = solution.entrypoint and next(
        (name for name in files if solution.entrypoint in (name, name.rpartition(".")[0].replace("/", "."))), ""
    )
    if wanted:
        return files, replace(language, source=wanted)
    entry = entry_of(language, files)
    return files, language if language.entry(files) or entry is None else replace(language, source=entry)
