"""``subcli watch``: follow submissions to their verdicts."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from subcli.cli import exits
from subcli.cli.common import Common, command, submission
from subcli.cli.streams import Streams
from subcli.cli.watching.options import (
    AfterSeq,
    Compact,
    Everybodys,
    FailFast,
    InGroup,
    Judging,
    JunitXml,
    Logs,
    MaxAttempts,
    Mine,
    MinScore,
    NoKeys,
    Notify,
    Options,
    Plain,
    Timeout,
    ToProblem,
)
from subcli.core.errors import UsageError


def register(app: typer.Typer) -> None:
    """Register the command."""

    @command(
        app,
        "watch",
        codes=exits.WATCHING,
        example="subcli watch\nsubcli watch 12 13 --timeout 300\nsubcli watch --mine\n"
        "subcli watch --problem lru-cache --json\nsubcli watch --all --problem lru-cache\n"
        "subcli watch --group monday",
    )
    def watch(
        common: Common,
        streams: Streams,
        ids: Annotated[
            list[str] | None, typer.Argument(metavar="[ID]...", help="Id or page URL. Default: the latest.")
        ] = None,
        mine: Mine = False,
        all: Everybodys = False,
        problem: ToProblem = None,
        group: InGroup = None,
        after_seq: AfterSeq = None,
        judging: Judging = None,
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
        """Follow submissions to their verdicts."""
        server, numbers = parse_targets(ids or [])
        many = mine or all or problem is not None or group is not None
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
            judging=judging,
            for_server=common.for_server(server),
            resume=_resume(problem, group, common, for_all=all) if many else None,
        )
        if many and (numbers or after_seq is not None or judging is not None):
            raise UsageError(
                "`--mine`, `--all`, `--group` and `--problem` go with neither ids nor `--after-seq` or `--run`.",
                hint="`subcli watch --mine` for all, or `subcli watch ID...` for some.",
            )
        if mine and all:
            raise UsageError("`--mine` and `--all` exclude each other.", hint="`--all` includes yours.")
        if mine and group is not None:
            raise UsageError("`--mine` and `--group` exclude each other.", hint="`--mine` follows only yours.")
        if after_seq is not None and len(numbers) != 1:
            raise UsageError("`--after-seq` needs exactly one id.", hint="Watch the others from their beginning.")
        if judging is not None and len(numbers) > 1:
            raise UsageError("`--run` needs a single id.", hint="Watch the others one by one.")
        from subcli.cli.watching import run
        from subcli.cli.watching.reports import junit_report

        with junit_report(junit_xml, streams) as beside:
            settings = common.settings(streams, pasted_server=server)
            if many:
                from subcli.client.api import FeedQuery, Whose

                whose = Whose(group=group) if all or group is not None else None
                wanted = FeedQuery(problem, whose, logs and not common.quiet)
                return run.watch_many(common, streams, options, settings, wanted, beside)
            return run.watch(common, streams, options, settings, numbers, beside)


def _resume(problem: str | None, group: str | None, common: Common, *, for_all: bool) -> str:
    """How to continue without a verdict."""
    words = [
        *(["--all"] if for_all else []),
        *([] if group is None else ["--group", group]),
        *([] if problem is None else ["--problem", problem]),
    ] or ["--mine"]
    return f"Judging goes on; `subcli watch {shlex.join(words)}{common.for_server(None)}` resumes watching."


def parse_targets(texts: list[str]) -> tuple[str | None, list[int]]:
    """Parse ids and URLs of submissions. An id that occurs twice is watched once.

    Returns:
        The server that the URLs name, if any, and the ids.

    Raises:
        UsageError: One is neither an id nor the URL of a submission, or the URLs name several servers.
    """
    servers: list[str] = []
    numbers: list[int] = []
    for text in texts:
        server, number = submission(text)
        if server is not None:
            servers.append(server)
        numbers.append(number)
    if len(set(servers)) > 1:
        raise UsageError("The URLs name several servers.", hint="Watch them one by one.")
    return (servers[0] if servers else None), list(dict.fromkeys(numbers))
