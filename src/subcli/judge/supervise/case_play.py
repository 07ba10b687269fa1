"""Plays one case: runs the solution on its input, and decides how it ended."""

from __future__ import annotations

import asyncio
import fcntl
import marshal
import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from subcli.judge.cases.compare import compare
from subcli.judge.cases.model import Case, Checker
from subcli.judge.evidence import Evidence
from subcli.judge.outcome import Outcome, outcome_of
from subcli.judge.problem import ResourceLimits
from subcli.judge.process.limits import over_limit
from subcli.judge.process.processes import kill_all
from subcli.judge.process.text import decode_beginning
from subcli.judge.process.watchdog import Watchdog
from subcli.judge.supervise.host_process import Collector, HostFault, HostProcess, Ran, close_all, processor_bound_s
from subcli.judge.supervise.live_output import LiveOutput
from subcli.judge.supervise.relay import Relay, Transcript
from subcli.judge.supervise.tools import Decision, ToolProcess

_MEGABYTE = 1024 * 1024
_LOOK_S = 1.0
_GRACE_S = 10.0
"""How long a host may take to end a program that was killed."""
_NO_MEMORY = re.compile(
    r"MemoryError|bad_alloc|OutOfMemoryError|out of memory|Cannot allocate memory|heap exhausted|memory allocation",
    re.IGNORECASE,
)
_NEARLY = 0.95
_SHOWN_BYTES = 1_500
_COPIED_BYTES = 1 << 24
_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
_BIG_BYTES = 256 * 1024
"""An output of this size is compared in a thread."""


@dataclass(frozen=True)
class Played:
    """How a case ended.

    Attributes:
        outcome: the word for it.
        evidence: why it was not accepted.
        output: what is shown with it.
        cpu_ms: processor time of the solution.
        memory_kb: the most memory that one of its processes used.
        wall_ms: how long it ran.
        score: what the checker gave it.
        multiplier: the part of its points that the checker gave it.
        judge_message: what the checker says to the judges.
        undecided: what differs from an answer that is only an example. Nothing else is wrong.
    """

    outcome: Outcome
    evidence: Evidence | None = None
    output: str = ""
    cpu_ms: int = 0
    memory_kb: int = 0
    wall_ms: int = 0
    score: float | None = None
    multiplier: float | None = None
    judge_message: str = ""
    undecided: str = ""


class CasePlayer:
    """Plays cases, one after the other.

    Args:
        host: Runs the solution.
        command: What starts it.
        limits: What it may use. `test_seconds` is processor time.
        memory_mb: The limit of its address space; 0: there is none.
        watchdog: Watches it.
        checker: Decides, with the tool that carries it out. Without one, the built-in comparison does.
        examples_only: As in `CaseSet`.
        printed: Takes what the solution prints in cases that are shown in full; None if nobody wants it.
    """

    def __init__(
        self,
        host: HostProcess,
        command: tuple[str, ...],
        limits: ResourceLimits,
        memory_mb: int,
        watchdog: Watchdog,
        checker: tuple[Checker, ToolProcess] | None,
        *,
        examples_only: bool = False,
        printed: LiveOutput | None = None,
    ) -> None:
        self._host = host
        self._command = command
        self._limits = limits
        self._memory_mb = memory_mb
        self._watchdog = watchdog
        self._checker = checker
        self._examples_only = examples_only
        self._printed = printed

    async def play(self, case: Case) -> Played:
        """Play one case.

        Raises:
            HostFault: The judge or a tool of the author's is at fault.
            OSError: A file of the case cannot be read, or the machine has run out of something.
        """
        checker = self._checker
        passes = checker[0].max_passes if checker is not None else 1
        source = _copy(case.input)
        played, transcript = Played("passed"), Transcript()
        try:
            for number in range(passes):
                if checker is not None and checker[0].interactive:
                    transcript.begin_pass(number)
                    played, decision = await self._converse(
                        case, source, played, checker, transcript, is_later_pass=number > 0
                    )
                else:
                    played, decision = await self._play_once(case, source, played, is_later_pass=number > 0)
                if decision is None or decision.next_pass is None:
                    return played
                os.close(source)
                source = _in_memory(decision.next_pass)
        finally:
            os.close(source)
        raise HostFault(f"the checker wants more than {passes} passes")

    async def _play_once(
        self, case: Case, source: int, before: Played, *, is_later_pass: bool
    ) -> tuple[Played, Decision | None]:
        kept = self._limits.output_kb * 1024
        output = Collector(kept, self._host.stop, self._taker(case, "stdout"))
        errors = Collector(kept, self._host.stop, self._taker(case, "stderr"))
        try:
            # A description of its own: where one reads does not move another.
            stdin = os.open(f"/proc/self/fd/{source}", os.O_RDONLY)
            ran, evidence = await self._run(case, (stdin, output.writing, errors.writing))
            text, stderr = await output.end(), (await errors.end()).decode("utf-8", "backslashreplace")
        finally:
            output.close()
            errors.close()
        evidence = evidence or self._failure(ran, stderr, output.is_exceeded or errors.is_exceeded)
        played = _sum(before, ran)
        shown = _shown(stderr=stderr)
        if evidence is not None:
            return replace(played, outcome=outcome_of("failed", evidence), evidence=evidence, output=shown), None
        if self._checker is None:
            return await self._compare(case, text, stderr, replace(played, output=shown)), None
        checker, tool = self._checker
        given = _in_memory(text)
        answer = os.open(case.answer, os.O_RDONLY)
        reads_file = checker.interface == "testlib"
        try:
            decision = await tool.check(
                checker,
                {"input": source, "answer": answer, **({"output": given} if reads_file else {})},
                lambda: [_nowhere() if reads_file else os.dup(given), _nowhere()],
                case.arguments,
                is_later_pass=is_later_pass,
            )
        finally:
            os.close(given)
            os.close(answer)
        return _decided(played, decision, shown, text), decision

    def _taker(self, case: Case, stream: str) -> Callable[[bytes], None] | None:
        """What takes a stream of the solution's as it comes; None if it is nobody's business."""
        if self._printed is None or case.feedback != "full":
            return None
        return partial(self._printed.add, stream=stream, test_id=case.name)

    async def _compare(self, case: Case, text: bytes, stderr: str, played: Played) -> Played:
        answer = case.answer.read_bytes()
        if len(text) > _BIG_BYTES:
            difference = await asyncio.to_thread(compare, text, answer, case.comparison)
        else:
            difference = compare(text, answer, case.comparison)
        if difference is None:
            return replace(played, outcome="passed")
        if self._examples_only:
            return replace(played, outcome="passed", undecided=difference.message)
        evidence = Evidence(
            kind="difference",
            message=difference.message,
            expected=difference.expected.window,
            actual=difference.actual.window,
            expected_at=difference.expected.at,
            actual_at=difference.actual.at,
            node="the program",
            stderr=stderr,
            explanation=difference.explanation,
            suggestions=difference.suggestions,
        ).bounded()
        return replace(played, outcome="wrong_answer", evidence=evidence)

    async def _run(self, case: Case, streams: Sequence[int]) -> tuple[Ran | None, Evidence | None]:
        """Run the solution. Returns how it ended, and the limit that the watchdog saw it exceed."""
        seconds = self._limits.test_seconds
        files = {name: path.read_bytes() for name, path in case.files}
        laid = [_in_memory(marshal.dumps(files))] if files else []
        order = {
            "command": (*self._command, *case.program_arguments),
            "memory": self._memory_mb * _MEGABYTE,
            "cpu_s": processor_bound_s(seconds),
            "files": (),
            "wanted": (),
            "keep": False,
            "laid": bool(laid),
        }
        # A busy machine makes no difference to processor time. A solution that waits is ended all the same.
        self._watchdog.begin(2 * seconds + 1)
        try:
            ran = await self._answer(asyncio.ensure_future(self._host.run(order, streams, laid)))
        finally:
            self._watchdog.end()
            close_all(laid)
        if ran is None:
            # Without a sandbox, what the program has started outlives its host, and holds its pipes open.
            kill_all(self._watchdog.solution_processes)
        exceeded = self._watchdog.exceeded
        if exceeded is not None and exceeded.limit == "time":
            wall_s = 2 * seconds + 1
            exceeded = replace(exceeded, message=f"the program had not ended after {wall_s:g} s", seconds=wall_s)
        return ran, exceeded

    async def _answer(self, running: asyncio.Task[Ran | None]) -> Ran | None:
        """Wait for the host, but no longer than the program may take: without a sandbox it can stop its host."""
        try:
            while not (await asyncio.wait({running}, timeout=_LOOK_S))[0]:
                if self._watchdog.exceeded is not None or self._watchdog.submission_over.is_set():
                    await asyncio.wait({running}, timeout=_GRACE_S)
                    if not running.done():
                        self._host.close()
            return running.result()
        finally:
            running.cancel()

    def _failure(self, ran: Ran | None, stderr: str, is_flood: bool) -> Evidence | None:
        """Why the solution failed by itself, whatever it has printed."""
        limits = self._limits
        found = Evidence(kind="exit", node="the program", stderr=stderr)
        if is_flood:
            return replace(found, kind="flood", message=f"the program wrote more than {limits.output_kb} KB").bounded()
        if ran is None:
            return replace(found, message="the program ended its sandbox").bounded()
        if ran.took_longer_than(limits.test_seconds):
            message = f"the program used more than {limits.test_seconds:g} s of processor time"
            limit = Evidence(kind="limit", limit="time", message=message, seconds=limits.test_seconds)
            return over_limit(limit, found).bounded()
        if ran.code == 0:
            return None
        peak_mb = ran.memory_kb // 1024
        if _NO_MEMORY.search(stderr) or (self._memory_mb and peak_mb >= _NEARLY * self._memory_mb):
            message = f"the program needed more than {limits.memory_mb} MB of memory"
            return over_limit(Evidence(kind="limit", limit="memory", message=message), found).bounded()
        how = f"exited with code {ran.code}" if ran.code > 0 else f"was ended by signal {-ran.code}"
        return replace(
            found,
            message=f"the program {how}",
            exit_code=ran.code,
            peak_mb=peak_mb,
            memory_mb=self._memory_mb,
        ).bounded()

    async def _converse(
        self,
        case: Case,
        source: int,
        before: Played,
        by: tuple[Checker, ToolProcess],
        transcript: Transcript,
        *,
        is_later_pass: bool,
    ) -> tuple[Played, Decision | None]:
        """Let the solution and the checker talk to each other, once."""
        checker, tool = by
        to_solution = Relay("<", transcript, tool.goes_on)
        to_checker = Relay(">", transcript, self._host.goes_on, self._taker(case, "stdout"))
        errors = Collector(self._limits.output_kb * 1024, self._host.stop, self._taker(case, "stderr"))
        answer = os.open(case.answer, os.O_RDONLY)
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def streams() -> list[int]:
            begun.set_result(None)
            return [to_checker.reading, to_solution.writing]

        files = {"input": source, "answer": answer}
        ended: list[object] = []
        is_alone: asyncio.Future[None] = begun.get_loop().create_future()
        checking = asyncio.ensure_future(
            tool.check(checker, files, streams, case.arguments, is_later_pass=is_later_pass, talks_until=is_alone)
        )

        def on_checked(future: object) -> None:
            ended.append(future)
            to_solution.release()

        def on_ran(future: object) -> None:
            ended.append(future)
            to_checker.release()
            is_alone.set_result(None)

        checking.add_done_callback(on_checked)
        try:
            either: list[asyncio.Future[Any]] = [begun, checking]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if checking.done():
                checking.result()
            running = asyncio.ensure_future(self._run(case, (to_solution.reading, to_checker.writing, errors.writing)))
            running.add_done_callback(on_ran)
            await asyncio.wait({running, checking}, return_when=asyncio.FIRST_COMPLETED)
            is_lost = checking.done() and (checking.exception() is not None or not checking.result().is_accepted)
            if is_lost and not to_checker.has_ended_early:
                # Rejected: whatever the solution does now counts for nothing.
                self._host.stop()
            ran, evidence = await running
            stderr = (await errors.end()).decode("utf-8", "backslashreplace")
            await asyncio.wait({checking})
        finally:
            for relay in (to_solution, to_checker):
                relay.close()
            errors.close()
            os.close(answer)
            if not checking.done():
                tool.stop()
                with suppress(HostFault, asyncio.CancelledError):
                    await checking
        # A checker that does not decide is at fault, whatever the solution does.
        decision = checking.result()
        played = replace(_sum(before, ran), judge_message=decision.judge_message)
        evidence = evidence or self._failure(ran, stderr, errors.is_exceeded)
        shown = _shown(stderr=stderr, transcript=transcript.text())
        # It may reject for lack of somebody to talk to, and a solution may fail for the same reason.
        is_first = ended[0] is running or to_checker.has_ended_early
        if evidence is not None and (decision.is_accepted or is_first):
            return replace(played, outcome=outcome_of("failed", evidence), evidence=evidence, output=shown), None
        return _decided(played, decision, shown), decision


def _decided(played: Played, decision: Decision, shown: str, text: bytes = b"") -> Played:
    played = replace(played, judge_message=decision.judge_message)
    if decision.is_accepted:
        return replace(played, outcome="passed", score=decision.score, multiplier=decision.multiplier)
    message = decision.team_message or "the checker did not accept the output"
    evidence = Evidence(
        kind="difference",
        message=message,
        actual=decode_beginning(text, _SHOWN_BYTES) + "…" * (len(text) > _SHOWN_BYTES),
        node="the program",
        explanation="The checker of this problem did not accept the output.",
    ).bounded()
    return replace(
        played,
        outcome="wrong_answer",
        evidence=evidence,
        output=shown,
        score=decision.score,
        multiplier=decision.multiplier,
    )


def _sum(before: Played, ran: Ran | None) -> Played:
    if ran is None:
        return before
    return replace(
        before,
        cpu_ms=before.cpu_ms + ran.cpu_ms,
        wall_ms=before.wall_ms + ran.wall_ms,
        memory_kb=max(before.memory_kb, ran.memory_kb),
    )


def _shown(*, stderr: str = "", transcript: str = "") -> str:
    parts = [("the conversation (> is the program)", transcript), ("stderr", stderr)]
    return "\n".join(f"{what}:\n{text.rstrip()}" for what, text in parts if text.strip())


def _nowhere() -> int:
    return os.open(os.devnull, os.O_RDWR)


def _copy(path: Path) -> int:
    """A copy of a file for the solution, which could open the file itself for writing, if it runs as its owner."""
    descriptor = os.memfd_create("case", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with path.open("rb", buffering=0) as file:
            while os.sendfile(descriptor, file.fileno(), None, _COPIED_BYTES):
                pass
    except BaseException:
        os.close(descriptor)
        raise
    return _sealed(descriptor)


def _in_memory(data: bytes) -> int:
    descriptor = os.memfd_create("case", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    return _sealed(descriptor)


def _sealed(descriptor: int) -> int:
    """The same file, which nobody can change any more, whoever opens it again."""
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
