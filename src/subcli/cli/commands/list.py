"""``subcli list``: the most recent submissions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from subcli.cli import exits
from subcli.cli.common import Common, command, whole_number
from subcli.cli.request import request
from subcli.cli.streams import Streams
from subcli.workspace.completion_cache import remember

if TYPE_CHECKING:
    pass


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
    ) -> int:
        """List your recent submissions, newest first."""
        return run(common, streams, limit, problem)


def run(common: Common, streams: Streams, limit: int, problem: str | None = None) -> int:
    """Print the most recent submissions.

    Args:
        limit: how many at most.
        problem: only those for this one, by id or slug.
    """
    rows = request(common, streams, lambda client: client.submissions(limit=limit, problem=problem))
    if problem is None:
        remember(common.settings(streams).server, ids=[row.submission_id for row in rows])
    if common.json:
        streams.print_json({"submissions": [row.fields() for row in rows]})
    elif common.quiet:
        streams.write("".join(f"{row.submission_id}\n" for row in rows))
    else:
        from subcli.output.pages.tables import submissions_table

        streams.console().print(submissions_table(rows, time.time(), f"subcli submit{common.for_server()}"))
    return exits.OK
