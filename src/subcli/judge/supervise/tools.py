"""Programs of the author's that decide: output validators, checkers and graders, each in a sandbox of its own."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from subcli.judge.cases.grading import GraderError
from subcli.judge.cases.model import Checker, Tool
from subcli.judge.process.host import ROOM
from subcli.judge.process.starter import Plans
from subcli.judge.process.stopwatch import Stopwatch, Timer
from subcli.judge.process.text import Tail, decode, decode_beginning
from subcli.judge.supervise.build import build, missing_program
from subcli.judge.supervise.host_process import HostFault, HostProcess, Ran, processor_bound_s

ACCEPTED, REJECTED = 42, 43
_ARGUMENTS = {"icpc": ("input", "answer", "feedback/"), "testlib": ("input", "output", "answer")}
_TESTLIB_REJECTED = (1, 2, 4, 8)
"""testlib.h: a wrong answer, a wrong format, output that goes on, and output that ends too early."""
_TESTLIB_POINTS = 7
_POINTS = re.compile(r"points\s+(\d+(?:\.\d*)?)(?!\S)", re.ASCII)
_BUILD_SECONDS = 120.0
_GRADER_SECONDS = 60.0
_LOOK_S = 0.5
"""How often the time that a tool has taken is looked at."""
_TEXT_BYTES = 8_192
_MEGABYTE = 1024 * 1024
_WRITTEN = ("teammessage.txt", "judgemessage.txt", "score.txt", "score_multiplier.txt", "nextpass.in")


@dataclass(frozen=True)
class ToolPlan:
    """How a tool is built and started.

    Attributes:
        plans: what its processes run under.
        scratch: a directory for the files of a case, where the sandbox has none of its own.
        is_built: whether it lies in its directory as it was built before.
        cache: where it is kept once it is built.
    """

    plans: Plans
    scratch: str
    is_built: bool
    cache: Path | None

    @staticmethod
    def read(value: Mapping[str, Any]) -> ToolPlan:
        """The plan that `engine` wrote."""
        cache = Path(value["cache"]) if value["cache"] else None
        return ToolPlan(Plans.from_json(value["plans"]), value["scratch"], value["is_built"], cache)


@dataclass(frozen=True)
class Decision:
    """What a checker says of an output."""

    is_accepted: bool
    team_message: str = ""
    judge_message: str = ""
    score: float | None = None
    multiplier: float | None = None
    next_pass: bytes | None = None


class ToolProcess:
    """A tool, built when it is needed first.

    Args:
        tool: The tool.
        plan: How it is built and started.
        on_start: Called with the id of each process before anything else can wait for it.
    """

    def __init__(self, tool: Tool, plan: ToolPlan, on_start: Callable[[int], None]) -> None:
        self._tool = tool
        self._plan = plan
        self._on_start = on_start
        self._directory = (plan.plans.scratch or (plan.scratch,))[0]
        self._host = HostProcess(plan.plans.run, plan.plans.scratch or (plan.scratch,), on_start)
        self._is_ready = plan.is_built
        self._unbuildable = ""
        """Why it cannot be built."""

    def close(self) -> None:
        """End its sandbox."""
        self._host.close()

    def stop(self) -> None:
        """End it, if it runs."""
        self._host.stop()

    def goes_on(self) -> bool:
        """Whether it runs, and has not begun to end."""
        return self._host.goes_on()

    async def check(
        self,
        checker: Checker,
        files: Mapping[str, int],
        streams: Callable[[], Sequence[int]],
        arguments: tuple[str, ...],
        *,
        is_later_pass: bool,
        talks_until: asyncio.Future[None] | None = None,
    ) -> Decision:
        """Let a checker decide.

        Args:
            checker: What it may use.
            files: Descriptors of `input` and `answer`, and of `output` for a checker that reads it as a file.
            streams: Makes its stdin and stdout, once it is ready to be started.
            arguments: What it gets besides.
            is_later_pass: Whether what it wrote in the pass before is kept.
            talks_until: When the program that it talks to has ended. Its time is not measured before: it waits for
                the other one, which is bounded itself.

        Raises:
            HostFault: It has not decided.
        """
        await self._prepare()
        room = f"{self._directory}/{ROOM}"
        words = tuple(f"{room}/{name}" for name in _ARGUMENTS[checker.interface]) + arguments
        written = {name: os.memfd_create(name) for name in _WRITTEN}
        errors = os.memfd_create("stderr")
        try:
            all_streams = [*streams(), os.dup(errors)]
            bounds = (checker.seconds, checker.memory_mb)
            ran = await self._run(words, all_streams, bounds, files, written, keep=is_later_pass, after=talks_until)
            if checker.interface == "testlib":
                return _testlib_decision(ran.code, _end_of(errors), scores=checker.scores)
            texts = {name: os.pread(descriptor, 1 << 26, 0) for name, descriptor in written.items()}
            return _decision(ran, texts, wants_passes=checker.max_passes > 1)
        except HostFault as error:
            raise HostFault(f"{error}\n{_end_of(errors)}".strip()) from None
        finally:
            for descriptor in (*written.values(), errors):
                os.close(descriptor)

    async def grade(self, arguments: tuple[str, ...], text: str) -> str:
        """Let a grader decide.

        Raises:
            GraderError: It has not decided.
        """
        given, printed, errors = (os.memfd_create(name) for name in ("stdin", "stdout", "stderr"))
        try:
            os.write(given, text.encode())
            os.lseek(given, 0, os.SEEK_SET)
            await self._prepare()
            streams = [os.dup(given), os.dup(printed), os.dup(errors)]
            ran = await self._run(arguments, streams, (_GRADER_SECONDS, 2048), {}, {}, keep=False)
            if ran.code != 0:
                raise GraderError(f"the grader exited with code {ran.code}\n{_end_of(errors)}".strip())
            return os.pread(printed, _TEXT_BYTES, 0).decode("utf-8", "backslashreplace")
        except HostFault as error:
            raise GraderError(str(error)) from None
        finally:
            for descriptor in (given, printed, errors):
                os.close(descriptor)

    async def _run(
        self,
        arguments: tuple[str, ...],
        streams: Sequence[int],
        bounds: tuple[float, int],
        files: Mapping[str, int],
        written: Mapping[str, int],
        *,
        keep: bool,
        after: asyncio.Future[None] | None = None,
    ) -> Ran:
        """Start it. `bounds`: its seconds and MiB; the time begins once `after` has come."""
        seconds, memory_mb = bounds
        language = self._tool.language
        order = {
            "command": (*self._expand(language.run), *arguments),
            "memory": memory_mb * _MEGABYTE if language.bounded_address_space else 0,
            "cpu_s": processor_bound_s(seconds),
            "files": list(files),
            "wanted": list(written),
            "keep": keep,
        }
        running = asyncio.ensure_future(self._host.run(order, streams, list(files.values()), list(written.values())))
        if after is not None:
            either: list[asyncio.Future[Any]] = [running, after]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        watch = Stopwatch()
        timer = Timer(watch, seconds)
        while not (await asyncio.wait({running}, timeout=_LOOK_S))[0]:
            # A busy machine does not count.
            processes = self._host.processes()
            watch.sample(processes, processes)
            if timer.is_up:
                self._host.stop()
                with suppress(HostFault):
                    await running
                raise HostFault(f"{self._tool.entry} took longer than {seconds:g} s")
        ran = running.result()
        if ran is None:
            raise HostFault(f"{self._tool.entry} ended its sandbox")
        if ran.took_longer_than(seconds):
            raise HostFault(f"{self._tool.entry} took longer than {seconds:g} s")
        return ran

    def _expand(self, command: tuple[str, ...]) -> tuple[str, ...]:
        files = dict.fromkeys(self._tool.files, "")
        return self._tool.language.expand(command, files, self._tool.entry)

    async def _prepare(self) -> None:
        if self._unbuildable:
            raise HostFault(self._unbuildable)
        if self._is_ready:
            return
        language, plans = self._tool.language, self._plan.plans
        result = missing_program(language.programs, language.name)
        if result is None and language.build:
            command = self._expand(language.build)
            result = await build(plans.build, command, language.name, _BUILD_SECONDS, self._on_start)
        if result is not None and result.evidence is not None:
            log = Tail(_TEXT_BYTES)
            log.add(result.log.encode())
            # The next case would learn the same, and wait for it.
            self._unbuildable = f"{self._tool.entry} cannot be built: {result.evidence.message}\n{log.text()}".strip()
            raise HostFault(self._unbuildable)
        self._is_ready = True
        if self._plan.cache is not None:
            _keep(Path(plans.build.directory), self._plan.cache)


def _keep(built: Path, cache: Path) -> None:
    """Keep what was built for the next submission. Whoever is first is right."""
    with suppress(OSError):
        copy = Path(tempfile.mkdtemp(prefix="new-", dir=cache.parent))
        shutil.copytree(built, copy, dirs_exist_ok=True, symlinks=True)
        try:
            copy.rename(cache)
        except OSError:
            shutil.rmtree(copy)


def _end_of(file: int) -> str:
    """The end of what a tool has written to stderr, which says what went wrong."""
    size = os.fstat(file).st_size
    data = os.pread(file, _TEXT_BYTES, max(0, size - _TEXT_BYTES))
    return decode(data, cut_before=size > _TEXT_BYTES).strip()


def _testlib_decision(code: int, said: str, *, scores: bool) -> Decision:
    """
    Args:
        code: The exit code.
        said: What the checker wrote to stderr, such as `wrong answer 1st numbers differ`.
        scores: Whether it may give points.

    Raises:
        HostFault: It has not decided.
    """
    if code == 0 or code in _TESTLIB_REJECTED:
        return Decision(is_accepted=code == 0, team_message=said if code else "", judge_message=said)
    points = _POINTS.match(said) if code == _TESTLIB_POINTS else None
    if points is None:
        raise HostFault(f"the checker exited with code {code}, which is not a verdict of testlib: {said}")
    if not scores:
        raise HostFault("the checker gave points, and `scores = true` does not say that it may")
    return Decision(is_accepted=True, judge_message=said, score=float(points[1]))


def _decision(ran: Ran, texts: Mapping[str, bytes], *, wants_passes: bool) -> Decision:
    def text(name: str) -> str:
        return decode_beginning(texts[name], _TEXT_BYTES).strip()

    def number(name: str) -> float | None:
        try:
            return float(text(name)) if texts[name].strip() else None
        except ValueError:
            complaint = f"the checker wrote {text(name)!r} to {name}, which is not a number"
            raise HostFault(complaint) from None

    if ran.code not in (ACCEPTED, REJECTED):
        said = text("judgemessage.txt")
        complaint = f"the checker exited with code {ran.code}, not with 42 or 43{said and f': {said}'}"
        raise HostFault(complaint)
    asks_again = wants_passes and "nextpass.in" in ran.found
    if asks_again and ran.code == REJECTED:
        raise HostFault("the checker rejected the output, and wrote nextpass.in all the same")
    return Decision(
        is_accepted=ran.code == ACCEPTED,
        team_message=text("teammessage.txt"),
        judge_message=text("judgemessage.txt"),
        score=number("score.txt"),
        multiplier=number("score_multiplier.txt"),
        next_pass=texts["nextpass.in"] if asks_again else None,
    )
