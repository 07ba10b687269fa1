"""What ``subcli status ID --diagram`` prints."""

from __future__ import annotations

from typing import Final

from subcli.output.text.course import sentences
from subcli.output.text.ladder import ROWS, ladder
from subcli.output.text.lines import AdaptiveBlock, Line, clip, wrap
from subcli.output.text.theme import STRONG
from subcli.shared.run_trace import RunTrace

_SENTENCE_LINES: Final = 20


def diagram_page(trace: RunTrace, name: str, *, plain: bool = False) -> AdaptiveBlock:
    """Return how a test failed: as a ladder, or in sentences.

    Args:
        trace: Its course.
        name: The test's name. Foreign, like all of the trace.
        plain: Whether to tell it in sentences.
    """
    return AdaptiveBlock(lambda width: _lines(trace, name, width, plain=plain))


def _lines(trace: RunTrace, name: str, width: int, *, plain: bool) -> list[Line]:
    heading = Line(clip(name, width), STRONG)
    if not plain:
        return [heading, *ladder(trace, width)]
    told = (wrap(sentence, width, _SENTENCE_LINES) for sentence in sentences(trace, ROWS))
    return [heading, *(Line(part) for parts in told for part in parts)]
