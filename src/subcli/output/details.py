"""Why a test failed, in full: reason, expected and actual, output, analysis with place and suggestions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from subcli.output.diff import comparison, value_text
from subcli.output.lines import Line, clip, wrap
from subcli.output.printable import printable
from subcli.output.theme import ACCENT, ARROW, GUTTER, MORE, PLAIN, QUIET, STRONG
from subcli.protocol import ErrorAnalysis, Location, TestResult

OUTPUT_LINES: Final = 20
"""Lines of a test's output that are shown: the last ones, where the reason mostly stands."""

TEXT_LINES: Final = 12
SUGGESTIONS: Final = 5


def place(location: Location | None, cells: int) -> str:
    """``node.py:48``, in a form that terminals make clickable; empty where unknown."""
    if location is None or not location.file.strip():
        return ""
    line = f":{location.line}" if location.line is not None and 0 < location.line < 10**9 else ""
    return clip(location.file, cells - len(line)) + line


def is_about(analysis: ErrorAnalysis, result: TestResult) -> bool:
    """Whether an analysis belongs to this test."""
    if analysis.test_id is not None and result.test_id is not None:
        return analysis.test_id == result.test_id
    return analysis.test_name is not None and analysis.test_name == result.test_name


def values(result: TestResult, width: int, limit: int) -> list[Line]:
    """Expected and actual, where the server said at least one of them."""
    if result.expected is None and result.actual is None:
        return []
    raw = result.raw
    expected = value_text(result.expected) if "expected" in raw else None
    actual = value_text(result.actual) if "actual" in raw else None
    return comparison(expected, actual, width, limit)


def output(text: str | None, width: int, limit: int = OUTPUT_LINES) -> list[Line]:
    """The last lines of what a test printed, behind a gutter."""
    if not text or not text.strip():
        return []
    kept = text.strip("\r\n").rsplit("\n", limit)
    lines = [Line("output", QUIET)]
    if len(kept) > limit:
        before = kept.pop(0).count("\n") + 1
        lines.append(Line(f"{MORE} {before:,} more line{'s' * (before != 1)} above", QUIET))
    for raw in kept:
        lead = raw.expandtabs(4)
        indent = min(len(lead) - len(lead.lstrip(" ")), max(width // 2, 1))
        shown = " " * indent + clip(raw.strip(), width - 2 - indent)
        lines.append(Line(GUTTER, QUIET).put(" ").put(shown.rstrip()))
    return lines


def analysis(event: ErrorAnalysis, width: int, limit: int = TEXT_LINES, *, with_place: bool = True) -> list[Line]:
    """What went wrong, where, and what to do."""
    where = place(event.location, width // 2) if with_place else ""
    texts = _texts(event)
    lines: list[Line] = []
    for index, text in enumerate(texts):
        style = STRONG if index == 0 and len(texts) > 1 else PLAIN
        lines.extend(Line(part, style) for part in wrap(text, width, limit))
    if where:
        lines.insert(0, Line(where, ACCENT))
    for suggestion in event.suggestions[:SUGGESTIONS]:
        lines.extend(hanging(ARROW, suggestion, width, 4))
    return lines


def hanging(mark: str, text: str, width: int, limit: int) -> list[Line]:
    """Foreign text behind a mark, its further lines indented to its first."""
    return [
        (Line(mark, ACCENT) if index == 0 else Line()).to(2).put(part)
        for index, part in enumerate(wrap(text, width - 2, limit))
    ]


def _texts(event: ErrorAnalysis) -> list[str]:
    """The error and what it means, each once."""
    texts = [text for text in (event.error, event.analysis) if text.strip()]
    return texts[:1] if len(texts) == 2 and texts[0].strip() == texts[1].strip() else texts


def indent(lines: Iterable[Line], by: int) -> list[Line]:
    """The same lines, further to the right."""
    return [Line().to(by).join(line) if line.cells else line for line in lines]


def failure(
    result: TestResult, analyses: Sequence[ErrorAnalysis], width: int, *, value_lines: int, output_lines: int
) -> list[Line]:
    """Everything known about one failed test, parted by blank lines; without its title."""
    parts = [
        values(result, width, value_lines),
        *(analysis(event, width) for event in analyses if is_about(event, result)),
        output(result.output, width, output_lines),
    ]
    lines: list[Line] = []
    for part in parts:
        if part and lines:
            lines.append(Line())
        lines.extend(part)
    return lines


def reason(result: TestResult) -> str:
    """Why a test did not pass, foreign and in one sentence if possible; empty where nobody said."""
    if result.message and result.message.strip():
        return first_line(result.message)
    if result.error_category:
        return result.error_category
    return ""


def first_line(text: str) -> str:
    """The first line that is not empty."""
    return next((line for line in text[:2000].splitlines() if line.strip()), "")


def raw_lines(text: str) -> list[str]:
    """Foreign text of several lines, harmless, uncut."""
    return printable(text).rstrip("\n").split("\n")
