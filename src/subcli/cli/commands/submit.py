"""``subcli submit``: submit code, then watch it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from subcli.cli import exits
from subcli.cli.common import Common, command
from subcli.cli.streams import Streams
from subcli.cli.watching.options import (
    AfterSeq,
    Compact,
    FailFast,
    JunitXml,
    Logs,
    MaxAttempts,
    MinScore,
    NoKeys,
    Notify,
    Options,
    Plain,
    Timeout,
)
from subcli.core.errors import NetworkError, UsageError

if TYPE_CHECKING:
    from subcli.cli.watching.run import CodeToSubmit
    from subcli.settings.config import Settings
    from subcli.workspace.source import Source


def register(app: typer.Typer) -> None:
    """Register the command."""

    @command(
        app,
        "submit",
        codes=exits.WATCHING,
        example="subcli submit node.py --problem leader-election\n"
        "subcli submit src/ --problem leader-election --language python\n"
        "subcli submit   # in a directory that `subcli init` made",
    )
    def submit(
        common: Common,
        streams: Streams,
        paths: Annotated[
            list[str] | None, typer.Argument(metavar="[PATH]...", help="Files or a directory; `-` is stdin.")
        ] = None,
        problem: Annotated[
            str | None, typer.Option("--problem", metavar="PROBLEM", help="Problem to solve: id or slug.")
        ] = None,
        language: Annotated[
            str | None,
            typer.Option("--language", metavar="NAME", help="Default: from the file extension, or the problem."),
        ] = None,
        follow_links: Annotated[
            bool, typer.Option("--follow-links", help="Follow links that lead outside the working tree.")
        ] = False,
        no_watch: Annotated[bool, typer.Option("--no-watch", help="Do not wait for the verdict.")] = False,
        after_seq: AfterSeq = None,
        timeout: Timeout = None,
        fail_fast: FailFast = False,
        min_score: MinScore = None,
        max_attempts: MaxAttempts = 5,
        compact: Compact = False,
        plain: Plain = False,
        no_keys: NoKeys = False,
        logs: Logs = False,
        junit_xml: JunitXml = None,
        notify: Notify = False,
    ) -> int:
        """Submit code and watch it being judged."""
        options = Options(
            timeout=timeout,
            fail_fast=fail_fast,
            min_score=min_score,
            max_attempts=max_attempts,
            compact=compact,
            plain=plain,
            no_keys=no_keys,
            logs=logs,
            notify=notify,
            after_seq=after_seq or 0,
            for_server=common.for_server(),
        )
        needy = "--junit-xml" if junit_xml is not None else "--min-score" if min_score is not None else ""
        if no_watch and needy:
            raise UsageError(
                f"`{needy}` needs the results, and `--no-watch` does not wait for them.", hint="Leave one of them out."
            )
        from subcli.cli.watching import run
        from subcli.cli.watching.reports import junit_report

        with junit_report(junit_xml, streams) as beside:
            settings = common.settings(streams, problem=problem, language=language)
            job = make_job(common, streams, options, paths or [], settings, follow_links=follow_links)
            warn(streams, settings, job)
            return run.submit(common, streams, options, settings, job, no_watch=no_watch, beside=beside)


def make_job(
    common: Common,
    streams: Streams,
    options: Options,
    paths: list[str],
    settings: Settings,
    *,
    follow_links: bool = False,
) -> CodeToSubmit:
    """Read what to submit, and for which problem.

    Args:
        options: bound how long that takes.
        paths: those of the command line; empty: the files that the project file names.
        follow_links: Whether to follow links that lead outside the working tree.

    Raises:
        UsageError: Something is missing or cannot be read.
        SubcliError: The server did not return the languages of the problem.
        WatchTimeoutError: ``--timeout`` expired.
    """
    from subcli.cli.watching.run import CodeToSubmit
    from subcli.client.background import start_daemon_thread

    try:
        # A program that writes stdin may never end it.
        source = start_daemon_thread(_source, paths, settings, follow_links=follow_links).result(options.left())
    except TimeoutError:
        raise options.timed_out("Nothing was submitted: stdin has not ended.") from None
    if settings.problem is None:
        raise UsageError("No problem given.", hint="Name it with `--problem`; `subcli problems` lists them.")
    language = settings.language or _language(common, streams, options, source, settings.problem)
    return CodeToSubmit(source=source, problem=settings.problem, language=language)


def _language(common: Common, streams: Streams, options: Options, source: Source, problem: str) -> str:
    """The language that the file extensions imply; if they are ambiguous, the one that the problem allows."""
    from subcli.workspace.languages import FAMILIES

    inferred = source.language()
    if inferred is not None and inferred not in FAMILIES:
        return inferred
    from subcli.cli.request import request
    from subcli.workspace.source import language_of_problem

    try:
        answer = request(common, streams, lambda client: client.problem(problem), timeout_s=options.left())
        return language_of_problem(source, answer)
    except TimeoutError:
        raise options.timed_out("Nothing was submitted: the server has not told the problem's languages.") from None
    except NetworkError:
        # Nobody can be asked, and the option makes asking unnecessary.
        raise source.unknown_language() from None


def _source(paths: list[str], settings: Settings, *, follow_links: bool) -> Source:
    from subcli.workspace.source import read_source

    if paths:
        return read_source(paths, follow_links=follow_links)
    if settings.files:
        return read_source(list(settings.files), root=settings.project_dir, follow_links=follow_links)
    raise UsageError("Nothing to submit.", hint="Name a file or a directory; `-` reads stdin.")


def warn(streams: Streams, settings: Settings, job: CodeToSubmit) -> None:
    """Warn on stderr about what may be a mistake, before it is submitted."""
    import time

    from subcli.output.terminal import report
    from subcli.output.text.words import ago
    from subcli.workspace.history import History, state_file

    if note := job.source.note():
        report.note(note, streams.stderr, streams.env)
    for text in job.source.warnings():
        report.warn(text, streams.stderr, streams.env)
    before = History(state_file()).find_same(settings.server, job.problem, job.language, job.source)
    if before is not None:
        text = f"This is the same code as #{before.submission_id}, submitted {ago(time.time() - before.at)}."
        report.warn(text, streams.stderr, streams.env)
