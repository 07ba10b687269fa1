"""``subcli submit``: hand code in, then watch it."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from subcli.cli import exits
from subcli.cli.commands.watch import AfterSeq, Compact, FailFast, JunitXml, MaxAttempts, Notify, Plain, Timeout
from subcli.cli.common import Common, command, now
from subcli.core.errors import UsageError

if TYPE_CHECKING:
    from subcli.cli.watching.loop import Options
    from subcli.output.view import View
    from subcli.settings.config import Settings
    from subcli.workspace.source import Source

NOTED_AFTER_S: Final = 0.1
"""By then the first event has been shown; it is not to wait for two files."""
NOT_SURE: Final = "Nothing may have been handed in; `subcli list` shows what was."


def register(app: typer.Typer) -> None:
    """Put the command into the tree."""

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
        paths: Annotated[
            list[str] | None, typer.Argument(metavar="[PATH]...", help="Files or a directory; `-` is stdin.")
        ] = None,
        problem: Annotated[str | None, typer.Option("--problem", metavar="ID or SLUG", help="What it solves.")] = None,
        language: Annotated[
            str | None, typer.Option("--language", metavar="NAME", help="Default: from the file's ending.")
        ] = None,
        no_watch: Annotated[bool, typer.Option("--no-watch", help="Do not wait for the verdict.")] = False,
        after_seq: AfterSeq = None,
        timeout: Timeout = None,
        fail_fast: FailFast = False,
        max_attempts: MaxAttempts = 5,
        compact: Compact = False,
        plain: Plain = False,
        junit_xml: JunitXml = None,
        notify: Notify = False,
    ) -> int:
        """Hand code in, and watch it being judged."""
        from subcli.cli.watching.loop import Options
        from subcli.cli.watching.reports import junit_report

        options = Options(
            timeout=timeout,
            fail_fast=fail_fast,
            max_attempts=max_attempts,
            compact=compact,
            plain=plain,
            notify=notify,
            after_seq=after_seq or 0,
            for_server=common.for_server(),
        )
        if no_watch and junit_xml is not None:
            raise UsageError(
                "`--junit-xml` needs the results, and `--no-watch` does not wait for them.",
                hint="Leave one of them out.",
            )
        with junit_report(junit_xml) as beside:
            settings = common.settings(problem=problem, language=language)
            source = _source(paths or [], settings)
            if settings.problem is None:
                raise UsageError(
                    "Which problem does it solve?", hint="Say it with `--problem`; `subcli problems` lists them."
                )
            chosen = settings.language or source.language()
            _warn(source, settings, chosen)
            return run(common, options, settings, source, settings.problem, chosen, no_watch=no_watch, beside=beside)


def _source(paths: list[str], settings: Settings) -> Source:
    from subcli.workspace.source import read_source

    if paths:
        return read_source(paths)
    if settings.files:
        return read_source(list(settings.files), root=settings.project_dir)
    raise UsageError("What is to be submitted?", hint="Name a file or a directory; `-` reads stdin.")


def _warn(source: Source, settings: Settings, language: str) -> None:
    """Say on stderr what may not be meant, before it is handed in."""
    import os
    import time

    from subcli.output.terminal.report import warn
    from subcli.output.text.words import ago
    from subcli.workspace.history import History, state_file

    for text in source.warnings():
        warn(text, sys.stderr, os.environ)
    before = History(state_file()).same(settings.server, settings.problem or "", language, source)
    if before is not None:
        when = ago(time.time() - before.at)
        warn(f"This is the same code as #{before.submission_id}, handed in {when}.", sys.stderr, os.environ)


def run(
    common: Common,
    options: Options,
    settings: Settings,
    source: Source,
    problem: str,
    language: str,
    *,
    no_watch: bool,
    beside: Sequence[View] = (),
) -> int:
    """Submit and watch; returns the exit code."""
    import asyncio

    from subcli.cli.prompt import prompter_for
    from subcli.cli.runtime import Interrupts
    from subcli.cli.runtime import run as run_async
    from subcli.cli.watching.loop import follow_all, timed_out
    from subcli.cli.watching.notices import Countdown
    from subcli.cli.watching.views import make_view
    from subcli.client.client import connect
    from subcli.core.watch import Watch

    async def main(interrupts: Interrupts) -> int:
        prompter, countdown = prompter_for(common), Countdown(sys.stderr)
        async with connect(settings, prompter=prompter, max_attempts=options.max_attempts, wait=countdown) as client:
            handing_in = client.submit(source, problem=problem, language=language)
            try:
                answer = await asyncio.wait_for(handing_in, options.left())
            except TimeoutError:
                raise timed_out(options, NOT_SURE) from None
            number = int(answer["submission_id"])
            with _noted(settings, problem, language, source, number):
                if no_watch:
                    _print_submitted(common, number, answer, options.command("watch", number))
                    return 0
                view = make_view(common, options, several=False, beside=beside, origin=source.origin)
                if prompter is not None:
                    prompter.view = view
                try:
                    view.submitted(number, answer)
                    view.flush()
                    url = str(answer["url"])
                    watch = Watch(number, after_seq=options.after_seq, problem=problem, language=language, url=url)
                    session = client.session(watch, own_submit=True)
                    return await follow_all([session], view, common, options, interrupts)
                finally:
                    view.close()

    return run_async(main, hint=NOT_SURE)


@contextlib.contextmanager
def _noted(settings: Settings, problem: str, language: str, source: Source, number: int) -> Iterator[None]:
    """Note for later what was handed in: not while the first event is on its way, and however the watch ends."""
    import asyncio
    import time

    from subcli.workspace.completion_cache import CompletionCache, cache_directory
    from subcli.workspace.history import History, state_file

    at = time.time()

    @functools.cache
    def note() -> None:
        History(state_file()).note(settings.server, problem, language, source, number, at)
        CompletionCache(settings.server, cache_directory()).add("ids", number)

    soon = asyncio.get_running_loop().call_later(NOTED_AFTER_S, note)
    try:
        yield
    finally:
        soon.cancel()
        note()


def _print_submitted(common: Common, number: int, answer: dict[str, Any], next_command: str) -> None:
    if common.json:
        from subcli.output.ndjson import NdjsonView

        view = NdjsonView(sys.stdout, now)
        view.submitted(number, answer)
        view.close()
    elif common.quiet:
        sys.stdout.write(f"{number}\n")
    else:
        from subcli.output.printable import one_line

        sys.stdout.write(f"Submitted #{number}  {one_line(str(answer['url']))}\n")
        sys.stderr.write(f"`{next_command}` follows it.\n")
