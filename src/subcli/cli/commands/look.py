"""``subcli status`` and ``subcli list``: one look over REST. Their exit code says nothing of verdicts."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from subcli.cli.common import Common, command, print_json, submission_id
from subcli.workspace.completion_cache import remember

if TYPE_CHECKING:
    from subcli.client.client import Client

_STATUS_FIELDS: Final = (
    "submission_id",
    "problem",
    "language",
    "status",
    "final_status",
    "summary",
    "created_at",
    "finished_at",
    "url",
    "build_log",
)


def register(app: typer.Typer) -> None:
    """Put the commands into the tree."""

    @command(app, "status", example="subcli status 12 --json")
    def status(common: Common, id: Annotated[str, typer.Argument(metavar="ID")]) -> int:
        """Show one submission as it stands."""
        number = submission_id(id)
        snapshot, tests = ask(common, lambda client: _snapshot(client, number))
        if common.json:
            print_json({**_status_object(snapshot, number), "tests": tests})
        elif common.quiet:
            word = snapshot.get("final_status") or snapshot.get("status")
            _print_word(str(word))
        else:
            from subcli.output.pages.tables import submission_page
            from subcli.output.terminal.console import make_console

            console = make_console(sys.stdout, os.environ)
            console.print(submission_page(_status_object(snapshot, number), tests), soft_wrap=True)
        return 0

    @command(app, "list", example="subcli list --limit 5 --problem leader-election")
    def list_(
        common: Common,
        limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=100, help="How many at most.")] = 20,
        problem: Annotated[str | None, typer.Option("--problem", metavar="ID or SLUG", help="Only this one's.")] = None,
    ) -> int:
        """List your recent submissions, newest first."""
        rows = ask(common, lambda client: client.submissions(limit=limit, problem=problem))
        if problem is None:
            remember(common.settings().server, ids=[row.submission_id for row in rows])
        if common.json:
            print_json({"submissions": [row.fields() for row in rows]})
        elif common.quiet:
            sys.stdout.write("".join(f"{row.submission_id}\n" for row in rows))
        else:
            import time

            from subcli.output.pages.tables import submissions_table
            from subcli.output.terminal.console import make_console

            make_console(sys.stdout, os.environ).print(submissions_table(rows, time.time()))
        return 0


def ask(common: Common, call: Callable[[Client], Coroutine[Any, Any, Any]]) -> Any:
    """Connect, make one call, and give back its answer.

    Raises:
        SubcliError: it has none.
    """
    from subcli.cli.prompt import prompter_for
    from subcli.cli.runtime import Interrupts
    from subcli.cli.runtime import run as run_async
    from subcli.cli.watching.notices import Countdown
    from subcli.client.client import connect

    settings = common.settings()

    async def main(_: Interrupts) -> Any:
        async with connect(settings, prompter=prompter_for(common), wait=Countdown(sys.stderr)) as client:
            return await call(client)

    return run_async(main)


async def _snapshot(client: Client, number: int) -> tuple[dict[str, Any], list[Any]]:
    snapshot = await client.api.submission_with_retry(number)
    tests = await client.api.tests_with_retry(number)
    return {**snapshot, "url": client.page_url(number, snapshot)}, [test for test in tests if isinstance(test, dict)]


def _status_object(snapshot: dict[str, Any], number: int) -> dict[str, Any]:
    """The fields of section 4; those that a server does not have are null."""
    fields = {name: snapshot.get(name) for name in _STATUS_FIELDS}
    fields["submission_id"] = number
    fields["problem"] = snapshot.get("problem", snapshot.get("problem_id"))
    return fields


def _print_word(word: str) -> None:
    from subcli.output.printable import one_line

    sys.stdout.write(f"{one_line(word)}\n")
