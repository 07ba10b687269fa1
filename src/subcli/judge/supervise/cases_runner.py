"""Running the tests of a problem made of cases."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from subcli.judge.cases.feedback import settled
from subcli.judge.cases.grading import Grade, Grading
from subcli.judge.cases.model import Case, CaseSet, Tool
from subcli.judge.cases.points import most_points
from subcli.judge.events import Graded, GroupResult, Measured
from subcli.judge.evidence import Evidence
from subcli.judge.problem import Problem
from subcli.judge.process.limits import out_of_time
from subcli.judge.process.starter import Plans
from subcli.judge.process.text import decode_beginning
from subcli.judge.process.watchdog import Watchdog
from subcli.judge.supervise.case_play import CasePlayer, Played
from subcli.judge.supervise.host_process import HostFault, HostProcess
from subcli.judge.supervise.results import Results
from subcli.judge.supervise.tools import ToolPlan, ToolProcess

_STATUS = {"passed": "passed", "skipped": "skipped", "judge_error": "error"}
_UNDECIDED = "Not judged here, because other answers than that of the example may be right."
_SHOWN_BYTES = 2_000
"""Of an input."""
_MOST_FAULTS = 20


class _Faults:
    """Why cases could not be judged. What many have in common, such as a checker that does not build, is said once."""

    def __init__(self) -> None:
        self._cases: dict[str, list[str]] = {}
        self._left_out = 0

    def __bool__(self) -> bool:
        return bool(self._cases)

    def add(self, why: str, case: str = "") -> None:
        if why not in self._cases and len(self._cases) >= _MOST_FAULTS:
            self._left_out += 1
        else:
            self._cases.setdefault(why, []).append(case)

    def text(self) -> str:
        lines = [f"{self._left_out} more cases could not be judged for other reasons"] if self._left_out else []
        for why, (first, *others) in self._cases.items():
            more = f" and {len(others)} more" if others else ""
            lines.append(f"{first}{more}: {why}" if first else why)
        return "\n".join(lines)


class CasesRun:
    """One run of all cases of a problem.

    Args:
        problem: Its `cases` are run.
        language: That of the solution.
        plans: How the solution is started.
        tools: How the programs of the author's are, in the order of `CaseSet.tools`.
        scratch: A directory of the judge's own.
        watchdog: Watches the solution.
        results: Where each case goes.
        memory_mb: The limit of the solution's address space; 0 if there is none.

    Attributes:
        graded: What each case that ran, and each group, is worth.
    """

    def __init__(
        self,
        problem: Problem,
        language: str,
        plans: Plans,
        tools: tuple[ToolPlan, ...],
        scratch: Path,
        watchdog: Watchdog,
        results: Results,
        memory_mb: int,
    ) -> None:
        assert problem.cases is not None
        self._cases = settled(problem.cases, time.time())
        self._problem = problem
        self._language = language
        self._limits = problem.limits
        self._watchdog = watchdog
        self._results = results
        self._memory_mb = memory_mb
        self._host = HostProcess(plans.run, plans.scratch or _own_scratch(self._cases, scratch), watchdog.trust)
        self._tools = {
            tool: ToolProcess(tool, plan, watchdog.set_apart)
            for tool, plan in zip(problem.cases.tools(), tools, strict=True)
        }
        self._faults = _Faults()
        self._secret_faults = _Faults()
        """Those of cases that are not shown in full: what a checker says of one may quote its data."""
        self.graded: list[Graded] = []

    async def run(self, command: tuple[str, ...]) -> str:
        """Run the cases on a solution that `command` starts. Returns the verdict: passed, failed or error."""
        every = list(self._cases.root.cases())
        self._results.testing(sum(case.feedback != "none" for case in every))
        checker = self._cases.checker
        player = CasePlayer(
            self._host,
            command,
            self._limits,
            self._memory_mb,
            self._watchdog,
            None if checker is None else (checker, self._tools[checker.tool]),
            examples_only=self._cases.examples_only,
            printed=self._results.printed,
        )
        grading = Grading(self._cases, self._grade)
        ran: set[str] = set()
        try:
            while (case := await grading.next_case()) is not None:
                ran.add(case.name)
                self._results.starting(case.name, feedback=case.feedback)
                played = await self._play(player, case)
                grade = grading.record(case, played.outcome, played.score, played.multiplier)
                self._report(case, played, grade)
                await self._results.drain()
            result = await grading.result()
            groups = {**grading.groups, self._cases.root.name: result}
            self.graded += (Graded(name, True, grade.outcome, grade.score) for name, grade in groups.items())
        finally:
            self._host.close()
            for tool in self._tools.values():
                tool.close()
        for case in every:
            if case.name not in ran:
                self._report(case, Played("skipped"), Grade("skipped"))
        self._report_groups(grading.groups)
        return self._verdict(result)

    async def _play(self, player: CasePlayer, case: Case) -> Played:
        if self._watchdog.submission_over.is_set():
            return Played("time_limit", out_of_time(self._limits.submission_seconds))
        try:
            return await player.play(case)
        except HostFault as error:
            return self._fault(case, str(error))
        except OSError as error:
            return self._fault(case, f"{error.strerror or error}")

    def _fault(self, case: Case, why: str) -> Played:
        self._note_fault(case, why)
        message = "the judge could not decide this case"
        return Played("judge_error", Evidence(kind="judge", message=message))

    def _note_fault(self, case: Case, why: str) -> None:
        (self._faults if case.feedback == "full" else self._secret_faults).add(why, case.name)

    async def _grade(self, tool: Tool, arguments: tuple[str, ...], text: str) -> str:
        return await self._tools[tool].grade(arguments, text)

    def _report(self, case: Case, played: Played, grade: Grade) -> None:
        checker = self._cases.checker
        # Otherwise only its group has points.
        has_points = case.points is not None or (checker is not None and checker.scores)
        if played.outcome != "skipped":
            case_grade = Graded(case.name, False, grade.outcome, grade.score, played.judge_message, played.cpu_ms)
            self.graded.append(case_grade)
        # With an interactive checker, the solution never sees the input.
        is_for_checker = self._cases.checker is not None and self._cases.checker.interactive
        is_explained = played.evidence is not None and case.feedback == "full"
        if grade.outcome == "judge_error" and grade.reason:
            self._note_fault(case, grade.reason)
        self._results.finished(
            test_id=case.name,
            name=case.name,
            kind="functional",
            status="skipped" if played.undecided else _STATUS.get(grade.outcome, "failed"),
            duration_ms=played.wall_ms,
            evidence=played.evidence,
            message=f"{_UNDECIDED} {played.undecided}" if played.undecided else "",
            given=_beginning(case.input) if is_explained and not is_for_checker else "",
            output=played.output,
            rerun=self._rerun(case) if is_explained else "",
            outcome="skipped" if played.undecided else grade.outcome,
            measured=Measured(
                cpu_ms=None if played.outcome == "skipped" else played.cpu_ms,
                memory_kb=played.memory_kb or None,
                group=case.name.rpartition("/")[0],
                score=grade.score if self._cases.is_scored and has_points else None,
                max_score=None if case.points is None else most_points(self._cases, case),
            ),
            feedback=case.feedback,
        )

    def _report_groups(self, grades: Mapping[str, Grade]) -> None:
        """Tell what the groups are worth; those in a group that was skipped were skipped as well."""
        skipped = Grade("skipped", 0.0 if self._cases.is_scored else None)
        for group in self._cases.root.groups():
            # The result of a group would tell of each case in it.
            if group.name and all(case.feedback != "none" for case in group.cases()):
                grade = grades.get(group.name, skipped)
                most = most_points(self._cases, group)
                self._results.group(GroupResult(group.name, grade.outcome, grade.score, most))

    def _rerun(self, case: Case) -> str:
        """The command that runs a case at home; empty if those who submit do not have it."""
        name = shlex.quote(case.name)
        if self._cases.rerun:
            return f"{self._cases.rerun} --case {name}"
        return f"subcli test --case {name}" if case.name in self._at_home else ""

    @cached_property
    def _at_home(self) -> frozenset[str]:
        # Only failures pay for it, once.
        from subcli.judge.local import cases_at_home

        return cases_at_home(self._problem, self._language)

    def _verdict(self, result: Grade) -> str:
        if result.outcome == "judge_error" or self._faults or self._secret_faults:
            if result.reason:
                is_shown = all(case.feedback == "full" for case in self._cases.root.cases())
                (self._faults if is_shown else self._secret_faults).add(result.reason)
            told, secret = self._faults.text(), self._secret_faults.text()
            self._results.remark(Evidence(kind="judge", message="a case could not be judged", stderr=told), secret)
            return "error"
        score, best = result.score, self._cases.root.max_score
        if self._cases.is_scored and score is not None:
            self._results.score(score, most_points(self._cases, self._cases.root), self._cases.pass_score)
            if self._cases.pass_score is not None:
                return "passed" if score >= self._cases.pass_score else "failed"
            if best is not None and score < best:
                return "failed"
        return "passed" if result.outcome == "passed" else "failed"


def _own_scratch(cases: CaseSet, scratch: Path) -> tuple[str, ...]:
    """Where the files of a case are laid out without a sandbox."""
    if not any(case.files for case in cases.root.cases()):
        return ()
    place = scratch / "files"
    place.mkdir()
    return (str(place),)


def _beginning(path: Path) -> str:
    """The beginning of an input; of a longer one, also its size. What cannot be read is reported elsewhere."""
    try:
        with path.open("rb") as file:
            data = file.read(_SHOWN_BYTES + 1)
            size = os.fstat(file.fileno()).st_size
    except OSError:
        return ""
    shown = decode_beginning(data, _SHOWN_BYTES)
    return shown if len(data) <= _SHOWN_BYTES else f"{shown}…\n… {size:,} bytes in all"
