"""``subcli status``: one snapshot over REST. The exit code says nothing about the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from subcli.cli import exits
from subcli.cli.common import Common, command, submission, whole_number, written
from subcli.cli.request import request
from subcli.cli.streams import Streams
from subcli.core.errors import UsageError

if TYPE_CHECKING:
    from subcli.client.client import Client
    from subcli.shared.run_trace import RunTrace

_FIELDS: Final = (
    "submission_id",
    "problem",
    "problem_version",
    "language",
    "status",
    "final_status",
    "summary",
    "created_at",
    "finished_at",
    "url",
    "build_log",
    "compared_to",
)
_OF_RUNS: Final = ("run", "runs")
"""What servers add that know runs."""


def register(app: typer.Typer) -> None:
    """Register the command."""

    @command(app, "status", example="subcli status 12 --json\nsubcli status 12 --test 'Split Vote' --diagram")
    def status(
        common: Common,
        streams: Streams,
        id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Id or page URL. Default: the latest.")] = None,
        test: Annotated[
            str | None, typer.Option("--test", metavar="NAME", help="Show only this test, by its name or id.")
        ] = None,
        judging: Annotated[
            int | None,
            typer.Option(
                "--run", metavar="N", parser=whole_number(1), help="If it was judged again: show an earlier judging."
            ),
        ] = None,
        diagram: Annotated[
            bool, typer.Option("--diagram", help="Draw how a test on several nodes failed. Default: the first.")
        ] = False,
        plain: Annotated[bool, typer.Option("--plain", help="With `--diagram`: sentences, no drawing.")] = False,
        svg: Annotated[
            Path | None,
            typer.Option("--svg", metavar="FILE", callback=written, help="Write that drawing to an SVG file."),
        ] = None,
    ) -> int:
        """Show the current state of a submission."""
        server, number = submission(id) if id is not None else (None, None)
        if diagram or svg is not None:
            return draw(common, streams, number, server, test=test, judging=judging, plain=plain, svg=svg)
        if plain:
            raise UsageError("`--plain` needs `--diagram`.", hint="`subcli status` always prints lines.")
        return run(common, streams, number, server, test=test, judging=judging)


def draw(
    common: Common,
    streams: Streams,
    number: int | None,
    server: str | None = None,
    *,
    test: str | None = None,
    judging: int | None = None,
    plain: bool = False,
    svg: Path | None = None,
) -> int:
    """Draw how a test on several nodes failed.

    Args:
        number: the submission's id; ``None``: the latest one.
        server: the one whose URL was pasted.
        test: its name or id; ``None``: the first failed one that can be drawn.
        judging: the number of a run; ``None``: the latest.
        plain: tell it in sentences.
        svg: the file to write it to, instead of printing it.

    Raises:
        SubcliError: There is no such submission, test or trace, or the file cannot be written.
    """
    from subcli.cli.diagram import failed_with_trace, fetch_trace, show_diagram, test_named, write_svg

    async def call(client: Client) -> tuple[int, Mapping[str, Any], RunTrace]:
        chosen = number if number is not None else await client.latest()
        tests = [row for row in await client.api.tests_with_retry(chosen, judging) if isinstance(row, dict)]
        found = failed_with_trace(tests, chosen)[0] if test is None else test_named(tests, test, chosen)
        return chosen, found, await fetch_trace(client, chosen, found, judging)

    chosen, found, trace = request(common, streams, call, pasted_server=server)
    if svg is not None:
        write_svg(streams, svg, trace, found, chosen)
    if svg is None or common.json:
        show_diagram(streams, trace, found, chosen, plain=plain, json=common.json)
    elif not common.quiet:
        streams.write(f"{svg}\n")
    return exits.OK


def run(
    common: Common,
    streams: Streams,
    number: int | None,
    server: str | None = None,
    *,
    test: str | None = None,
    judging: int | None = None,
) -> int:
    """Print one submission.

    Args:
        number: its id; ``None``: the latest submission.
        server: the one whose URL was pasted.
        test: the only test to show, by its name or id.
        judging: the number of a run; ``None``: the latest.

    Raises:
        SubcliError: It does not exist, or the request failed.
    """

    async def call(client: Client) -> tuple[dict[str, Any], list[Any]]:
        chosen = number if number is not None else await client.latest()
        if judging is not None:
            await client.require_feature("runs", "show an earlier judging", in_demo=True)
        snapshot = await client.api.submission_with_retry(chosen, judging)
        tests = await client.api.tests_with_retry(chosen, judging)
        ours = {"submission_id": chosen, "url": client.page_url(chosen, snapshot)}
        return {**snapshot, **ours}, [test for test in tests if isinstance(test, dict)]

    snapshot, tests = request(common, streams, call, pasted_server=server)
    if test is not None:
        from subcli.cli.diagram import test_named

        tests = [test_named(tests, test, snapshot["submission_id"])]
    if common.json:
        streams.print_json({**_status_object(snapshot), "tests": tests})
    elif common.quiet:
        from subcli.output.printable import one_line

        streams.write(f"{one_line(str(snapshot.get('final_status') or snapshot.get('status')))}\n")
    else:
        from subcli.output.pages.tables import submission_page

        streams.console().print(submission_page(_status_object(snapshot), tests), soft_wrap=True)
    return exits.OK


def _status_object(snapshot: dict[str, Any]) -> dict[str, Any]:
    """The fields of the contract, section 4; those that a server does not have are null."""
    fields = {name: snapshot.get(name) for name in _FIELDS}
    fields["problem"] = snapshot.get("problem", snapshot.get("problem_id"))
    # Another platform has its own name for the log, and a sentence about what went wrong (contract, section 6); ours
    # has one about what is no longer there.
    fields["build_log"] = snapshot.get("build_log", snapshot.get("build_logs"))
    fields |= {name: snapshot[name] for name in _OF_RUNS if name in snapshot}
    for name in ("error_message", "notice"):
        if isinstance(snapshot.get(name), str):
            fields[name] = snapshot[name]
    return fields
