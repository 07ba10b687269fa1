"""``subcli problems``, ``subcli problems show``, ``subcli problems check`` and ``subcli init``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from subcli.cli import exits
from subcli.cli.common import Common, command, print_json, slug_of
from subcli.cli.request import ask
from subcli.workspace.completion_cache import names_of_problems, remember

if TYPE_CHECKING:
    pass


def register(app: typer.Typer) -> None:
    """Put the commands into the tree."""
    group = typer.Typer(rich_markup_mode=None)
    app.add_typer(group, name="problems")

    @command(group, None, example="subcli problems", is_group=True)
    def problems(common: Common, context: typer.Context) -> int:
        """List the problems; read or check one."""
        if context.invoked_subcommand is not None:
            return 0
        rows = [row for row in ask(common, lambda client: client.api.problems()) if isinstance(row, dict)]
        remember(common.settings().server, **names_of_problems(rows))
        if common.json:
            print_json({"problems": rows})
        elif common.quiet:
            sys.stdout.write("".join(f"{name}\n" for row in rows if (name := slug_of(row))))
        else:
            from subcli.output.pages.problems import problems_table
            from subcli.output.terminal.console import make_console

            make_console(sys.stdout, os.environ).print(problems_table(rows))
        return 0

    @command(group, "show", example="subcli problems show leader-election")
    def show(common: Common, problem: Annotated[str, typer.Argument(metavar="P")]) -> int:
        """Read one problem."""
        found = ask(common, lambda client: client.problem(problem))
        if common.json:
            print_json({"problem": found})
        else:
            from subcli.output.pages.problems import problem_page
            from subcli.output.terminal.console import make_console

            make_console(sys.stdout, os.environ).print(problem_page(found, quiet=common.quiet))
        return 0

    @command(group, "check", codes=exits.LOCAL, example="subcli problems check ./my-problem")
    def check(common: Common, directory: Annotated[Path, typer.Argument(metavar="DIR")]) -> int:
        """Check a problem that you are writing."""
        return _check(common, directory)


def _check(common: Common, directory: Path) -> int:
    """Print each check as it is done; 0 if nothing failed, else 2: the problem cannot be used as it is."""
    import gc

    from subcli.cli.commands.server.options import require_server_extra
    from subcli.cli.runtime import Interrupts
    from subcli.cli.runtime import run as run_async

    require_server_extra()
    gc.enable()
    from subcli.judge.check import Check, Report, checks

    show = _nothing if common.json or common.quiet else _printer()

    async def main(_: Interrupts) -> list[Check]:
        done = []
        async for check in checks(directory):
            show(check.what, None if check.skipped else check.ok, check.detail)
            done.append(check)
        return done

    done = run_async(main)
    report = Report(directory, tuple(done))
    if common.json:
        print_json({"check": report.as_dict()})
    return exits.OK if report.ok else exits.USAGE


def _nothing(name: str, ok: bool | None, detail: str) -> None:
    """For --json and -q: the end says it all."""


def _printer() -> Callable[[str, bool | None, str], None]:
    from subcli.output.pages.problems import check_line
    from subcli.output.terminal.console import make_console

    console = make_console(sys.stdout, os.environ)
    return lambda name, ok, detail: console.print(check_line(name, ok, detail))
