"""``subcli init``: create a directory for solving a problem, or for a new problem."""

from __future__ import annotations

import shlex
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer

from subcli.cli import exits
from subcli.cli.common import Common, command, slug_of, written
from subcli.cli.request import request
from subcli.cli.streams import Streams
from subcli.core.errors import UsageError

if TYPE_CHECKING:
    from subcli.client.client import Client


def register(app: typer.Typer) -> None:
    """Register the command."""

    @command(
        app,
        "init",
        example="subcli init leader-election && cd leader-election && subcli submit\n"
        "subcli init --new-problem ./largest && subcli problems check ./largest",
    )
    def init(
        common: Common,
        streams: Streams,
        problem: Annotated[str | None, typer.Argument(metavar="[PROBLEM]", help="Id or slug.")] = None,
        directory: Annotated[
            Path | None, typer.Argument(metavar="[DIR]", callback=written, help="Default: the slug.")
        ] = None,
        language: Annotated[
            str | None, typer.Option("--language", metavar="NAME", help="Default: python, else the problem's first.")
        ] = None,
        new_problem: Annotated[
            Path | None,
            typer.Option(
                "--new-problem", metavar="DIR", callback=written, help="Create your own problem in this directory."
            ),
        ] = None,
        runner: Annotated[
            Literal["cases", "pytest", "tap"] | None,
            typer.Option("--runner", metavar="RUNNER", help="How to run its tests: cases (default), pytest or tap."),
        ] = None,
    ) -> int:
        """Create a directory for solving or writing a problem."""
        if new_problem is not None:
            if problem is not None or language is not None:
                raise UsageError("`--new-problem` creates a new one.", hint="Leave PROBLEM and `--language` out.")
            return begin_problem(common, streams, new_problem, runner or "cases")
        if runner is not None:
            raise UsageError("`--runner` is for `--new-problem DIR`.")
        if problem is None:
            raise UsageError(
                "No problem given.",
                hint="`subcli problems` lists them; `subcli init --new-problem DIR` creates your own.",
            )
        return run(common, streams, problem, directory, language)


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """What the server offers to start from.

    Attributes:
        problem: its slug.
        files: texts by path.
        submitted: the paths that `subcli submit` will submit.
        test: what `subcli test` judges with; ``None`` if the server offers nothing.
    """

    problem: str
    language: str
    files: dict[str, str]
    submitted: list[str]
    test: dict[str, Any] | None = None


def run(
    common: Common, streams: Streams, problem: str, directory: Path | None = None, language: str | None = None
) -> int:
    """Make the directory and print what is in it.

    Raises:
        UsageError: There is no template for the language, or the directory cannot be used.
    """
    from subcli.workspace.scaffold import make_workspace

    template = request(common, streams, lambda client: _fetch(client, problem, language))
    target = directory or Path(template.problem)
    written = make_workspace(
        target,
        template.files,
        problem=template.problem,
        language=template.language,
        submitted=template.submitted,
        test=template.test,
    )
    _report(common, streams, template, target, written)
    return exits.OK


def begin_problem(common: Common, streams: Streams, directory: Path, runner: str) -> int:
    """Write a new problem that passes its check, and print what is in it.

    Raises:
        UsageError: The directory cannot be used.
    """
    from subcli.judge.new_problem import new_problem
    from subcli.output.printable import one_line
    from subcli.workspace.scaffold import write_new

    texts = new_problem(directory, runner)
    written = write_new(
        directory, {PurePosixPath(name): text for name, text in texts.items()}, hint="Choose another directory."
    )
    if not _report_files(common, streams, directory, written):
        name = shlex.quote(str(directory))
        parent = shlex.quote(str(directory.parent))
        solution = shlex.quote(str(directory / "solutions/failing.py"))
        streams.write_error(
            f"Check it: subcli problems check {one_line(name)}\n"
            f"Judge one solution: subcli test {one_line(solution)} --problem {one_line(name)}\n"
            f"Serve it: subcli serve --problems {one_line(parent)}\n"
        )
    return exits.OK


async def _fetch(client: Client, problem: str, language: str | None) -> Template:
    from subcli.workspace.languages import languages_in

    found = await client.problem(problem)
    languages = languages_in(found)
    chosen = language or ("python" if "python" in languages or not languages else languages[0])
    return as_template(slug_of(found) or problem, chosen, await client.template(problem, chosen))


def as_template(problem: str, language: str, answer: dict[str, Any]) -> Template:
    """The server's answer, checked."""
    files, submitted = answer.get("files"), answer.get("submit")
    if not isinstance(files, dict) or not files or not all(isinstance(text, str) for text in files.values()):
        raise UsageError(f"{problem} has no template for {language}.", hint="Start with an empty file.")
    if not isinstance(submitted, list):
        submitted = list(files)[:1]
    names = [name for name in submitted if isinstance(name, str) and name in files]
    test = answer.get("test")
    return Template(
        problem=problem,
        language=language,
        files=files,
        submitted=names,
        test=test if isinstance(test, dict) else None,
    )


def _report(common: Common, streams: Streams, template: Template, target: Path, written: list[Path]) -> None:
    from subcli.output.printable import one_line

    if not _report_files(common, streams, target, written):
        names = ", ".join(one_line(name) for name in template.submitted)
        enter = f"cd {one_line(shlex.quote(str(target)))}"
        then = f"subcli submit{common.for_server()}"
        then = f"subcli test && {then}" if template.test is not None else then
        streams.write_error(f"Edit {names}, then: {enter} && {then}\n")


def _report_files(common: Common, streams: Streams, target: Path, written: list[Path]) -> bool:
    """Print what was created. Returns whether the output for scripts is complete."""
    from subcli.output.printable import one_line

    if common.json:
        streams.print_json({"directory": str(target), "files": [str(path) for path in written]})
    elif common.quiet:
        streams.write(f"{target}\n")
    else:
        streams.write("".join(f"  {one_line(str(path))}\n" for path in written))
    return common.json or common.quiet
