"""What ``subcli problems`` prints: the list, one problem, an author's check. Functions from data to renderables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

from subcli.output.printable import one_line, printable
from subcli.output.text import details, parts
from subcli.output.text.lines import AdaptiveBlock, Line
from subcli.output.text.theme import STRONG

_DESCRIPTION_MAX: Final = 64 * 1024
"""Characters of a description that are rendered: up to 90 µs each, so that megabytes would take minutes."""

_SAMPLES_MAX: Final = 5
_LIMITS: Final = details.TextLimits(input=20)

_LANGUAGES_MAX: Final = 3
"""Languages of a problem in the list of problems."""

_VERSION_CHARS: Final = 12
_OUTDATED: Final = "its files are not valid as they are now; the version before stays in service (see the server's log)"

_CELL_MAX: Final = 300
"""Characters of a title, a list of languages and the like."""


def problems_table(rows: Sequence[Mapping[str, Any]], now: float) -> RenderableType:
    """Return a line for each problem.

    Args:
        rows: As the server describes them.
        now: Unix time.
    """
    if not rows:
        return Text("This server has no problems.")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("ID", justify="right")
    table.add_column("PROBLEM", no_wrap=True)
    table.add_column("TITLE", overflow="fold")
    table.add_column("TESTS", justify="right")
    table.add_column("LANGUAGES", overflow="fold")
    closing = any(_closing(row) is not None for row in rows)
    if closing:
        table.add_column("CLOSES", no_wrap=True)
    for row in rows:
        languages = row.get("languages")
        table.add_row(
            _cell(row.get("id")),
            Text(_word(row.get("slug")), style="bold"),
            _cell(row.get("title")),
            _cell(row.get("total_tests")),
            _cell(_first(languages) if isinstance(languages, list) else languages),
            *([Text(_closes(row, now))] if closing else ()),
        )
    notes = [
        Text(f"{_word(row.get('slug'))}: {_OUTDATED}", style="yellow") for row in rows if row.get("outdated") is True
    ]
    return Group(table, Text(), *notes) if notes else table


def _closing(row: Mapping[str, Any]) -> datetime | None:
    """When a problem closes, in the time zone of this machine; None if it does not, or says no time."""
    try:
        return datetime.fromisoformat(str(row.get("closes"))).astimezone()
    except (ValueError, OverflowError):
        return None


def _closes(row: Mapping[str, Any], now: float) -> str:
    at = _closing(row)
    if at is None:
        return ""
    return f"{at:%Y-%m-%d %H:%M}" if at.timestamp() > now else "closed"


def _first(languages: Sequence[object]) -> str:
    """As many languages as fit into a column; the problem's own page has them all."""
    names = list(map(str, languages))
    more = f" and {len(names) - _LANGUAGES_MAX} more" if len(names) > _LANGUAGES_MAX + 1 else ""
    return ", ".join(names[:_LANGUAGES_MAX] if more else names) + more


def problem_page(problem: Mapping[str, Any], now: float, *, quiet: bool, next_command: str) -> RenderableType:
    """Return one problem: its properties and its description; the bare description if ``quiet``.

    Args:
        problem: As the server describes it.
        now: Unix time.
        quiet: Whether to leave out everything else.
        next_command: What to type to begin with it.
    """
    description = printable(str(problem.get("description") or ""))
    if quiet:
        return Text(description)
    if len(description) > _DESCRIPTION_MAX:
        description = f"{description[:_DESCRIPTION_MAX]}\n\n… cut here; `--json` prints all of it."
    languages = problem.get("languages")
    limits = problem.get("limits")
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("problem", Text(_word(problem.get("slug")), style="bold"))
    if isinstance(languages, list):
        facts.add_row("languages", _cell(", ".join(map(str, languages))))
    if problem.get("total_tests") is not None:
        facts.add_row("tests", _cell(problem["total_tests"]))
    if isinstance(limits, Mapping):
        facts.add_row("limits", _cell(", ".join(_limit(str(name), value) for name, value in limits.items())))
    if (at := _closing(problem)) is not None:
        facts.add_row("closes" if at.timestamp() > now else "closed", Text(f"{at:%Y-%m-%d %H:%M %Z}"))
    if isinstance(problem.get("version"), str):
        facts.add_row("version", _cell(problem["version"][:_VERSION_CHARS]))
    if problem.get("outdated") is True:
        facts.add_row("", Text(_OUTDATED, style="yellow"))
    if problem.get("max_attempts") is not None:
        facts.add_row("attempts", _cell(f"at most {problem['max_attempts']}"))
    title = Text(_word(problem.get("title")), style="bold")
    text = Markdown(_without_title(description, title.plain), hyperlinks=False)
    samples = _samples(problem.get("samples"), description)
    return Group(title, Text(), facts, Text(), text, *samples, Text(), Text(one_line(next_command), style="dim"))


def _without_title(description: str, title: str) -> str:
    """The description without a heading that says the title again."""
    first, _, rest = description.lstrip().partition("\n")
    return rest if first.startswith("# ") and first.lstrip("# ").strip() == title else description


def _samples(samples: object, description: str) -> list[RenderableType]:
    """The samples that the description does not show already."""
    shown = [
        (_word(sample.get("name")), given, answer)
        for sample in (samples if isinstance(samples, list) else [])
        if isinstance(sample, Mapping)
        and isinstance(given := sample.get("input"), str)
        and isinstance(answer := sample.get("answer"), str)
        and not (given.strip() and given.strip() in description and answer.strip() in description)
    ]
    return [part for sample in shown[:_SAMPLES_MAX] for part in (Text(), AdaptiveBlock(partial(_sample, *sample)))]


def _sample(name: str, given: str, answer: str, width: int) -> list[Line]:
    return [
        Line(name, STRONG),
        *parts.indented(details.given(given, width - 2, _LIMITS), 2),
        *parts.indented(details.given(answer, width - 2, _LIMITS, "output"), 2),
    ]


def check_line(name: str, ok: bool | None, detail: str) -> RenderableType:
    """Return one line of an author's check; ``ok`` is ``None`` if it could not be checked on this machine."""
    mark, style = {True: ("✓", "green"), False: ("✗", "bold red"), None: ("–", "dim")}[ok]
    row = Table.grid(padding=(0, 1, 0, 0))
    row.add_column(no_wrap=True)
    row.add_column(min_width=24)
    row.add_column(overflow="fold")
    row.add_row(
        Text(mark, style=style), Text(one_line(name)), Text(printable(detail), style="" if ok is False else "dim")
    )
    return row


def _limit(name: str, value: Any) -> str:
    """Return ``test 20 s`` for ``test_seconds`` and 20."""
    what, _, unit = name.rpartition("_")
    number = f"{value:g}" if isinstance(value, float) else str(value)
    units = {"seconds": "s", "mb": "MB", "kb": "KB"}
    if unit in units:
        return f"{what.replace('_', ' ')} {number} {units[unit]}"
    return f"{name.replace('_', ' ')} {number}"


def _word(value: Any) -> str:
    return one_line(str(value), _CELL_MAX) if value is not None else "–"


def _cell(value: Any) -> Text:
    return Text(_word(value))
