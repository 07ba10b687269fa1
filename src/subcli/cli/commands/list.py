"""``subcli list``: the most recent submissions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from subcli.cli import exits
from subcli.cli.common import Common, command, whole_number
from subcli.cli.request import request
from subcli.cli.streams import Streams
from subcli.core.errors import UsageError
from subcli.workspace.completion_cache import remember

if TYPE_CHECKING:
    from subcli.client.api import Whose


def register(app: typer.Typer) -> None:
    """Register the command."""

    @command(app, "list", example="subcli list --limit 5 --problem leader-election")
    def list_(
        common: Common,
        streams: Streams,
        limit: Annotated[
            int, typer.Option("--limit", metavar="N", parser=whole_number(1, 100), help="List at most this many.")
        ] = 20,
        problem: Annotated[
            str | None, typer.Option("--problem", metavar="PROBLEM", help="List only those for this id or slug.")
        ] = None,
        user: Annotated[
            str | None, typer.Option("--user", metavar="NAME", help="List this user's. For teachers.")
        ] = None,
        all: Annotated[bool, typer.Option("--all", help="List everybody's. For teachers.")] = False,
    ) -> int:
        """List your recent submissions, newest first."""
        if all and user is not None:
            raise UsageError("`--all` and `--user` exclude each other.", hint="Leave one of them out.")
        from subcli.client.api import Whose

        whose = Whose(user) if all or user is not None else None
        return run(common, streams, limit, problem, whose)


def run(common: Common, streams: Streams, limit: int, problem: str | None = None, whose: Whose | None = None) -> int:
    """Print the most recent submissions.

    Args:
        limit: how many at most.
        problem: only those for this one, by id or slug.
        whose: other people's; ``None``: one's own.
    """
    rows = request(common, streams, lambda client: client.submissions(limit=limit, problem=problem, whose=whose))
    if problem is None and whose is None:
        remember(common.settings(streams).server, ids=[row.submission_id for row in rows])
    if common.json:
        streams.print_json({"submissions": [row.fields() for row in rows]})
    elif common.quiet:
        streams.write("".join(f"{row.submission_id}\n" for row in rows))
    else:
        from subcli.output.pages.tables import submissions_table

        streams.console().print(submissions_table(rows, time.time(), f"subcli submit{common.for_server()}"))
    return exits.OK
