"""`judge()`: one submission in, its events out."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path

from subcli.judge import events
from subcli.judge.analysis.finding import Context, Finding
from subcli.judge.analysis.general import general
from subcli.judge.evidence import Evidence
from subcli.judge.job import Job, UnsafePath, write_files
from subcli.judge.process.processes import kill_all, kill_descendants, started_from
from subcli.judge.process.removal import remove_tree
from subcli.judge.process.starter import LocalStarter, Plans, Starter, own_environment
from subcli.judge.supervise.child import Child

_LINE_LIMIT = 1024 * 1024
_GRACE_SECONDS = 5.0
"""How long a supervisor may take to end everything below it."""
_SLACK_SECONDS = 30.0

_log = logging.getLogger(__name__)


async def judge(job: Job, *, starter: Starter | None = None) -> AsyncGenerator[dict[str, object], None]:
    """Judge a submission and yield its events as they happen, `complete` last.

    Closing the iterator, or cancelling the task that reads it, kills every process of the submission. Events carry
    neither `submission_id`, `seq` nor `timestamp`: those are the server's.

    Arguments:
        job: what to judge.
        starter: under what the solution's processes run; default `LocalStarter`.
    """
    base = Path(tempfile.mkdtemp(prefix="subcli-judge-"))
    try:
        refusal = _prepare(job, base)
        if refusal is not None:
            for event in refusal:
                yield event
            return
        language = job.problem.languages[job.language]
        try:
            with (starter or LocalStarter()).open(base / "work", job.problem, language) as plans:
                async with aclosing(_run(job, base, plans)) as events_of_run:
                    async for event in events_of_run:
                        yield event
        except OSError as error:
            # No process, no descriptor, no disk: nothing of the submission has run.
            for event in _own_fault(f"the judge could not start: {error.strerror}", str(error)):
                yield event
    finally:
        remove_tree(base)


async def _run(job: Job, base: Path, plans: Plans) -> AsyncGenerator[events.Event, None]:
    """What a supervisor of its own says about the job."""
    run = _Run(base)
    try:
        await run.start(_order(job, base, plans))
        async with aclosing(run.read(_patience(job))) as events_of_run:
            async for event in events_of_run:
                yield event
    finally:
        await run.stop()


class _Run:
    """The supervisor's process, seen from the server."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._child: Child | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def start(self, order: bytes) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._reader, self._writer = await asyncio.open_connection(sock=ours, limit=_LINE_LIMIT)
            self._child = await Child.start(
                [sys.executable, "-P", "-m", "subcli.judge.supervise", str(theirs.fileno())],
                directory=self._base,
                environment=own_environment(self._base),
                pass_fds=(theirs.fileno(),),
            )
        self._writer.write(order)

    async def read(self, patience: float) -> AsyncGenerator[events.Event, None]:
        """The supervisor's events; if it ends without a `complete`, one that says so."""
        assert self._reader is not None
        deadline = asyncio.get_running_loop().time() + patience
        while True:
            try:
                # Not `wait_for`, which may swallow a cancellation that comes together with a line.
                async with asyncio.timeout_at(deadline):
                    line = await self._reader.readline()
            except (TimeoutError, ConnectionError):
                line = b""
            if not line.endswith(b"\n"):
                break
            event = json.loads(line)
            yield event
            if event["type"] == "complete":
                return
        assert self._child is not None
        for event in _own_fault("the judge's own process ended early", self._child.log):
            yield event

    async def stop(self) -> None:
        """End the supervisor and all below it, whatever state they are in."""
        if self._writer is not None:
            # The end of its input is the supervisor's order to stop.
            self._writer.close()
        child = self._child
        if child is None:
            return
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_GRACE_SECONDS):
                    await child.wait()
        finally:
            # Without an await: this also runs when the task is cancelled a second time.
            if child.returncode != 0:
                kill_descendants(child.pid)
                child.kill()
                kill_all(lambda: started_from(self._base))
            child.close()
        await child.wait()
        if child.log:
            # A plug-in that failed, most often: for whoever runs the server.
            _log.warning("the supervisor said: %s", child.log)


def _own_fault(message: str, log: str) -> list[events.Event]:
    finding = general(Evidence(kind="judge", message=message, stderr=log), Context(files={}, language=""))
    return [
        events.status_update("failed"),
        events.error_analysis(replace(finding, error=message)),
        events.complete("error", {"total_tests": 0, "passed": 0, "failed": 0, "duration_ms": 0}),
    ]


def _prepare(job: Job, base: Path) -> list[events.Event] | None:
    """Write the files. Returns the events of a submission that cannot even be written."""
    workspace, scratch = base / "work", base / "judge"
    workspace.mkdir()
    scratch.mkdir(mode=0o700)
    try:
        write_files(job.files, workspace)
    except UnsafePath as error:
        complaint = str(error)
    else:
        if job.language in job.problem.languages:
            return None
        offered = ", ".join(sorted(job.problem.languages))
        complaint = f"{job.problem.slug} cannot be solved in {job.language!r}; it offers {offered}"
    finding = Finding(
        category="bad_submission",
        error=complaint,
        analysis="Nothing was built or run.",
        suggestions=("Submit files by paths inside the submission, in a language that the problem offers.",),
    )
    return [
        events.status_update("build_failed", detail=complaint),
        events.error_analysis(finding),
        events.complete("build_failed", {"total_tests": 0, "passed": 0, "failed": 0, "duration_ms": 0}),
    ]


def _order(job: Job, base: Path, plans: Plans) -> bytes:
    problem = job.problem
    order = {
        "problem": os.fspath(problem.root),
        "tests": os.fspath(problem.root / problem.tests) if problem.runner == "pytest" else None,
        "language": job.language,
        "files": sorted(job.files),
        "plans": plans.as_json(),
        "scratch": str(base / "judge"),
    }
    return json.dumps(order).encode() + b"\n"


def _patience(job: Job) -> float:
    limits = job.problem.limits
    return limits.build_seconds + limits.submission_seconds + _SLACK_SECONDS
