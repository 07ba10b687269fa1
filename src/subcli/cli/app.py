"""The command tree: what there is, and where. A command is imported when it is called.

Typer builds the options of every command it knows at each start, and each module of ours brings imports of its own;
together that was a quarter of the time until a submit has sent something.
"""

from __future__ import annotations

from collections import UserDict
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from subcli.cli import exits

_COMMANDS: Final = {
    "submit": ("commands.submit", "Hand code in, and watch it being judged."),
    "watch": ("commands.watch", "Follow submissions to their verdicts."),
    "status": ("commands.status", "Show one submission as it stands."),
    "list": ("commands.list", "List your recent submissions, newest first."),
    "cancel": ("commands.cancel", "Stop judging a submission; its verdict is then cancelled."),
    "open": ("commands.open", "Open a submission's page in the browser."),
    "init": ("commands.init", "Make a directory to solve a problem in."),
    "doctor": ("commands.doctor", "Show what stands between this machine and a verdict, and its cure."),
    "serve": ("commands.server.serve", "Run the server half on this machine."),
    "worker": ("commands.server.worker", "Judge what the servers on this database take in."),
    "demo": ("commands.demo", "See it work: a server, a solution, its verdict."),
    "schema": ("commands.schema", "Print the JSON Schema of all JSON output."),
    "completion": ("completion.script", "Print the completion script for bash, zsh or fish."),
    "problems": ("commands.problems", "List the problems; read or check one."),
    "auth": ("commands.auth.group", "Log in and out of servers."),
    "user": ("commands.server.user", "Who may log in to the server in this data directory."),
}
"""In the order of the help: the module of each command, and the first line of its own help."""


class _Commands(UserDict[str, Any]):
    """The commands by their names, each made when it is asked for."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(_COMMANDS))

    def __getitem__(self, name: str) -> Any:
        if name in self.data and self.data[name] is None:
            part = typer.Typer(rich_markup_mode=None)
            import_module(f"subcli.cli.{_COMMANDS[name][0]}").register(part)
            self.data.update(get_group(part).commands)
        return self.data[name]

    def get(self, name: str, default: Any = None) -> Any:
        # Python 3.11's takes a KeyError of a command's own for a command that is not there.
        return self[name] if name in self.data else default


class _Tree(TyperGroup):
    """The program itself."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = _Commands()

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Names and summaries, for which no command has to be made."""
        lines = [TyperCommand(name, help=summary) for name, (_, summary) in _COMMANDS.items()]
        TyperGroup(commands=lines).format_commands(ctx, formatter)


app = typer.Typer(
    name="subcli",
    cls=_Tree,
    help="Submit code, watch it being judged live, and trust the exit code.",
    no_args_is_help=True,
    # The scripts in completions/ are our own: typer's protocol costs an import of everything at each TAB.
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(epilog=exits.epilog("subcli init leader-election && cd leader-election\nsubcli submit", exits.WATCHING))
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
