"""Expected beside actual: on one line each where they are short, as a diff where they are long."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from typing import Any, Final

from rich.cells import cell_len
from rich.style import Style

from subcli.output.text.lines import Line, clip, verbatim, wrap
from subcli.output.text.theme import BAD, BAD_MARK, GOOD, GOOD_MARK, MORE, QUIET

_LABEL: Final = 10
_CONTEXT: Final = 2
_COMPACT: Final = 60
_COMPARED_MAX: Final = 1500
"""Lines that are compared; matching longer ones would take seconds, so they are shown one after the other."""

_MORE_CHARS: Final = 4


def value_text(value: Any) -> str:
    """A value as a person writes it: text as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    try:
        text = json.dumps(value, ensure_ascii=False)
        return text if len(text) <= _COMPACT else json.dumps(value, ensure_ascii=False, indent=2)
    except (TypeError, ValueError, RecursionError):
        return str(type(value).__name__)


def comparison(expected: str | None, actual: str | None, width: int, limit: int, fold: int = 1) -> list[Line]:
    """What was expected and what came, at most about ``limit`` lines of at most ``width`` cells.

    Args:
        expected, actual: foreign text; ``None`` where the server did not say.
        fold: screen lines that one line of a long value may take.
    """
    room = width - _LABEL
    wanted, got = _normal(expected), _normal(actual)
    if wanted is None or got is None or (_is_short(wanted, room) and _is_short(got, room)):
        lines = _labelled("expected", wanted, got, GOOD, GOOD_MARK, room, limit, fold)
        return lines + _labelled("actual", got, wanted, BAD, BAD_MARK, room, limit, fold)
    return _diff(wanted, got, width, limit, fold)


def _normal(text: str | None) -> str | None:
    return None if text is None else text.replace("\r\n", "\n").strip("\n")


def _is_short(text: str, room: int) -> bool:
    return "\n" not in text and len(text) <= room and cell_len(text) <= room


def _labelled(
    label: str, text: str | None, other: str | None, style: Style, mark: Style, room: int, limit: int, fold: int
) -> list[Line]:
    """One value behind its label, with what differs from the other one marked."""
    if text is None:
        return []
    if not text.strip():
        return [Line(label, QUIET).to(_LABEL).put("(nothing)" if not text else "(white space)", QUIET)]
    if other is None or not _is_short(text, room):
        folded = wrap(text, room, limit, fold)
        return [
            Line(label if index == 0 else "", QUIET).to(_LABEL).put(part, style) for index, part in enumerate(folded)
        ]
    line = Line(label, QUIET).to(_LABEL)
    for part, differs in _marked(text, other):
        line.put(_kept(part), mark if differs else style)
    return [line.cut(room + _LABEL)]


def _kept(part: str) -> str:
    """A part of a line, harmless; spaces are kept, for they may be the difference."""
    lead = len(part) - len(part.lstrip(" "))
    tail = len(part) - len(part.rstrip(" ")) if part.strip(" ") else 0
    middle = part.strip(" ")
    return " " * lead + clip(middle, len(middle) * _MORE_CHARS) + " " * tail


def _marked(text: str, other: str) -> Iterator[tuple[str, bool]]:
    """``text`` in up to three parts: what both begin with, what differs, what both end with."""
    short = min(len(text), len(other))
    head = next((i for i in range(short) if text[i] != other[i]), short)
    tail = next((i for i in range(short - head) if text[-1 - i] != other[-1 - i]), short - head)
    yield text[:head], False
    yield text[head : len(text) - tail], bool(head or tail)
    yield text[len(text) - tail :], False


def _diff(expected: str, actual: str, width: int, limit: int, fold: int) -> list[Line]:
    """Lines with ``-`` before what was expected and did not come, ``+`` before what came instead."""
    legend = Line("- expected", GOOD).put("  ").put("+ actual", BAD)
    lines = [legend]
    changes = _changes(expected.split("\n"), actual.split("\n"))
    for shown, (sign, text) in enumerate(changes):
        if shown == limit:
            rest = 1 + sum(1 for _ in changes)
            lines.append(Line(f"{MORE} {rest} more lines", QUIET))
            break
        style = GOOD if sign == "-" else BAD if sign == "+" else QUIET
        lines.extend(Line(sign, style).put(" ").put(piece, style) for piece in verbatim(text, width - 2, fold))
    return lines


def _changes(expected: list[str], actual: list[str]) -> Iterator[tuple[str, str]]:
    if len(expected) + len(actual) > _COMPARED_MAX:
        yield from (("-", line) for line in expected)
        yield from (("+", line) for line in actual)
        return
    matcher = difflib.SequenceMatcher(None, expected, actual, autojunk=False)
    first = True
    for group in matcher.get_grouped_opcodes(_CONTEXT):
        if not first:
            yield " ", MORE
        first = False
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                yield from ((" ", line) for line in expected[i1:i2])
                continue
            yield from (("-", line) for line in expected[i1:i2])
            yield from (("+", line) for line in actual[j1:j2])
