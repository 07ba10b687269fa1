"""Compare the coverage of each area with its gate: ``python -m tests.coverage_gates coverage.json``.

Lines and branches count alike, as in the reports of coverage.py.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec


class Summary(msgspec.Struct):
    """What coverage.py counted in one file."""

    covered_lines: int
    num_statements: int
    covered_branches: int
    num_branches: int


class File(msgspec.Struct):
    """One file of the report."""

    summary: Summary


class Report(msgspec.Struct):
    """The output of ``coverage json``, as far as it is used here."""

    files: dict[str, File]


@dataclass(frozen=True)
class Area:
    """Folders or files below ``src/subcli`` that share a gate.

    Attributes:
        at_least: percent.
    """

    name: str
    at_least: float
    paths: tuple[str, ...]


# `make test-core` measures the core by its own tests: 100 %.
AREAS = (
    Area("client", 90, ("client/", "settings/", "workspace/")),
    Area("output", 90, ("output/",)),
    Area("cli", 90, ("cli/",)),
    Area("server", 90, ("server/",)),
    Area("judge", 85, ("judge/",)),
)


def percent(summaries: list[Summary]) -> float:
    """The share of lines and branches that were taken."""
    covered = sum(each.covered_lines + each.covered_branches for each in summaries)
    total = sum(each.num_statements + each.num_branches for each in summaries)
    return 100.0 * covered / total if total else 100.0


def main(path: str) -> int:
    """Print the areas, and the files below the gate of an area that misses it.

    Returns:
        1 if an area misses its gate.
    """
    report = msgspec.convert(json.loads(Path(path).read_text()), Report)
    files = {name.partition("src/subcli/")[2]: file.summary for name, file in report.files.items()}
    failed = 0
    for area in AREAS:
        inside = {name: summary for name, summary in files.items() if name.startswith(area.paths)}
        reached = percent(list(inside.values()))
        missed = reached < area.at_least
        failed |= missed
        print(f"{area.name:8} {reached:6.2f} %  (at least {area.at_least:g} %){'  MISSED' if missed else ''}")
        if missed:
            worst = sorted((percent([summary]), name) for name, summary in inside.items())
            for share, name in worst:
                if share < area.at_least:
                    print(f"           {share:6.2f} %  {name}")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
