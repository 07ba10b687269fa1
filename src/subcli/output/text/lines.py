"""A line of the screen, and the ways in which foreign text gets onto one.

Lines are put together by hand from pieces of text with a style: a tenth of the cost of a ``rich.table``, and
the width of every column is ours to say. Rich measures, colours and prints them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from rich.cells import cell_len, get_character_cell_size
from rich.color import ColorSystem
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style

from subcli.output.printable import one_line, printable
from subcli.output.terminal.terminal import LinkingConsole
from subcli.output.text.theme import MORE, PLAIN, in_ascii

MARKS_KEPT: Final = 3
"""Combining characters kept on one base: a hundred of them would paint over the lines above."""

CODE: Final = ("  ", "> ")
"""What a line of code begins with where it stands in a text; ``>`` is the one that is meant."""

_PER_CELL: Final = 4
_TAB: Final = 4


class Line:
    """Pieces of text, each with its style, and their width together in cells."""

    __slots__ = ("cells", "pieces")

    def __init__(self, text: str = "", style: Style = PLAIN) -> None:
        self.pieces: list[tuple[str, Style]] = []
        self.cells = 0
        if text:
            self.put(text, style)

    def put(self, text: str, style: Style = PLAIN) -> Line:
        """Append text that is ours, or that :func:`clip` or :func:`wrap` made harmless."""
        if text:
            self.pieces.append((text, style))
            self.cells += len(text) if text.isascii() else cell_len(text)
        return self

    def to(self, column: int) -> Line:
        """Spaces up to ``column``, counted from 0."""
        if column > self.cells:
            self.pieces.append((" " * (column - self.cells), PLAIN))
            self.cells = column
        return self

    def join(self, other: Line) -> Line:
        """Append another line's pieces."""
        self.pieces.extend(other.pieces)
        self.cells += other.cells
        return self

    def cut(self, width: int) -> Line:
        """This line, or its first ``width`` cells where it is longer."""
        if self.cells <= width:
            return self
        short = Line()
        for text, style in self.pieces:
            room = width - short.cells
            if room <= 0:
                break
            short.put(_head(text, room), style)
        return short

    def trimmed(self) -> Line:
        """This line without the spaces at its end."""
        while self.pieces and not self.pieces[-1][0].strip(" ") and not self.pieces[-1][1]:
            self.cells -= len(self.pieces.pop()[0])
        return self

    @property
    def text(self) -> str:
        """The characters alone."""
        return "".join(text for text, _ in self.pieces)


class LineRenderer:
    """How one terminal, file or pipe wants its lines: with or without colour, UTF-8 or not."""

    def __init__(self, console: Console) -> None:
        self._colour = ColorSystem.STANDARD if console.color_system is not None and not console.no_color else None
        self._encoding = (console.encoding or "utf-8").lower()
        self._has_links = isinstance(console, LinkingConsole)
        self._plain = not self._encoding.replace("-", "").startswith("utf")

    def encode(self, text: str) -> str:
        """``text`` in characters that can be encoded."""
        if not self._plain or text.isascii():
            return text
        return in_ascii(text).encode(self._encoding, "backslashreplace").decode(self._encoding)

    def render(self, line: Line) -> str:
        """One line as it is written, without its end."""
        if self._colour is None:
            return "".join(self.encode(text) for text, style in line.pieces if not _is_padding(text, style)).rstrip(" ")
        return "".join(
            self._fitting(style).render(self.encode(text), color_system=self._colour) if style else self.encode(text)
            for text, style in line.pieces
        )

    def segments(self, line: Line) -> Iterator[Segment]:
        """One line as Rich takes it."""
        for text, style in line.pieces:
            if self._colour is not None or not _is_padding(text, style):
                yield Segment(self.encode(text), self._fitting(style))

    def _fitting(self, style: Style) -> Style:
        return style.update_link(None) if style.link and not self._has_links else style


def _is_padding(text: str, style: Style) -> bool:
    """Whether this is the rim of a badge: without colours there is none."""
    return text == " " and bool(style.reverse)


class Block:
    """Lines that Rich prints."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self.lines = tuple(lines)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        ink = LineRenderer(console)
        for line in self.lines:
            yield from ink.segments(line.trimmed())
            yield Segment.line()


def clip(text: str, cells: int) -> str:
    """Foreign text, harmless, on one line and at most ``cells`` wide; its cost is bounded by ``cells``."""
    if cells <= 0:
        return ""
    limit = cells * _PER_CELL
    line = one_line(text[:limit])
    if len(text) <= limit and len(line) <= cells and line.isascii():
        return line
    line = _tamed(line)
    if len(text) <= limit and cell_len(line) <= cells:
        return line
    return _head(line, cells - 1) + MORE


def wrap(text: str, cells: int, limit: int, code: int = 1) -> list[str]:
    """Foreign text of several lines, harmless, folded to ``cells`` and cut to ``limit`` lines with ``…``.

    Lines that are indented are code: they are not parted at spaces, and cut to ``code`` lines each.
    """
    cells = max(cells, 8)
    kept: list[str] = []
    budget = cells * (limit + 1) * _PER_CELL
    for raw in printable(text[:budget].strip()).expandtabs(_TAB).split("\n"):
        line = _tamed(raw.rstrip())
        if line.startswith(CODE):
            kept.extend(_code_lines(line, cells, code))
        else:
            kept.extend(_folded(line, cells))
        if len(kept) > limit:
            break
    if len(kept) > limit or len(text) > budget:
        kept = kept[:limit]
        while kept and not kept[-1]:
            kept.pop()
        if kept:
            kept[-1] = _head(kept[-1], cells - 1) + MORE
    return kept


def verbatim(text: str, cells: int, pieces: int = 1) -> list[str]:
    """One line of foreign text with its indentation, which says something in code and in output.

    Args:
        pieces: into how many it may be folded; what is left then is cut.
    """
    cells = max(cells, 8)
    line = _tamed(printable(text[: cells * pieces * _PER_CELL].expandtabs(_TAB)).replace("\n", " ").rstrip(" "))
    return _cut_to(pieces, line, cells, more=len(text) > cells * pieces * _PER_CELL)


def _code_lines(line: str, cells: int, pieces: int) -> list[str]:
    """A line of code, its further pieces below it and further to the right."""
    head = _head(line, cells)
    if head == line or pieces == 1:
        return _cut_to(1, line, cells)
    indent = " " * min(_TAB, cells // 4)
    return [head, *(f"{indent}{piece}" for piece in _cut_to(pieces - 1, line[len(head) :], cells - len(indent)))]


def _cut_to(pieces: int, line: str, cells: int, *, more: bool = False) -> list[str]:
    """``line`` in at most so many pieces, the last one with ``…`` where there is more."""
    kept = list(islice(_chopped(line, cells), pieces + 1)) if line else [""]
    if len(kept) > pieces or more:
        kept = kept[:pieces]
        kept[-1] = _head(kept[-1], cells - 1) + MORE
    return kept


def _chopped(line: str, cells: int) -> Iterator[str]:
    while line:
        head = _head(line, cells) or line[0]
        yield head
        line = line[len(head) :]


def _folded(line: str, cells: int) -> Iterator[str]:
    """``line`` in pieces of at most ``cells``, parted at spaces where there are any."""
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
    """The beginning of ``text`` that fits in ``cells``."""
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


def _tamed(text: str) -> str:
    """``text`` without what terminals measure differently: variation selectors, heaps of combining marks."""
    if text.isascii():
        return text
    kept: list[str] = []
    marks = 0
    for character in text:
        if get_character_cell_size(character):
            marks = 0
        else:
            marks += 1
            if marks > MARKS_KEPT or "\ufe00" <= character <= "\ufe0f":
                continue
        kept.append(character)
    return "".join(kept)
