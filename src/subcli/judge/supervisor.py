"""The judge's own process for one submission: `python -m subcli.judge.supervisor`.

    server  --the job-->  supervisor  --spawn-->  pytest  --spawn-->  nodes of the solution
            <--events---              <--results-

It is the subreaper of everything below it, so that nothing escapes; the server cannot be one, because it has children
that are none of the judge's business. Job and events are lines of JSON on one socket, whose descriptor is the only
argument. Its end is the order to stop, and comes by itself when the server is killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from subcli.judge import events
from subcli.judge.analysis import Analyst
from subcli.judge.build import BuildResult, build, missing_program
from subcli.judge.evidence import Evidence
from subcli.judge.problem import Language, Problem, load_problem
from subcli.judge.processes import become_subreaper, hide_from_peers, kill_descendants
from subcli.judge.pytest_runner import run_pytest
from subcli.judge.removal import remove_tree
from subcli.judge.results import Results
from subcli.judge.sandbox.groups import remove_groups
from subcli.judge.starter import Plans
from subcli.judge.tap_runner import run_tap
from subcli.judge.watchdog import Watchdog

_FLUSH_SECONDS = 3.0
_LETTING_GO_SECONDS = 1.0
"""How long a judging that was cancelled may take to notice."""
_ORDER_LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True)
class Order:
    """What the server asks for."""

    problem: Problem
    language: Language
    files: Mapping[str, str]
    plans: Plans
    scratch: Path
    """A directory of the judge's, gone when the supervisor is."""

    @staticmethod
    def read(line: bytes) -> Order:
        value = json.loads(line)
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
    """Judges one submission: build, tests, verdict."""

    def __init__(self, order: Order, channel: asyncio.StreamWriter) -> None:
        self._order = order
        self._channel = channel
        self._watchdog = Watchdog(order.problem.limits, order.plans)
        analyst = Analyst(order.files, order.language.name, order.plans.run.directory)
        self._results = Results(self._emit, channel.drain, analyst)
        self._analyst = analyst
        self._has_ended = False

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
        if not self._has_ended:
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
        outcome = await self._build(entry)
        if outcome is not None and outcome.evidence is not None:
            return self._build_failed(outcome)
        command = order.language.expand(order.language.run, order.files, entry)
        run_tests = run_tap if order.problem.runner == "tap" else run_pytest
        return await run_tests(order.problem, order.plans.run, command, order.scratch, self._watchdog, self._results)

    async def _build(self, entry: str) -> BuildResult | None:
        order = self._order
        missing = missing_program(order.language.requires, order.language.name)
        if missing is not None or not order.language.build:
            return missing
        seconds = order.problem.limits.build_seconds
        command = order.language.expand(order.language.build, order.files, entry)
        self._watchdog.begin_build(seconds)
        try:
            started = self._watchdog.leave_to_its_starter
            result = await build(order.plans.build, command, order.language.name, seconds, started)
        finally:
            self._watchdog.end()
            await self._watchdog.clear()
        if self._watchdog.exceeded is not None:
            return BuildResult(self._watchdog.exceeded, result.log)
        return result

    def _build_failed(self, outcome: BuildResult) -> str:
        assert outcome.evidence is not None
        self._has_ended = True
        self._emit(events.status_update("failed" if outcome.is_ours else "build_failed", detail=outcome.log))
        self._emit(self._analyst.analyse(outcome.evidence).as_event())
        return "error" if outcome.is_ours else "build_failed"


def _no_entry(order: Order) -> BuildResult:
    wanted = order.language.source
    message = f"the submission has no file {wanted!r} to start"
    there = ", ".join(sorted(order.files)) or "nothing"
    evidence = Evidence(
        kind="violation",
        message=message,
        expected=wanted,
        actual=there,
        explanation=f"A {order.language.name} solution is started from {wanted}. The submission contains {there}.",
        suggestions=(f"Name the file that is to be started {wanted}.",),
    )
    return BuildResult(evidence, message)


async def _end_of_input(reader: asyncio.StreamReader) -> None:
    while await reader.read(4_096):
        pass


async def _main(channel: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=channel, limit=_ORDER_LIMIT)
    order = Order.read(await reader.readline())
    judging = asyncio.create_task(Supervisor(order, writer).run())
    stop = asyncio.create_task(_end_of_input(reader))
    try:
        await asyncio.wait({judging, stop}, return_when=asyncio.FIRST_COMPLETED)
        if judging.done():
            judging.result()
    finally:
        judging.cancel()
        stop.cancel()
        kill_descendants(os.getpid())
        # It looks at its files to the last, and may be in the middle of starting something.
        await asyncio.wait({judging, stop}, timeout=_LETTING_GO_SECONDS)
        if judging.done() and not judging.cancelled():
            judging.exception()
        kill_descendants(os.getpid())
        remove_groups(order.plans.groups)
        remove_tree(order.scratch.parent)
        writer.close()
        with suppress(ConnectionError, TimeoutError):
            # What is still unsent goes out first, for as long as someone reads it.
            async with asyncio.timeout(_FLUSH_SECONDS):
                await writer.wait_closed()


def main() -> None:
    """Judge one job."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.set_inheritable(False)
    become_subreaper()
    hide_from_peers()
    with suppress(BrokenPipeError, ConnectionResetError):
        asyncio.run(_main(channel))
    kill_descendants(os.getpid())


if __name__ == "__main__":
    main()
