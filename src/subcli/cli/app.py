"""The command tree."""

from __future__ import annotations

from typing import Annotated

import typer

from subcli.cli import auth, demo, look, problems, schema, serve, submit, user, watch, worker

app = typer.Typer(
    name="subcli",
    help="Submit code, watch it being judged live, and trust the exit code.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def top(
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Print the version and exit.", is_eager=True)
    ] = False,
) -> None:
    """Submit code, watch it being judged live, and trust the exit code."""
    if version:
        from subcli import __version__

        typer.echo(f"subcli {__version__}")
        raise typer.Exit


for module in (submit, watch, look, problems, auth, serve, worker, user, demo, schema):
    module.register(app)
