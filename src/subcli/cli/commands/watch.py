"""``subcli watch``: follow submissions to their verdicts."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from subcli.cli import exits
from subcli.cli.common import Common, command, submission_id
from subcli.core.errors import UsageError

if TYPE_CHECKING:
    from subcli.cli.watching.loop import Options
    from subcli.output.view import View
    from subcli.settings.config import Settings

Timeout = Annotated[
    float | None, typer.Option("--timeout", metavar="SECONDS", min=0.001, help="Give up waiting after this long.")
]
MaxAttempts = Annotated[int, typer.Option("--max-attempts", metavar="N", min=0, help="Reconnects in a row.")]
Compact = Annotated[bool, typer.Option("--compact", help="Show less: failures and the verdict.")]
Plain = Annotated[bool, typer.Option("--plain", help="Lines instead of the live screen.")]
AfterSeq = Annotated[int | None, typer.Option("--after-seq", metavar="N", min=0, help="Begin after this event.")]
JunitXml = Annotated[
    Path | None, typer.Option("--junit-xml", metavar="PATH", help="Write the results as JUnit XML, whatever happens.")
]
Notify = Annotated[bool, typer.Option("--notify", help="Ring, and show a desktop notification, when it is over.")]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="End at the first verdict that is not passed.")]


def register(app: typer.Typer) -> None:
    """Put the command into the tree."""

    @command(
        app,
        "watch",
        codes=exits.WATCHING,
        example="subcli watch\nsubcli watch 12 13 --timeout 300\nsubcli watch 12 --junit-xml results.xml",
    )
    def watch(
        common: Common,
        ids: Annotated[list[str] | None, typer.Argument(metavar="[ID or URL]...", help="Default: the latest.")] = None,
        after_seq: AfterSeq = None,
        timeout: Timeout = None,
        fail_fast: FailFast = False,
        max_attempts: MaxAttempts = 5,
        compact: Compact = False,
        plain: Plain = False,
        junit_xml: JunitXml = None,
        notify: Notify = False,
    ) -> int:
        """Follow submissions to their verdicts."""
        from subcli.cli.watching.loop import Options
        from subcli.cli.watching.reports import junit_report

        server, numbers = targets(ids or [])
        options = Options(
            timeout=timeout,
            fail_fast=fail_fast,
            max_attempts=max_attempts,
            compact=compact,
            plain=plain,
            notify=notify,
            after_seq=after_seq or 0,
            for_server=common.for_server(server),
        )
        if after_seq is not None and len(numbers) != 1:
            raise UsageError(
                "`--after-seq` goes with exactly one id.", hint="The others are watched from their beginning."
            )
        with junit_report(junit_xml) as beside:
            settings = common.settings(pasted_server=server)
            return run(common, options, settings, numbers, beside)


def run(common: Common, options: Options, settings: Settings, ids: list[int], beside: Sequence[View] = ()) -> int:
    """Follow ``ids``, or the latest submission; returns the exit code."""
    from subcli.cli.prompt import prompter_for
    from subcli.cli.runtime import Interrupts
    from subcli.cli.runtime import run as run_async
    from subcli.cli.watching.loop import follow_all, timed_out
    from subcli.cli.watching.notices import Countdown
    from subcli.cli.watching.views import make_view
    from subcli.client.client import connect
    from subcli.core.watch import Watch

    async def main(interrupts: Interrupts) -> int:
        import asyncio

        prompter, countdown = prompter_for(common), Countdown(sys.stderr)
        async with connect(settings, prompter=prompter, max_attempts=options.max_attempts, wait=countdown) as client:
            numbers = ids
            if not numbers:
                try:
                    numbers = [await asyncio.wait_for(client.latest(), options.left())]
                except TimeoutError:
                    raise timed_out(options, "") from None
            view = make_view(common, options, several=len(numbers) > 1, beside=beside)
            if prompter is not None:
                prompter.view = view
            try:
                sessions = [
                    client.session(
                        Watch(number, after_seq=options.after_seq, url=settings.page_url(number)),
                        describe=bool(beside) or not (common.json or common.quiet),
                    )
                    for number in numbers
                ]
                return await follow_all(sessions, view, common, options, interrupts)
            finally:
                view.close()

    return run_async(main)


def targets(texts: list[str]) -> tuple[str | None, list[int]]:
    """Ids, and the server that URLs among ``texts`` name. The same id twice is watched once.

    Raises:
        UsageError: one is neither id nor URL of a submission, or the URLs name several servers.
    """
    servers: list[str] = []
    numbers: list[int] = []
    for text in texts:
        if "://" in text:
            server, _, number = text.partition("/submissions/")
            # No more of it is taken apart here: the server's address is checked where all of them are.
            if not text.startswith(("http://", "https://")) or not number:
                raise UsageError(f"{text!r} is no URL of a submission.", hint="It ends in `/submissions/ID`.")
            servers.append(server)
            text = re.split("[/?#]", number)[0]
        numbers.append(submission_id(text))
    if len(set(servers)) > 1:
        raise UsageError("The URLs name several servers.", hint="Watch them one by one.")
    return (servers[0] if servers else None), list(dict.fromkeys(numbers))
