"""The parts of the documentation that are made from the program."""

from __future__ import annotations

import re
from typing import Final

from subcli.cli import exits
from subcli.core import recovery

_BEGIN: Final = "<!-- Made by `make generate` from the program: {}. -->\n"
_END: Final = "<!-- End of what is made. -->"


def readme(text: str) -> str:
    """The README with the present exit codes."""
    rows = [f"| {code} | {meaning} |" for code, meaning in exits.meanings(exits.WATCHING)]
    return _put(text, "exit codes", "\n".join(["| exit code | meaning |", "|---|---|", *rows]))


def recovery_page(text: str) -> str:
    """docs/recovery.md with the table that stands at the top of the machine."""
    document = recovery.__doc__ or ""
    rows: list[tuple[str, str]] = []
    _, inner, _ = re.split(r"^={10,}.*$", document, flags=re.MULTILINE)
    for line in inner.strip("\n").splitlines():
        happened, done = _cells(line)
        if happened:
            rows.append((happened, done))
        else:
            rows[-1] = (rows[-1][0], f"{rows[-1][1]} {done}")
    table = ["| what happened | what is done |", "|---|---|", *(f"| {left} | {right} |" for left, right in rows)]
    return _put(text, "the table of subcli.core.recovery", "\n".join(table))


def _cells(line: str) -> tuple[str, str]:
    left, right = line[:50], line[50:]
    return left.strip().replace("``", "`"), right.strip().replace("``", "`")


def _put(text: str, name: str, made: str) -> str:
    begin = _BEGIN.format(name)
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(_END)
    if not found or not closed:
        raise ValueError(f"there is no place for {name}")
    return f"{before}{begin}\n{made}\n\n{_END}{after}"
