"""``subcli list``: the most recent submissions."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from subcli.cli.common import Common, command, print_json
from subcli.cli.request import ask
from subcli.workspace.completion_cache import remember

if TYPE_CHECKING:
    from subcli.client.client import Client


def register(app: typer.Typer) -> None:
    """Put the command into the tree."""

    @command(app, "list", example="subcli list --limit 5 --problem leader-election")
    def list_(
        common: Common,
        limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=100, help="How many at most.")] = 20,
        problem: Annotated[str | None, typer.Option("--problem", metavar="ID or SLUG", help="Only this one's.")] = None,
    ) -> int:
        """List your recent submissions, newest first."""
        rows = ask(common, lambda client: _recent(client, limit, problem))
        if problem is None:
            remember(common.settings().server, ids=[row["submission_id"] for row in rows])
        if common.json:
            print_json({"submissions": rows})
        elif common.quiet:
            sys.stdout.write("".join(f"{row['submission_id']}\n" for row in rows))
        else:
            import time

            from subcli.output.pages.tables import submissions_table
            from subcli.output.terminal.console import make_console

            make_console(sys.stdout, os.environ).print(submissions_table(rows, time.time()))
        return 0


async def _recent(client: Client, limit: int, problem: str | None) -> list[dict[str, Any]]:
    """What the server lists, each with its id and page under the names of ours; what has no id is no submission."""
    from subcli.client.client import id_of

    rows = []
    for row in await client.submissions(limit=limit, problem=problem):
        number = id_of(row) if isinstance(row, dict) else None
        if number is not None:
            ours = {"submission_id": number, "url": client.page_url(number, row)}
            rows.append({"submission_id": number, **row, **ours})
    return rows[:limit]
