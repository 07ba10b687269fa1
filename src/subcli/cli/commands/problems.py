"""``subcli problems``: list the problems, show one, check one that you are writing."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from subcli.cli import exits
from subcli.cli.commands.server.options import SandboxChoice, require_server_extra
from subcli.cli.common import Common, command, slug_of
from subcli.cli.request import request
from subcli.cli.streams import Streams
from subcli.core.errors import UsageError
from subcli.workspace.completion_cache import names_of_problems, remember


def register(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(rich_markup_mode=None)
    app.add_typer(group, name="problems")

    @command(group, None, example="subcli problems", is_group=True)
    def problems(common: Common, streams: Streams) -> int:
        """List the problems; show or check one."""
        return list_problems(common, streams)

    @command(group, "list", example="subcli problems list --json")
    def list_(common: Common, streams: Streams) -> int:
        """List the problems, as `subcli problems` does."""
        return list_problems(common, streams)

    @command(group, "show", example="subcli problems show leader-election")
    def show(
        common: Common,
        streams: Streams,
        problem: Annotated[str, typer.Argument(metavar="PROBLEM", help="Id or slug.")],
    ) -> int:
        """Show one problem."""
        return show_problem(common, streams, problem)

    @command(group, "check", codes=exits.LOCAL, example="subcli problems check ./my-problem")
    def check(
        common: Common,
        streams: Streams,
        directory: Annotated[Path, typer.Argument(metavar="DIR", help="The problem's directory.")],
        sandbox: SandboxChoice = "auto",
    ) -> int:
        """Check a problem that you are writing."""
        return check_problem(common, streams, directory, sandbox)


def list_problems(common: Common, streams: Streams) -> int:
    """Print the problems of the server."""
    rows = [row for row in request(common, streams, lambda client: client.api.problems()) if isinstance(row, dict)]
    remember(common.settings(streams).server, **names_of_problems(rows))
    if common.json:
        streams.print_json({"problems": rows})
    elif common.quiet:
        streams.write("".join(f"{name}\n" for row in rows if (name := slug_of(row))))
    else:
        from subcli.output.pages.problems import problems_table

        streams.console().print(problems_table(rows, time.time()))
    return exits.OK


def show_problem(common: Common, streams: Streams, problem: str) -> int:
    """Print one problem, named by id or slug."""
    found = request(common, streams, lambda client: client.problem(problem))
    if common.json:
        streams.print_json({"problem": found})
    else:
        from subcli.output.pages.problems import problem_page

        name = slug_of(found) or problem
        next_command = f"subcli init {shlex.quote(name)}{common.for_server()}"
        streams.console().print(problem_page(found, time.time(), quiet=common.quiet, next_command=next_command))
    return exits.OK


def check_problem(common: Common, streams: Streams, directory: Path, sandbox: str) -> int:
    """Print each check as it ends.

    Args:
        sandbox: the sandbox of the solutions, as for a server.

    Returns:
        0 if nothing failed, else 2: the problem cannot be used as it is.
    """
    import gc

    from subcli.cli.runtime import Interrupts, run

    require_server_extra(streams)
    gc.enable()
    from subcli.judge.check import checks
    from subcli.judge.report import Check, Report
    from subcli.judge.sandbox import Sandbox
    from subcli.judge.sandbox.choice import SandboxError, choose

    try:
        starter = choose(Sandbox(sandbox), for_others=False).starter
    except SandboxError as error:
        raise UsageError(error.message, hint=error.hint) from None

    show = _ignore if common.json or common.quiet else _printer(streams)

    async def main(_: Interrupts) -> list[Check]:
        done = []
        async for check in checks(directory, starter=starter):
            show(check.what, None if check.skipped else check.ok, check.detail)
            done.append(check)
        return done

    report = Report(directory, tuple(run(main, streams)))
    if common.json:
        streams.print_json({"check": report.as_dict()})
    return exits.OK if report.ok else exits.USAGE


def _ignore(name: str, ok: bool | None, detail: str) -> None:
    """For `--json` and `-q`, which print the report or nothing."""


def _printer(streams: Streams) -> Callable[[str, bool | None, str], None]:
    from subcli.output.pages.problems import check_line

    console = streams.console()
    return lambda name, ok, detail: console.print(check_line(name, ok, detail))
