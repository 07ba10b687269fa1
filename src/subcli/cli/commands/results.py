"""``subcli results``: one row for each user, for teachers. Rows are printed as they arrive, a page at a time."""

from __future__ import annotations

import csv
import functools
import io
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from subcli.cli import exits
from subcli.cli.common import Common, command
from subcli.cli.request import request
from subcli.cli.streams import Streams
from subcli.core.errors import ServerError, UsageError

if TYPE_CHECKING:
    from subcli.client.client import Client

COLUMNS: Final = (
    *("user", "verdict", "score", "max_score", "passed", "total_tests", "attempts", "unfinished"),
    *("submission_id", "run", "language", "submitted_at"),
)
"""The columns of the CSV file, in order. New ones are added at the end."""

_FORMULA: Final = re.compile(r"((?:^|[;\t|])[\s\"']*)([=+\-@\uff1d\uff0b\uff0d\uff20])")
"""What makes a spreadsheet take a text for a formula (OWASP, "CSV Injection"), wide characters included: at its
beginning, or behind what separates cells elsewhere, such as where the comma is the decimal sign."""

_PAGE: Final = 200
_MOST_ROWS: Final = 200_000


def register(app: typer.Typer) -> None:
    """Register the command."""

    @command(
        app,
        "results",
        example="subcli results lru-cache\nsubcli results lru-cache --group monday --last --csv > results.csv",
    )
    def results(
        common: Common,
        streams: Streams,
        problem: Annotated[str, typer.Argument(metavar="PROBLEM", help="Its id or slug.")],
        best: Annotated[bool, typer.Option("--best", help="Each user's best submission counts. Default.")] = False,
        last: Annotated[bool, typer.Option("--last", help="Each user's last submission counts.")] = False,
        group: Annotated[
            str | None, typer.Option("--group", metavar="GROUP", help="Only the members of this group.")
        ] = None,
        as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    ) -> int:
        """Show the results of a problem, for teachers."""
        if best and last:
            raise UsageError("`--best` and `--last` exclude each other.", hint="Leave one of them out.")
        if as_csv and (common.json or common.quiet):
            raise UsageError("`--csv` excludes `--json` and `--quiet`.", hint="Leave one of them out.")
        return run(common, streams, problem, last=last, as_csv=as_csv, group=group)


def run(
    common: Common,
    streams: Streams,
    problem: str,
    *,
    last: bool = False,
    as_csv: bool = False,
    group: str | None = None,
) -> int:
    """Print the results of a problem.

    Args:
        group: only those of its members.

    Raises:
        SubcliError: There is no such problem or group, or the server refuses.
    """
    kept: list[Mapping[str, Any]] = []
    slug = problem

    async def call(client: Client) -> None:
        nonlocal slug
        await client.require_feature("results", "show the results of all users")
        if group is not None:
            await client.require_groups()
        is_first = True
        async for page in _pages(client, problem, "last" if last else "best", group):
            rows = [row for row in page["results"] if isinstance(row, dict)]
            slug = str(page.get("problem", problem))
            if as_csv:
                streams.write(csv_text(rows, with_header=is_first))
            elif common.quiet:
                streams.write("".join(_quiet_line(row) for row in rows))
            else:
                kept.extend(rows)
            is_first = False

    request(common, streams, call)
    if common.json:
        streams.print_json({"problem": slug, "results": kept})
    elif not (as_csv or common.quiet):
        from subcli.output.pages.results import results_table

        streams.console().print(results_table(kept))
    return exits.OK


async def _pages(client: Client, problem: str, which: str, group: str | None) -> AsyncIterator[dict[str, Any]]:
    params: dict[str, Any] = {"which": which, "limit": _PAGE, **({} if group is None else {"group": group})}
    count = 0
    while True:
        page = await client.with_id(problem, None, functools.partial(client.api.results, params=params))
        if not isinstance(page.get("results"), list):
            raise ServerError("The server's answer has no results.", hint="`subcli doctor` checks the server.")
        count += len(page["results"])
        if count > _MOST_ROWS:
            raise ServerError(
                f"The server has results of more than {_MOST_ROWS:,} users.", hint="`subcli doctor` checks the server."
            )
        yield page
        following = page.get("next_cursor")
        if not isinstance(following, str) or following == params.get("cursor") or not page["results"]:
            return
        params = {**params, "cursor": following}


def csv_text(rows: Sequence[Mapping[str, Any]], *, with_header: bool) -> str:
    """Rows as CSV (RFC 4180, with plain line ends): numbers as they are, and no text that a spreadsheet executes."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    if with_header:
        writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in COLUMNS])
    return written.getvalue()


def _cell(value: object) -> str:
    from subcli.output.printable import one_line

    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:.10g}" if isinstance(value, float) else str(value)
    return _FORMULA.sub(r"\1'\2", one_line(str(value)))


def _quiet_line(row: Mapping[str, Any]) -> str:
    from subcli.output.printable import one_line

    return f"{one_line(str(row.get('user')))} {one_line(str(row.get('verdict') or row.get('status') or 'none'))}\n"
