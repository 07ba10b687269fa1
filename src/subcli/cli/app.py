"""The command tree."""

from __future__ import annotations

from typing import Annotated

import typer

from subcli.cli import (
    auth,
    cancel,
    completion,
    demo,
    doctor,
    exits,
    look,
    open,
    problems,
    schema,
    serve,
    submit,
    user,
    watch,
    worker,
)
from subcli.cli.common import Help

app = typer.Typer(
    name="subcli",
    help="Submit code, watch it being judged live, and trust the exit code.",
    no_args_is_help=True,
    # The scripts in completions/ are our own: typer's protocol costs an import of everything at each TAB.
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(epilog=Help("subcli init leader-election && cd leader-election\nsubcli submit", exits.WATCHING).epilog)
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


# In the order of the help.
_COMMANDS = (
    *(submit, watch, look, cancel, open, problems, auth, doctor),
    *(serve, worker, user, demo, schema, completion),
)
for module in _COMMANDS:
    module.register(app)
