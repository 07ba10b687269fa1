"""Lines of the terminal, and the functions that fit foreign text into them.

A line is a list of styled pieces of text. That costs a tenth of a ``rich.table``, and leaves the width of every column
to us. Rich measures, colours and prints the pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final

from rich.cells import cell_len, get_character_cell_size
from rich.console import COLOR_SYSTEMS, Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style

from subcli.output.printable import one_line, printable
from subcli.output.terminal.console import ThemeName
from subcli.output.terminal.terminal import LinkingConsole, ThemedConsole
from subcli.output.text.theme import ELLIPSIS, PLAIN, in_ascii
from subcli.output.text.themes import styled

MARKS_KEPT: Final = 3
"""Combining characters kept per base character: a hundred of them would cover the lines above."""

CODE_PREFIXES: Final = ("  ", "> ")
"""How a line of code begins inside a text; ``>`` marks the one that matters."""

_CHARS_PER_CELL: Final = 4
_TAB_CELLS: Final = 4
_INDENTATION_MAX: Final = 40


class Line:
    """Pieces of text, each with its style, and their total width in cells."""

    __slots__ = ("cells", "pieces")

    def __init__(self, text: str = "", style: Style = PLAIN) -> None:
        self.pieces: list[tuple[str, Style]] = []
        self.cells = 0
        if text:
            self.put(text, style)

    def put(self, text: str, style: Style = PLAIN) -> Line:
        """Append text: our own, or foreign text that :func:`clip`, :func:`wrap` or :func:`verbatim` made harmless."""
        if text:
            self.pieces.append((text, style))
            self.cells += len(text) if text.isascii() else cell_len(text)
        return self

    def pad_to(self, column: int) -> Line:
        """Append spaces up to ``column``, counted from 0."""
        if column > self.cells:
            self.pieces.append((" " * (column - self.cells), PLAIN))
            self.cells = column
        return self

    def extend(self, other: Line) -> Line:
        """Append the pieces of another line."""
        self.pieces.extend(other.pieces)
        self.cells += other.cells
        return self

    def cut(self, width: int) -> Line:
        """Return this line, or its first ``width`` cells if it is longer."""
        if self.cells <= width:
            return self
        short = Line()
        for text, style in self.pieces:
            head = _head(text, width - short.cells)
            short.put(head, style)
            if len(head) < len(text):
                # What follows would take the place of a character that does not fit.
                break
        return short

    def folded(self, width: int, hang: int = 0) -> list[Line]:
        """Return this line in pieces of at most ``width`` cells, broken at spaces if there are any.

        Args:
            width: The width in cells.
            hang: How far the pieces after the first are indented.
        """
        if self.cells <= width:
            return [self]
        text, start = self.text, 0
        hang = min(hang, width // 2)
        pieces: list[Line] = []
        while start < len(text):
            room = width - (hang if pieces else 0)
            end = start + max(len(_head(text[start:], room)), 1)
            space = end if text[end : end + 1] in ("", " ") else text.rfind(" ", start, end)
            if text[start:space].strip() and space - start > room // 3:
                end = space
            pieces.append(Line().pad_to(hang if pieces else 0).extend(self._part(start, end)).trimmed())
            start = end + len(text[end:]) - len(text[end:].lstrip(" "))
        return pieces

    def _part(self, start: int, end: int) -> Line:
        """The pieces between two characters."""
        part, at = Line(), 0
        for text, style in self.pieces:
            part.put(text[max(start - at, 0) : max(end - at, 0)], style)
            at += len(text)
        return part

    def trimmed(self) -> Line:
        """Remove the spaces at the end."""
        while self.pieces and not self.pieces[-1][0].strip(" ") and not self.pieces[-1][1]:
            self.cells -= len(self.pieces.pop()[0])
        return self

    @property
    def text(self) -> str:
        """The characters without their styles."""
        return "".join(text for text, _ in self.pieces)


def folded(lines: Iterable[Line], width: int) -> list[Line]:
    """Return lines of at most ``width`` cells: what is longer continues below, as far indented as it began."""
    return [part for line in lines for part in line.folded(width, _indentation(line))]


def _indentation(line: Line) -> int:
    """Where the text of a line begins: after spaces, and after the mark of a list."""
    text = line.text[:_INDENTATION_MAX]
    indent = len(text) - len(text.lstrip(" "))
    has_mark = text[indent + 1 : indent + 2] == " " and not text[indent].isalnum()
    return indent + 2 if has_mark else indent


class LineRenderer:
    """Turns lines into text for one terminal, file or pipe: with or without colour, in its encoding.

    Args:
        console: Where the lines will be written.
    """

    def __init__(self, console: Console) -> None:
        has_colour = console.color_system is not None and not console.no_color
        self._colour = COLOR_SYSTEMS[console.color_system] if has_colour and console.color_system else None
        self._theme: ThemeName = console.theme_name if isinstance(console, ThemedConsole) else "default"
        self._encoding = (console.encoding or "utf-8").lower()
        self._has_links = isinstance(console, LinkingConsole)
        self._needs_ascii = not self._encoding.replace("-", "").startswith("utf")

    def encode(self, text: str) -> str:
        """Return ``text`` with the characters replaced that the encoding lacks."""
        if not self._needs_ascii or text.isascii():
            return text
        return in_ascii(text).encode(self._encoding, "backslashreplace").decode(self._encoding)

    def render(self, line: Line) -> str:
        """Return one line as it is written, without a newline."""
        if self._colour is None:
            return "".join(self.encode(text) for text, style in line.pieces if not _is_padding(text, style)).rstrip(" ")
        return "".join(
            self._supported(style).render(self.encode(text), color_system=self._colour) if style else self.encode(text)
            for text, style in line.pieces
        )

    def segments(self, line: Line) -> Iterator[Segment]:
        """Yield one line as Rich segments."""
        for text, style in line.pieces:
            if self._colour is not None or not _is_padding(text, style):
                yield Segment(self.encode(text), self._supported(style))

    def _supported(self, style: Style) -> Style:
        shown = style.update_link(None) if style.link and not self._has_links else style
        return shown if self._theme == "default" else styled(self._theme, shown)


def _is_padding(text: str, style: Style) -> bool:
    """Return whether this is the margin of a badge, which is left out without colours."""
    return text == " " and bool(style.reverse)


class Block:
    """Lines as a Rich renderable."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self.lines = tuple(lines)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        renderer = LineRenderer(console)
        for line in self.lines:
            yield from renderer.segments(line.trimmed())
            yield Segment.line()


class AdaptiveBlock:
    """Lines that are made for the width in which they are printed, as a Rich renderable.

    Args:
        make: Returns the lines for a width in cells.
    """

    def __init__(self, make: Callable[[int], list[Line]]) -> None:
        self._make = make

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Block(self._make(options.max_width))


def clip(text: str, cells: int) -> str:
    """Return foreign text, made harmless, on one line of at most ``cells``; its cost is bounded by ``cells``."""
    if cells <= 0:
        return ""
    limit = cells * _CHARS_PER_CELL
    line = one_line(text[:limit])
    if len(text) <= limit and len(line) <= cells and line.isascii():
        return line
    line = _without_unstable_width(line)
    if len(text) <= limit and cell_len(line) <= cells:
        return line
    return _head(line, cells - 1) + ELLIPSIS


def wrap(text: str, cells: int, limit: int, code: int = 1) -> list[str]:
    """Return foreign text of several lines, made harmless, wrapped to ``cells`` and cut to ``limit`` lines.

    Args:
        text: Foreign text. Indented lines are code: they are not broken at spaces.
        cells: The width in cells.
        limit: The number of lines; the last one ends with ``…`` if there is more.
        code: Screen lines that one line of code may take.
    """
    cells = max(cells, 8)
    kept: list[str] = []
    budget = cells * (limit + 1) * _CHARS_PER_CELL
    for raw in printable(text[:budget].strip()).expandtabs(_TAB_CELLS).split("\n"):
        line = _without_unstable_width(raw.rstrip())
        if line.startswith(CODE_PREFIXES):
            kept.extend(_code_lines(line, cells, code))
        else:
            kept.extend(_wrapped(line, cells))
        if len(kept) > limit:
            break
    if len(kept) > limit or len(text) > budget:
        kept = kept[:limit]
        while kept and not kept[-1]:
            kept.pop()
        if kept:
            kept[-1] = _head(kept[-1], cells - 1) + ELLIPSIS
    return kept


def verbatim(text: str, cells: int, pieces: int = 1) -> list[str]:
    """Return one line of foreign text with its indentation, which is significant in code and in output.

    Args:
        text: Foreign text.
        cells: The width in cells.
        pieces: How many screen lines it may take; the rest is cut.
    """
    cells = max(cells, 8)
    line = as_line(text[: cells * pieces * _CHARS_PER_CELL]).rstrip(" ")
    return _cut_to(pieces, line, cells, more=len(text) > cells * pieces * _CHARS_PER_CELL)


def as_line(text: str) -> str:
    """Return all of foreign text as one line, made harmless, with its spaces. The caller cuts it."""
    return _without_unstable_width(printable(text.expandtabs(_TAB_CELLS)).replace("\n", " "))


def _code_lines(line: str, cells: int, pieces: int) -> list[str]:
    """A line of code; its further pieces are indented."""
    head = _head(line, cells)
    if head == line or pieces == 1:
        return _cut_to(1, line, cells)
    indent = " " * min(_TAB_CELLS, cells // 4)
    return [head, *(f"{indent}{piece}" for piece in _cut_to(pieces - 1, line[len(head) :], cells - len(indent)))]


def _cut_to(pieces: int, line: str, cells: int, *, more: bool = False) -> list[str]:
    """Cut ``line`` into at most so many pieces; the last one ends with ``…`` if there is more."""
    kept = list(islice(_chopped(line, cells), pieces + 1)) if line else [""]
    if len(kept) > pieces or more:
        kept = kept[:pieces]
        kept[-1] = _head(kept[-1], cells - 1) + ELLIPSIS
    return kept


def _chopped(line: str, cells: int) -> Iterator[str]:
    while line:
        head = _head(line, cells) or line[0]
        yield head
        line = line[len(head) :]


def _wrapped(line: str, cells: int) -> Iterator[str]:
    """Yield ``line`` in pieces of at most ``cells``, broken at spaces if there are any."""
    while len(head := _head(line, cells)) < len(line):
        space = len(head) if line[len(head)] == " " else head.rfind(" ")
        if space > cells // 3:
            yield line[:space].rstrip()
            line = line[space + 1 :]
        else:
            head = head or line[0]
            yield head
            line = line[len(head) :]
    yield line


def _head(text: str, cells: int) -> str:
    """Return the beginning of ``text`` that fits into ``cells``."""
    if cells <= 0:
        return ""
    if text.isascii():
        return text[:cells]
    width = 0
    for index, character in enumerate(text):
        width += get_character_cell_size(character)
        if width > cells:
            return text[:index]
    return text


def _without_unstable_width(text: str) -> str:
    """Remove from harmless text what terminals measure differently: stacks of combining marks."""
    if text.isascii():
        return text
    kept: list[str] = []
    marks = 0
    for character in text:
        if get_character_cell_size(character):
            marks = 0
        else:
            marks += 1
            if marks > MARKS_KEPT:
                continue
        kept.append(character)
    return "".join(kept)
