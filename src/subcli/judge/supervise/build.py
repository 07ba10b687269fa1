"""The build step: runs one command with a time limit and keeps its output."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from subcli.judge.evidence import Evidence
from subcli.judge.process.starter import StartPlan, spawn
from subcli.judge.process.stopwatch import MAX_STRETCH
from subcli.judge.process.text import Tail

_LOG_BYTES = 24_576


@dataclass(frozen=True)
class BuildResult:
    """How a build ended. `evidence` is None if it succeeded."""

    evidence: Evidence | None
    log: str
    is_ours: bool = False
    """Whether the judge is at fault, because a tool is not installed, or its disk was full."""


def missing_program(programs: tuple[str, ...], language: str) -> BuildResult | None:
    """The result if a program that the language needs is not installed; else None."""
    for program in programs:
        if shutil.which(program) is None:
            message = f"{program}: not installed on the judge's machine"
            evidence = Evidence(kind="missing_tool", message=message, command=program, language=language)
            return BuildResult(evidence, message, is_ours=True)
    return None


async def build(
    plan: StartPlan,
    command: tuple[str, ...],
    language: str,
    seconds: float,
    started: Callable[[int], None],
    on_output: Callable[[bytes], None] | None = None,
) -> BuildResult:
    """Run `command` and keep its output, cut in the middle if it is long.

    Args:
        plan: How to start it.
        command: The command.
        language: The name of the language, for the evidence.
        seconds: The time limit.
        started: Called with the process id before anything else can wait for the process.
        on_output: Called with what it prints, as it comes.
    """
    process = spawn(plan, command, stderr=subprocess.STDOUT)
    started(process.pid)
    log = Tail(_LOG_BYTES)
    began = time.monotonic()
    try:
        # The watchdog knows better how much of its time it has used.
        async with asyncio.timeout(seconds * MAX_STRETCH):
            code = await _follow(process, log, on_output)
        timed_out = False
    except TimeoutError:
        timed_out, code = True, -signal.SIGKILL
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    code = plan.exit_code(code)
    text = log.text()
    if code == 0:
        return BuildResult(None, text)
    evidence = Evidence(
        kind="limit" if timed_out else "build",
        limit="time" if timed_out else "",
        message=f"the build took longer than {seconds:g} s" if timed_out else f"the build exited with code {code}",
        exit_code=code,
        stderr=text,
        command=" ".join(command),
        language=language,
        seconds=time.monotonic() - began,
    )
    return BuildResult(evidence, text)


async def _follow(process: subprocess.Popen[bytes], log: Tail, on_output: Callable[[bytes], None] | None) -> int:
    """Read until the process itself ends. A child of it may hold the pipe open for ever."""
    assert process.stdout is not None
    loop, pipe = asyncio.get_running_loop(), process.stdout.fileno()
    os.set_blocking(pipe, False)
    handle = os.pidfd_open(process.pid)
    has_ended = asyncio.Event()

    def add(data: bytes) -> None:
        log.add(data)
        if on_output is not None:
            on_output(data)

    def take() -> None:
        if data := _read(pipe):
            add(data)
        else:
            loop.remove_reader(pipe)

    loop.add_reader(pipe, take)
    loop.add_reader(handle, has_ended.set)
    try:
        await has_ended.wait()
        while data := _read(pipe):
            add(data)
            await asyncio.sleep(0)
    finally:
        loop.remove_reader(pipe)
        loop.remove_reader(handle)
        os.close(handle)
    return process.wait()


def _read(pipe: int) -> bytes:
    try:
        return os.read(pipe, 65_536)
    except BlockingIOError:
        return b""
