"""``subcli languages``: the languages that the server can run."""

from __future__ import annotations

import typer

from subcli.cli import exits
from subcli.cli.common import Common, command
from subcli.cli.request import request
from subcli.cli.streams import Streams


def register(app: typer.Typer) -> None:
    """Register the command."""

    @command(app, "languages", example="subcli languages")
    def languages(common: Common, streams: Streams) -> int:
        """List the languages that the server can run."""
        return run(common, streams)


def run(common: Common, streams: Streams) -> int:
    """Print them, with their versions."""
    rows = request(common, streams, lambda client: client.api.languages())
    if common.json:
        streams.print_json({"languages": rows})
        return exits.OK
    from subcli.output.pages.languages import languages_table
    from subcli.output.printable import one_line

    if common.quiet:
        streams.write("".join(f"{one_line(row['name'])}\n" for row in rows if row.get("available") is not False))
    else:
        streams.console().print(languages_table(rows))
    return exits.OK
