"""`judge()`: one submission in, its events out."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import asdict, replace
from pathlib import Path

from subcli.judge import events
from subcli.judge.analysis.finding import Context, Finding
from subcli.judge.analysis.general import general
from subcli.judge.constants import filled
from subcli.judge.evidence import Evidence
from subcli.judge.grader.model import GRADESCOPE
from subcli.judge.job import Job, UnsafePath, without, write_files
from subcli.judge.process.processes import kill_all, kill_descendants, started_from
from subcli.judge.process.shortage import is_shortage
from subcli.judge.process.starter import LocalStarter, Plans, Starter
from subcli.judge.process.stopwatch import MAX_STRETCH
from subcli.judge.process.workplace import Workplace, workplace
from subcli.judge.supervise.child import Child
from subcli.judge.supervise.template import start_supervisor
from subcli.judge.supervise.tool_plans import tool_plans

_LINE_LIMIT = 1024 * 1024
_STOP_TIMEOUT_S = 5.0
"""How long a supervisor may take to end everything below it."""
_EXTRA_TIME_S = 30.0
"""What a supervisor may take beyond the limits of the submission, stretched as far as a busy machine may."""

_log = logging.getLogger(__name__)


def _log_fault(text: str) -> None:
    # A failed test command, or an analyzer that failed: the operator needs to know.
    _log.warning("the supervisor printed: %s", text)


async def judge(
    job: Job,
    *,
    starter: Starter | None = None,
    on_fault: Callable[[str], None] = _log_fault,
    on_grade: Callable[[events.Graded], None] | None = None,
) -> AsyncGenerator[dict[str, object], None]:
    """Judge a submission and yield its events as they happen, `complete` last.

    Closing the iterator, or cancelling the task that reads it, kills every process of the submission. The server adds
    `submission_id`, `seq` and `timestamp` to the events.

    Args:
        job: What to judge.
        starter: What the solution's processes run under. Default: `LocalStarter`.
        on_fault: Called with what is wrong with the judge or the problem, in full. Default: it is logged.
        on_grade: Called with what each case and group of a problem made of cases is worth, secret ones included.
    """

    def tell_fault(text: str) -> None:
        on_fault(job.problem.as_authored(text))

    job = _with_included(_beside_grader(job))
    with workplace() as place:
        refusal = _prepare(job, place.path)
        if refusal is not None:
            for event in refusal:
                yield event
            return
        language = job.problem.languages[job.language]
        try:
            started_by = starter or LocalStarter()
            with (
                started_by.open(place.path / "work", job.problem, language) as plans,
                tool_plans(job.problem, place.path, started_by) as tools,
            ):
                async with aclosing(_run(job, place, plans, tools, tell_fault, on_grade)) as events_of_run:
                    async for event in events_of_run:
                        yield event
        except OSError as error:
            # Out of processes, descriptors or disk space. Nothing of the submission has run.
            tell_fault(f"the judge could not start: {error}")
            for event in _judge_error(f"the judge could not start: {os.strerror(error.errno or 0)}"):
                # Like `time_out`, for the caller alone.
                is_ours = event["type"] == "complete" and is_shortage(error)
                yield {**event, "shortage": True} if is_ours else event


async def _run(
    job: Job,
    place: Workplace,
    plans: Plans,
    tools: list[dict[str, object]],
    on_fault: Callable[[str], None],
    on_grade: Callable[[events.Graded], None] | None,
) -> AsyncGenerator[events.Event, None]:
    """Start a supervisor for the job and yield its events."""
    supervisor = _SupervisorProcess(place, on_fault)
    try:
        await supervisor.start(_order(job, place.path, plans, tools, tells_grades=on_grade is not None))
        async with aclosing(supervisor.read(_timeout_s(job))) as events_of_run:
            async for event in events_of_run:
                if event["type"] != events.GRADE:
                    yield event
                elif on_grade is not None:
                    on_grade(events.Graded.from_json(event))
    finally:
        await supervisor.stop()


class _SupervisorProcess:
    """The supervisor, as the server sees it."""

    def __init__(self, place: Workplace, on_fault: Callable[[str], None]) -> None:
        self._base = place.path
        self._lock = place.lock
        self._on_fault = on_fault
        self._child: Child | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def start(self, order: bytes) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._reader, self._writer = await asyncio.open_connection(sock=ours, limit=_LINE_LIMIT)
            # The lock: if we are killed, the supervisor still removes the directory, and nobody else may.
            self._child = await start_supervisor(self._base, theirs.fileno(), self._lock)
        self._writer.write(order)

    async def read(self, timeout_s: float) -> AsyncGenerator[events.Event, None]:
        """Yield the supervisor's events. If it ends without `complete`, say so and complete with `error`."""
        assert self._reader is not None
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            try:
                # `wait_for` may swallow a cancellation that arrives together with a line.
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
        # Why, `stop` logs: tracebacks and paths of this machine are not for those who submit.
        for event in _judge_error("the judge's own process ended early"):
            yield event

    async def stop(self) -> None:
        """End the supervisor and everything below it, whatever state they are in."""
        if self._writer is not None:
            # The supervisor stops when its input ends.
            self._writer.close()
        child = self._child
        if child is None:
            return
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_TIMEOUT_S):
                    await child.wait()
        finally:
            # Nothing is awaited here, so that a second cancellation cannot interrupt it.
            if child.returncode is None:
                kill_descendants(child.pid)
                child.kill()
            if child.returncode != 0:
                kill_all(lambda: started_from(self._base))
            child.close()
        await child.wait()
        if child.log:
            self._on_fault(child.log)


def _judge_error(message: str) -> list[events.Event]:
    finding = general(Evidence(kind="judge", message=message), Context(files={}, language=""))
    return [
        events.status_update("failed"),
        events.error_analysis(replace(finding, error=message)),
        events.complete("error", {"total_tests": 0, "passed": 0, "failed": 0, "duration_ms": 0}),
    ]


def _beside_grader(job: Job) -> Job:
    """The job without what would be in the way of the author's files of a grader."""
    grader = job.problem.grader
    if grader is None:
        return job
    if grader.results == GRADESCOPE:
        return replace(job, files={f"submission/{name}": text for name, text in job.files.items()})
    return replace(job, files=without(job.files, dict(grader.files)))


def _with_included(job: Job) -> Job:
    """The job with the author's files laid over those of the submission."""
    included = job.problem.included.get(job.language)
    if not included:
        return job
    constants = job.problem.constants
    texts = {name: filled(path.read_text("utf-8", "surrogateescape"), constants) for name, path in included.items()}
    files = {**job.files, **texts}
    language = job.problem.languages.get(job.language)
    entry = language.entry(job.files) if language is not None and language.entry(files) is None else None
    if language is not None and entry is not None:
        # The author's files are not what the submission starts with, unless they say so.
        languages = {**job.problem.languages, language.name: replace(language, source=entry)}
        job = replace(job, problem=replace(job.problem, languages=languages))
    return replace(job, files=files)


def _prepare(job: Job, base: Path) -> list[events.Event] | None:
    """Write the submission's files. Returns the events to report if that is not possible, else None."""
    workspace, scratch = base / "work", base / "judge"
    workspace.mkdir()
    scratch.mkdir(mode=0o700)
    try:
        write_files(job.files, workspace)
    except UnsafePath as error:
        complaint = str(error)
    else:
        if job.language in job.problem.languages:
            _lay_beside(job, workspace)
            return None
        offered = ", ".join(sorted(job.problem.languages))
        complaint = f"{job.problem.slug} cannot be solved in {job.language!r}; choose from {offered}"
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


def _lay_beside(job: Job, workspace: Path) -> None:
    """Lay the author's files of a grader beside the solution."""
    grader = job.problem.grader
    if grader is None:
        return
    place = workspace / "source" if grader.results == GRADESCOPE else workspace
    for name, path in grader.files:
        target = place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
        target.chmod(target.stat().st_mode | 0o444)


def _order(job: Job, base: Path, plans: Plans, tools: list[dict[str, object]], *, tells_grades: bool) -> bytes:
    problem = job.problem
    order = {
        "problem": problem.as_json(),
        "tests": os.fspath(problem.root / problem.tests) if problem.runner == "pytest" else None,
        "language": job.language,
        "files": sorted(job.files),
        "plans": plans.as_json(),
        "scratch": str(base / "judge"),
        "tools": tools,
        "tells_grades": tells_grades,
        "output": None if job.output is None else asdict(job.output),
        "traced": job.traced,
        "only": job.only,
        "debugged": asdict(job.debugged) if job.debugged is not None else None,
    }
    return json.dumps(order).encode() + b"\n"


def _timeout_s(job: Job) -> float:
    limits = job.problem.limits
    return MAX_STRETCH * (limits.build_seconds + limits.submission_seconds) + _EXTRA_TIME_S
