"""The pane at the bottom of the live screen with the latest lines that the build and the tests have printed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from subcli.output.live.frame import Frame, Viewport
from subcli.output.text import parts
from subcli.output.text.lines import Line, verbatim
from subcli.output.text.printed import PrintedLine, PrintedLines
from subcli.output.text.theme import BAR_EMPTY, DIM, STRONG
from subcli.shared.messages import Output

LINES_KEPT: Final = 500
_SHARE: Final = (2, 5)
"""Of the screen."""
_SCREEN_LINES_MIN: Final = 10
"""On a smaller screen there is no pane."""
_KEPT_CHARS: Final = 1_000
"""Of a line: no screen is wider."""


class OutputPane:
    """Keeps the latest lines.

    Attributes:
        is_shown: Whether it is on the screen.
    """

    def __init__(self, *, is_shown: bool = False) -> None:
        self.is_shown = is_shown
        self._lines: deque[tuple[int, PrintedLine]] = deque(maxlen=LINES_KEPT)
        self._sources: dict[int, PrintedLines] = {}

    def add(self, submission_id: int, piece: Output) -> None:
        """Take what was printed."""
        source = self._sources.setdefault(submission_id, PrintedLines())
        self._keep(submission_id, source.add(piece))

    def _keep(self, submission_id: int, lines: Iterable[PrintedLine]) -> None:
        self._lines.extend((submission_id, line._replace(text=line.text[:_KEPT_CHARS])) for line in lines)

    def settle(self, submission_id: int) -> None:
        """Nothing follows the unfinished lines: they take their place among the others."""
        source = self._sources.get(submission_id)
        if source is not None:
            self._keep(submission_id, source.rest())

    def height(self, viewport: Viewport) -> int:
        """Return how many lines it takes, its title included."""
        if not self.is_shown or viewport.lines < _SCREEN_LINES_MIN:
            return 0
        return viewport.lines * _SHARE[0] // _SHARE[1]

    def below(self, frame: Frame, viewport: Viewport, *, several: bool) -> Frame:
        """Return a frame that was made for the space above the pane, with the pane.

        Args:
            several: Whether lines name their submission.
        """
        height = self.height(viewport)
        if not height:
            return frame
        above = viewport.lines - height
        width = max(viewport.columns - 2 * parts.MARGIN, 10)
        lines = [*frame.lines[:above], *[Line()] * (above - len(frame.lines))]
        unfinished = [(number, line) for number, source in self._sources.items() for line in source.unfinished]
        shown = [*self._lines, *unfinished][-(height - 1) :]
        pane = [_title(width), *(_row(line, f"#{number} " if several else "", width) for number, line in shown)]
        if not shown:
            pane.append(Line("Nothing has been printed so far.", DIM))
        return Frame(lines + parts.on_screen(pane, viewport.columns, height), frame.result_rows)


def _title(width: int) -> Line:
    title = Line("Output ", STRONG)
    return title.put(BAR_EMPTY * max(width - title.cells, 0), DIM).cut(width)


def _row(line: PrintedLine, prefix: str, width: int) -> Line:
    row = Line(f"{prefix}{line.label}: ", DIM).cut(width // 2)
    return row.put(verbatim(line.text, width - row.cells)[0]).cut(width)
