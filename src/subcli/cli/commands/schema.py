"""``subcli schema``: the JSON Schema of everything that ``--json`` prints."""

from __future__ import annotations

import typer

from subcli.cli import exits
from subcli.cli.common import Common, command
from subcli.cli.streams import Streams


def register(app: typer.Typer) -> None:
    """Register the command."""

    @command(app, "schema", codes=exits.LOCAL, example="subcli schema > subcli.schema.json")
    def schema(common: Common, streams: Streams) -> int:
        """Print the JSON Schema of all JSON output."""
        from importlib.resources import files

        streams.write(files("subcli").joinpath("schema.json").read_text(encoding="utf-8"))
        return 0
