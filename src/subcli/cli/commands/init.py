"""``subcli init``: make a directory to solve a problem in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from subcli.cli.common import Common, command, print_json, slug_of
from subcli.cli.request import ask
from subcli.core.errors import UsageError

if TYPE_CHECKING:
    from subcli.client.client import Client


def register(app: typer.Typer) -> None:
    """Put the command into the tree."""

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
    slug = slug_of(found) or problem
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
