"""``subcli test``: judge on this machine, without a server, with the tests that are available here."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from subcli.cli import exits
from subcli.cli.commands.server.options import SandboxChoice, require_server_extra
from subcli.cli.common import Common, command, expanded
from subcli.cli.streams import Streams
from subcli.cli.watching.options import Compact, JunitXml, Logs, NoKeys, Notify, Options, Plain, Timeout
from subcli.core.errors import UsageError

if TYPE_CHECKING:
    from subcli.judge.job import Job
    from subcli.judge.problem import Problem
    from subcli.judge.process.starter import Starter
    from subcli.output.view import View
    from subcli.settings.config import Settings
    from subcli.workspace.source import Source

_ENDED: Final = "Nothing keeps running: the judge and everything it started have ended."


def register(app: typer.Typer) -> None:
    """Register the command."""

    @command(
        app,
        "test",
        codes=exits.JUDGING,
        example="subcli test   # in a directory that `subcli init` made\n"
        "subcli test solution.py --problem ./my-problem\n"
        "subcli test solution.cpp --problem ./hello --case 'sample/*'",
    )
    def test(
        common: Common,
        streams: Streams,
        paths: Annotated[
            list[str] | None, typer.Argument(metavar="[PATH]...", help="Files or a directory; `-` is stdin.")
        ] = None,
        problem: Annotated[
            Path | None,
            typer.Option("--problem", metavar="DIR", callback=expanded, help="The problem's directory."),
        ] = None,
        language: Annotated[
            str | None,
            typer.Option("--language", metavar="NAME", help="Default: from the file extension, or the problem."),
        ] = None,
        case: Annotated[
            list[str] | None,
            typer.Option("--case", metavar="NAME", help="Run only this case, or those that match `group/*`."),
        ] = None,
        follow_links: Annotated[
            bool, typer.Option("--follow-links", help="Follow links that lead outside the working tree.")
        ] = False,
        sandbox: SandboxChoice = "auto",
        timeout: Timeout = None,
        compact: Compact = False,
        plain: Plain = False,
        no_keys: NoKeys = False,
        logs: Logs = False,
        junit_xml: JunitXml = None,
        notify: Notify = False,
    ) -> int:
        """Judge code on this machine, without a server."""
        from subcli.cli.watching.reports import junit_report

        options = Options(
            timeout=timeout,
            compact=compact,
            plain=plain,
            no_keys=no_keys,
            logs=logs,
            notify=notify,
            follow_up="",
            resume=_ENDED,
        )
        with junit_report(junit_xml, streams) as beside:
            require_server_extra()
            settings = common.settings(streams, language=language)
            with _problem_of(problem, settings, streams) as found:
                _tell_limits_of(found, streams)
                source = _source(paths or [], settings, problem, follow_links=follow_links)
                _warn(source, streams)
                rerun = _rerun(paths or [], problem, language, sandbox)
                job = _job(_selected(found, case or [], rerun), source, settings.language)
                return _judge(common, streams, options, job, source, _starter(sandbox), beside)


@contextlib.contextmanager
def _problem_of(directory: Path | None, settings: Settings, streams: Streams) -> Iterator[Problem]:
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


def _rerun(paths: Sequence[str], problem: Path | None, language: str | None, sandbox: str) -> str:
    """The command line that runs this again, without the options for cases and output."""
    options = {
        "--problem": str(problem) if problem is not None else None,
        "--language": language,
        "--sandbox": sandbox if sandbox != "auto" else None,
    }
    given = [word for option, value in options.items() if value is not None for word in (option, value)]
    return shlex.join(["subcli", "test", *paths, *given])


def _selected(problem: Problem, names: Sequence[str], rerun: str) -> Problem:
    """The problem with only these cases, and nothing hidden: it belongs to the user.

    Args:
        problem: All of it.
        names: Names of cases, or patterns; all of them if there are none.
        rerun: The command that runs a case again, without `--case NAME`.

    Raises:
        UsageError: There is no such case.
    """
    from dataclasses import replace

    if problem.cases is None:
        if names:
            raise UsageError("`--case` is for problems made of cases.", hint=f"{problem.slug}'s tests are not cases.")
        return problem
    from subcli.judge.cases.feedback import revealed
    from subcli.judge.cases.selection import only

    cases = replace(revealed(problem.cases), rerun=rerun)
    if names:
        cases = only(cases, names)
        if not any(cases.root.cases()):
            known = ", ".join(case.name for case in list(problem.cases.root.cases())[:10])
            raise UsageError(f"No case is called {' or '.join(names)}.", hint=f"There are: {known}.")
    return replace(problem, cases=cases)


def _source(paths: list[str], settings: Settings, problem: Path | None, *, follow_links: bool) -> Source:
    from subcli.workspace.source import read_source

    if paths:
        return read_source(paths, follow_links=follow_links)
    if settings.files and problem is None:
        return read_source(list(settings.files), root=settings.project_dir, follow_links=follow_links)
    raise UsageError("Nothing to judge.", hint="Name a file or a directory; `-` reads stdin.")


def _tell_limits_of(problem: Problem, streams: Streams) -> None:
    """Say what cannot be judged here, and which settings of the project file are unknown."""
    from subcli.output.terminal import report

    for remark in problem.remarks:
        report.note(remark, streams.stderr, streams.env)
    if problem.cases is not None and problem.cases.examples_only:
        report.note(
            f"{problem.slug} has a checker, which only the server has: output that differs from the example may "
            "be right, so it is skipped here. Crashes and limits are judged.",
            streams.stderr,
            streams.env,
        )


def _warn(source: Source, streams: Streams) -> None:
    from subcli.output.terminal import report

    if note := source.note():
        report.note(note, streams.stderr, streams.env)
    for text in source.warnings():
        report.warn(text, streams.stderr, streams.env)


def _job(problem: Problem, source: Source, language: str | None) -> Job:
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


def _starter(sandbox: str) -> Starter:
    from subcli.judge.sandbox import Sandbox
    from subcli.judge.sandbox.choice import SandboxError, choose

    try:
        return choose(Sandbox(sandbox), for_others=False).starter
    except SandboxError as error:
        raise UsageError(error.message, hint=error.hint) from None


def _judge(
    common: Common,
    streams: Streams,
    options: Options,
    job: Job,
    source: Source,
    starter: Starter,
    beside: Sequence[View],
) -> int:
    """Judge, show it as a server's judging is shown, and return the exit code."""
    from subcli.cli.runtime import Interrupts, run
    from subcli.cli.watching.local import LocalSession
    from subcli.cli.watching.loop import follow_all
    from subcli.cli.watching.notices import StderrNotices
    from subcli.cli.watching.operator import TerminalOperator
    from subcli.cli.watching.views import is_live, make_view

    # On the live screen a key may ask for what was printed before.
    session = LocalSession(job, starter, output=options.logs or is_live(common, options, streams))

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
