"""``subcli status``: one snapshot over REST. The exit code says nothing about the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from subcli.cli import exits
from subcli.cli.common import Common, command, submission
from subcli.cli.request import request
from subcli.cli.streams import Streams

if TYPE_CHECKING:
    from subcli.client.client import Client

_FIELDS: Final = (
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
    "compared_to",
)


def register(app: typer.Typer) -> None:
    """Register the command."""

    @command(app, "status", example="subcli status 12 --json")
    def status(
        common: Common,
        streams: Streams,
        id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Id or page URL. Default: the latest.")] = None,
    ) -> int:
        """Show the current state of a submission."""
        server, number = submission(id) if id is not None else (None, None)
        return run(common, streams, number, server)


def run(common: Common, streams: Streams, number: int | None, server: str | None = None) -> int:
    """Print one submission.

    Args:
        number: its id; ``None``: the latest submission.
        server: the one whose URL was pasted.

    Raises:
        SubcliError: It does not exist, or the request failed.
    """

    async def call(client: Client) -> tuple[dict[str, Any], list[Any]]:
        chosen = number if number is not None else await client.latest()
        snapshot = await client.api.submission_with_retry(chosen)
        tests = await client.api.tests_with_retry(chosen)
        ours = {"submission_id": chosen, "url": client.page_url(chosen, snapshot)}
        return {**snapshot, **ours}, [test for test in tests if isinstance(test, dict)]

    snapshot, tests = request(common, streams, call, pasted_server=server)
    if common.json:
        streams.print_json({**_status_object(snapshot), "tests": tests})
    elif common.quiet:
        from subcli.output.printable import one_line

        streams.write(f"{one_line(str(snapshot.get('final_status') or snapshot.get('status')))}\n")
    else:
        from subcli.output.pages.tables import submission_page

        streams.console().print(submission_page(_status_object(snapshot), tests), soft_wrap=True)
    return exits.OK


def _status_object(snapshot: dict[str, Any]) -> dict[str, Any]:
    """The fields of the contract, section 4; those that a server does not have are null."""
    fields = {name: snapshot.get(name) for name in _FIELDS}
    fields["problem"] = snapshot.get("problem", snapshot.get("problem_id"))
    # Another platform has its own name for the log, and a sentence about what went wrong (contract, section 6).
    fields["build_log"] = snapshot.get("build_log", snapshot.get("build_logs"))
    if isinstance(snapshot.get("error_message"), str):
        fields["error_message"] = snapshot["error_message"]
    return fields
