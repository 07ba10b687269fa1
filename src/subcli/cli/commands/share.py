"""``subcli share``: links that show one submission to whoever follows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from subcli.cli.common import Common, command, submission, with_options
from subcli.cli.lifetime import lifetime
from subcli.cli.request import request
from subcli.cli.streams import Streams
from subcli.core.errors import ServerError, UsageError
from subcli.output.printable import one_line

if TYPE_CHECKING:
    from subcli.client.api import Json
    from subcli.client.client import Client


def register(app: typer.Typer) -> None:
    """Register the command."""

    @command(app, "share", example="subcli share 12 --expires 2w\nsubcli share 12 --revoke")
    def share(
        common: Common,
        streams: Streams,
        id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Id or page URL. Default: the latest.")] = None,
        expires: Annotated[
            int,
            typer.Option(
                "--expires", metavar="TIME", parser=lifetime, help="How long it works: 12h, 7d or 8w, up to 366d."
            ),
        ] = "7d",  # type: ignore[assignment]
        revoke: Annotated[bool, typer.Option("--revoke", help="End all links to this submission instead.")] = False,
    ) -> int:
        """Make a link that shows one submission to whoever has it."""
        server, number = submission(id) if id is not None else (None, None)
        if revoke:
            return run_revoke(common, streams, number, server)
        return run(common, streams, number, expires, server)


def run(common: Common, streams: Streams, number: int | None, expires_s: int, server: str | None = None) -> int:
    """Make a link and print it. In demo mode, where everybody sees every page, print the address of the page.

    Args:
        number: its id; ``None``: the latest submission.
        server: the one whose URL was pasted.

    Raises:
        SubcliError: There is no such submission, or the server refuses.
    """

    async def call(client: Client) -> tuple[int, Json]:
        chosen = number if number is not None else await client.latest()
        info = await client.api.info_with_retry()
        if info.demo:
            return chosen, {"url": client.page_url(chosen, await client.api.submission_with_retry(chosen))}
        await client.require_feature("links", "make links to submissions")
        return chosen, await client.api.create_link(chosen, expires_s)

    chosen, made = request(common, streams, call, pasted_server=server)
    url, expires_at = made.get("url"), made.get("expires_at")
    if not isinstance(url, str) or not url:
        raise ServerError("The server made a link but did not return it.", hint="`subcli doctor` checks the server.")
    if common.json:
        streams.print_json({"share": {"submission_id": chosen, "url": url, "expires_at": expires_at}})
        return 0
    streams.write(f"{one_line(url)}\n")
    if common.quiet:
        return 0
    if not isinstance(expires_at, str):
        streams.write_error("This server runs in demo mode: whoever can reach it can open every page.\n")
    else:
        end = with_options(f"`subcli share {chosen} --revoke` ends it.", common.for_server(server))
        until = one_line(expires_at[:10])
        shown = f"Whoever has this link can see submission {chosen}, and nothing else, until {until}."
        streams.write_error(f"{shown} {end}\n")
    return 0


def run_revoke(common: Common, streams: Streams, number: int | None, server: str | None = None) -> int:
    """End all links to a submission.

    Raises:
        SubcliError: There is no such submission, or the server refuses.
    """
    if number is None:
        raise UsageError("`--revoke` needs the id of a submission.", hint="`subcli list` shows yours.")
    chosen = number

    async def call(client: Client) -> Json:
        await client.require_feature("links", "revoke links to submissions")
        return await client.api.revoke_links(chosen)

    revoked = request(common, streams, call, pasted_server=server).get("revoked")
    count = revoked if isinstance(revoked, int) else None
    if common.json:
        streams.print_json({"share": {"submission_id": chosen, "revoked": count}})
    elif not common.quiet:
        few = {None: "Its links have ended", 0: "There was no link", 1: "1 link has ended"}
        ended = few.get(count, f"{count} links have ended")
        streams.write(f"{ended}; only you and teachers can see submission {chosen}.\n")
    return 0
