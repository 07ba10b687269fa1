"""Running a problem's tests with pytest: takes its records, enforces limits between them, makes the verdict."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from subcli.judge.evidence import Evidence
from subcli.judge.harness.node import NodePlan
from subcli.judge.problem import Problem
from subcli.judge.process import mounts
from subcli.judge.process.limits import left_behind, out_of_time, over_limit
from subcli.judge.process.starter import StartPlan
from subcli.judge.process.watchdog import Watchdog
from subcli.judge.supervise.child import Child, Pipe
from subcli.judge.supervise.pytest_process import ENTERED, PytestProcess
from subcli.judge.supervise.pytest_records import (
    CollectedRecord,
    CrashedRecord,
    FinishedRecord,
    OutputRecord,
    Record,
    StartedRecord,
    decode,
)
from subcli.judge.supervise.results import Results

_LINE_LIMIT = 1024 * 1024
_ALL_RAN = (0, 1)
"""pytest's exit codes: all passed, some failed."""


@dataclass(frozen=True)
class _CurrentTest:
    test_id: str
    began: float


class PytestRun:
    """One run of pytest over a problem's tests."""

    def __init__(self, problem: Problem, watchdog: Watchdog, results: Results) -> None:
        self._problem = problem
        self._watchdog = watchdog
        self._results = results
        self._running: _CurrentTest | None = None
        self._crashes: list[str] = []

    async def run(self, plan: NodePlan, started: PytestProcess) -> str:
        """Run the tests on a solution. Returns the verdict: passed, failed or error."""
        namespaces = mounts.descriptors(plan.start.mounts)
        with suppress(ConnectionError):
            # If it has ended, the rest will say why.
            socket.send_fds(started.channel, [ENTERED], namespaces)
        reader, writer = await asyncio.open_connection(sock=started.channel, limit=_LINE_LIMIT)
        log = await Pipe.open(started.log)
        log.close_writing()
        child = Child.of(started.process, log)
        try:
            writer.write(msgspec.json.encode(plan) + b"\n")
            await self._follow(reader, writer, child)
            code = await child.wait()
        finally:
            child.kill()
            child.close()
            writer.close()
        return self._verdict(code, child.log)

    async def _follow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, child: Child) -> None:
        over = asyncio.create_task(self._watchdog.submission_over.wait())
        try:
            while not over.done():
                reading = asyncio.create_task(reader.readline())
                await asyncio.wait({reading, over}, return_when=asyncio.FIRST_COMPLETED)
                if not reading.done():
                    reading.cancel()
                    break
                try:
                    line = reading.result()
                except ConnectionError:
                    # It ended before it read its instructions, for example because the problem's conftest.py fails.
                    return
                if not line:
                    return
                await self._take(decode(line), writer)
        finally:
            over.cancel()
        self._out_of_time()
        child.kill()

    async def _take(self, record: Record, writer: asyncio.StreamWriter) -> None:
        match record:
            case CollectedRecord(total):
                self._results.testing(total)
            case StartedRecord(test_id, name):
                self._running = _CurrentTest(test_id, asyncio.get_running_loop().time())
                self._results.starting(name or _name_of(test_id))
                self._watchdog.begin(self._problem.limits.test_seconds)
            case OutputRecord():
                if self._results.printed is not None:
                    self._results.printed.add(
                        record.data, "stderr", record.test_id, record.node, skipped=record.skipped
                    )
            case FinishedRecord():
                self._watchdog.end()
                left = await self._watchdog.clear()
                self._finished(record, left)
                self._running = None
                await self._results.drain()
                writer.write(b"next\n")
            case CrashedRecord(message):
                self._crashes.append(message)

    def _finished(self, record: FinishedRecord, left: int) -> None:
        """Report a test that has ended and left `left` processes running."""
        status, evidence = record.status, record.evidence
        exceeded = self._watchdog.exceeded
        if exceeded is not None and status != "error":
            status = "failed"
            evidence = over_limit(exceeded, evidence)
        elif left and status in ("passed", "failed"):
            status = "failed"
            evidence = left_behind(left, evidence)
        self._results.finished(
            test_id=record.test_id,
            name=record.name,
            kind=record.kind,
            status=status,
            duration_ms=record.duration_ms,
            evidence=evidence,
            message=record.message,
            output=record.output,
            trace=record.trace if status == "failed" else "",
        )

    def _out_of_time(self) -> None:
        seconds = self._problem.limits.submission_seconds
        evidence = out_of_time(seconds)
        if self._running is None:
            self._results.remark(evidence)
            return
        elapsed = asyncio.get_running_loop().time() - self._running.began
        self._results.finished(
            test_id=self._running.test_id,
            name=_name_of(self._running.test_id),
            kind="functional",
            status="failed",
            duration_ms=round(elapsed * 1000),
            evidence=evidence,
        )

    def _verdict(self, code: int, log: str) -> str:
        over = self._watchdog.submission_over.is_set()
        if self._crashes or self._results.errors or (code not in _ALL_RAN and not over):
            text = "\n".join(self._crashes) or log
            self._results.remark(Evidence(kind="judge", message="the problem's tests could not be run", stderr=text))
            return "error"
        return "failed" if self._results.failed or over or not self._results.reported else "passed"


async def run_pytest(
    problem: Problem, plan: NodePlan, started: PytestProcess, watchdog: Watchdog, results: Results
) -> str:
    """Let `started`, which the watchdog trusts, test a solution. Returns the verdict."""
    return await PytestRun(problem, watchdog, results).run(plan, started)


def node_plan(problem: Problem, start: StartPlan, command: tuple[str, ...]) -> NodePlan:
    """How pytest's process starts the nodes of a solution that `command` starts."""
    limits = problem.limits
    sources = (Path(language.source) for language in problem.languages.values())
    importable = tuple(source.stem for source in sources if source.suffix == ".py")
    return NodePlan(start, command, limits.output_kb, limits.answer_seconds, importable, problem.network)


def _name_of(test_id: str) -> str:
    return test_id.rpartition("::")[2].removeprefix("test_").replace("_", " ").capitalize()
