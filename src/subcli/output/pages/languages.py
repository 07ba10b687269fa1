"""What ``subcli languages`` prints: a function from data to a renderable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from subcli.output.printable import one_line

_CELL_MAX: Final = 120
"""Characters of a version and the like, which come from a server."""


def languages_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """A line for each language; one that cannot be judged now says so instead of its version."""
    if not rows:
        return Text("This server has no languages.")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("NAME", no_wrap=True)
    table.add_column("LANGUAGE")
    table.add_column("FILES", overflow="fold")
    table.add_column("VERSION", overflow="fold")
    for row in rows:
        endings = row.get("endings")
        table.add_row(
            Text(_cell(row.get("name")), style="bold"),
            Text(_cell(row.get("title"))),
            Text(_cell(" ".join(map(str, endings)) if isinstance(endings, list) else endings)),
            _version(row),
        )
    return table


def _version(row: Mapping[str, Any]) -> Text:
    if row.get("available") is False:
        return Text("not available now", style="dim")
    return Text(_cell(row.get("version")))


def _cell(value: Any) -> str:
    return one_line(str(value), _CELL_MAX) if value is not None else "–"
