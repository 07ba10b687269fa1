"""The command tree. A command is imported when it is called.

Typer builds the options of every command that it knows, and every module has its own imports. Doing that at each start
took a quarter of the time until `submit` had sent something.
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
    "submit": ("commands.submit", "Submit code and watch it being judged."),
    "test": ("commands.test", "Judge code on this machine, without a server."),
    "watch": ("commands.watch", "Follow submissions to their verdicts."),
    "status": ("commands.status", "Show the current state of a submission."),
    "list": ("commands.list", "List your recent submissions, newest first."),
    "source": ("commands.source", "Get the code of a submission back."),
    "cancel": ("commands.cancel", "Stop judging a submission; its verdict becomes cancelled."),
    "open": ("commands.open", "Open a submission's page in the browser."),
    "share": ("commands.share", "Make a link that shows one submission to whoever has it."),
    "init": ("commands.init", "Create a directory for solving or writing a problem."),
    "doctor": ("commands.doctor", "Check settings, server and login, and suggest fixes."),
    "serve": ("commands.server.serve", "Run a server on this machine."),
    "worker": ("commands.server.worker", "Judge submissions for servers that share a database."),
    "demo": ("commands.demo", "Start a server, submit a solution and watch the verdict."),
    "schema": ("commands.schema", "Print the JSON Schema of all JSON output."),
    "completion": ("completion.script", "Print the completion script for bash, zsh or fish."),
    "problems": ("commands.problems", "List the problems; show or check one."),
    "languages": ("commands.languages", "List the languages that the server can run."),
    "results": ("commands.results", "Show the results of a problem, for teachers."),
    "rejudge": ("commands.rejudge", "Have submissions judged again, for teachers."),
    "auth": ("commands.auth.group", "Log in and out of servers; manage access tokens."),
    "user": ("commands.server.user.group", "Manage a server's users."),
    "db": ("commands.server.db.group", "Look after a server's database."),
}
"""The module of each command and its summary, in the order of the help."""


class _Commands(UserDict[str, Any]):
    """The commands by name, each made on first access."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(_COMMANDS))

    def __getitem__(self, name: str) -> Any:
        if name in self.data and self.data[name] is None:
            part = typer.Typer(rich_markup_mode=None)
            import_module(f"subcli.cli.{_COMMANDS[name][0]}").register(part)
            self.data.update(get_group(part).commands)
        return self.data[name]

    def get(self, name: str, default: Any = None) -> Any:
        # Python 3.11's version mistakes a command's own KeyError for a missing command.
        return self[name] if name in self.data else default


class _Tree(TyperGroup):
    """The top-level group."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = _Commands()

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Names and summaries, without making the commands."""
        lines = [TyperCommand(name, help=summary) for name, (_, summary) in _COMMANDS.items()]
        TyperGroup(commands=lines).format_commands(ctx, formatter)


app = typer.Typer(
    name="subcli",
    cls=_Tree,
    help="Submit code, watch it being judged live, and trust the exit code.",
    no_args_is_help=True,
    # completions/ has our own scripts: typer's protocol imports everything at each TAB.
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
