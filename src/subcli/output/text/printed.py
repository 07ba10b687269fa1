"""What builds and tests print, as lines: pieces of several streams come in turn, and each may end within a line."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, NamedTuple

from subcli.output.text.lines import clip
from subcli.shared.messages import Output

LINE_CHARS: Final = 2_000
"""A longer line is broken."""
_NAME_CELLS: Final = 80
_SOURCES_MAX: Final = 200
"""How many unfinished lines are kept."""


class PrintedLine(NamedTuple):
    """A line that a build or a test has printed, as it came, and where: ``build`` or ``test_vote n1 stderr``."""

    label: str
    text: str


class PrintedLines:
    """Joins pieces to lines. Unfinished lines are bounded in length and number."""

    def __init__(self) -> None:
        self._unfinished: dict[Hashable, PrintedLine] = {}

    def add(self, piece: Output) -> list[PrintedLine]:
        """Return the lines that a piece completes."""
        source = (str(piece.test_id), piece.node, piece.stream)
        label = label_of(piece)
        before = self._unfinished.pop(source, None)
        *whole, rest = ((before.text if before is not None else "") + piece.text).split("\n")
        lines = [PrintedLine(label, part) for text in whole for part in _broken(_visible(text))]
        while len(rest) > LINE_CHARS:
            lines.append(PrintedLine(label, rest[:LINE_CHARS]))
            rest = rest[LINE_CHARS:]
        if rest:
            if len(self._unfinished) >= _SOURCES_MAX:
                lines += self.rest()
            self._unfinished[source] = PrintedLine(label, rest)
        return lines

    def rest(self) -> list[PrintedLine]:
        """Return the unfinished lines: nothing follows them for now."""
        lines = [PrintedLine(label, _visible(text)) for label, text in self._unfinished.values()]
        self._unfinished.clear()
        return lines

    @property
    def unfinished(self) -> list[PrintedLine]:
        """The unfinished lines, which stay."""
        return [PrintedLine(label, _visible(text)) for label, text in self._unfinished.values()]


def label_of(piece: Output) -> str:
    """Return where a piece was printed, in a few words."""
    words = (_test(piece.test_id), piece.node or "", piece.stream)
    return clip(" ".join(word for word in words if word), _NAME_CELLS)


def _test(test_id: int | str | None) -> str:
    """A test's id without the file that it is in; a number is not a name."""
    name = "" if test_id is None else str(test_id).rpartition("::")[2]
    return f"test {name}" if name.isdecimal() else name


def _visible(line: str) -> str:
    """What a terminal shows of a line: a carriage return begins it anew, as progress bars do."""
    return line.rstrip("\r").rpartition("\r")[2]


def _broken(line: str) -> list[str]:
    return [line[start : start + LINE_CHARS] for start in range(0, len(line), LINE_CHARS)] or [""]
