"""``subcli status``: one snapshot over REST. The exit code says nothing about the verdict."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from subcli.cli.common import Common, command, print_json, submission_id
from subcli.cli.request import ask

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
    """Put the command into the tree."""

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


async def _snapshot(client: Client, number: int) -> tuple[dict[str, Any], list[Any]]:
    snapshot = await client.api.insist_submission(number)
    tests = await client.api.insist_tests(number)
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
