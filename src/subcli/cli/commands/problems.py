"""``subcli problems``, ``subcli problems show``, ``subcli problems check`` and ``subcli init``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from subcli.cli import exits
from subcli.cli.commands.look import ask
from subcli.cli.common import Common, command, print_json
from subcli.core.errors import UsageError
from subcli.workspace.completion_cache import names_of_problems, remember

if TYPE_CHECKING:
    from subcli.client.client import Client


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
            sys.stdout.write("".join(f"{name}\n" for row in rows if (name := _name(row))))
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

    @command(app, "init", example="subcli init leader-election && cd leader-election && subcli submit")
    def init(
        common: Common,
        problem: Annotated[str, typer.Argument(metavar="P", help="Id or slug.")],
        directory: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Default: the slug.")] = None,
        language: Annotated[
            str | None, typer.Option("--language", metavar="NAME", help="Default: the problem's first.")
        ] = None,
    ) -> int:
        """Make a directory to solve a problem in."""
        return _init(common, problem, directory, language)


def _init(common: Common, problem: str, directory: Path | None, language: str | None) -> int:
    from subcli.output.printable import one_line
    from subcli.workspace.scaffold import make_workspace

    async def fetch(client: Client) -> tuple[dict[str, Any], str, dict[str, Any]]:
        found = await client.problem(problem)
        languages = [word for word in found.get("languages") or [] if isinstance(word, str)]
        chosen = language or ("python" if "python" in languages or not languages else languages[0])
        return found, chosen, await client.template(problem, chosen)

    found, chosen, template = ask(common, fetch)
    slug = _name(found) or problem
    files = template.get("files")
    if not isinstance(files, dict) or not all(isinstance(text, str) for text in files.values()) or not files:
        raise UsageError(f"{slug} has no template for {chosen}.", hint="Begin with an empty file.")
    submitted = template.get("submit")
    names = [name for name in submitted if name in files] if isinstance(submitted, list) else list(files)[:1]
    target = directory or Path(slug)
    written = make_workspace(target, files, problem=slug, language=chosen, submitted=names)
    if common.json:
        print_json({"directory": str(target), "files": [str(path) for path in written]})
    elif common.quiet:
        sys.stdout.write(f"{target}\n")
    else:
        for path in written:
            sys.stdout.write(f"  {one_line(str(path))}\n")
        names_text = ", ".join(one_line(name) for name in names)
        sys.stderr.write(f"Edit {names_text}, then: cd {one_line(str(target))} && subcli submit{common.for_server()}\n")
    return 0


def _check(common: Common, directory: Path) -> int:
    """Print each check as it is done; 0 if nothing failed, else 2: the problem cannot be used as it is."""
    import gc

    from subcli.cli.commands.server.serve import require_server_extra
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


def _name(problem: dict[str, Any]) -> str | None:
    """A name that is safe in a path and on a command line."""
    slug = problem.get("slug")
    if isinstance(slug, str) and slug and all(char.isalnum() or char in "-_." for char in slug) and slug[0] not in "-.":
        return slug
    return None
