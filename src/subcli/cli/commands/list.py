"""``subcli list``: submissions, newest first."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING, Annotated

import typer

from subcli.cli import exits
from subcli.cli.common import Common, command, whole_number
from subcli.cli.moment import moment
from subcli.cli.request import request
from subcli.cli.streams import Streams
from subcli.workspace.completion_cache import remember

if TYPE_CHECKING:
    from subcli.client.api import Whose
    from subcli.client.client import Client
    from subcli.client.listing import Listed, ListQuery


def register(app: typer.Typer) -> None:
    """Register the command."""

    @command(
        app,
        "list",
        example="subcli list --limit 5 --problem leader-election\nsubcli list --all --user ada --verdict failed",
    )
    def list_(
        common: Common,
        streams: Streams,
        limit: Annotated[
            int, typer.Option("--limit", metavar="N", parser=whole_number(1, 100_000), help="List at most this many.")
        ] = 20,
        problem: Annotated[
            str | None, typer.Option("--problem", metavar="PROBLEM", help="List only those for this id or slug.")
        ] = None,
        user: Annotated[
            str | None, typer.Option("--user", metavar="NAME", help="List this user's. For teachers.")
        ] = None,
        all: Annotated[bool, typer.Option("--all", help="List everybody's. For teachers.")] = False,
        verdict: Annotated[
            str | None, typer.Option("--verdict", metavar="VERDICT", help="List only those with this verdict.")
        ] = None,
        status: Annotated[
            str | None, typer.Option("--status", metavar="STATUS", help="List only those with this status.")
        ] = None,
        since: Annotated[
            str | None,
            typer.Option("--since", metavar="TIME", parser=moment, help="List only newer ones: 7d, or 2026-11-28."),
        ] = None,
        group: Annotated[
            str | None, typer.Option("--group", metavar="GROUP", help="List this group's. For teachers.")
        ] = None,
        cursor: Annotated[
            str | None, typer.Option("--cursor", metavar="CURSOR", help="Go on where an earlier list ended.")
        ] = None,
    ) -> int:
        """List your recent submissions, newest first."""
        from subcli.client.api import Whose
        from subcli.client.listing import ListQuery

        whose = Whose(user, group) if all or user is not None or group is not None else None
        return run_query(
            common, streams, ListQuery(limit, problem, whose, verdict, status, since, cursor), all_others=all
        )


def run(common: Common, streams: Streams, limit: int, problem: str | None = None, whose: Whose | None = None) -> int:
    """Print the most recent submissions.

    Args:
        limit: how many at most.
        problem: only those for this one, by id or slug.
        whose: other people's; ``None``: one's own.
    """
    from subcli.client.listing import ListQuery

    return run_query(common, streams, ListQuery(limit, problem, whose))


def run_query(common: Common, streams: Streams, query: ListQuery, *, all_others: bool = False) -> int:
    """Print submissions, newest first.

    Args:
        all_others: `--all` was given, for the command line that goes on.
    """
    from subcli.client.listing import Listed, list_submissions

    async def call(client: Client) -> Listed:
        if query.is_plain:
            return Listed(await client.submissions(limit=query.limit, problem=query.problem), None)
        return await list_submissions(client, query)

    rows, next_cursor = request(common, streams, call)
    if query.is_plain and query.problem is None:
        remember(common.settings(streams).server, ids=[row.submission_id for row in rows])
    if common.json:
        more = {} if next_cursor is None else {"next_cursor": next_cursor}
        streams.print_json({"submissions": [row.fields() for row in rows], **more})
    elif common.quiet:
        streams.write("".join(f"{row.submission_id}\n" for row in rows))
    else:
        from subcli.output.pages.tables import submissions_table

        submit = f"subcli submit{common.for_server()}"
        none = None if query.is_plain else "No submissions match."
        streams.console().print(submissions_table(rows, time.time(), submit, none=none))
    if next_cursor is not None and not common.json:
        line = _command_that_goes_on(query, next_cursor, all_others=all_others)
        streams.write_error(f"There are more: `{line}{common.for_server()}` goes on.\n")
    return exits.OK


def _command_that_goes_on(query: ListQuery, cursor: str, *, all_others: bool) -> str:
    user, group = (None, None) if query.whose is None else query.whose
    given = (
        ("--limit", None if query.limit == 20 else str(query.limit)),
        ("--problem", query.problem),
        ("--user", user),
        ("--group", group),
        ("--verdict", query.verdict),
        ("--status", query.status),
        ("--since", query.since),
        ("--cursor", cursor),
    )
    words = ["subcli", "list", *(["--all"] if all_others else [])]
    for option, value in given:
        words += [] if value is None else [option, value]
    return shlex.join(words)
