"""Judges one submission inside its process: build, tests, verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subcli.judge import events
from subcli.judge.analysis.explain import Analyst
from subcli.judge.debugging import Debugged
from subcli.judge.evidence import Evidence
from subcli.judge.job import OutputLimits
from subcli.judge.languages.language import Language
from subcli.judge.problem import Problem, ResourceLimits
from subcli.judge.process.limits import over_limit
from subcli.judge.process.starter import Plans
from subcli.judge.process.text import ServerPaths
from subcli.judge.process.watchdog import Watchdog
from subcli.judge.supervise.build import BuildResult, build, missing_program
from subcli.judge.supervise.live_output import LiveOutput
from subcli.judge.supervise.pytest_process import PytestProcess
from subcli.judge.supervise.pytest_runner import node_plan, run_pytest
from subcli.judge.supervise.results import Results
from subcli.judge.supervise.run_traces import RunTraces

if TYPE_CHECKING:
    from subcli.judge.supervise.tools import ToolPlan


@dataclass(frozen=True)
class Order:
    """What the server asks for: which submission to judge, and how."""

    problem: Problem
    language: Language
    files: Mapping[str, str]
    plans: Plans
    scratch: Path
    """A directory of the judge's own, removed when the supervisor ends."""
    tools: tuple[ToolPlan, ...] = ()
    """How the programs of the problem's author are started, in the order of `CaseSet.tools`."""
    tells_grades: bool = False
    """Whether the caller wants `Graded` as well."""
    output: OutputLimits | None = None
    """How much the caller wants to be told of what is printed."""
    traced: bool = False
    """Whether the caller wants traces of failed tests as well."""
    only: tuple[str, ...] = ()
    """The ids of the tests to run; all of them if it is empty."""
    debugged: Debugged | None = None
    """The node that runs under a debugger."""

    @property
    def sources(self) -> Mapping[str, str]:
        """The submission's files, and those of a grader, of which only the names count."""
        grader = self.problem.grader
        return self.files if grader is None else {**{name: "" for name, _ in grader.files}, **self.files}

    @staticmethod
    def read(value: Mapping[str, Any]) -> Order:
        """The order that `engine` wrote."""
        problem = Problem.from_json(value["problem"])
        plans = Plans.from_json(value["plans"])
        workspace = Path(plans.run.directory)
        files = {name: (workspace / name).read_text("utf-8", "surrogatepass") for name in value["files"]}
        return Order(
            problem=problem,
            language=problem.languages[value["language"]],
            files=files,
            plans=plans,
            scratch=Path(value["scratch"]),
            tools=tuple(map(_tool_plan, value["tools"])),
            tells_grades=value["tells_grades"],
            output=None if value["output"] is None else OutputLimits(**value["output"]),
            traced=value["traced"],
            only=tuple(value["only"]),
            debugged=Debugged(**value["debugged"]) if value["debugged"] else None,
        )


def _tool_plan(value: Mapping[str, Any]) -> ToolPlan:
    from subcli.judge.supervise.tools import ToolPlan  # most problems have none

    return ToolPlan.read(value)


class Supervisor:
    """Judges one submission: build, tests, verdict.

    Args:
        order: What to judge.
        channel: Where the events go.
        started: pytest, waiting for instructions; None if the problem uses another program.
    """

    def __init__(self, order: Order, channel: asyncio.StreamWriter, started: PytestProcess | None) -> None:
        self._order = order
        self._started = started
        self._channel = channel
        self._watchdog: Watchdog | None = None
        """Watches what runs, or ran last: the build or the tests."""
        analyst = Analyst(order.files, order.language.name, runtime=order.language.traceback)
        self._paths = ServerPaths(
            order.plans.run.directory,
            [str(path) for path in order.problem.directories],
            (str(order.scratch), str(order.scratch.parent)),
        )
        self._printed: LiveOutput | None = None
        if order.output is not None:
            unread = channel.transport.get_write_buffer_size
            self._printed = LiveOutput(order.output, self._send, self._paths.strip, unread)
        traces = RunTraces(order.files, self._paths)
        self._results = Results(
            *(self._emit, channel.drain, analyst, self._paths, self._is_contended, traces), printed=self._printed
        )
        self._ended_with_build = False

    def _is_contended(self) -> bool:
        return self._watchdog is not None and self._watchdog.is_contended

    def _make_watchdog(self, limits: ResourceLimits) -> Watchdog:
        """One for what begins now: the limits of a build are others than those of the tests, and so is its time."""
        watchdog = self._watchdog = Watchdog(limits, self._order.plans)
        if self._started is not None:
            watchdog.trust(self._started.process.pid)
        return watchdog

    def _emit(self, event: events.Event) -> None:
        if self._printed is not None:
            # What was printed before comes first.
            self._printed.tell(ended=str(event["test_id"]) if event["type"] == "test_result" else None)
        self._send(event)

    def _send(self, event: events.Event) -> None:
        self._channel.write(events.encode(event))

    async def run(self) -> None:
        """Emit every event up to `complete`."""
        started = time.monotonic()
        verdict = await self._judge()
        if self._printed is not None:
            self._printed.close()
        if not self._ended_with_build:
            self._emit(events.status_update("completed" if verdict == "passed" else "failed"))
        elapsed = round((time.monotonic() - started) * 1000)
        self._emit(events.complete(verdict, self._results.summary(elapsed), self._results.time_out))
        await self._channel.drain()

    async def _judge(self) -> str:
        order = self._order
        self._emit(events.status_update("building"))
        entry = order.language.entry(order.files)
        if entry is None and order.problem.grader is not None:
            # It starts the grader; what the solution is called, the grader knows.
            entry = order.language.source
        if entry is None:
            return self._build_failed(_no_entry(order))
        if self._started is not None:
            await self._started.wait_until_ready()
        outcome = await self._build(entry)
        if outcome is not None and outcome.evidence is not None:
            return self._build_failed(outcome)
        watchdog = self._make_watchdog(order.problem.limits)
        async with _running(watchdog):
            verdict = await self._test(order.language.expand(order.language.run, order.sources, entry), watchdog)
        if verdict == "failed" and order.plans.run.layers == 0 and watchdog.space.was_exhausted:
            # Without a sandbox, solutions write to the judge's own disk.
            self._results.remark(Evidence(kind="judge", message="the judge's disk was full during the tests"))
            return "error"
        if verdict == "passed" and self._results.is_nothing_but_skipped:
            self._results.remark(_undecided(order.problem))
            return "error"
        return verdict

    async def _test(self, command: tuple[str, ...], watchdog: Watchdog) -> str:
        order, results = self._order, self._results
        if self._started is not None:
            plan = node_plan(order.problem, order.plans.run, command)
            tells_output = self._printed is not None
            plan = replace(
                plan, traced=order.traced, only=order.only, debugged=order.debugged, tells_output=tells_output
            )
            return await run_pytest(order.problem, plan, self._started, watchdog, results)
        memory_mb = order.problem.limits.memory_mb if order.language.bounded_address_space else 0
        if order.problem.cases is not None:
            from subcli.judge.supervise.cases_runner import CasesRun

            run = CasesRun(
                order.problem,
                order.language.name,
                order.plans,
                order.tools,
                order.scratch,
                watchdog,
                results,
                memory_mb,
            )
            verdict = await run.run(command)
            for graded in run.graded if order.tells_grades else ():
                self._emit(graded.as_json())
                await self._channel.drain()
            return verdict
        if order.problem.grader is not None:
            from subcli.judge.supervise.grader_runner import GraderRun

            grading = GraderRun(order.problem, order.plans, watchdog, results, memory_mb)
            verdict = await grading.run(command)
            return verdict if grading.failed_build is None else self._build_failed(grading.failed_build)
        from subcli.judge.supervise.tap_runner import TapRun  # most problems do not print TAP

        return await TapRun(order.problem, order.scratch, watchdog, results, memory_mb).run(order.plans.run, command)

    async def _build(self, entry: str) -> BuildResult | None:
        order = self._order
        missing = missing_program(order.language.programs, order.language.name)
        if missing is not None or not order.language.build:
            return missing
        limits = order.problem.limits.for_build()
        seconds = limits.build_seconds
        command = order.language.expand(order.language.build, order.sources, entry)
        watchdog = self._make_watchdog(limits)
        async with _running(watchdog):
            watchdog.begin_build(seconds)
            try:
                started = watchdog.exempt_from_reaping
                told = None if self._printed is None else partial(self._printed.add, stream="build")
                result = await build(order.plans.build, command, order.language.name, seconds, started, told)
            finally:
                watchdog.end()
                await watchdog.clear()
        if self._printed is not None:
            self._printed.tell(ended="")
        if watchdog.exceeded is not None:
            return BuildResult(over_limit(watchdog.exceeded, result.evidence), result.log)
        if result.evidence is not None and (shortage := watchdog.space.explains(result.log)):
            message = f"the judge's disk was full during the build: {shortage}"
            return BuildResult(Evidence(kind="judge", message=message, stderr=result.log), result.log, is_ours=True)
        return result

    def _build_failed(self, outcome: BuildResult) -> str:
        assert outcome.evidence is not None
        self._ended_with_build = True
        log = self._paths.strip(outcome.log)
        self._emit(events.status_update("failed" if outcome.is_ours else "build_failed", detail=log))
        self._results.remark(outcome.evidence)
        return "error" if outcome.is_ours else "build_failed"


@asynccontextmanager
async def _running(watchdog: Watchdog) -> AsyncIterator[None]:
    watching = asyncio.create_task(watchdog.run())
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


def _undecided(problem: Problem) -> Evidence:
    """Why nobody knows whether a submission is right."""
    found = Evidence(kind="judge", message="no test was carried out: all of them were skipped")
    if problem.cases is None or not problem.cases.examples_only:
        return found
    return replace(
        found,
        message="no case was decided: every output differs from the example's answer",
        explanation="Other answers than those of the examples may be right, and only the server has the checker that "
        "decides.",
        suggestions=("Submit it: `subcli submit`.",),
    )


def _no_entry(order: Order) -> BuildResult:
    wanted = order.language.source
    message = f"the submission has no file {wanted!r} to run"
    there = ", ".join(sorted(order.files)) or "nothing"
    evidence = Evidence(
        kind="violation",
        message=message,
        expected=wanted,
        actual=there,
        explanation=f"The judge runs {wanted} of a {order.language.name} solution. The submission contains {there}.",
        suggestions=(f"Rename the main file to {wanted}.",),
    )
    return BuildResult(evidence, message)
