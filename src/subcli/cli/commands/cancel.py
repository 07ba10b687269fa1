"""``subcli cancel``: stop the judging of one submission."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from subcli.cli.common import Common, command, submission
from subcli.cli.request import request
from subcli.cli.streams import Streams
from subcli.core.errors import UsageError

if TYPE_CHECKING:
    from subcli.client.client import Client


def register(app: typer.Typer) -> None:
    """Register the command."""

    @command(app, "cancel", example="subcli cancel 12")
    def cancel(
        common: Common,
        streams: Streams,
        id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Id or page URL. Default: the latest.")] = None,
    ) -> int:
        """Stop judging a submission; its verdict becomes cancelled."""
        server, number = submission(id) if id is not None else (None, None)
        return run(common, streams, number, server)


def run(common: Common, streams: Streams, number: int | None, server: str | None = None) -> int:
    """Cancel one submission.

    Args:
        number: its id; ``None``: the latest submission.
        server: the one whose URL was pasted.

    Raises:
        SubcliError: It does not exist or already has its verdict.
    """

    async def call(client: Client) -> tuple[int, dict[str, Any]]:
        chosen = number if number is not None else await client.latest()
        try:
            return chosen, await client.api.cancel(chosen)
        except UsageError as error:
            error.hint = f"`subcli status {chosen}` shows it."
            raise

    chosen, snapshot = request(common, streams, call, pasted_server=server)
    fields = {name: snapshot.get(name) for name in ("status", "final_status")}
    if common.json:
        streams.print_json({"cancel": {"submission_id": chosen, **fields}})
        return 0
    from subcli.output.printable import one_line

    word = one_line(str(fields["final_status"] or fields["status"] or "cancelled"), 40)
    streams.write(f"{word}\n" if common.quiet else f"#{chosen} {word}\n")
    return 0
