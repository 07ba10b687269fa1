"""Running a grader: one program of the author's beside the solution, in its sandbox, that writes down its results.

Whatever goes wrong once the grader runs, the solution may have caused: then the verdict is `failed`. Only a command
or a sandbox that cannot be started is the author's or the judge's fault: `error`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from subcli.judge.analysis.tools import has_compile_error
from subcli.judge.events import Measured
from subcli.judge.evidence import OUTPUT_BYTES, Evidence
from subcli.judge.grader import go, gradescope, jest, junit
from subcli.judge.grader.model import (
    EXIT,
    GRADESCOPE,
    MAX_BYTES,
    MAX_RESULTS,
    MAX_TEXT,
    PRINTED,
    Report,
    ReportError,
    TestResult,
)
from subcli.judge.grader.packages import complaint_about
from subcli.judge.grader.printed import parse_rust, parse_unity, plain
from subcli.judge.problem import Problem
from subcli.judge.process.grade import NOT_EXECUTABLE, NOT_FOUND, STARTLESS
from subcli.judge.process.limits import out_of_time, over_limit
from subcli.judge.process.starter import GRADE, Plans
from subcli.judge.process.text import cut
from subcli.judge.process.watchdog import Watchdog
from subcli.judge.supervise.build import BuildResult
from subcli.judge.supervise.host_process import Collector, HostFault, HostProcess, Ran, processor_bound_s
from subcli.judge.supervise.results import Results
from subcli.judge.supervise.tap_parser import BailOut, Parser, Point

_MEGABYTE = 1024 * 1024


class GraderRun:
    """One run of a grader.

    Args:
        problem: Its `grader` is run.
        plans: How the solution is started, and with it the grader.
        watchdog: Watches both.
        results: Where each test goes.
        memory_mb: The limit of each process's address space; 0 if there is none.
    """

    def __init__(self, problem: Problem, plans: Plans, watchdog: Watchdog, results: Results, memory_mb: int) -> None:
        assert problem.grader is not None
        self._grader = problem.grader
        where = self._grader.results
        self._kind = "printed" if where in PRINTED else where if where in (EXIT, GRADESCOPE) else "files"
        self._pattern = "results/results.json" if where == GRADESCOPE else where
        self._total_tests = problem.total_tests
        self._limits = problem.limits
        self._watchdog = watchdog
        self._results = results
        self._memory_mb = memory_mb
        self._host = HostProcess(plans.run, plans.scratch, watchdog.trust)
        self.failed_build: BuildResult | None = None
        """What the compiler said, if the grader could not build the solution."""

    async def run(self, command: tuple[str, ...]) -> str:
        """Run the grader. Returns the verdict: passed, failed, error, or build_failed with `failed_build`."""
        if complaint := complaint_about(self._grader.packages):
            self._results.remark(Evidence(kind="judge", message=complaint))
            return "error"
        kept = self._limits.output_kb * 1024
        # Base64 takes a third more.
        has_files = self._kind in ("files", "gradescope")
        output = Collector(
            2 * MAX_BYTES if has_files else kept, self._host.stop, None if has_files else self._taker("stdout")
        )
        errors = Collector(kept, self._host.stop, self._taker("stderr"))
        try:
            ran = await self._run(command, (os.open(os.devnull, os.O_RDONLY), output.writing, errors.writing))
            data, log = await output.end(), (await errors.end()).decode("utf-8", "backslashreplace")
        except (HostFault, OSError) as error:
            self._results.remark(Evidence(kind="judge", message="the grader could not be run", stderr=str(error)))
            return "error"
        finally:
            output.close()
            errors.close()
            self._host.close()
        if ran is not None and ran.code in (NOT_FOUND, NOT_EXECUTABLE) and log.startswith(STARTLESS):
            self._results.remark(Evidence(kind="judge", message=STARTLESS, stderr=log))
            return "error"
        fault = self._fault(ran, log, is_flood=output.is_exceeded or errors.is_exceeded)
        try:
            report = self._read(data, ran, log)
        except ReportError as error:
            return self._without_results(str(error), ran, fault, plain(log), command)
        return await self._report(report, ran, fault, log)

    def _taker(self, stream: str) -> Callable[[bytes], None] | None:
        """What takes a stream as it comes. Only the results of Gradescope say what is not to be shown, at the end."""
        printed = self._results.printed
        return None if printed is None or self._kind == "gradescope" else partial(printed.add, stream=stream)

    def _without_results(
        self, complaint: str, ran: Ran | None, fault: Evidence | None, log: str, command: tuple[str, ...]
    ) -> str:
        # Some tools print on stdout what their compiler says.
        said = log if has_compile_error(log) else complaint
        if fault is None and ran is not None and ran.code != 0 and has_compile_error(said):
            message = "the solution does not compile with the tests"
            evidence = Evidence(kind="build", message=message, stderr=said, command=" ".join(command))
            self.failed_build = BuildResult(evidence.bounded(), cut(said, OUTPUT_BYTES))
            return "build_failed"
        self._results.testing(self._total_tests)
        message = f"the grader left no results that count: {complaint}"
        code = None if ran is None else ran.code
        self._results.remark(fault or Evidence(kind="exit", message=message, exit_code=code, stderr=log).bounded())
        return "failed"

    async def _run(self, command: tuple[str, ...], streams: tuple[int, int, int]) -> Ran | None:
        seconds = self._limits.submission_seconds
        order = {
            "command": (sys.executable, "-I", "-S", str(GRADE), self._kind, self._pattern, str(MAX_BYTES), *command),
            "memory": self._memory_mb * _MEGABYTE,
            "cpu_s": processor_bound_s(seconds),
            "files": (),
            "wanted": (),
            "keep": False,
        }
        self._watchdog.begin(seconds)
        try:
            return await self._host.run(order, streams)
        finally:
            self._watchdog.end()

    def _fault(self, ran: Ran | None, log: str, *, is_flood: bool) -> Evidence | None:
        """What the run itself has done wrong, whatever it reports."""
        found = Evidence(kind="exit", node="the grader", stderr=log)
        exceeded = self._watchdog.exceeded
        if exceeded is not None:
            is_late = exceeded.limit == "time"
            return over_limit(out_of_time(self._limits.submission_seconds) if is_late else exceeded, found).bounded()
        if is_flood:
            return replace(found, kind="flood", message="the grader wrote more than it may").bounded()
        if ran is None:
            return replace(found, message="the sandbox of the grader and the solution was ended from inside").bounded()
        return None

    def _read(self, data: bytes, ran: Ran | None, log: str) -> Report:
        """
        Raises:
            ReportError: There are no results, or they are not in their format.
        """
        if self._kind == EXIT:
            return _exit(ran, log)
        if self._kind == "printed":
            return _PRINTED[self._grader.results](data.decode("utf-8", "backslashreplace"))
        try:
            files = msgspec.json.decode(data, type=dict[str, bytes]) if data else {}
        except (msgspec.MsgspecError, ValueError):
            raise ReportError("what it handed on cannot be read") from None
        if not files:
            raise ReportError(f"there is no {self._pattern}")
        if sum(map(len, files.values())) > MAX_BYTES:
            raise ReportError(f"{self._pattern} has more than {MAX_BYTES // 1024} KB")
        reports: list[Report] = []
        for name, text in files.items():
            try:
                reports.append(_parse(name, text))
            except ReportError as error:
                raise ReportError(f"{name[:200]} {error}") from None
        results = tuple(result for report in reports for result in report.results)
        if not results:
            raise ReportError(f"{self._pattern} has no tests")
        if len(results) > MAX_RESULTS:
            raise ReportError(f"there are more than {MAX_RESULTS:,} tests")
        scores = [report.score for report in reports if report.score is not None]
        remark = "\n".join(filter(None, (report.remark for report in reports)))
        return Report(results, sum(scores) if scores else None, remark)

    async def _report(self, report: Report, ran: Ran | None, fault: Evidence | None, log: str) -> str:
        shown = [result for result in report.results if result.feedback != "none"]
        self._results.testing(max(len(shown), self._total_tests or 0), report.remark)
        if any(result.feedback != "full" for result in report.results):
            # It may quote what is not to be shown.
            log = ""
        for number, result in enumerate(report.results, 1):
            self._test(number, result)
            await self._results.drain()
        if fault is None and ran is not None and ran.code != 0 and not self._results.failed:
            message = f"the grader exited with code {ran.code}, though it reports no failed test"
            fault = Evidence(kind="exit", message=message, exit_code=ran.code, stderr=log).bounded()
        count = len(report.results)
        if fault is None and count < (self._total_tests or 0):
            message = f"the grader reports {count} of {self._total_tests} tests"
            fault = Evidence(kind="exit", message=message, stderr=log).bounded()
        if fault is not None:
            self._results.remark(fault)
            return "failed"
        return self._verdict(report)

    def _test(self, number: int, result: TestResult) -> None:
        evidence = None
        if result.status == "failed":
            message = result.message or f"{result.name} failed"
            if result.expected or result.actual:
                evidence = Evidence("violation", message, result.expected, result.actual).bounded()
            else:
                # What the tests print of a failure may be the traceback of an exception.
                evidence = Evidence(
                    "tap",
                    message,
                    stderr=result.output,
                    explanation="What the tests of this problem say about it is shown with the test.",
                    suggestions=("Call your code with the same values on your own machine.",),
                ).bounded()
        self._results.finished(
            test_id=str(number),
            name=result.name,
            kind="functional",
            status=result.status,
            duration_ms=result.duration_ms,
            evidence=evidence,
            message=result.message,
            output=result.output,
            measured=Measured(group=result.group, score=result.score, max_score=result.max_score),
            feedback=result.feedback,
        )

    def _verdict(self, report: Report) -> str:
        grader = self._grader
        given = [result.score for result in report.results if result.score is not None]
        bests = [result.max_score for result in report.results if result.max_score is not None]
        score = report.score if report.score is not None else sum(given) if given else None
        best = grader.max_score if grader.max_score is not None else sum(bests) if bests else None
        if score is not None:
            if best is not None and grader.max_score is not None and score > best:
                message = f"the grader reports {score:g} points, more than the {best:g} that there are"
                self._results.remark(Evidence(kind="exit", message=message))
                return "failed"
            self._results.score(score, best, grader.pass_score)
            needed = grader.pass_score if grader.pass_score is not None else best
            if needed is None:
                message = f"the grader reports {score:g} points and not out of how many: set `max_score` in [grader]"
                self._results.remark(Evidence(kind="judge", message=message))
                return "error"
            if grader.pass_score is not None or score < needed:
                return "passed" if score >= needed else "failed"
        is_tried = any(result.status == "passed" for result in report.results)
        return "passed" if is_tried and not self._results.failed else "failed"


def _parse(name: str, data: bytes) -> Report:
    if Path(name).suffix == ".xml":
        return Report(tuple(junit.parse(data)))
    return jest.parse(data) if jest.is_jest(data) else gradescope.parse(data)


def _exit(ran: Ran | None, log: str) -> Report:
    """The command is the one test: it passes if it exits with 0."""
    is_passed = ran is not None and ran.code == 0
    lines = plain(log).strip().splitlines()
    message = "" if is_passed else lines[-1] if lines else "it failed" if ran is None else f"it exited with {ran.code}"
    # The end of what it printed says how it ended.
    output = "\n".join(lines)[-MAX_TEXT:]
    return Report((TestResult("Tests", "passed" if is_passed else "failed", message[:MAX_TEXT], output=output),))


def _tap(text: str) -> Report:
    """
    Raises:
        ReportError: It is not TAP, or stops before its plan is carried out.
    """
    parser = Parser()
    items = [item for line in text.split("\n") for item in parser.feed(line)]
    items += parser.finish()
    points = [item for item in items if isinstance(item, Point)]
    if bailed := next((item for item in items if isinstance(item, BailOut)), None):
        raise ReportError(f"Bail out! {bailed.reason}"[:MAX_TEXT])
    if not points:
        raise ReportError("stdout has no TAP")
    if parser.plan is None or parser.plan.count != len(points):
        planned = "no plan" if parser.plan is None else f"a plan of {parser.plan.count}"
        raise ReportError(f"stdout has {planned} and {len(points)} tests")
    return Report(tuple(map(_of_point, points)))


def _of_point(point: Point) -> TestResult:
    message = point.data.get("message", point.reason)
    return TestResult(
        name=point.description[:MAX_TEXT] or f"Test {point.number}",
        status="passed" if point.status == "passed" else "skipped" if point.status == "skipped" else "failed",
        message=str(message)[:MAX_TEXT],
        output=point.output,
    )


_PRINTED: Final[dict[str, Callable[[str], Report]]] = {
    "tap": _tap,
    "go": go.parse,
    "rust": parse_rust,
    "unity": parse_unity,
}
