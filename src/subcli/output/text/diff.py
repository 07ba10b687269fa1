"""Expected and actual: one line each if they are short, otherwise a diff."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from typing import Any, Final

from rich.cells import cell_len
from rich.style import Style

from subcli.output.text.lines import Line, clip, verbatim, wrap
from subcli.output.text.theme import BAD, BAD_MARK, DIM, ELLIPSIS, GOOD, GOOD_MARK

_LABEL_CELLS: Final = 10
_CONTEXT_LINES: Final = 2
_COMPACT_JSON_CHARS: Final = 60
_DIFF_LINES_MAX: Final = 1500
"""Comparing more lines would take seconds; the two values are then shown one after the other."""

_CHARS_PER_CELL: Final = 4


def value_text(value: Any) -> str:
    """Return a string unchanged, and any other value as JSON."""
    if isinstance(value, str):
        return value
    try:
        text = json.dumps(value, ensure_ascii=False)
        return text if len(text) <= _COMPACT_JSON_CHARS else json.dumps(value, ensure_ascii=False, indent=2)
    except (TypeError, ValueError, RecursionError):
        return str(type(value).__name__)


def comparison(expected: str | None, actual: str | None, width: int, limit: int, fold: int = 1) -> list[Line]:
    """Return expected and actual in about ``limit`` lines of at most ``width`` cells.

    Args:
        expected: Foreign text; ``None`` if the server did not send it.
        actual: Likewise.
        width: The width in cells.
        limit: The number of lines.
        fold: Screen lines that one line of a long value may take.
    """
    available = width - _LABEL_CELLS
    wanted, got = _normalized(expected), _normalized(actual)
    if wanted is None or got is None or (_is_short(wanted, available) and _is_short(got, available)):
        lines = _labelled("expected", wanted, got, GOOD, GOOD_MARK, available, limit, fold)
        return lines + _labelled("actual", got, wanted, BAD, BAD_MARK, available, limit, fold)
    return _diff(wanted, got, width, limit, fold)


def _normalized(text: str | None) -> str | None:
    return None if text is None else text.replace("\r\n", "\n").strip("\n")


def _is_short(text: str, cells: int) -> bool:
    return "\n" not in text and len(text) <= cells and cell_len(text) <= cells


def _labelled(
    label: str, text: str | None, other: str | None, style: Style, mark: Style, cells: int, limit: int, fold: int
) -> list[Line]:
    """One value after its label, with what differs from the other one marked."""
    if text is None:
        return []
    if not text.strip():
        return [Line(label, DIM).pad_to(_LABEL_CELLS).put("(nothing)" if not text else "(white space)", DIM)]
    if other is None or not _is_short(text, cells):
        return [
            Line(label if index == 0 else "", DIM).pad_to(_LABEL_CELLS).put(part, style)
            for index, part in enumerate(wrap(text, cells, limit, fold))
        ]
    line = Line(label, DIM).pad_to(_LABEL_CELLS)
    for part, differs in _marked(text, other):
        line.put(_with_spaces(part), mark if differs else style)
    return [line.cut(cells + _LABEL_CELLS)]


def _with_spaces(part: str) -> str:
    """Part of a line, made harmless; outer spaces stay, because they may be the difference."""
    lead = len(part) - len(part.lstrip(" "))
    tail = len(part) - len(part.rstrip(" ")) if part.strip(" ") else 0
    middle = part.strip(" ")
    return " " * lead + clip(middle, len(middle) * _CHARS_PER_CELL) + " " * tail


def _marked(text: str, other: str) -> Iterator[tuple[str, bool]]:
    """Split ``text`` into the common beginning, what differs, and the common end."""
    shorter = min(len(text), len(other))
    head = next((i for i in range(shorter) if text[i] != other[i]), shorter)
    tail = next((i for i in range(shorter - head) if text[-1 - i] != other[-1 - i]), shorter - head)
    yield text[:head], False
    yield text[head : len(text) - tail], bool(head or tail)
    yield text[len(text) - tail :], False


def _diff(expected: str, actual: str, width: int, limit: int, fold: int) -> list[Line]:
    """A diff: ``-`` before lines that were expected and are missing, ``+`` before lines that came instead."""
    lines = [Line("- expected", GOOD).put("  ").put("+ actual", BAD)]
    changes = _changes(expected.split("\n"), actual.split("\n"))
    for shown, (sign, text) in enumerate(changes):
        if shown == limit:
            rest = 1 + sum(1 for _ in changes)
            lines.append(Line(f"{ELLIPSIS} {rest} more lines", DIM))
            break
        style = GOOD if sign == "-" else BAD if sign == "+" else DIM
        lines.extend(Line(sign, style).put(" ").put(piece, style) for piece in verbatim(text, width - 2, fold))
    return lines


def _changes(expected: list[str], actual: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the sign and the text of each line of a diff."""
    if len(expected) + len(actual) > _DIFF_LINES_MAX:
        yield from (("-", line) for line in expected)
        yield from (("+", line) for line in actual)
        return
    matcher = difflib.SequenceMatcher(None, expected, actual, autojunk=False)
    for index, group in enumerate(matcher.get_grouped_opcodes(_CONTEXT_LINES)):
        if index:
            yield " ", ELLIPSIS
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                yield from ((" ", line) for line in expected[i1:i2])
                continue
            yield from (("-", line) for line in expected[i1:i2])
            yield from (("+", line) for line in actual[j1:j2])
