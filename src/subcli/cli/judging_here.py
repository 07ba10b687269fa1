"""Judging on this machine: which problem, which code, under what, and how it is shown."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from subcli.cli.common import Common
from subcli.cli.streams import Streams
from subcli.cli.watching.options import Options
from subcli.core.errors import UsageError

if TYPE_CHECKING:
    from subcli.cli.watching.local import LocalSession
    from subcli.judge.job import Job
    from subcli.judge.problem import Problem
    from subcli.judge.process.starter import Starter
    from subcli.output.view import View
    from subcli.settings.config import Settings
    from subcli.workspace.source import Source


@contextlib.contextmanager
def problem_of(directory: Path | None, settings: Settings, streams: Streams) -> Iterator[Problem]:
    """The problem in a directory, else the one that `subcli init` left here.

    Raises:
        UsageError: There is none, or it is not valid.
    """
    from subcli.judge.problem import ProblemError
    from subcli.judge.problem_file import is_problem
    from subcli.judge.snapshot import snapshot_of_one

    with contextlib.ExitStack() as stack:
        try:
            if directory is None:
                problem = _fetched(settings, here=is_problem(streams.cwd or Path()))
            else:
                problem = stack.enter_context(snapshot_of_one((streams.cwd or Path()) / directory))
        except (ProblemError, OSError) as error:
            raise UsageError(f"The problem cannot be used: {error}.", hint="`--problem DIR` names another.") from None
        yield problem


def _fetched(settings: Settings, *, here: bool) -> Problem:
    """What `subcli init` left in this directory or one above it.

    Args:
        here: Whether this directory is itself a problem's.

    Raises:
        UsageError: There is no table `[test]`.
        ProblemError: Its table `[test]` is not valid.
    """
    from subcli.judge.local import local_problem
    from subcli.settings.files import PROJECT_FILE

    if settings.project_dir is None:
        hint = "Name its directory with `--problem DIR`, or use `subcli init`."
        raise UsageError("No problem given.", hint="`--problem .` means the one in this directory." if here else hint)
    problem = local_problem(settings.project_dir / PROJECT_FILE, settings.problem)
    if problem is None:
        raise UsageError(
            f"{settings.project_dir / PROJECT_FILE} has no table [test]: only the server has what judges this problem, "
            "such as tests or a program to talk to.",
            hint="`subcli submit` uses the server; `--problem DIR` names your own problem.",
        )
    return problem


def source_of(paths: list[str], settings: Settings, problem: Path | None, *, follow_links: bool) -> Source:
    from subcli.workspace.source import read_source

    if paths:
        return read_source(paths, follow_links=follow_links)
    if settings.files and problem is None:
        return read_source(list(settings.files), root=settings.project_dir, follow_links=follow_links)
    raise UsageError("Nothing to judge.", hint="Name a file or a directory; `-` reads stdin.")


def warn_about(source: Source, streams: Streams) -> None:
    from subcli.output.terminal import report

    if note := source.note():
        report.note(note, streams.stderr, streams.env)
    for text in source.warnings():
        report.warn(text, streams.stderr, streams.env)


def job_of(problem: Problem, source: Source, language: str | None) -> Job:
    """What to judge, as a server would do it.

    Raises:
        UsageError: The language is not known, or not one of the problem's.
    """
    from subcli.judge.job import Job
    from subcli.workspace.source import language_of_problem

    if language is None:
        sources = {name: each.source for name, each in problem.languages.items()}
        language = language_of_problem(source, {"languages": list(problem.languages), "sources": sources})
    if language not in problem.languages:
        offered = ", ".join(sorted(problem.languages))
        raise UsageError(f"{problem.slug} cannot be solved in {language!r}.", hint=f"Choose from {offered}.")
    files = source.files
    if source.single:
        ((name, text),) = files.items()
        files = {problem.languages[language].name_of_single(name if source.origins else None): text}
    return Job(problem, language, files)


def starter_of(sandbox: str) -> Starter:
    from subcli.judge.sandbox import Sandbox
    from subcli.judge.sandbox.choice import SandboxError, choose

    try:
        return choose(Sandbox(sandbox), for_others=False).starter
    except SandboxError as error:
        raise UsageError(error.message, hint=error.hint) from None


def judge_here(
    common: Common,
    streams: Streams,
    options: Options,
    session: LocalSession,
    source: Source,
    beside: Sequence[View],
) -> int:
    """Judge, show it as a server's judging is shown, and return the exit code.

    Args:
        session: what is judged.
        source: where its code came from.
        beside: views to pass everything to.
    """
    from subcli.cli.runtime import Interrupts, run
    from subcli.cli.watching.loop import follow_all
    from subcli.cli.watching.notices import StderrNotices
    from subcli.cli.watching.operator import TerminalOperator
    from subcli.cli.watching.views import is_live, make_view

    if options.logs or is_live(common, options, streams):
        # On the live screen a key may ask for what was printed before.
        session.ask_for_output()

    async def main(interrupts: Interrupts) -> int:
        view = make_view(
            common,
            options,
            streams,
            several=False,
            beside=beside,
            origin=source.origin,
            operator=TerminalOperator(interrupts, None),
        )
        interrupts.view = view
        try:
            notices = StderrNotices(common, several=False, streams=streams)
            return await follow_all([session], view, notices, options, interrupts, streams)
        finally:
            view.close()

    try:
        return run(main, streams)
    finally:
        for fault in session.faults:
            _tell(fault, streams)


def _tell(fault: str, streams: Streams) -> None:
    """Say what is wrong with the problem or the judge: the user is its author, or can ask the author."""
    from subcli.output.printable import printable
    from subcli.output.terminal import report

    report.warn(printable(fault.strip()), streams.stderr, streams.env)
