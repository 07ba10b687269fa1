"""Expected and actual: one line each if they are short, otherwise a diff.

If the server says where they begin to differ, that place is marked, with a caret in case there are no colours.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from rich.cells import cell_len
from rich.style import Style

from subcli.output.text.lines import Line, as_line, clip, verbatim, wrap
from subcli.output.text.theme import BAD, BAD_MARK, DIM, ELLIPSIS, GOOD, GOOD_MARK

_LABEL_CELLS: Final = 10
_CONTEXT_LINES: Final = 2
_COMPACT_JSON_CHARS: Final = 60
_DIFF_LINES_MAX: Final = 1500
"""Comparing more lines would take seconds; the two values are then shown one after the other."""

_CHARS_PER_CELL: Final = 4
_SIGN_CELLS: Final = 2
_CARETS_MAX: Final = 40
_CHARS_BEFORE: Final = 4_000
_CHARS_AFTER: Final = 20_000


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
    wanted, got = normalized(expected), normalized(actual)
    if wanted is None or got is None or (_is_short(wanted, available) and _is_short(got, available)):
        lines = _labelled("expected", wanted, got, GOOD, GOOD_MARK, available, limit, fold)
        return lines + _labelled("actual", got, wanted, BAD, BAD_MARK, available, limit, fold)
    return _diff(wanted, got, width, limit, fold)


class Spot(NamedTuple):
    """A value, and where it begins to differ from another one, in characters."""

    text: str
    at: int


def first_difference(expected: Spot, actual: Spot, width: int, limit: int) -> list[Line]:
    """Return the lines around the place where two values differ, with the first token that does marked.

    Everything before it is correct, even if not identical, such as a number within its tolerance.

    Args:
        expected: Foreign text.
        actual: Likewise.
        width: The width in cells.
        limit: The number of lines.
    """
    wanted, got = Around.of(expected), Around.of(actual)
    room = width - _LABEL_CELLS
    if wanted.is_alone and got.is_alone and all(_is_short(each.line, room) for each in (wanted, got)):
        lines = [
            _with_token(label, each, room, _LABEL_CELLS, style, mark)
            for label, each, style, mark in (
                ("expected", wanted, GOOD, GOOD_MARK),
                ("actual", got, BAD, BAD_MARK),
            )
        ]
        return lines + ([_caret(got, room, _LABEL_CELLS)] if (got.head + got.tail).strip() else [])
    lines = [Line("- expected", GOOD).put("  ").put("+ actual", BAD)]
    room = width - _SIGN_CELLS
    for text in got.before:
        lines += _signed(" ", text, room, DIM)
    lines += [
        _with_token("-", wanted, room, _SIGN_CELLS, GOOD, GOOD_MARK),
        _with_token("+", got, room, _SIGN_CELLS, BAD, BAD_MARK),
    ]
    if got.line:
        lines.append(_caret(got, room, _SIGN_CELLS))
    same = ((" ", text) for text in got.after[:_CONTEXT_LINES])
    for sign, text in same if wanted.after == got.after else changes(wanted.after, got.after):
        if len(lines) > limit:
            lines.append(Line(ELLIPSIS, DIM))
            break
        lines += _signed(sign, text, room, GOOD if sign == "-" else BAD if sign == "+" else DIM)
    return lines


class Around(NamedTuple):
    """The line of a place, in three parts, and the lines before and after it."""

    before: list[str]
    head: str
    token: str
    tail: str
    after: list[str]

    @staticmethod
    def of(spot: Spot) -> Around:
        text, at = spot.text, min(max(spot.at, 0), len(spot.text))
        # As much as anybody will read.
        text, at = text[max(0, at - _CHARS_BEFORE) : at + _CHARS_AFTER], min(at, _CHARS_BEFORE)
        text, at = text.replace("\r\n", "\n"), at - text.count("\r\n", 0, at)
        start = text.rfind("\n", 0, at) + 1
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        stop = next((i for i in range(at, end) if text[i].isspace()), end)
        # Differing white space is a separate token.
        stop = max(stop, min(at + 1, end))
        after = text[end + 1 :].removesuffix("\n").split("\n") if end + 1 < len(text) else []
        before = text[: max(start - 1, 0)].split("\n") if start else []
        return Around(before, text[start:at], text[at:stop], text[stop:end], after)

    @property
    def line(self) -> str:
        return self.head + self.token + self.tail

    @property
    def is_alone(self) -> bool:
        return not self.before and not self.after


def _with_token(label: str, around: Around, room: int, indent: int, style: Style, mark: Style) -> Line:
    """A line behind a label, cut to `room` cells so that its token is visible, with the token marked."""
    line = Line(label, DIM if indent == _LABEL_CELLS else style).pad_to(indent)
    head = _head_of(around, room)
    line.put(head, style)
    if not around.token:
        return line.put(" (ends here)" if around.line.strip() else "(nothing)", DIM)
    tail = as_line(around.tail[: room * _CHARS_PER_CELL])
    whole = Line(as_line(around.token[: room * _CHARS_PER_CELL]), mark).put(tail, style)
    left = room - (line.cells - indent)
    if whole.cells > left:
        whole = whole.cut(left - 1).put(ELLIPSIS, DIM)
    return line.extend(whole)


def _caret(around: Around, room: int, indent: int) -> Line:
    line = Line().pad_to(indent + Line(_head_of(around, room)).cells)
    return line.put("^" * max(1, min(Line(as_line(around.token[:_CARETS_MAX])).cells, _CARETS_MAX)), BAD)


def _head_of(around: Around, room: int) -> str:
    """The text before the token, without its beginning if there is no room."""
    head = as_line(around.head)
    most = max(room // 2, room - 40)
    if Line(head).cells <= most:
        return head
    while Line(head).cells > most - 1:
        head = head[max(1, (Line(head).cells - most) // 2) :]
    return ELLIPSIS + head


def _signed(sign: str, text: str, room: int, style: Style) -> list[Line]:
    return [Line(sign, style).pad_to(_SIGN_CELLS).put(piece, style) for piece in verbatim(text, room)]


def normalized(text: str | None) -> str | None:
    return None if text is None else text.replace("\r\n", "\n").strip("\n")


def _is_short(text: str, cells: int) -> bool:
    return "\n" not in text and len(text) <= cells and cell_len(text) <= cells


def _labelled(
    label: str, text: str | None, other: str | None, style: Style, mark: Style, cells: int, limit: int, fold: int
) -> list[Line]:
    """One value after its label, with the difference marked."""
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
    changed = changes(expected.split("\n"), actual.split("\n"))
    for shown, (sign, text) in enumerate(changed):
        if shown == limit:
            rest = 1 + sum(1 for _ in changed)
            lines.append(Line(f"{ELLIPSIS} {rest} more lines", DIM))
            break
        style = GOOD if sign == "-" else BAD if sign == "+" else DIM
        pieces = enumerate(verbatim(text, width - _SIGN_CELLS, fold))
        lines.extend(Line("" if at else sign, style).pad_to(_SIGN_CELLS).put(piece, style) for at, piece in pieces)
    return lines


def changes(expected: list[str], actual: list[str]) -> Iterator[tuple[str, str]]:
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
