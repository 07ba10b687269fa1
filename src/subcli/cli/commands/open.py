"""``subcli open``: a submission's page, in the browser."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode, urlsplit

import typer

from subcli.cli.common import Common, command, submission, with_options
from subcli.cli.request import request
from subcli.cli.streams import Streams
from subcli.core.errors import UsageError
from subcli.shared.urls import redirect_target

if TYPE_CHECKING:
    from subcli.client.client import Client


def register(app: typer.Typer) -> None:
    """Register the command."""

    @command(app, "open", example="subcli open 12\nsubcli open 12 -q   # only print the address")
    def open_(
        common: Common,
        streams: Streams,
        id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Id or page URL. Default: the latest.")] = None,
    ) -> int:
        """Open a submission's page in the browser."""
        server, number = submission(id) if id is not None else (None, None)
        return run(common, streams, number, server)


def run(common: Common, streams: Streams, number: int | None, server: str | None = None) -> int:
    """Print the address of the page and open it; with ``-q`` and ``--json``, only print it.

    Args:
        number: its id; ``None``: the latest submission.
        server: the one whose URL was pasted.

    Raises:
        SubcliError: There is no such submission, no browser, or the page is on another host and the user does not allow
        opening it.
    """

    async def call(client: Client) -> tuple[int, str, str, str, str]:
        chosen = number if number is not None else await client.latest()
        url = client.page_url(chosen, await client.api.submission_with_retry(chosen))
        is_told = not (common.json or common.quiet)
        audience = await _audience(client, chosen) if is_told else ""
        return chosen, url, client.settings.page_url(chosen), await _page_token(client), audience

    chosen, url, expected, page_token, audience = request(common, streams, call, pasted_server=server)
    if common.json:
        streams.print_json({"open": {"submission_id": chosen, "url": url}})
        return 0
    streams.write(f"{url}\n")
    if common.quiet:
        return 0
    if audience:
        streams.write_error(f"{with_options(audience, common.for_server(server))}\n")
    if redirect_target(expected, url) is None:
        _ask_about_other_host(common, streams, url, expected)
    else:
        # Not printed: scripts compare the address, and the page shows everything without it.
        url = _with_query(url, token=page_token, theme=_theme(streams))
    if not _browse(streams, url):
        raise UsageError("No browser found.", hint="Open the address above, or set BROWSER.")
    return 0


def _with_query(url: str, **fields: str) -> str:
    query = urlencode({name: value for name, value in fields.items() if value})
    return f"{url}?{query}" if query else url


def _theme(streams: Streams) -> str:
    """The theme that the page is to have; empty for the usual one."""
    from subcli.output.terminal.console import theme_name

    name = theme_name(streams.env)
    return "" if name == "default" else name


async def _page_token(client: Client) -> str:
    """The token that lets a page change something in demo mode; empty if the server sends none."""
    from subcli.client.exchange import RequestFailed

    try:
        info = await client.api.info()
    except RequestFailed:
        return ""
    return info.page_token if info.demo else ""


async def _audience(client: Client, submission_id: int) -> str:
    """Who can see the page, as a sentence; empty if the server does not say."""
    from subcli.client.exchange import RequestFailed

    try:
        info = await client.api.info()
        if info.demo:
            return "This server runs in demo mode: whoever can reach it can open the page."
        if "links" not in info.features:
            return ""
        count = len(await client.api.links(submission_id))
    except RequestFailed as failed:
        return "You see it as a teacher; its owner does too." if failed.status == 403 else ""
    if not count:
        return f"Only you and teachers can see the page. `subcli share {submission_id}` makes a link for others."
    links = "its link" if count == 1 else f"one of its {count} links"
    return (
        f"You, teachers and whoever has {links} can see the page. "
        f"`subcli share {submission_id} --revoke` ends what you have shared."
    )


def _ask_about_other_host(common: Common, streams: Streams, url: str, expected: str) -> None:
    """Ask before a server sends the user to another host, where a page could pretend to be the server's.

    Raises:
        UsageError: The answer is no, or there is nobody to ask.
    """
    from subcli.cli.prompt import confirm
    from subcli.cli.runtime import run as run_loop
    from subcli.output.printable import one_line

    other, ours = urlsplit(url).netloc, urlsplit(expected).netloc
    if not common.no_input and streams.can_prompt:
        question = one_line(f"The server at {ours} sends you to {other}. Open it?")
        if run_loop(lambda _: confirm(streams, question), streams):
            return
    raise UsageError(f"The page is not at {ours}, but at {other}: not opened.", hint="Open the address above yourself.")


def _browse(streams: Streams, url: str) -> bool:
    import webbrowser

    with _discard_stdout(streams):
        try:
            return webbrowser.open(url)
        except (webbrowser.Error, OSError, ValueError):
            # ValueError: BROWSER has an unclosed quotation mark.
            return False


@contextlib.contextmanager
def _discard_stdout(streams: Streams) -> Iterator[None]:
    """Discard what a browser prints, unless stdout is a terminal, which a text browser needs."""
    if streams.stdout_tty:
        yield
        return
    kept = os.dup(1)
    devnull: Any = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.close(devnull)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
