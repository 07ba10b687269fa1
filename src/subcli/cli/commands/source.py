"""``subcli source``: get the code of a submission back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from subcli.cli import exits
from subcli.cli.common import Common, command, expanded, submission
from subcli.cli.request import request
from subcli.cli.streams import Streams
from subcli.core.errors import ServerError, UsageError

if TYPE_CHECKING:
    from subcli.client.client import Client

_STDOUT: Final = Path("-")


def register(app: typer.Typer) -> None:
    """Register the command."""

    @command(app, "source", example="subcli source 12\nsubcli source 12 - > solution.py")
    def source(
        common: Common,
        streams: Streams,
        id: Annotated[str, typer.Argument(metavar="ID", help="Id or page URL.")],
        directory: Annotated[
            Path | None,
            typer.Argument(
                metavar="[DIR]", callback=expanded, help="Where to write it; `-` is stdout. Default: `submission-ID`."
            ),
        ] = None,
        force: Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")] = False,
    ) -> int:
        """Get the code of a submission back."""
        server, number = submission(id)
        return run(common, streams, number, directory, server, force=force)


def run(
    common: Common,
    streams: Streams,
    number: int,
    directory: Path | None = None,
    server: str | None = None,
    *,
    force: bool = False,
) -> int:
    """Write what was submitted.

    Args:
        number: the submission's id.
        directory: where to; ``-``: to stdout, if it is one file; ``None``: a new directory here.
        server: the one whose URL was pasted.
        force: overwrite files that exist.

    Raises:
        SubcliError: There is no such submission, the server offers an unsafe name, or a file exists.
    """

    async def call(client: Client) -> dict[str, str]:
        # If there is no such submission, this says so; a server that does not give code back answers nothing.
        await client.api.submission_with_retry(number)
        return await client.api.submitted_files(number)

    files = request(common, streams, call, pasted_server=server)
    if not files:
        raise ServerError("This server does not give submitted code back.", hint="`subcli doctor` shows its version.")
    if directory == _STDOUT:
        return _print(common, streams, number, files)
    from subcli.output.printable import printable
    from subcli.workspace.scaffold import is_safe_name, write_submission

    target = directory if directory is not None else Path(f"submission-{number}")
    safe = {name: text for name, text in files.items() if is_safe_name(name)}
    for name in sorted(files.keys() - safe):
        # A student chose it; a teacher still gets the rest.
        streams.write_error(f"Left out {printable(repr(name[:80]))}: hidden files and unsafe names are not written.\n")
    if not safe:
        raise UsageError("No file of this submission has a name that is safe to write.", hint="")
    written = write_submission((streams.cwd or Path()) / target, safe, force=force)
    if common.json:
        names = {"directory": str(target), "files": sorted(safe)}
        streams.print_json({"source": {"submission_id": number, **names}})
    elif common.quiet:
        streams.write(f"{target}\n")
    else:
        count = "1 file" if len(written) == 1 else f"{len(written)} files"
        streams.write(printable(f"Wrote {count} to {target}: {', '.join(sorted(safe))}.\n"))
    return exits.OK


def _print(common: Common, streams: Streams, number: int, files: dict[str, str]) -> int:
    if common.json:
        raise UsageError("`-` excludes `--json`.", hint="Name a directory instead.")
    if len(files) > 1:
        names = ", ".join(sorted(files)[:5])
        raise UsageError(f"Submission {number} has {len(files)} files.", hint=f"Name a directory for {names!a}.")
    streams.write(next(iter(files.values())))
    return exits.OK
