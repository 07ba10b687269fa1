"""Running a problem's tests: what pytest, a child, reports over its socket, and what it is answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from subcli.judge.evidence import Evidence
from subcli.judge.problem import Problem
from subcli.judge.process.limits import left_behind, out_of_time, over_limit
from subcli.judge.process.starter import StartPlan
from subcli.judge.process.watchdog import Watchdog
from subcli.judge.supervise.child import Child, Pipe
from subcli.judge.supervise.pytest_process import PytestProcess
from subcli.judge.supervise.results import Results

_LINE_LIMIT = 1024 * 1024
_ALL_RAN = (0, 1)  # pytest's exit codes: all passed, some failed


@dataclass(frozen=True)
class _Running:
    identifier: str
    began: float


class PytestRun:
    """One run of pytest over a problem's tests."""

    def __init__(self, problem: Problem, watchdog: Watchdog, results: Results) -> None:
        self._problem = problem
        self._watchdog = watchdog
        self._results = results
        self._running: _Running | None = None
        self._crashes: list[str] = []

    async def run(self, plan: StartPlan, command: tuple[str, ...], started: PytestProcess) -> str:
        """Returns the verdict: passed, failed or error."""
        reader, writer = await asyncio.open_connection(sock=started.channel, limit=_LINE_LIMIT)
        log = await Pipe.open(started.log)
        log.close_writing()
        child = Child(started.process, log)
        try:
            writer.write(self._instructions(plan, command))
            await self._follow(reader, writer, child)
            code = await child.wait()
        finally:
            child.kill()
            child.close()
            writer.close()
        return self._verdict(code, child.log)

    def _instructions(self, plan: StartPlan, command: tuple[str, ...]) -> bytes:
        limits = self._problem.limits
        job = {
            "start": plan.as_json(),
            "command": command,
            "output_kb": limits.output_kb,
            "answer_seconds": limits.answer_seconds,
        }
        return json.dumps(job).encode() + b"\n"

    async def _follow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, child: Child) -> None:
        over = asyncio.create_task(self._watchdog.submission_over.wait())
        try:
            while not over.done():
                line = asyncio.create_task(reader.readline())
                await asyncio.wait({line, over}, return_when=asyncio.FIRST_COMPLETED)
                if not line.done():
                    line.cancel()
                    break
                try:
                    record = line.result()
                except ConnectionError:
                    # It ended before it had read its instructions, as where the problem's own conftest.py fails.
                    return
                if not record:
                    return
                await self._record(json.loads(record), writer)
        finally:
            over.cancel()
        self._out_of_time()
        child.kill()

    async def _record(self, record: Mapping[str, object], writer: asyncio.StreamWriter) -> None:
        match record["record"]:
            case "collected":
                total = record["total"]
                self._results.testing(total if isinstance(total, int) else None)
            case "started":
                self._running = _Running(str(record["id"]), asyncio.get_running_loop().time())
                self._watchdog.begin(self._problem.limits.test_seconds)
            case "finished":
                self._watchdog.end()
                count = await self._watchdog.clear()
                self._finished(record, count)
                self._running = None
                await self._results.drain()
                writer.write(b"next\n")
            case "crashed":
                self._crashes.append(str(record["message"]))

    def _finished(self, record: Mapping[str, object], count: int) -> None:
        evidence = None
        status = str(record["status"])
        raw = record.get("evidence")
        if isinstance(raw, dict):
            evidence = msgspec.convert(raw, Evidence)
        exceeded = self._watchdog.exceeded
        if exceeded is not None and status != "error":
            status = "failed"
            evidence = over_limit(exceeded, evidence)
        elif count and status in ("passed", "failed"):
            status = "failed"
            evidence = left_behind(count, evidence)
        duration = record["duration_ms"]
        self._results.finished(
            test_id=str(record["id"]),
            name=str(record["name"]),
            kind=str(record["type"]),
            status=status,
            duration_ms=duration if isinstance(duration, int) else 0,
            evidence=evidence,
            message=str(record.get("message", "")),
            output=str(record.get("output", "")),
        )

    def _out_of_time(self) -> None:
        seconds = self._problem.limits.submission_seconds
        evidence = out_of_time(seconds)
        if self._running is None:
            self._results.remark(evidence)
            return
        elapsed = asyncio.get_running_loop().time() - self._running.began
        self._results.finished(
            test_id=self._running.identifier,
            name=_name_of(self._running.identifier),
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
    problem: Problem,
    plan: StartPlan,
    command: tuple[str, ...],
    started: PytestProcess,
    watchdog: Watchdog,
    results: Results,
) -> str:
    """Let pytest, trusted by the watchdog, test a solution that `command` starts. Returns the verdict."""
    return await PytestRun(problem, watchdog, results).run(plan, command, started)


def _name_of(identifier: str) -> str:
    return identifier.rpartition("::")[2].removeprefix("test_").replace("_", " ").capitalize()
