"""Judges one submission inside its process: build, tests, verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from subcli.judge import events
from subcli.judge.analysis.explain import Analyst
from subcli.judge.evidence import Evidence
from subcli.judge.problem import Language, Problem
from subcli.judge.problem_file import load_problem
from subcli.judge.process.limits import over_limit
from subcli.judge.process.starter import Plans
from subcli.judge.process.text import strip_workdir
from subcli.judge.process.watchdog import Watchdog
from subcli.judge.supervise.build import BuildResult, build, missing_program
from subcli.judge.supervise.pytest_process import PytestProcess
from subcli.judge.supervise.pytest_runner import run_pytest
from subcli.judge.supervise.results import Results


@dataclass(frozen=True)
class Order:
    """What the server asks for: which submission to judge, and how."""

    problem: Problem
    language: Language
    files: Mapping[str, str]
    plans: Plans
    scratch: Path
    """A directory of the judge's own, removed when the supervisor ends."""

    @staticmethod
    def read(value: Mapping[str, Any]) -> Order:
        """The order that `engine` wrote."""
        problem = load_problem(Path(value["problem"]))
        plans = Plans.from_json(value["plans"])
        workspace = Path(plans.run.directory)
        files = {name: (workspace / name).read_text("utf-8", "surrogatepass") for name in value["files"]}
        return Order(
            problem=problem,
            language=problem.languages[value["language"]],
            files=files,
            plans=plans,
            scratch=Path(value["scratch"]),
        )


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
        self._watchdog = Watchdog(order.problem.limits, order.plans)
        if started is not None:
            self._watchdog.trust(started.process.pid)
        analyst = Analyst(order.files, order.language.name)
        self._results = Results(self._emit, channel.drain, analyst, workdir=order.plans.run.directory)
        self._ended_with_build = False

    def _emit(self, event: events.Event) -> None:
        self._channel.write(events.encode(event))

    async def run(self) -> None:
        """Emit every event up to `complete`."""
        started = time.monotonic()
        watching = asyncio.create_task(self._watchdog.run())
        try:
            verdict = await self._judge()
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
        if not self._ended_with_build:
            self._emit(events.status_update("completed" if verdict == "passed" else "failed"))
        elapsed = round((time.monotonic() - started) * 1000)
        self._emit(events.complete(verdict, self._results.summary(elapsed)))
        await self._channel.drain()

    async def _judge(self) -> str:
        order = self._order
        self._emit(events.status_update("building"))
        entry = order.language.entry(order.files)
        if entry is None:
            return self._build_failed(_no_entry(order))
        if self._started is not None:
            await self._started.wait_until_ready()
        outcome = await self._build(entry)
        if outcome is not None and outcome.evidence is not None:
            return self._build_failed(outcome)
        command = order.language.expand(order.language.run, order.files, entry)
        problem, plan, watchdog, results = order.problem, order.plans.run, self._watchdog, self._results
        if self._started is not None:
            return await run_pytest(problem, plan, command, self._started, watchdog, results)
        from subcli.judge.supervise.tap_runner import TapRun  # most problems do not print TAP

        memory_mb = problem.limits.memory_mb if order.language.bounded_address_space else 0
        return await TapRun(problem, order.scratch, watchdog, results, memory_mb).run(plan, command)

    async def _build(self, entry: str) -> BuildResult | None:
        order = self._order
        missing = missing_program(order.language.requires, order.language.name)
        if missing is not None or not order.language.build:
            return missing
        seconds = order.problem.limits.build_seconds
        command = order.language.expand(order.language.build, order.files, entry)
        self._watchdog.begin_build(seconds)
        try:
            started = self._watchdog.exempt_from_reaping
            result = await build(order.plans.build, command, order.language.name, seconds, started)
        finally:
            self._watchdog.end()
            await self._watchdog.clear()
        if self._watchdog.exceeded is not None:
            return BuildResult(over_limit(self._watchdog.exceeded, result.evidence), result.log)
        return result

    def _build_failed(self, outcome: BuildResult) -> str:
        assert outcome.evidence is not None
        self._ended_with_build = True
        log = strip_workdir(outcome.log, self._order.plans.run.directory)
        self._emit(events.status_update("failed" if outcome.is_ours else "build_failed", detail=log))
        self._results.remark(outcome.evidence)
        return "error" if outcome.is_ours else "build_failed"


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
