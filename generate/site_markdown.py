"""Writes Markdown for the generated pages of the documentation site."""

from __future__ import annotations

from collections.abc import Iterable

from generate.tree import Command


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table. Cells are Markdown."""
    heads = list(head)
    lines = [heads, ["---"] * len(heads), *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def words(command: Command) -> str:
    """A command as it is typed."""
    return " ".join(("subcli", *command.path))


def code(names: str) -> str:
    """Names that commas separate, each as code."""
    return ", ".join(f"`{name}`" for name in names.split(", "))


def paragraphs(help: str) -> list[str]:
    """The paragraphs of a help text, each on one line."""
    return [markdown(" ".join(paragraph.split())) for paragraph in help.split("\n\n")]


def markdown(text: str) -> str:
    """Text of the program, whose options and placeholders are no Markdown, except code between backticks."""
    parts = text.split("`")
    for place in range(0, len(parts), 2):
        for special in "*_[]<>{":
            parts[place] = parts[place].replace(special, f"\\{special}")
        parts[place] = parts[place].replace("--", "\\-\\-")
    return "`".join(parts)


def first_line(text: str) -> str:
    """What a command does, in one sentence."""
    return markdown(text.partition("\n")[0])
