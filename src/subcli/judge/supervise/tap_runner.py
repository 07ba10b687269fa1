"""Running a problem's tests with a command that prints TAP.

`SUBCLI_SOLUTION` tells the command the path of a program. Each time it runs that program, a process of the solution
starts under the submission's starter. Standard output must be TAP; standard error is kept for the judge's log.

A command may leave a process running, by mistake or because it uses one for all tests. What an earlier test has started
is ended when a later one starts the solution again: from then on it could only disturb.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from subcli.judge.evidence import OUTPUT_BYTES, Evidence, Site
from subcli.judge.problem import Problem
from subcli.judge.process.limits import left_behind, out_of_time, over_limit
from subcli.judge.process.starter import StartPlan, own_environment
from subcli.judge.process.text import cut, decode_beginning
from subcli.judge.process.watchdog import Watchdog
from subcli.judge.supervise.child import Child, WriteEnd
from subcli.judge.supervise.live_output import TURN_S
from subcli.judge.supervise.results import Results
from subcli.judge.supervise.runs import Run, Runs
from subcli.judge.supervise.tap_parser import BailOut, Item, Parser, Plan, Point

SOLUTION_VARIABLE = "SUBCLI_SOLUTION"
_CHUNK = 64 * 1024
_LINE_BYTES = 64 * 1024
_MAX_DURATION_MS = 86_400_000
_FLUSH_AFTER_S = 0.05
"""A passed test is reported when the stream has been silent for this long."""
_FLUSH_FAILED_AFTER_S = 1.0
"""A failed test waits longer, because its diagnostics may follow."""


class TapRun:
    """One run of a command that prints TAP.

    Args:
        problem: Whose command it is.
        scratch: A directory of the judge's own.
        watchdog: Watches the solution's processes.
        results: Where each test goes.
        memory_mb: The limit at which the solution's allocations fail; 0 if there is none.
    """

    def __init__(self, problem: Problem, scratch: Path, watchdog: Watchdog, results: Results, memory_mb: int) -> None:
        self._problem = problem
        self._watchdog = watchdog
        self._results = results
        self._scratch = scratch
        self._memory_mb = memory_mb
        self._runs = Runs(scratch, self._wake)
        self._is_awake = False
        self._sleeping: asyncio.Future[None] | None = None
        self._ended = 0
        """Tests that have been reported."""
        self._parser = Parser()
        self._announced = False
        self._began = time.monotonic()

    async def run(self, plan: StartPlan, command: tuple[str, ...]) -> str:
        """Run all tests on a solution that `command` starts. Returns the verdict: passed, failed or error."""
        scratch = self._scratch
        output = _Output(self._wake)
        try:
            results = os.fstat(output.writing).st_ino
            on_start = self._watchdog.exempt_from_reaping
            solution = self._runs.prepare(
                plan, command, self._problem.limits, results, on_start, self._watchdog.trust_launcher
            )
            child = await Child.start(
                self._command(),
                directory=self._problem.root / self._problem.tests,
                environment={**own_environment(scratch), SOLUTION_VARIABLE: str(solution)},
                stdout=output.writing,
            )
        except BaseException:
            output.close()
            self._runs.close()
            raise
        output.close_writing()
        self._watchdog.trust(child.pid, with_launchers=True)
        self._watchdog.begin(self._problem.limits.test_seconds)
        self._began = time.monotonic()
        telling = None if self._results.printed is None else asyncio.create_task(self._keep_telling())
        try:
            if not await self._follow(output, child):
                child.kill()
            code = await child.wait()
            await self._take(self._parser.finish())
        finally:
            if telling is not None:
                telling.cancel()
            self._watchdog.end()
            child.kill()
            child.close()
            output.close()
            self._runs.close()
        return await self._verdict(code, child.log)

    def _command(self) -> list[str]:
        return [sys.executable if word == "{python}" else word for word in self._problem.command]

    async def _follow(self, output: _Output, child: Child) -> bool:
        """Take results until the command ends. Returns False if the submission ran out of time instead."""
        over = asyncio.create_task(self._watchdog.submission_over.wait())
        exited = asyncio.create_task(child.wait())
        for task in (over, exited):
            task.add_done_callback(lambda _: self._wake())
        lines = _Lines()
        try:
            while not over.done():
                data = output.read()
                if data is None:
                    # All that was printed before a run began has been read: it is clear which test it belongs to.
                    run = self._runs.next_waiting()
                    if run is not None:
                        self._begin(run)
                    elif not await self._woken():
                        await self._take(self._parser.flush())
                        if exited.done():
                            # Another process holds the pipe open; the command itself has said everything.
                            return True
                    continue
                for line in lines.split(data):
                    items = self._parser.feed(line)
                    self._tell_lines(self._parser.take_fresh())
                    await self._take(items)
                if not data:
                    return True
            return False
        finally:
            for task in (over, exited):
                task.cancel()

    def _wake(self) -> None:
        """There may be something to do."""
        self._is_awake = True
        self._rouse()

    def _rouse(self) -> None:
        if self._sleeping is not None and not self._sleeping.done():
            self._sleeping.set_result(None)

    async def _woken(self) -> bool:
        """Wait until there may be something to do; False if it has been silent for long enough."""
        if not self._is_awake:
            loop = asyncio.get_running_loop()
            self._sleeping = loop.create_future()
            timer = loop.call_later(self._flush_after_s(), self._rouse)
            try:
                await self._sleeping
            finally:
                timer.cancel()
        was_woken, self._is_awake = self._is_awake, False
        return was_woken

    def _begin(self, run: Run) -> None:
        """Let a run of the solution begin, and end what earlier tests have left."""
        self._end(self._runs.open_before(self._parser.seen))
        self._runs.begin(run, self._parser.seen)

    def _end(self, runs: list[Run]) -> None:
        self._watchdog.end_runs({run.pid: run.session for run in runs})
        self._runs.forget(runs)

    def _flush_after_s(self) -> float:
        return _FLUSH_FAILED_AFTER_S if self._parser.holds_failure else _FLUSH_AFTER_S

    async def _take(self, items: list[Item]) -> None:
        for item in items:
            match item:
                case Plan():
                    self._announce(item.count)
                case BailOut():
                    self._results.remark(Evidence(kind="bail_out", message=f"Bail out! {item.reason}".strip()))
                case Point():
                    self._announce(None)
                    self._point(item)
        if items:
            await self._results.drain()

    async def _keep_telling(self) -> None:
        """Tell what the solution writes to stderr. Its stdout is read by the command, which may print it."""
        while True:
            await asyncio.sleep(TURN_S)
            self._tell_output()

    def _tell_output(self) -> None:
        if self._results.printed is not None:
            for test, data, skipped in self._runs.fresh_output():
                self._results.printed.add(data, "stderr", str(test + 1), skipped=skipped)

    def _tell_lines(self, lines: list[str]) -> None:
        """Tell what the command printed besides results; it is shown with the next result as well."""
        if self._results.printed is not None and lines:
            test = "" if self._parser.plan and not self._parser.missing else str(self._parser.seen + 1)
            self._results.printed.add("".join(f"{line}\n" for line in lines).encode(), "stdout", test)

    def _announce(self, total: int | None) -> None:
        """Announce the tests once. Their number may not be known yet, because TAP allows the plan to come last."""
        if not self._announced:
            self._announced = True
            self._results.testing(total if total is not None else self._problem.total_tests)
            self._results.starting("Test 1")

    def _point(self, point: Point) -> None:
        self._ended += 1
        self._tell_output()
        stderr = self._runs.stderr(self._ended)
        evidence = self._with_runs(_evidence(point), stderr)
        if self._watchdog.exceeded is not None:
            evidence = over_limit(self._watchdog.exceeded, evidence)
        elapsed_ms = (time.monotonic() - self._began) * 1000
        self._results.finished(
            test_id=str(point.number),
            name=point.description or f"Test {point.number}",
            kind=str(point.data.get("type", "functional")),
            status="failed" if evidence is not None else point.status,
            duration_ms=round(_duration_ms(point.data, elapsed_ms)),
            evidence=evidence,
            message=point.reason,
            output=_output(point, stderr if evidence is not None else ""),
        )
        self._began = time.monotonic()
        self._watchdog.begin(self._problem.limits.test_seconds)
        # Its name comes with its result.
        self._results.starting(f"Test {self._ended + 1}")

    def _with_runs(self, found: Evidence | None, stderr: str) -> Evidence | None:
        """Add what the launcher knows about the runs of the solution since the last test."""
        runs = self._runs.ended(self._ended)
        if found is None:
            return found
        found = replace(found, stderr=found.stderr or stderr)
        if not runs:
            return found
        limits = self._problem.limits
        if any(run.exceeded == "output" for run in runs):
            message = f"the program wrote more than {limits.output_kb} KB"
            return replace(found, kind="flood", message=message, actual="")
        needs_mb = max(run.needs_mb for run in runs)
        if self._memory_mb and needs_mb > self._memory_mb and any(run.code < 0 for run in runs):
            message = f"the program needs {needs_mb} MB before it starts, more than the limit of {self._memory_mb} MB"
            return over_limit(Evidence(kind="limit", limit="memory", message=message), found)
        return replace(found, peak_mb=max(run.peak_mb for run in runs), memory_mb=self._memory_mb)

    async def _verdict(self, code: int, log: str) -> str:
        over = self._watchdog.submission_over.is_set()
        # What the command has not ended is the author's doing; the rest has detached itself.
        self._end(self._runs.open_before(self._parser.seen + 1))
        count = await self._watchdog.clear()
        if count and not over:
            self._results.remark(left_behind(count, None))
        if over:
            self._results.remark(out_of_time(self._problem.limits.submission_seconds))
        missing = self._parser.missing
        ours = not over and self._parser.bailed is None and (missing > 0 or not self._results.reported)
        if ours:
            what = f"{missing} of its tests did not run" if missing else "it reported no test"
            message = f"the test command exited with code {code}, and {what}"
            self._results.remark(Evidence(kind="judge", message=message, stderr=log))
            return "error"
        await self._results.drain()
        failed = self._results.failed or over or count or self._parser.bailed
        return "failed" if failed else "passed"


class _Output(WriteEnd):
    """The pipe that the command prints to. What is unread stays in it, so that a command that prints much waits.

    Args:
        wake: Called when there is something to read.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._reading, writing = os.pipe()
        super().__init__(writing)
        os.set_blocking(self._reading, False)
        self._is_watched = False
        self._was_seen = False

    def read(self) -> bytes | None:
        """What is there now; None if nothing is, and empty at the end."""
        self._was_seen = False
        try:
            return os.read(self._reading, _CHUNK)
        except BlockingIOError:
            if not self._is_watched:
                asyncio.get_running_loop().add_reader(self._reading, self._see)
                self._is_watched = True
            return None

    def _see(self) -> None:
        if self._was_seen:
            # Whoever reads it is busy, and would be told again and again.
            asyncio.get_running_loop().remove_reader(self._reading)
            self._is_watched = False
        self._was_seen = True
        self._wake()

    def close(self) -> None:
        self.close_writing()
        asyncio.get_running_loop().remove_reader(self._reading)
        os.close(self._reading)


class _Lines:
    """Splits chunks into lines in bounded memory. Lines that are too long are cut."""

    def __init__(self) -> None:
        self._partial = b""
        self._is_cut = False

    def split(self, data: bytes) -> Iterator[str]:
        """The lines that `data` completes. Empty data ends the stream and completes the last line."""
        if not data:
            data = b"\n" if self._partial else b""
        *whole, self._partial = (self._partial + data).split(b"\n")
        for line in whole:
            if not self._is_cut:
                yield decode_beginning(line, _LINE_BYTES).rstrip("\r")
            self._is_cut = False
        if len(self._partial) > _LINE_BYTES:
            if not self._is_cut:
                yield decode_beginning(self._partial, _LINE_BYTES)
            self._partial, self._is_cut = b"", True


def _duration_ms(data: Mapping[str, object], measured_ms: float) -> float:
    """The duration in the diagnostics if it is plausible, else the measured one."""
    value = data.get("duration_ms")
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MAX_DURATION_MS:
        return value
    return measured_ms


def _evidence(point: Point) -> Evidence | None:
    """The evidence in the diagnostics of a failed test, under the names that TAP producers use."""
    if point.status != "failed":
        return None
    data = point.data
    expected, actual = _text(data, "expected", "wanted", "want", "expect"), _text(data, "actual", "found", "got")
    failed_children = [child for child in point.children if child.status == "failed"]
    if failed_children and not data:
        return _of_children(point, failed_children)
    exit_code = data.get("exit", data.get("exitcode", data.get("exitstatus")))
    explanation = _text(data, "explanation", "analysis")
    kind = "assertion" if expected or actual else "tap"
    if data.get("kind") == "silence":
        kind = "silence"
    elif explanation:
        kind = "violation"
    elif isinstance(exit_code, int) and not expected and (exit_code != 0 or not actual):
        kind = "exit"
    return Evidence(
        kind=kind,
        message=_text(data, "message") or point.description or f"test {point.number} failed",
        expected=expected,
        actual=actual,
        node=_text(data, "program") or "the program",
        exit_code=exit_code if isinstance(exit_code, int) else None,
        stderr=_text(data, "stderr", "stack"),
        sites=_sites(data),
        explanation=explanation,
        suggestions=_suggestions(data),
    ).bounded()


def _output(point: Point, stderr: str) -> str:
    """What is shown with a test: comments, what the author kept, and the solution's stderr, once."""
    kept, said = _text(point.data, "output"), _text(point.data, "stderr") or stderr
    texts = [text for text in (point.output, kept) if text]
    if said and said.strip() not in "\n".join(texts):
        texts.append(f"stderr:\n{said}" if kept else said)
    return cut("\n".join(texts), OUTPUT_BYTES)


def _of_children(point: Point, failed: list[Point]) -> Evidence:
    names = "; ".join(child.description or str(child.number) for child in failed[:10])
    first = _evidence(failed[0])
    assert first is not None
    return replace(first, message=f"{len(failed)} of {len(point.children)} parts failed: {names}").bounded()


def _suggestions(data: Mapping[str, object]) -> tuple[str, ...]:
    hints = data.get("suggestions", data.get("hint"))
    if isinstance(hints, list):
        return tuple(str(hint) for hint in hints)
    return (str(hints),) if hints else ()


def _sites(data: Mapping[str, object]) -> tuple[Site, ...]:
    place = data.get("at")
    where = place if isinstance(place, dict) else data
    file, line = where.get("file", where.get("fileName")), where.get("line", where.get("lineNumber"))
    if isinstance(file, str) and isinstance(line, int):
        return (Site(file, line),)
    return ()


def _text(data: Mapping[str, object], *names: str) -> str:
    for name in names:
        value = data.get(name)
        if value is not None:
            return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return ""
